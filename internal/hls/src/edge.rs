//! The live edge, and the blocking rules of RFC 8216bis §6.2.5.2.

use media::{Cursor, ObjectName};

use crate::Directives;

/// Where a timeline stands: a copy of all that the blocking rules need, so that waiting takes no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The first part that is not there yet.
    pub next: Cursor,
    /// Parts of the segment before `next.msn`; `None` when it has none (a GAP, or nothing is there).
    pub last_parts: Option<u32>,
    /// Something is listed: a segment, a GAP or a part.
    pub has_media: bool,
    /// A complete segment or a GAP is listed: players that ignore parts find something, too.
    pub has_segment: bool,
    /// ENDLIST is written.
    pub ended: bool,
    /// The part that is hinted: the only one that a request may wait for.
    pub hint: Option<ObjectName>,
    /// How many parts past the last a request may name.
    pub advance_part_limit: u32,
    /// TARGETDURATION in seconds; may still rise until it is fixed.
    pub target_duration: u32,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Answer with the playlist as it is.
    Now,
    /// Hold it until part `part` of segment `msn` is there (or the rules say otherwise: decide again at each change).
    Wait(Cursor),
    /// Answer 400 with this reason.
    BadRequest(&'static str),
}

impl Edge {
    /// Applies clauses 19–21: wait for what comes next, answer what is past, refuse what is too far ahead.
    pub fn decide(&self, d: &Directives) -> Decision {
        let Some(msn) = d.msn else {
            return if d.part.is_some() {
                Decision::BadRequest("_HLS_part needs _HLS_msn")
            } else {
                Decision::Now
            };
        };
        if self.ended {
            return Decision::Now;
        }
        // The last segment listed whole is the one before `next.msn`.
        if msn > self.next.msn.saturating_add(1) {
            return Decision::BadRequest("_HLS_msn is too far ahead");
        }
        let Some(part) = d.part else {
            return if msn < self.next.msn {
                Decision::Now
            } else {
                // Complete means that its last part is there; which one that is nobody knows yet.
                Decision::Wait(Cursor { msn: msn + 1, part: 0 })
            };
        };
        self.decide_part(Cursor { msn, part })
    }

    fn decide_part(&self, want: Cursor) -> Decision {
        if want.msn < self.next.msn {
            let past_the_last = want.msn + 1 == self.next.msn
                && self.next.part == 0
                && self.last_parts.is_some_and(|n| want.part >= n);
            // "N beyond the last part of M" means part 0 of M+1, which is not there yet.
            return if past_the_last { Decision::Wait(self.next) } else { Decision::Now };
        }
        if want < self.next {
            return Decision::Now;
        }
        let ahead = if want.msn == self.next.msn { want.part - self.next.part } else { want.part };
        if ahead >= self.advance_part_limit {
            return Decision::BadRequest("_HLS_part is too far ahead");
        }
        Decision::Wait(want)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(msn: u64, part: u32, last_parts: Option<u32>) -> Edge {
        Edge {
            next: Cursor { msn, part },
            last_parts,
            has_media: true,
            has_segment: true,
            ended: false,
            hint: None,
            advance_part_limit: 15,
            target_duration: 2,
        }
    }

    fn ask(msn: u64, part: Option<u32>) -> Directives {
        Directives { msn: Some(msn), part, skip: false }
    }

    #[test]
    fn clause_19_a_segment_is_awaited_until_it_is_complete() {
        let e = edge(10, 3, Some(8));
        assert_eq!(e.decide(&ask(9, None)), Decision::Now);
        assert_eq!(e.decide(&ask(10, None)), Decision::Wait(Cursor { msn: 11, part: 0 }));
        assert_eq!(e.decide(&ask(11, None)), Decision::Wait(Cursor { msn: 12, part: 0 }));
    }

    #[test]
    fn clause_19_a_part_is_awaited_until_it_is_in() {
        let e = edge(10, 3, Some(8));
        assert_eq!(e.decide(&ask(10, Some(2))), Decision::Now);
        assert_eq!(e.decide(&ask(10, Some(3))), Decision::Wait(Cursor { msn: 10, part: 3 }));
        assert_eq!(e.decide(&ask(11, Some(0))), Decision::Wait(Cursor { msn: 11, part: 0 }));
    }

    #[test]
    fn clause_19_past_the_last_part_means_part_0_of_the_next_segment() {
        assert_eq!(edge(10, 0, Some(8)).decide(&ask(9, Some(7))), Decision::Now);
        assert_eq!(
            edge(10, 0, Some(8)).decide(&ask(9, Some(8))),
            Decision::Wait(Cursor { msn: 10, part: 0 })
        );
        assert_eq!(edge(10, 1, Some(8)).decide(&ask(9, Some(8))), Decision::Now);
        // A GAP has no last part: whoever waited for its part 0 is told at once.
        assert_eq!(edge(10, 0, None).decide(&ask(9, Some(0))), Decision::Now);
    }

    #[test]
    fn clause_20_what_is_past_is_answered_at_once() {
        let e = edge(10, 0, Some(8));
        for (msn, part) in [(0, None), (3, Some(0)), (8, Some(999)), (9, None)] {
            assert_eq!(e.decide(&ask(msn, part)), Decision::Now, "{msn} {part:?}");
        }
    }

    #[test]
    fn clause_21_what_is_too_far_ahead_is_refused() {
        let e = edge(10, 3, Some(8));
        assert!(matches!(e.decide(&ask(12, None)), Decision::BadRequest(_)));
        assert!(matches!(e.decide(&ask(u64::MAX, None)), Decision::BadRequest(_)));
        assert!(matches!(e.decide(&ask(u64::MAX, Some(u32::MAX))), Decision::BadRequest(_)));
        assert!(matches!(e.decide(&ask(10, Some(17))), Decision::Wait(_)));
        assert!(matches!(e.decide(&ask(10, Some(18))), Decision::BadRequest(_)));
        assert!(matches!(e.decide(&ask(11, Some(14))), Decision::Wait(_)));
        assert!(matches!(e.decide(&ask(11, Some(15))), Decision::BadRequest(_)));
        assert!(matches!(
            e.decide(&Directives { msn: None, part: Some(0), skip: false }),
            Decision::BadRequest(_)
        ));
    }

    #[test]
    fn clause_9_after_the_end_directives_are_ignored() {
        let e = Edge { ended: true, ..edge(10, 0, Some(8)) };
        assert_eq!(e.decide(&ask(4000, Some(7))), Decision::Now);
    }
}
