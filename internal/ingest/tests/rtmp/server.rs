//! An ingest on a free port, and what it publishes.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{Policy, Secret, Tokens};
use ingest::{Ingest, IngestOptions};
use live::{CloseReason, Directory, DirectoryOptions, Published, Received, Stream};
use media::{Frame, PathPattern, StreamPath, Tracks};
use registry::{MemoryRegistry, NodeId, StreamRegistry};
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) directory: Directory,
    pub(crate) registry: Arc<dyn StreamRegistry>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) published: Published,
    pub(crate) cancel: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
}

pub(crate) fn options() -> IngestOptions {
    IngestOptions::new(NodeId::new("here"))
}

pub(crate) fn path(s: &str) -> StreamPath {
    StreamPath::parse(s).unwrap()
}

impl Server {
    pub(crate) async fn start(o: IngestOptions) -> Self {
        Self::with_registry(o, Arc::new(MemoryRegistry::open(None).unwrap())).await
    }

    /// Paths below `open` need no token.
    pub(crate) async fn with_registry(o: IngestOptions, registry: Arc<dyn StreamRegistry>) -> Self {
        let secret = Secret::new("0123456789abcdef0123456789abcdef").unwrap();
        let open = vec![PathPattern::parse("open/*").unwrap()];
        let policy = Arc::new(Policy::new(Tokens::new(&secret), open));
        let (directory, published) = Directory::new(DirectoryOptions::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let ingest = Ingest::new(o, directory.clone(), Arc::clone(&registry), Arc::clone(&policy));
        let stop = cancel.clone();
        let serving = tokio::spawn(async move { ingest.serve(listener, None, stop).await });
        Self { addr, directory, registry, policy, published, cancel, serving }
    }

    pub(crate) fn token(&self, p: &str) -> String {
        self.policy.tokens().mint(&path(p), Duration::from_secs(3600), SystemTime::now()).token
    }

    pub(crate) fn url(&self, rest: &str) -> String {
        format!("rtmp://{}/{rest}", self.addr)
    }

    pub(crate) async fn next(&mut self) -> Stream {
        timeout(LONG, self.published.recv()).await.expect("a publish in time").expect("a directory")
    }
}

/// All that a stream carries, to its end.
pub(crate) struct Recorded {
    pub(crate) frames: Vec<Frame>,
    pub(crate) tracks: Tracks,
    pub(crate) reason: CloseReason,
}

impl Recorded {
    pub(crate) fn of(&self, id: u8) -> Vec<&Frame> {
        self.frames.iter().filter(|f| f.track.id == id).collect()
    }
}

pub(crate) async fn record(stream: &Stream) -> Recorded {
    let (mut reader, mut frames) = (stream.subscribe(), Vec::new());
    loop {
        match timeout(LONG, reader.recv(&mut frames)).await.expect("an end in time") {
            Received::Closed(reason) => return Recorded { frames, tracks: stream.tracks(), reason },
            Received::Lagged(n) => panic!("lagged by {n}"),
            _ => {}
        }
    }
}
