//! Frames in; inits, segments and parts out.

use std::{collections::VecDeque, time::Duration};

use media::{Frame, Tracks};

use crate::{MuxError, MuxerOptions, Output};

/// One publish (epoch) being cut.
#[derive(Debug)]
pub struct Muxer {
    options: MuxerOptions,
    out: VecDeque<Output>,
}

impl Muxer {
    /// A muxer for one publish.
    pub fn new(options: MuxerOptions) -> Self {
        Self { options, out: VecDeque::new() }
    }

    /// Tells what is configured and announced; call it before the first frame and after each change.
    pub fn set_tracks(&mut self, _tracks: &Tracks) {}

    /// From now on no EXTINF may round (half up) to more than `seconds`.
    pub fn fix_target_duration(&mut self, _seconds: u32) {}

    /// Takes a frame that arrived at `now`.
    ///
    /// # Errors
    /// [`MuxError`]: the publisher is to be closed with that reason.
    pub fn push(&mut self, _frame: Frame, _now: Duration) -> Result<(), MuxError> {
        let _ = &self.options;
        Ok(())
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        None
    }

    /// Closes what waited long enough.
    pub fn handle_timeout(&mut self, _now: Duration) {}

    /// A stall: closes part and segment now; the next frame opens a new segment.
    pub fn break_segment(&mut self) {}

    /// The publisher is gone: closes part and segment.
    pub fn finish(&mut self) {}

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Frames a second, once known.
    pub fn frame_rate(&self) -> Option<f64> {
        None
    }
}
