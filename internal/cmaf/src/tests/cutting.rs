//! Where segments end.

use super::*;

const SECOND: i64 = 90_000;

/// Contract: EXTINF never rounds (half up) above TARGETDURATION.
fn check_limit(rig: &Rig, td: i64, from: usize) {
    for s in &rig.segments[from..] {
        assert!(s.duration() < td * SECOND + SECOND / 2, "EXTINF {} with TD {td}", s.duration());
        // As decimals with three digits it must not round up either.
        let ms = (s.duration() + 45) / 90;
        assert!((ms + 500) / 1000 <= td);
    }
}

#[test]
fn a_segment_ends_at_the_first_idr_at_or_past_the_target() {
    let v = video(0);
    for (gop, expected) in [(30, 60), (60, 60), (45, 90), (75, 75), (240, 240), (1, 60)] {
        let mut rig = Rig::new(&tracks(Some(&v), None));
        rig.push(pictures(&v, 30.0, 3 * expected + 1, gop)).finish();
        for s in &rig.segments[..3] {
            assert_eq!((s.duration() + 100) / 3000, expected as i64, "GOP of {gop}");
            assert!(!s.ended.unwrap().1);
        }
        assert!(rig.warnings.is_empty());
    }
}

#[test]
fn after_the_target_duration_is_fixed_long_groups_are_cut_and_said_so() {
    let v = video(0);
    for (rate, td) in [(30.0, 2), (25.0, 2), (60.0, 2), (23.976, 3), (10.0, 2)] {
        let mut rig = Rig::new(&tracks(Some(&v), None));
        rig.mux.fix_target_duration(td);
        rig.push(pictures(&v, rate, (rate * 40.0) as usize, (rate * 8.0) as usize)).finish();
        check_limit(&rig, i64::from(td), 0);
        rig.check_continuous(&[1]);
        rig.check_part_durations(0);
        for pair in rig.segments.windows(2) {
            assert_eq!(
                pair[0].ended.unwrap().1,
                !pair[1].independent,
                "forced = the next opens without an IDR"
            );
            assert_eq!(pair[1].independent, pair[1].parts[0].independent);
        }
        for s in &rig.segments {
            let inside =
                rig.idrs().filter(|t| (s.start + 2 * SECOND..s.start + s.duration()).contains(t)).count();
            assert_eq!(inside, 0, "an IDR at or past the target opens the next one");
        }
        assert_eq!(rig.warned(|w| matches!(w, MuxWarning::GopTooLong { .. })), 1);
    }
}

#[test]
fn before_that_a_segment_runs_to_its_idr_up_to_the_maximum() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    rig.push(pictures(&v, 30.0, 30 * 30, 10_000)).finish();
    assert!(rig.segments.len() >= 3);
    for s in &rig.segments[..2] {
        assert!(s.duration() <= 10 * SECOND && s.duration() > 9 * SECOND);
        assert!(s.ended.unwrap().1);
    }
}

#[test]
fn a_target_duration_fixed_in_a_long_segment_ends_it_at_the_next_frame() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    let frames = pictures(&v, 30.0, 240, 240);
    rig.push(frames[..150].to_vec());
    assert_eq!(rig.segments.len(), 1);
    rig.mux.fix_target_duration(5);
    rig.push(frames[150..].to_vec()).finish();
    check_limit(&rig, 5, 0);
}

#[test]
fn require_keyframes_closes_the_publisher_instead() {
    let v = video(0);
    let options = MuxerOptions { require_keyframes: true, ..MuxerOptions::default() };
    let mut rig = Rig::with(options, &tracks(Some(&v), None));
    rig.mux.fix_target_duration(2);
    let error = pictures(&v, 30.0, 90, 240).into_iter().find_map(|f| rig.push_one(f).err());
    assert_eq!(error, Some(MuxError::KeyframesTooRare(2499)));
}

#[test]
fn a_stall_breaks_the_segment_and_the_next_frame_opens_one() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    let frames = pictures(&v, 30.0, 300, 60);
    rig.push(frames[..40].to_vec());
    rig.mux.break_segment();
    rig.mux.break_segment();
    rig.drain();
    assert_eq!(rig.segments[0].duration(), 120_000);
    rig.push(frames[160..].to_vec()).finish();
    let s = &rig.segments[1];
    assert_eq!((s.start, s.discontinuity, s.independent), (5333 * 90, false, false));
    assert!(rig.warnings.is_empty());
}

#[test]
fn jumps_of_the_clock_are_a_discontinuity_and_time_goes_on() {
    let (v, a) = (video(0), audio(AAC_48));
    for by in [11_000i64, -11_000, 3_600_000, -3_600_000] {
        let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
        let base = 4_000_000;
        let shifted = interleave([pictures(&v, 30.0, 240, 60), sound(&a, 8.0)]).into_iter().map(|mut f| {
            let far = f.dts >= Ticks::from_millis(4000);
            let by = Ticks::from_millis(base + if far { by } else { 0 });
            (f.dts, f.pts) = (f.dts + by, f.pts + by);
            f
        });
        rig.push(shifted).finish();
        assert_eq!(rig.warned(|w| matches!(w, MuxWarning::TimestampJump { .. })), 1, "{by}");
        assert_eq!(rig.segments.iter().filter(|s| s.discontinuity).count(), 1);
        assert_eq!(rig.inits.len(), 1, "the tracks are the same");
        let mut ends = [0; 2];
        for p in rig.parts() {
            for (run, end) in p.fragment.runs.iter().zip(&mut ends) {
                assert!(run.tfdt >= *end && run.tfdt - *end < 90_000, "continues: {} after {end}", run.tfdt);
                *end = run.end();
            }
        }
        let sums: Vec<i64> = [1, 2]
            .map(|t| rig.runs(t).flat_map(|(_, r)| &r.samples).map(|s| i64::from(s.duration)).sum())
            .to_vec();
        assert!((sums[0] - 8 * SECOND).abs() < 9_000, "{sums:?}");
        assert!((sums[1] - 8 * 48_000).abs() < 9_600, "{sums:?}");
    }
}

#[test]
fn a_small_step_back_is_clamped_without_a_discontinuity() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    let mut frames = pictures(&v, 30.0, 120, 60);
    for f in &mut frames[50..] {
        (f.dts, f.pts) = (f.dts - Ticks::from_millis(120), f.pts - Ticks::from_millis(120));
    }
    rig.push(frames).finish();
    rig.check_continuous(&[1]);
    assert!(rig.segments.iter().all(|s| !s.discontinuity));
    assert!(rig.parts().all(|p| p.duration <= PART));
    assert_eq!(rig.runs(1).map(|(_, r)| r.samples.len()).sum::<usize>(), 120);
}

/// Clause 33: media missing before the keyframe that ends a segment counts into its EXTINF, as inside a segment.
#[test]
fn clause_33_extinf_adds_up_over_holes_between_and_inside_segments() {
    let v = video(0);
    for (at, hole_ms) in [(60, 80), (60, 240), (75, 120)] {
        let mut rig = Rig::new(&tracks(Some(&v), None));
        let frames = (0..300).map(|i| {
            let ms = (f64::from(i) * 1000.0 / 30.0) as i64 + if i >= at { hole_ms } else { 0 };
            frame(&v, ms, 0, i % 60 == 0)
        });
        rig.push(frames).finish();
        assert!(rig.segments.iter().all(|s| !s.discontinuity));
        for pair in rig.segments.windows(2) {
            assert_eq!(pair[0].start + pair[0].duration(), pair[1].start, "frame {at}, {hole_ms} ms");
        }
        let extinf: i64 = rig.segments.iter().map(Segment::duration).sum();
        assert!((extinf - (10_000 + hole_ms) * 90).abs() <= 90, "all of it: {extinf}");
    }
}
