//! Any order of calls and any frames: the promises about the output hold.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Picture { step: i64, cts: i64, key: bool, config: u8 },
    Sound { step: i64, config: bool },
    Jump(i64),
    Silence(u64),
    Break,
    Fix,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let picture = (20i64..50, -100i64..100, 0u8..20, 0u8..60).prop_map(|(step, cts, key, c)| Act::Picture {
        step,
        cts,
        key: key == 0,
        config: u8::from(c == 0),
    });
    let sound = (18i64..25, 0u8..200).prop_map(|(step, c)| Act::Sound { step, config: c == 0 });
    let act = prop_oneof![
        100 => picture,
        130 => sound,
        1 => (-30_000i64..30_000).prop_map(Act::Jump),
        2 => (0u64..3000).prop_map(Act::Silence),
        1 => Just(Act::Break),
        1 => Just(Act::Fix),
    ];
    proptest::collection::vec(act, 50..600)
}

fn check(rig: &Rig, fixed_from: Option<usize>) {
    let mut ends = [0u64; 2];
    let mut time = 0;
    for (i, s) in rig.segments.iter().enumerate() {
        assert!(s.start >= time, "the timeline never goes back");
        time = s.start;
        if s.discontinuity {
            ends[1] = 0; // the sound's timescale may be another
        }
        for p in &s.parts {
            assert!(p.duration <= PART || p.fragment.runs[0].samples.len() == 1, "part of {}", p.duration);
            assert!(p.data.len() > 16);
            for run in &p.fragment.runs {
                let end = &mut ends[run.track as usize - 1];
                assert!(run.tfdt >= *end, "{} overlaps {end}", run.tfdt);
                *end = run.end();
            }
        }
        let video_first = s.parts[0].fragment.run(1).map(|r| r.samples[0].is_sync());
        assert_eq!(
            s.parts[0].independent,
            video_first.unwrap_or(rig.inits[s.init].1.len() == 1),
            "clause 18"
        );
        assert_eq!(s.independent, s.parts[0].independent);
        if let Some((duration, _)) = s.ended {
            time += duration;
            if fixed_from.is_some_and(|n| i > n) {
                assert!(duration < 225_000, "EXTINF {duration}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_promises_hold(acts in acts(), announced in any::<bool>()) {
        let (videos, sounds) = ([video(0), video(4)], [audio(AAC_48), audio(AAC_44)]);
        let mut rig = Rig::new(&if announced { tracks(Some(&videos[0]), Some(&sounds[0])) } else { Tracks::default() });
        let (mut v, mut a, mut now, mut fixed, mut key) = (0i64, 0i64, 0u64, None, true);
        for act in acts {
            let f = match act {
                Act::Picture { step, cts, key: k, config } => {
                    v += step;
                    frame(&videos[usize::from(config)], v, cts, k || std::mem::take(&mut key))
                }
                Act::Sound { step, config } => {
                    a += step;
                    frame(&sounds[usize::from(config)], a, 0, true)
                }
                Act::Jump(by) => { v += by; a += by; continue }
                Act::Silence(ms) => { now += ms; v += ms as i64; a += ms as i64; continue }
                Act::Break => { rig.mux.break_segment(); rig.drain(); continue }
                Act::Fix => {
                    fixed.get_or_insert(rig.segments.len());
                    rig.mux.fix_target_duration(2);
                    continue
                }
            };
            now += 12;
            let at = Duration::from_millis(now);
            while let Some(due) = rig.mux.deadline().filter(|d| *d <= at) {
                rig.mux.handle_timeout(due);
                prop_assert!(rig.mux.deadline().is_none_or(|d| d > due), "a timeout is over once handled");
            }
            let result = rig.mux.push(f, at);
            rig.drain();
            prop_assert!(matches!(result, Ok(()) | Err(MuxError::Unstable)));
            if result.is_err() {
                break;
            }
        }
        rig.finish();
        check(&rig, fixed);
    }
}

#[test]
fn a_publisher_that_jumps_all_the_time_is_refused() {
    let v = video(0);
    let mut rig = Rig::new(&tracks(Some(&v), None));
    let error = (0..100).find_map(|i| rig.push_one(frame(&v, i * 33 + i % 2 * 60_000, 0, true)).err());
    assert_eq!(error, Some(MuxError::Unstable));
    assert!(rig.segments.len() < 20);
}
