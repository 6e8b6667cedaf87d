//! Where the numbers of a path begin of which nothing is known.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use media::Msn;

/// 2026-01-01T00:00:00Z, from which the hours of the first discontinuity sequence count.
const YEAR_2026: Duration = Duration::from_secs(1_767_225_600);

/// The first media sequence number and discontinuity sequence that the clock alone gives: unix seconds, and whole
/// hours since 2026-01-01T00:00:00Z. A clock before those moments gives 0.
///
/// Segments last at least a second, so the first never repeats. The second is small because players keep arrays
/// indexed by it (`docs/decisions/0007-discontinuity-sequence.md`); a registry raises it above all that it has
/// started, and what the hours bound is only how far back a lost registry can fall.
pub fn first_numbers(now: SystemTime) -> (Msn, u64) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.saturating_sub(YEAR_2026).as_secs() / 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> (Msn, u64) {
        first_numbers(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn numbers_are_unix_seconds_and_hours_since_2026() {
        assert_eq!(at(1_767_225_600), (1_767_225_600, 0));
        assert_eq!(at(1_767_225_600 + 3599), (1_767_229_199, 0));
        assert_eq!(at(1_767_225_600 + 3600), (1_767_229_200, 1));
        assert_eq!(at(1_800_000_000), (1_800_000_000, 9104));
        // A century later still no more than a player can index.
        assert!(at(1_767_225_600 + 100 * 366 * 86_400).1 < 1_000_000);
    }

    #[test]
    fn a_clock_before_2026_gives_zero() {
        assert_eq!(at(1_767_225_599), (1_767_225_599, 0));
        assert_eq!(at(0), (0, 0));
        assert_eq!(first_numbers(UNIX_EPOCH - Duration::from_secs(5)), (0, 0));
    }
}
