//! What waiting needs to know of a window, and what it makes of a request.

use std::time::Duration;

use hls::{Decision, Directives, Edge};

use crate::Unavailable;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal {
    pub(crate) edge: Edge,
    pub(crate) expired: bool,
    /// The multivariant playlist can be rendered.
    pub(crate) has_index: bool,
    /// Held requests are answered as things stand; nothing is held any more.
    pub(crate) released: bool,
}

/// What a request must do now.
pub(crate) enum Verdict {
    Answer,
    /// Wait this long at most, and then take this for an answer.
    Wait(Duration, Result<(), Unavailable>),
    No(Unavailable),
}

impl Signal {
    pub(crate) fn playlist(&self, d: &Directives, first_wait: Duration) -> Verdict {
        if let Some(verdict) = self.before_media(first_wait) {
            return verdict;
        }
        match self.edge.decide(d) {
            // Players that start (hls.js) take a list of parts alone for an empty one.
            Decision::Now if !d.blocks() && !self.edge.has_segment && !self.may_not_wait() => {
                Verdict::Wait(first_wait, Ok(()))
            }
            Decision::Now => Verdict::Answer,
            Decision::Wait(_) if self.released => Verdict::Answer,
            Decision::Wait(_) => Verdict::Wait(self.hold(), Err(Unavailable::TimedOut)),
            Decision::BadRequest(why) => Verdict::No(Unavailable::BadRequest(why)),
        }
    }

    pub(crate) fn index(&self, first_wait: Duration) -> Verdict {
        match self.before_media(first_wait) {
            Some(verdict) => verdict,
            None if self.has_index || self.may_not_wait() => Verdict::Answer,
            None => Verdict::Wait(first_wait, Err(Unavailable::NotReady)),
        }
    }

    /// The verdict while nothing is listed.
    fn before_media(&self, first_wait: Duration) -> Option<Verdict> {
        match () {
            () if self.expired => Some(Verdict::No(Unavailable::Gone)),
            () if self.edge.has_media => None,
            () if self.edge.ended => Some(Verdict::No(Unavailable::Gone)),
            () if self.released => Some(Verdict::No(Unavailable::NotReady)),
            () => Some(Verdict::Wait(first_wait, Err(Unavailable::NotReady))),
        }
    }

    fn may_not_wait(&self) -> bool {
        self.released || self.edge.ended
    }

    /// Clause 22: nothing is held for more than three target durations.
    pub(crate) fn hold(&self) -> Duration {
        Duration::from_secs(3 * u64::from(self.edge.target_duration))
    }
}
