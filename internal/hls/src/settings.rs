//! What the operator chooses, and what the draft forbids.

use media::Ticks;
use thiserror::Error;

/// A playlist that lists more is slow to load everywhere and is better served from storage.
const MAX_WINDOW: usize = 10_000;
/// Longer segments make TARGETDURATION, and with it every hold-back and every wait, absurd.
const MAX_SEGMENT: Ticks = Ticks(60 * Ticks::RATE);
/// Below this a part holds less than a frame of ordinary video and the requests cost more than the media.
const MIN_PART: Ticks = Ticks::from_millis(50);
/// A window this long makes delta updates worth their tag (contract: "GAP").
const SKIP_WINDOW: Ticks = Ticks(60 * Ticks::RATE);

/// The settings of a path's playlists, fixed for a timeline's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// PART-TARGET: no part is longer.
    pub part_target: Ticks,
    /// Segments end at the first IDR at or past this.
    pub segment_target: Ticks,
    /// Complete segments to list.
    pub window: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { part_target: Ticks::from_millis(210), segment_target: Ticks(2 * Ticks::RATE), window: 10 }
    }
}

/// Why settings cannot be used, in words for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidSettings {
    /// Sequence numbers start at the unix time in seconds, so segments must not be shorter than one.
    #[error("the segment duration must be between 1 s and 60 s")]
    SegmentTarget,
    /// A part is longer than its segment, or too short to be worth a request.
    #[error("the part target must be between 50 ms and the segment duration")]
    PartTarget,
    /// RFC 8216bis §6.2.2: a live playlist holds at least three target durations.
    #[error("the window must list at least three target durations of segments, and at most 10000 segments")]
    Window,
}

impl Settings {
    /// Refuses what the draft or the numbering forbids.
    ///
    /// # Errors
    /// [`InvalidSettings`] names the first setting that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        if self.segment_target < Ticks(Ticks::RATE) || self.segment_target > MAX_SEGMENT {
            return Err(InvalidSettings::SegmentTarget);
        }
        if self.part_target < MIN_PART || self.part_target > self.segment_target {
            return Err(InvalidSettings::PartTarget);
        }
        let listed = self.listed_target();
        let least = Ticks(3 * i64::from(ceil_seconds(self.segment_target)) * Ticks::RATE);
        if self.window > MAX_WINDOW || listed < least {
            return Err(InvalidSettings::Window);
        }
        Ok(())
    }

    /// Whether delta updates are offered: decided by settings alone, since CAN-SKIP-UNTIL may not change (§4.4.3.8).
    pub fn offers_skip(&self) -> bool {
        self.listed_target() >= SKIP_WINDOW
    }

    /// §6.2.5.2: how many parts past the last a request may name.
    pub(crate) fn advance_part_limit(&self) -> u32 {
        if self.part_target.0 >= Ticks::RATE || self.part_target.0 <= 0 {
            return 3;
        }
        u32::try_from(div_ceil(3 * Ticks::RATE, self.part_target.0)).unwrap_or(u32::MAX)
    }

    fn listed_target(&self) -> Ticks {
        Ticks(self.segment_target.0.saturating_mul(i64::try_from(self.window).unwrap_or(i64::MAX)))
    }
}

pub(crate) fn ceil_seconds(t: Ticks) -> u32 {
    u32::try_from(div_ceil(t.0.max(0), Ticks::RATE)).unwrap_or(u32::MAX)
}

/// Rounded to the nearest second, halves up, as §4.4.4.1 compares EXTINF with TARGETDURATION.
pub(crate) fn round_seconds(t: Ticks) -> u32 {
    u32::try_from((t.0.max(0) + Ticks::RATE / 2) / Ticks::RATE).unwrap_or(u32::MAX)
}

const fn div_ceil(n: i64, by: i64) -> i64 {
    (n + by - 1) / by
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(part_ms: i64, segment_ms: i64, window: usize) -> Settings {
        Settings {
            part_target: Ticks::from_millis(part_ms),
            segment_target: Ticks::from_millis(segment_ms),
            window,
        }
    }

    #[test]
    fn what_the_draft_forbids_is_refused() {
        assert_eq!(Settings::default().validate(), Ok(()));
        assert_eq!(settings(210, 999, 10).validate(), Err(InvalidSettings::SegmentTarget));
        assert_eq!(settings(210, 60_001, 10).validate(), Err(InvalidSettings::SegmentTarget));
        assert_eq!(settings(49, 2000, 10).validate(), Err(InvalidSettings::PartTarget));
        assert_eq!(settings(2001, 2000, 10).validate(), Err(InvalidSettings::PartTarget));
        assert_eq!(settings(210, 2000, 2).validate(), Err(InvalidSettings::Window));
        assert_eq!(settings(210, 2000, 3).validate(), Ok(()));
        // TARGETDURATION would be 2, and 5 × 1.1 s is less than 6 s.
        assert_eq!(settings(210, 1100, 5).validate(), Err(InvalidSettings::Window));
        assert_eq!(settings(210, 1100, 6).validate(), Ok(()));
        assert_eq!(settings(210, 2000, 10_001).validate(), Err(InvalidSettings::Window));
    }

    #[test]
    fn delta_updates_are_offered_from_a_minute_on() {
        assert!(!settings(210, 2000, 29).offers_skip());
        assert!(settings(210, 2000, 30).offers_skip());
    }

    #[test]
    fn the_advance_part_limit_is_three_seconds_of_parts_or_three_parts() {
        assert_eq!(settings(210, 2000, 10).advance_part_limit(), 15);
        assert_eq!(settings(500, 2000, 10).advance_part_limit(), 6);
        assert_eq!(settings(1000, 2000, 10).advance_part_limit(), 3);
        assert_eq!(settings(2000, 2000, 10).advance_part_limit(), 3);
    }

    #[test]
    fn seconds_round_as_the_draft_compares_them() {
        assert_eq!((round_seconds(Ticks(224_999)), round_seconds(Ticks(225_000))), (2, 3));
        assert_eq!((ceil_seconds(Ticks(180_000)), ceil_seconds(Ticks(180_001))), (2, 3));
    }
}
