//! One path's life: publishing → gap → (publishing again | ended) → expired → forgotten.
//!
//! The task outlives publishers. It owns the path's window and its place in the store, so nothing else ever writes
//! there.

use std::{sync::Arc, time::Duration};

use hls::{Settings, Timeline};
use live::{CloseReason, StopSignal, Stream, WindowOptions, WindowWriter};
use media::{Epoch, StreamPath};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    broadcast::Broadcast, checkpoints::Checkpoints, equipment::Equipment, publish::Publish, shelf::Shelf,
};

/// Publishers on their way to a lane.
pub(crate) type Inbox = mpsc::Receiver<Stream>;

/// How long a new playlist waits for the registry's numbers before it starts from the clock (contract: "Numbers
/// never go back").
const LOOK_UP: Duration = Duration::from_secs(1);
/// How long the end of a stream waits for the registry. No media waits with it.
const END: Duration = Duration::from_secs(2);
/// How long an expired path answers 410 instead of 404: as long as a player may go on asking.
const TOMBSTONE: Duration = Duration::from_secs(300);

/// What a lane does next.
enum Next {
    Publish(Stream),
    Gap,
    End,
    Drain,
    Forget,
}

/// A path's task.
pub(crate) struct Lane {
    shared: Arc<Equipment>,
    path: StreamPath,
    inbox: Inbox,
    cancel: CancellationToken,
    /// The newest claim whose stream came here.
    epoch: Epoch,
    broadcast: Option<Broadcast>,
}

impl Lane {
    pub(crate) fn new(
        shared: Arc<Equipment>,
        path: StreamPath,
        inbox: Inbox,
        cancel: CancellationToken,
    ) -> Self {
        Self { shared, path, inbox, cancel, epoch: Epoch::default(), broadcast: None }
    }

    /// Lives the path's life. Returns the inbox, as a publisher may have come in the last moment.
    pub(crate) async fn run(mut self, first: Stream) -> Inbox {
        let mut next = Next::Publish(first);
        loop {
            next = match next {
                Next::Publish(stream) => self.publish(stream).await,
                Next::Gap => self.wait_for_return().await,
                Next::End => self.end().await,
                Next::Drain => {
                    self.drain().await;
                    return self.inbox;
                }
                Next::Forget => return self.inbox,
            };
        }
    }

    /// Packages one publisher until it is gone.
    async fn publish(&mut self, stream: Stream) -> Next {
        self.epoch = stream.epoch();
        info!(epoch = %self.epoch, "publishing");
        let mut broadcast = match self.broadcast.take() {
            Some(running) if !running.ended() => running,
            over => self.new_playlist(over).await,
        };
        broadcast.begin(self.epoch);
        let mut publish = Publish::new(stream, &self.shared.options);
        let next = self.follow(&mut publish, &mut broadcast).await;
        self.broadcast = Some(broadcast);
        next
    }

    async fn follow(&mut self, publish: &mut Publish, broadcast: &mut Broadcast) -> Next {
        loop {
            let due = publish.due(broadcast);
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => {
                    publish.close(CloseReason::Draining, broadcast).await;
                    return Next::Drain;
                }
                came = self.inbox.recv() => match came {
                    Some(stream) if stream.epoch() > self.epoch => {
                        publish.close(CloseReason::Replaced, broadcast).await;
                        // A stop that was not heard yet was meant for what ran then, not for who comes after it.
                        if stream.is_open() && (broadcast.stopped() || publish.is_stopped()) {
                            broadcast.end();
                        }
                        return Next::Publish(stream);
                    }
                    Some(stale) => stale.close(CloseReason::Fenced),
                    None => return Next::Drain,
                },
                heard = publish.hear() => {
                    if let Some(reason) = publish.cut(heard, broadcast).await {
                        info!(epoch = %self.epoch, %reason, "the publisher is gone");
                        return after(&reason);
                    }
                }
                () = at(due) => publish.on_time(broadcast).await,
            }
            if broadcast.checkpoints.fenced(self.epoch) {
                publish.stream().close(CloseReason::Fenced);
            }
        }
    }

    /// Keeps the playlist moving until a publisher comes back, the reconnect window lapses, or the path is stopped.
    async fn wait_for_return(&mut self) -> Next {
        let Some(mut broadcast) = self.broadcast.take() else { return Next::Forget };
        let lapse = Instant::now() + self.shared.options.reconnect_window;
        let mut stop = broadcast.stop_signal();
        let next = loop {
            let due = broadcast.gap_due().filter(|due| *due < lapse);
            tokio::select! {
                biased;
                () = stop.stopped() => break Next::End,
                next = self.rest_until(due.unwrap_or(lapse)) => match next {
                    Some(next) => break next,
                    None if due.is_some() => broadcast.write_gap().await,
                    None => break Next::End,
                }
            }
        };
        self.broadcast = Some(broadcast);
        next
    }

    /// Waits, unless a publisher comes or the process stops.
    async fn rest_until(&mut self, until: Instant) -> Option<Next> {
        loop {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Some(Next::Drain),
                came = self.inbox.recv() => match came {
                    Some(stream) if stream.epoch() > self.epoch => return Some(Next::Publish(stream)),
                    Some(stale) => stale.close(CloseReason::Fenced),
                    None => return Some(Next::Drain),
                },
                () = sleep_until(until) => return None,
            }
        }
    }

    /// ENDLIST now; the objects go one window later, the name some time after that.
    async fn end(&mut self) -> Next {
        let Some(broadcast) = &mut self.broadcast else { return Next::Forget };
        info!(epoch = %self.epoch, "the stream has ended");
        broadcast.end();
        let keep_for = broadcast.length();
        match timeout(END, self.shared.registry.end(&self.path, self.epoch)).await {
            Ok(Ok(())) => {}
            // Whoever claimed the path meanwhile goes on with its numbers.
            Ok(Err(lost)) => info!(%lost, "the registry has another owner"),
            Err(_) => warn!("the registry did not hear of the end in time"),
        }
        if let Some(next) = self.rest_until(Instant::now() + keep_for).await {
            return next;
        }
        if let Some(broadcast) = &mut self.broadcast {
            broadcast.expire();
        }
        if let Some(next) = self.rest_until(Instant::now() + TOMBSTONE).await {
            return next;
        }
        if let Some(broadcast) = &self.broadcast {
            self.shared.directory.detach_window(broadcast.window());
        }
        Next::Forget
    }

    /// Starts a playlist, with numbers above all that the path ever had.
    async fn new_playlist(&self, over: Option<Broadcast>) -> Broadcast {
        let known = match timeout(LOOK_UP, self.shared.registry.look_up(&self.path)).await {
            Ok(Ok(record)) => record.map(|r| r.start),
            _ => None,
        };
        let o = &self.shared.options;
        let clock = registry::first_numbers((o.wall_clock)());
        let before = over.as_ref().map(Broadcast::numbers);
        let msn = known.map_or(clock.0, |k| k.msn).max(before.map_or(0, |b| b.msn));
        let dseq = known.map_or(clock.1, |k| k.dseq).max(before.map_or(0, |b| b.dseq + 1));
        let target = known.and_then(|k| k.target_duration).or(before.and_then(|b| b.target_duration));
        let cut = o.cutting.of(&self.path);
        let settings =
            Settings { part_target: cut.part_target, segment_target: cut.segment_target, window: cut.window };
        let timeline = Timeline::new(settings, msn, dseq, target);
        let options =
            WindowOptions { held: self.shared.directory.held_requests(), ..WindowOptions::default() };
        let (writer, window) = live::window(self.path.clone(), timeline, options);
        let stop = self.shared.directory.attach_window(window);
        match over {
            Some(mut broadcast) => {
                broadcast.restart((writer, stop));
                broadcast
            }
            None => self.first_broadcast((writer, stop)),
        }
    }

    fn first_broadcast(&self, window: (WindowWriter, StopSignal)) -> Broadcast {
        let shared = Arc::clone(&self.shared);
        let shelf = Shelf::new(shared.store.writer(&self.path));
        let checkpoints = Checkpoints::new(self.path.clone(), Arc::clone(&shared.registry));
        self.clear_leftovers();
        Broadcast::new(shared, window, shelf, checkpoints)
    }

    /// What an earlier process left below the path goes, beside the stream and not before it. Bounded by the
    /// store's deadlines.
    fn clear_leftovers(&self) {
        let (shared, path) = (Arc::clone(&self.shared), self.path.clone());
        tokio::spawn(async move {
            match shared.store.clear_leftovers(&path, &[]).await {
                Ok(0) => {}
                Ok(objects) => info!(%path, objects, "cleared what an earlier owner left"),
                Err(error) => warn!(%path, %error, "cannot clear what an earlier owner left"),
            }
        });
    }

    /// The process stops: held requests are answered, and the store gets the ENDLIST that nobody else would write.
    async fn drain(&mut self) {
        while let Ok(stream) = self.inbox.try_recv() {
            stream.close(CloseReason::Draining);
        }
        if let Some(broadcast) = &mut self.broadcast {
            broadcast.drain();
            // With that ENDLIST the tokens are spent, over the restart, too. After an end this is said again.
            let end = self.shared.registry.end(&self.path, self.epoch);
            if timeout(END, end).await.is_err() {
                warn!("the registry did not hear of the end in time");
            }
            if !broadcast.shelf.flush(self.shared.options.flush_deadline).await {
                warn!("the store did not take everything before the shutdown");
            }
        }
    }
}

/// What the end of a publish means for its path (contract "When a stream ends").
fn after(reason: &CloseReason) -> Next {
    match reason {
        CloseReason::Stopped | CloseReason::Revoked => Next::End,
        _ => Next::Gap,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
