//! Telling the registry how far a path's numbers have come, without ever waiting for it long.

use std::{sync::Arc, time::Duration};

use media::{Epoch, StreamPath};
use registry::{Checkpoint, Lost, StreamRegistry};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

/// How long the first part of a segment may wait for its checkpoint. A quarter of a part, so that viewers do
/// not notice; the memory registry needs none of it.
const PATIENCE: Duration = Duration::from_millis(50);

/// What was asked last, and of which turn.
type Ask = Option<(u64, Epoch, Checkpoint)>;

/// The registry's last answer: the turn that it answers, and the newest epoch that is fenced.
#[derive(Clone, Copy, Default)]
struct Answer {
    turn: u64,
    fenced: Option<Epoch>,
}

/// Sends one path's checkpoints from a task of its own.
///
/// Only the newest unsent checkpoint is kept, so a registry that hangs costs one request and no memory.
pub(crate) struct Checkpoints {
    turn: u64,
    ask: watch::Sender<Ask>,
    answer: watch::Receiver<Answer>,
    _task: AbortOnDropHandle<()>,
}

impl Checkpoints {
    /// Starts the task. It ends with this value.
    pub(crate) fn new(path: StreamPath, registry: Arc<dyn StreamRegistry>) -> Self {
        let (ask, asked) = watch::channel(None);
        let (answered, answer) = watch::channel(Answer::default());
        let task = AbortOnDropHandle::new(tokio::spawn(send_each(path, registry, asked, answered)));
        Self { turn: 0, ask, answer, _task: task }
    }

    /// Sends a checkpoint and waits for its answer, at most [`PATIENCE`]; what comes later is not lost, see
    /// [`Checkpoints::fenced`].
    pub(crate) async fn send(&mut self, epoch: Epoch, checkpoint: Checkpoint) {
        self.turn += 1;
        let turn = self.turn;
        self.ask.send_replace(Some((turn, epoch, checkpoint)));
        // Late or never is the registry's trouble: media goes on.
        let _ = timeout(PATIENCE, self.answer.wait_for(|a| a.turn >= turn)).await;
    }

    /// Whether the registry said that `epoch` no longer owns the path.
    pub(crate) fn fenced(&self, epoch: Epoch) -> bool {
        self.answer.borrow().fenced.is_some_and(|fenced| fenced >= epoch)
    }
}

async fn send_each(
    path: StreamPath,
    registry: Arc<dyn StreamRegistry>,
    mut asked: watch::Receiver<Ask>,
    answered: watch::Sender<Answer>,
) {
    while asked.changed().await.is_ok() {
        let Some((turn, epoch, checkpoint)) = *asked.borrow_and_update() else { continue };
        let lost = registry.checkpoint(&path, epoch, checkpoint).await.err();
        if let Some(lost) = &lost {
            debug!(%path, %epoch, %lost, "a checkpoint was not taken");
        }
        let fenced = matches!(lost, Some(Lost::Fenced(_)));
        answered.send_modify(|a| {
            a.turn = turn;
            if fenced {
                a.fenced = a.fenced.max(Some(epoch));
            }
        });
    }
}
