//! What a player fetches of a playlist: where it starts, and what comes after what it has.

use time::OffsetDateTime;

use crate::check::playlist::{Media, Segment};

/// Where a viewer is: media sequence number and part.
pub(crate) type Position = (u64, usize);

/// A part, or a whole segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unit {
    pub(crate) at: Position,
    /// The position after it.
    pub(crate) next: Position,
    pub(crate) uri: String,
    pub(crate) map: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) gap: bool,
    independent: bool,
    /// When its end was live, by PROGRAM-DATE-TIME.
    pub(crate) end: Option<OffsetDateTime>,
}

/// What to fetch now.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) units: Vec<Unit>,
    /// What was to come next has left the playlist; the units begin near the live edge again.
    pub(crate) lost: bool,
}

/// What to fetch of `m` at a position; near the live edge without one. `parts`: as a low-latency player.
pub(crate) fn plan(m: &Media, parts: bool, position: Option<Position>) -> Plan {
    let mut units = units(m, parts);
    let first = units.first().map(|u| u.at);
    let lost = position.is_some_and(|p| first.is_some_and(|f| p < f));
    let from = match position.filter(|_| !lost) {
        Some(p) => units.iter().position(|u| u.at >= p).unwrap_or(units.len()),
        None => start(&units, hold_back(m, parts)),
    };
    Plan { units: units.split_off(from), lost }
}

/// How far from its end a playlist is to be joined (RFC 8216bis §4.4.3.8, RFC 8216 §6.3.3).
pub(crate) fn hold_back(m: &Media, parts: bool) -> f64 {
    let c = m.control.as_ref();
    let (given, target) = if parts {
        (c.and_then(|c| c.part_hold_back), m.part_target.unwrap_or(1.0))
    } else {
        (c.and_then(|c| c.hold_back), m.target_duration.unwrap_or(2) as f64)
    };
    given.unwrap_or(3.0 * target)
}

/// The last unit where decoding can start that is far enough from the end; else the first such.
fn start(units: &[Unit], hold_back: f64) -> usize {
    let mut distance = 0.0;
    for (i, u) in units.iter().enumerate().rev() {
        distance += u.seconds;
        if u.independent && !u.gap && distance >= hold_back - 0.001 {
            return i;
        }
    }
    units.iter().position(|u| u.independent && !u.gap).unwrap_or(0)
}

fn units(m: &Media, parts: bool) -> Vec<Unit> {
    let mut out = Vec::new();
    let mut date = None;
    for s in m.all() {
        date = s.date.or(date);
        if parts && !s.parts.is_empty() {
            add_parts(s, &mut date, &mut out);
        } else if let Some(uri) = &s.uri {
            date = later(date, s.duration);
            out.push(Unit {
                at: (s.msn, 0),
                next: (s.msn + 1, 0),
                uri: uri.clone(),
                map: s.map.clone(),
                seconds: s.duration,
                gap: s.gap,
                independent: true,
                end: date,
            });
        }
    }
    out
}

fn add_parts(s: &Segment, date: &mut Option<OffsetDateTime>, out: &mut Vec<Unit>) {
    for (i, p) in s.parts.iter().enumerate() {
        *date = later(*date, p.duration);
        out.push(Unit {
            at: (s.msn, i),
            next: (s.msn, i + 1),
            uri: p.uri.clone(),
            map: s.map.clone(),
            seconds: p.duration,
            gap: p.gap || s.gap,
            independent: p.independent,
            end: *date,
        });
    }
}

fn later(date: Option<OffsetDateTime>, seconds: f64) -> Option<OffsetDateTime> {
    date?.checked_add(time::Duration::checked_seconds_f64(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::samples::GOOD;

    #[test]
    fn a_low_latency_player_starts_at_an_independent_part_near_the_end() {
        let m = Media::parse(GOOD).unwrap();
        let p = plan(&m, true, None);
        let distance: f64 = p.units.iter().map(|u| u.seconds).sum();
        assert!(p.units[0].independent && distance >= hold_back(&m, true) - 0.001);
        assert_eq!(p.units.last().unwrap().next, m.next());
        assert!(p.units.last().unwrap().end.is_some() && !p.lost);
    }

    #[test]
    fn a_plain_player_starts_three_target_durations_from_the_end() {
        let m = Media::parse(GOOD).unwrap();
        let p = plan(&m, false, None);
        assert_eq!(p.units.iter().map(|u| u.at).collect::<Vec<_>>(), [(101, 0), (102, 0), (103, 0)]);
    }

    #[test]
    fn playing_goes_on_behind_what_is_there() {
        let m = Media::parse(GOOD).unwrap();
        let at = |p, parts| plan(&m, parts, Some(p)).units.iter().map(|u| u.at).collect::<Vec<_>>();
        assert_eq!(at((103, 9), true), [(103, 9), (104, 0), (104, 1)]);
        assert_eq!(at((103, 10), true), [(104, 0), (104, 1)], "the segment has no more parts");
        assert_eq!(at((104, 2), true), []);
        assert_eq!(at((103, 0), false), [(103, 0)]);
    }

    #[test]
    fn who_falls_out_of_the_window_joins_again() {
        let m = Media::parse(GOOD).unwrap();
        let p = plan(&m, false, Some((90, 0)));
        assert!(p.lost);
        assert_eq!(p.units[0].at, (101, 0));
    }
}
