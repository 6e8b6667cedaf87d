//! The listener.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use live::Directory;
use registry::StreamRegistry;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    IngestOptions,
    admission::{Admission, Held},
    connection::{Connection, Shared},
    doorway::Doorway,
    meters::Meters,
    running::Running,
};

/// When accepting fails (no descriptors left), the next try waits: somebody may close meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Sessions get this long to say goodbye: a reply and a short linger each.
const GOODBYE: Duration = Duration::from_secs(3);

/// The RTMP server. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    shared: Arc<Shared>,
    doorway: Arc<Doorway>,
    /// The connections of every listener.
    tasks: TaskTracker,
}

impl Ingest {
    /// A server whose publishers claim their paths in `registry` and appear in `directory`.
    ///
    /// Takes its metric handles here, so the recorder must be installed before.
    pub fn new(
        options: IngestOptions,
        directory: Directory,
        registry: Arc<dyn StreamRegistry>,
        policy: Arc<auth::Policy>,
    ) -> Self {
        let running = Running::new(options.max_streams);
        let admission = Admission { directory, registry, policy, running };
        let doorway = Doorway::new(options.max_pending_per_ip);
        Self {
            shared: Arc::new(Shared { options, admission, meters: Meters::new() }),
            doorway,
            tasks: TaskTracker::new(),
        }
    }

    /// Accepts connections until `cancel`, over TLS when there is an acceptor. Then the listener closes, publishers
    /// are told, and it returns once all are gone, after 3 s at most. Limits are those of all listeners together.
    pub async fn serve(&self, listener: TcpListener, tls: Option<TlsAcceptor>, cancel: CancellationToken) {
        let tasks = &self.tasks;
        loop {
            let accepted = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.receive(stream, peer, tls.clone(), &cancel),
                Err(e) => {
                    tracing::warn!(error = %e, "an RTMP connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        if timeout(GOODBYE, tasks.wait()).await.is_err() {
            tracing::warn!(connections = tasks.len(), "RTMP connections did not end in time");
        }
    }

    /// Starts a connection's task, or closes the connection when there are too many.
    fn receive(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        cancel: &CancellationToken,
    ) {
        let tasks = &self.tasks;
        let shared = &self.shared;
        shared.meters.connections.increment(1);
        let ticket = self.doorway.enter(peer.ip());
        let Some(ticket) = ticket.filter(|_| tasks.len() < shared.options.max_connections) else {
            shared.meters.errors.increment(1);
            shared.meters.disconnects.increment(1);
            return;
        };
        if let Err(e) = prepare(&stream) {
            tracing::debug!(%peer, error = %e, "socket options");
        }
        let held = Held::default();
        let connection = Connection {
            shared: Arc::clone(shared),
            peer,
            accepted: Instant::now(),
            held: held.clone(),
            cancel: cancel.clone(),
            tls,
        };
        let shared = Arc::clone(shared);
        tasks.spawn(async move {
            // A task of its own, so that a panic ends this connection alone and its claim is released.
            let ended = tokio::spawn(connection.run(stream, ticket)).await;
            if ended.is_err() {
                shared.meters.errors.increment(1);
                tracing::error!(%peer, "an RTMP session panicked");
            }
            held.release(&*shared.admission.registry).await;
            shared.meters.disconnects.increment(1);
        });
    }
}

/// Replies go out at once; a peer that vanished is found by the idle timeout.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)
}
