//! Starts, late and lost tracks, new configurations.

use super::*;

#[test]
fn both_tracks_start_at_the_first_keyframe_and_time_at_zero() {
    let (v, a) = (video(0), audio(AAC_48));
    let mut frames = interleave([pictures(&v, 30.0, 200, 60), sound(&a, 6.0)]);
    frames.retain(|f| f.dts >= Ticks::from_millis(500)); // joins within a group: its rest is of no use
    let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
    rig.push(frames).finish();
    let ids: Vec<_> = rig.inits[0].1.iter().map(|t| (t.id, t.handler, t.codec, t.timescale)).collect();
    assert_eq!(ids, [(1, *b"vide", *b"avc1", 90_000), (2, *b"soun", *b"mp4a", 48_000)]);
    assert_eq!((rig.segments[0].start, rig.segments[0].independent), (0, true));
    let first = rig.runs(1).next().unwrap();
    assert!(first.1.samples[0].is_sync() && !first.1.samples[1].is_sync(), "clause 34: sample flags");
    assert_eq!(first.1.tfdt, 0);
    let (_, sound) = rig.runs(2).next().unwrap();
    assert!(sound.tfdt < 1024 && sound.samples.iter().all(read::Sample::is_sync));
    rig.check_continuous(&[1, 2]);
    rig.check_part_durations(0);
}

#[test]
fn the_first_picture_is_not_shown_before_zero() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    rig.push((0..30).map(|i| frame(&v, 1000 + i * 33, if i % 3 == 0 { -40 } else { 80 }, i == 0))).finish();
    let (_, run) = rig.runs(1).next().unwrap();
    assert_eq!((run.samples[0].pts(), run.samples[0].dts), (0, 3600), "clause 34: shifted base");
    assert_eq!(rig.segments[0].start, 3600);
}

#[test]
fn sound_alone_is_cut_by_its_frames_and_always_independent() {
    for (asc, per_part) in [(AAC_48, 9), (AAC_44, 9)] {
        let a = audio(asc);
        let mut rig = Rig::new(&tracks(None, Some(&a)));
        rig.mux.fix_target_duration(2);
        rig.push(sound(&a, 30.0)).finish();
        rig.check_continuous(&[2]);
        rig.check_part_durations(0);
        assert!(rig.parts().all(|p| p.independent), "clause 40");
        assert!(rig.segments.iter().all(|s| s.independent && s.duration() < 225_000));
        assert!(rig.segments[0].duration() >= 180_000);
        assert_eq!(rig.runs(2).next().unwrap().1.samples.len(), per_part);
        assert_eq!(rig.runs(2).map(|(_, r)| r.samples.len()).sum::<usize>(), sound(&a, 30.0).len());
    }
}

#[test]
fn an_expected_track_is_waited_for_but_not_for_ever() {
    let (v, a) = (video(0), audio(AAC_48));
    let mut t = tracks(Some(&v), None);
    t.metadata.expect_audio = Some(true);
    let mut rig = Rig::new(&t);
    rig.push(pictures(&v, 30.0, 30, 60));
    assert!(rig.inits.is_empty(), "waits");
    rig.push(pictures(&v, 30.0, 32, 60).split_off(30));
    assert_eq!(rig.inits.len(), 1, "a second is over");
    // Then the sound comes after all: a new init at the next keyframe, with a discontinuity (clause 32).
    let late = interleave([
        pictures(&v, 30.0, 200, 60).split_off(32),
        sound(&a, 6.6).into_iter().filter(|f| f.dts.0 > 100_000).collect(),
    ]);
    rig.push(late).finish();
    assert_eq!(rig.inits.len(), 2);
    assert_eq!(
        rig.segments.iter().map(|s| (s.init, s.discontinuity)).collect::<Vec<_>>()[..2],
        [(0, false), (1, true)]
    );
    assert!((rig.segments[1].start - 180_000).abs() <= 90, "no picture is lost");
    assert_eq!(rig.warnings, [MuxWarning::LateTrack("audio")]);
    let (_, run) = rig.runs(2).next().unwrap();
    assert!(run.tfdt.abs_diff(96_000) <= 1024, "sound begins with the segment: {}", run.tfdt);
}

#[test]
fn a_track_that_is_not_expected_is_not_waited_for() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    rig.push(pictures(&v, 30.0, 1, 60));
    assert_eq!(rig.inits.len(), 1);
}

#[test]
fn the_wait_ends_by_the_clock_too() {
    let v = video(0);
    let mut t = tracks(Some(&v), None);
    t.metadata.expect_audio = None;
    let mut rig = Rig::new(&t);
    rig.push(pictures(&v, 30.0, 2, 60));
    let due = rig.mux.deadline().unwrap();
    rig.mux.handle_timeout(due);
    rig.drain();
    assert_eq!(rig.inits.len(), 1);
    let mut none = Rig::new(&t);
    none.push(pictures(&v, 30.0, 2, 60).split_off(1));
    none.mux.handle_timeout(due);
    none.finish();
    assert!(none.inits.is_empty(), "clause 39: nothing starts without a keyframe");
}

#[test]
fn no_keyframe_is_said() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    rig.push(pictures(&v, 30.0, 400, 10_000).split_off(1));
    assert!(rig.inits.is_empty());
    assert_eq!(rig.warnings, [MuxWarning::NoKeyframe]);
}

#[test]
fn sound_that_stops_leaves_the_init_and_may_come_back() {
    let (v, a) = (video(0), audio(AAC_48));
    let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
    let sound = sound(&a, 20.0).into_iter().filter(|f| !(2.5..12.5).contains(&f.dts.secs_f64())).collect();
    rig.push(interleave([pictures(&v, 30.0, 600, 60), sound])).finish();
    assert_eq!(rig.inits.iter().map(|i| i.2.len()).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(rig.segments.iter().filter(|s| s.discontinuity).count(), 2);
    assert_eq!(rig.warned(|w| *w == MuxWarning::LostTrack("audio")), 1);
    assert!(rig.segments.iter().all(|s| s.independent), "cut at keyframes only");
    rig.check_continuous(&[1]);
}

#[test]
fn pictures_that_stop_leave_sound_alone_until_a_keyframe() {
    let (v, a) = (video(0), audio(AAC_48));
    let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
    let pictures =
        pictures(&v, 30.0, 600, 60).into_iter().filter(|f| !(2.5..12.5).contains(&f.dts.secs_f64()));
    for f in interleave([pictures.collect(), sound(&a, 20.0)]) {
        let now = f.dts.to_duration();
        rig.push_timed(f, now);
    }
    rig.finish();
    assert_eq!(rig.inits.iter().map(|i| i.2.len()).collect::<Vec<_>>(), [2, 1, 2]);
    assert_eq!(rig.warned(|w| *w == MuxWarning::LostTrack("video")), 1);
    let mut end = None;
    for (_, run) in rig.runs(2) {
        assert_eq!(end.replace(run.end()).unwrap_or(run.tfdt), run.tfdt, "sound has no hole");
    }
    assert!(rig.segments.iter().all(|s| s.independent));
}

#[test]
fn a_new_sps_is_a_new_init_and_the_same_one_is_nothing() {
    let (v, same, new, a) = (video(0), video(0), video(4), audio(AAC_48));
    let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
    let pictures = pictures(&v, 30.0, 300, 60).into_iter().enumerate().map(|(i, mut f)| {
        f.track = Arc::clone(if i < 100 {
            &v
        } else if i < 160 {
            &same
        } else {
            &new
        });
        f
    });
    rig.push(interleave([pictures.collect(), sound(&a, 10.0)])).finish();
    assert_eq!(rig.inits.len(), 2, "clause 42");
    let changed: Vec<_> = rig.segments.iter().filter(|s| s.discontinuity).collect();
    assert_eq!(changed.len(), 1);
    assert!(changed[0].independent && changed[0].init == 1);
    // Pictures 160 to 179 came with the new configuration before its keyframe: they cannot be decoded.
    assert_eq!(rig.runs(1).map(|(_, r)| r.samples.len()).sum::<usize>(), 280);
    assert_eq!(rig.runs(2).map(|(_, r)| r.samples.len()).sum::<usize>(), sound(&a, 10.0).len());
}

#[test]
fn a_new_audio_configuration_begins_at_a_keyframe() {
    let (v, a, b) = (video(0), audio(AAC_48), audio(AAC_44));
    let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
    let until: Vec<_> = sound(&a, 3.0);
    let from = sound(&b, 8.0).into_iter().filter(|f| f.dts.secs_f64() >= 3.0).collect();
    rig.push(interleave([pictures(&v, 30.0, 240, 60), until, from])).finish();
    assert_eq!(rig.inits.len(), 2);
    assert_eq!(rig.inits[1].1[1].timescale, 44_100);
    let changed: Vec<_> = rig.segments.iter().filter(|s| s.discontinuity).collect();
    assert_eq!(
        changed.iter().map(|s| ((s.start + 45) / 90, s.independent)).collect::<Vec<_>>(),
        [(3999, true)]
    );
    let first = changed[0].parts[0].fragment.run(2).unwrap();
    assert!(first.tfdt.abs_diff(4 * 44_100) <= 1024);
    rig.check_continuous(&[1]);
}

#[test]
fn sound_from_another_clock_is_moved_to_the_pictures() {
    let (v, a) = (video(0), audio(AAC_48));
    let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
    let sound = sound(&a, 10.0)
        .into_iter()
        .map(|mut f| {
            if f.dts.secs_f64() > 3.0 {
                f.dts += Ticks::from_millis(60_000);
            }
            f
        })
        .collect();
    let mut frames = interleave([pictures(&v, 30.0, 300, 60), sound]);
    frames.sort_by_key(|f| f.dts.0 % (60 * 90_000));
    rig.push(frames).finish();
    assert_eq!(rig.warned(|w| matches!(w, MuxWarning::AudioMoved { .. })), 1);
    let last = rig.runs(2).last().unwrap().1.end() as f64 / 48_000.0;
    assert!((last - 10.0).abs() < 0.3, "{last}");
}

#[test]
fn sound_held_for_a_long_group_does_not_end_the_pictures() {
    let (v, a, b) = (video(0), audio(AAC_48), audio(AAC_44));
    let mut rig = Rig::new(&tracks(Some(&v), Some(&a)));
    let from = sound(&b, 20.0).into_iter().filter(|f| f.dts.secs_f64() >= 1.0).collect();
    rig.push(interleave([pictures(&v, 30.0, 600, 240), sound(&a, 1.0), from])).finish();
    assert_eq!(rig.inits.iter().map(|i| i.2.len()).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(rig.runs(1).map(|(_, r)| r.samples.len()).sum::<usize>(), 600);
}

#[test]
fn a_timeout_with_nothing_to_close_is_over_once_handled() {
    let a = audio(AAC_48);
    let mut rig = Rig::new(&tracks(None, Some(&a)));
    rig.push(sound(&a, 9.0 * 1024.0 / 48_000.0 + 0.001));
    assert_eq!((rig.parts().count(), rig.mux.deadline()), (1, None));
    // It overlaps what is out by more than could be clamped: dropped, so nothing waits.
    rig.push([frame(&a, -100, 0, true)]);
    assert_eq!(rig.mux.deadline(), None);
}
