//! Which lane packages which path: starts lanes, hands them their streams, and survives their deaths.

use std::{collections::HashMap, sync::Arc, time::Duration};

use live::{CloseReason, Directory, Published, Stream};
use media::StreamPath;
use registry::StreamRegistry;
use store::SegmentStore;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};

use crate::{
    equipment::Equipment,
    lane::{Inbox, Lane},
    meters::Meters,
    options::PackagerOptions,
};

/// Publishers of one path that may wait for its lane. Each new one replaces the one before, and a lane looks
/// after each part, so more than a few means that the lane hangs.
const INBOX: usize = 4;
/// How much longer than a lane's own flush the shutdown waits for the lane itself: its longest wait for the registry,
/// and the last frames.
const DRAIN_GRACE: Duration = Duration::from_secs(3);

/// How long what a dead lane listed can still be fetched.
const BURIAL: Duration = Duration::from_secs(60);

/// Packages every stream that is published: one task (a lane) per path, which outlives the path's publishers.
pub struct Packager {
    shared: Arc<Equipment>,
}

impl Packager {
    /// A packager of the streams that `directory` announces. Metrics go to the recorder that is installed now.
    pub fn new(
        options: PackagerOptions,
        directory: Directory,
        store: SegmentStore,
        registry: Arc<dyn StreamRegistry>,
    ) -> Self {
        let shared = Equipment { options, directory, store, registry, meters: Meters::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Runs until `cancel` fires or nobody can publish any more.
    ///
    /// Then closes the streams that are left ([`CloseReason::Draining`]), answers held requests, completes the
    /// stored playlists, and returns once the store is flushed or the flush deadline is over.
    pub async fn run(self, mut published: Published, cancel: CancellationToken) {
        let mut lanes = Lanes {
            shared: self.shared,
            cancel: cancel.child_token(),
            tasks: JoinSet::new(),
            inboxes: HashMap::new(),
            paths: HashMap::new(),
        };
        loop {
            tokio::select! {
                () = cancel.cancelled() => break,
                stream = published.recv() => match stream {
                    Some(stream) => lanes.hand_over(stream),
                    None => break,
                },
                Some(done) = lanes.tasks.join_next_with_id() => lanes.reap(done),
            }
        }
        lanes.drain(published).await;
    }
}

struct Lanes {
    shared: Arc<Equipment>,
    cancel: CancellationToken,
    tasks: JoinSet<Inbox>,
    /// Bounded by the paths that the registry lets be claimed; a lane that forgets its path leaves.
    inboxes: HashMap<StreamPath, mpsc::Sender<Stream>>,
    paths: HashMap<Id, StreamPath>,
}

impl Lanes {
    /// Gives a stream to its path's lane, which is started if there is none.
    fn hand_over(&mut self, stream: Stream) {
        let path = stream.path().clone();
        let stream = match self.inboxes.get(&path).map(|inbox| inbox.try_send(stream.clone())) {
            Some(Ok(())) => return,
            Some(Err(TrySendError::Full(stream))) => {
                warn!(%path, "the lane does not take its publishers: refused");
                stream.close(CloseReason::Refused("the stream is busy".into()));
                return;
            }
            Some(Err(TrySendError::Closed(stream))) => stream,
            None => stream,
        };
        let (inbox, streams) = mpsc::channel(INBOX);
        let lane = Lane::new(Arc::clone(&self.shared), path.clone(), streams, self.cancel.clone());
        let span = info_span!("lane", %path);
        let task = self.tasks.spawn(lane.run(stream).instrument(span));
        self.paths.insert(task.id(), path.clone());
        self.inboxes.insert(path, inbox);
    }

    /// Takes note that a lane is over. A publisher that came in its last moment gets a new one; one whose lane
    /// panicked is closed, and nobody else notices.
    fn reap(&mut self, done: Result<(Id, Inbox), JoinError>) {
        let id = match &done {
            Ok((id, _)) => *id,
            Err(e) => e.id(),
        };
        let Some(path) = self.paths.remove(&id) else { return };
        // A lane that has taken this one's place keeps its inbox and its stream.
        let last = self.inboxes.get(&path).is_some_and(mpsc::Sender::is_closed) || done.is_ok();
        if last {
            self.inboxes.remove(&path);
        }
        match done {
            Ok((_, mut inbox)) => {
                while let Ok(stream) = inbox.try_recv() {
                    self.hand_over(stream);
                }
            }
            Err(e) => {
                error!(%path, error = %e, "a lane died: its stream is closed");
                if last {
                    self.bury(path);
                }
            }
        }
    }
}

impl Lanes {
    /// Ends what a panicked lane left: nobody cuts that stream any more.
    fn bury(&self, path: StreamPath) {
        if let Some(stream) = self.shared.directory.stream(&path) {
            stream.close(CloseReason::Refused("the server failed on this stream".into()));
        }
        // Its window ended as the lane fell apart; whoever still plays the rest of it may.
        let Some(window) = self.shared.directory.window(&path) else { return };
        let (shared, cancel) = (Arc::clone(&self.shared), self.cancel.clone());
        tokio::spawn(async move {
            if let Some(epoch) = window.epoch() {
                let _ = timeout(BURIAL, shared.registry.end(&path, epoch)).await;
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(BURIAL) => shared.directory.detach_window(&window),
            }
            if shared.directory.window(&path).is_none()
                && let Err(error) = shared.store.clear_leftovers(&path, &[]).await
            {
                warn!(%path, %error, "cannot clear what a dead lane left");
            }
        });
    }

    /// Lets the lanes finish, within their flush deadline.
    async fn drain(mut self, mut published: Published) {
        self.cancel.cancel();
        while let Ok(Some(stream)) = timeout(Duration::ZERO, published.recv()).await {
            stream.close(CloseReason::Draining);
        }
        let end = Instant::now() + self.shared.options.flush_deadline + DRAIN_GRACE;
        while let Ok(Some(done)) = timeout_at(end, self.tasks.join_next()).await {
            match done {
                Ok(mut inbox) => {
                    while let Ok(stream) = inbox.try_recv() {
                        stream.close(CloseReason::Draining);
                    }
                }
                Err(e) => error!(error = %e, "a lane died in the shutdown"),
            }
        }
        if !self.tasks.is_empty() {
            warn!(lanes = self.tasks.len(), "lanes did not finish in time");
        }
    }
}
