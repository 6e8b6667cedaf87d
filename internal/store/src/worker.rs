//! The task that empties one stream's queue.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use media::{ObjectName, RenditionName, StreamPath};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    queue::{Playlists, Queue, Step},
    segment_store::Inner,
    writer::Shared,
};

/// The first pause after a failure; doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(4);
/// How long a failing store is tried after the last writer of the stream is gone.
const ABANDON_AFTER: Duration = Duration::from_secs(30);

/// Failures in a row.
#[derive(Default)]
struct Failures(u32);

impl Failures {
    async fn note(&mut self, ok: bool) {
        if ok {
            self.0 = 0;
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.0.min(8)).min(LAST_PAUSE);
        self.0 = self.0.saturating_add(1);
        // ± 25 %, so that many streams do not come back at the same moment.
        let jitter = RandomState::new().hash_one(self.0) % 51;
        sleep(pause * (75 + jitter as u32) / 100).await;
    }
}

/// Works until the last [`StreamWriter`](crate::StreamWriter) is gone and the queue is empty.
pub(crate) async fn run(path: StreamPath, shared: Arc<Shared>, inner: Arc<Inner>) {
    let mut failures = Failures::default();
    loop {
        let step = shared.queue.lock().next(Instant::now());
        match step {
            Step::Put(put) => {
                let ok = inner.backend.put(&path, &put.name, put.chunks).await.is_ok();
                shared.change(|q| q.put_done(ok));
                failures.note(ok).await;
            }
            Step::Delete(name) => {
                let ok = inner.backend.delete(&path, &name).await.is_ok();
                shared.change(|q| q.delete_done(ok, Instant::now()));
            }
            Step::Playlists(p) => {
                let ok = write_playlists(&path, &shared, &inner, p).await;
                failures.note(ok).await;
            }
            Step::Wait(until) => {
                // Playlists may have been passed over: those who wait for the end look again.
                shared.tell();
                if shared.close_if_unused(&path, &inner) {
                    return;
                }
                let changed = shared.changed.notified();
                match until {
                    // Woken by time or by something new: either way the queue is asked again.
                    Some(at) => drop(timeout_at(at, changed).await),
                    None => changed.await,
                }
            }
        }
        if shared.unused_for() > ABANDON_AFTER {
            shared.change(Queue::abandon);
        }
    }
}

/// Writes the media playlist, then the index that points to it. On local disk it is first seen whether the folder
/// is still there with what it should hold.
async fn write_playlists(path: &StreamPath, shared: &Shared, inner: &Inner, p: Playlists) -> bool {
    let init = shared.queue.lock().a_kept_init().filter(|_| inner.backend.is_local());
    if let Some(init) = init
        && matches!(inner.backend.exists(path, &init).await, Ok(false))
        && let Ok(found) = inner.backend.list(path).await
    {
        tracing::warn!(%path, "stored objects have vanished; restoring what can be restored");
        shared.change(|q| q.reconcile(&found, p));
        return true;
    }
    let media = ObjectName::Playlist(RenditionName::Media);
    let ok = inner.backend.put(path, &media, vec![p.media.clone()]).await.is_ok()
        && inner.backend.put(path, &ObjectName::Index, vec![p.index.clone()]).await.is_ok();
    shared.change(|q| q.playlists_done(ok, p));
    ok
}
