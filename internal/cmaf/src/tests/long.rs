//! Days of media in virtual time.

use super::*;

/// `hours` of 30 fps and 48 kHz sound whose clock is off by `ppm`, each part read back as it comes.
fn days(hours: i64, ppm: f64) {
    let (v, a) = (video(0), audio(AAC_48));
    let mut mux = Muxer::new(MuxerOptions::default());
    mux.set_tracks(&tracks(Some(&v), Some(&a)));
    mux.fix_target_duration(2);
    let payload = Bytes::from_static(b"12345678");
    let (mut init, mut ends, mut worst) = (Vec::new(), [0u64; 2], 0f64);
    let (mut picture, mut sound, mut sounds_out) = (0u64, 0u64, 0u64);
    let (mut listed, mut started) = (0i64, 0i64);
    let sound_time = |n: u64| n as f64 * 1024.0 / 48_000.0 * (1.0 + ppm / 1e6);
    loop {
        let (vt, at) = (picture as f64 / 30.0, sound_time(sound));
        let (track, secs) = if vt <= at { (&v, vt) } else { (&a, at) };
        if secs > hours as f64 * 3600.0 {
            break;
        }
        let key = track.id == 1 || picture.is_multiple_of(60);
        if track.id == 0 {
            picture += 1
        } else {
            sound += 1
        }
        let dts = Ticks::from_millis((secs * 1000.0).floor() as i64);
        let frame = Frame { track: Arc::clone(track), dts, pts: dts, key, data: payload.clone() };
        mux.push(frame, dts.to_duration()).unwrap();
        while let Some(output) = mux.poll_output() {
            match output {
                Output::Init { data, .. } => init = read::init(&data).unwrap(),
                Output::Warning(w) => panic!("{w}"),
                Output::SegmentStart { start, .. } => started = start.0,
                Output::SegmentEnd { duration, forced } => {
                    assert!(!forced);
                    assert_eq!(started + duration.0, listed);
                }
                Output::Part { data, duration, .. } => {
                    listed += duration.0;
                    for run in &read::fragments(&data, &init).unwrap()[0].runs {
                        let end = &mut ends[run.track as usize - 1];
                        assert_eq!(run.tfdt, *end, "continuous");
                        *end = run.end();
                        if run.track == 2 {
                            worst = worst.max((run.tfdt as f64 / 48_000.0 - sound_time(sounds_out)).abs());
                            sounds_out += run.samples.len() as u64;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(listed as u64, ends[0], "the sum of the parts is the media's time");
    assert!((listed - hours * 3600 * 90_000).abs() < 20_000, "{listed}");
    assert!(worst < 0.05, "sound is {worst} s off at {ppm} ppm");
}

#[test]
fn hours_with_a_fast_or_slow_sound_clock() {
    days(6, 100.0);
    days(6, -100.0);
}

#[test]
#[ignore = "half a minute: part of the long tests"]
fn three_days_with_a_fast_sound_clock() {
    days(72, 100.0);
}

#[test]
#[ignore = "half a minute: part of the long tests"]
fn three_days_with_a_slow_sound_clock() {
    days(72, -100.0);
}
