//! One test for each clause of the checklist that playlists can break.

use std::time::{Duration, SystemTime};

use media::{Cursor, Epoch, ObjectName, RenditionName, Ticks};

use super::legality::parse;
use crate::{Decision, Directives, Retired, Settings, Timeline, Variant, VideoRange};

const PART: Ticks = Ticks::from_millis(200);
const FIRST: u64 = 100;

fn date(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_163_645_250 + 1000 * seconds)
}

fn timeline(window: usize) -> Timeline {
    let mut t = Timeline::new(Settings { window, ..Settings::default() }, FIRST, 5, None);
    t.begin_epoch(Epoch(9));
    t.set_init(0);
    t
}

/// A segment of `parts` parts of 200 ms, whose first is an IDR.
fn segment(t: &mut Timeline, parts: u32, bytes: u64) {
    t.open_segment(date(0), false);
    for i in 0..parts {
        t.push_part(PART, i == 0, bytes / u64::from(parts));
    }
    t.close_segment().expect("it has parts");
}

fn variant() -> Variant {
    Variant {
        codecs: vec!["avc1.64001F".into(), "mp4a.40.2".into()],
        resolution: Some((1280, 720)),
        frame_rate: Some(29.97),
        video_range: None,
        announced_bitrate: Some(2_000_000),
    }
}

#[test]
fn the_playlist_to_the_letter() {
    let mut t = timeline(30);
    segment(&mut t, 2, 10);
    t.open_segment(date(2), false);
    t.push_part(Ticks::from_millis(166), false, 10);
    t.fix_target_duration();
    assert_eq!(
        t.render_media(false),
        "#EXTM3U\n\
         #EXT-X-VERSION:9\n\
         #EXT-X-TARGETDURATION:2\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.63,HOLD-BACK=6.0,CAN-SKIP-UNTIL=12.0\n\
         #EXT-X-PART-INF:PART-TARGET=0.21\n\
         #EXT-X-MEDIA-SEQUENCE:100\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:5\n\
         #EXT-X-MAP:URI=\"init_9_0.mp4\"\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-11-20T08:34:05.250Z\n\
         #EXT-X-PART:DURATION=0.200002,URI=\"part_9_0.m4s\",INDEPENDENT=YES\n\
         #EXT-X-PART:DURATION=0.2,URI=\"part_9_1.m4s\"\n\
         #EXTINF:0.4,\n\
         segment_9_100.m4s\n\
         #EXT-X-PROGRAM-DATE-TIME:2026-11-20T08:34:07.250Z\n\
         #EXT-X-PART:DURATION=0.166002,URI=\"part_9_2.m4s\"\n\
         #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part_9_3.m4s\"\n"
    );
}

#[test]
fn clause_1_target_duration_rises_until_it_is_fixed() {
    let mut t = timeline(3);
    assert_eq!(t.target_duration(), 2);
    segment(&mut t, 42, 10);
    assert_eq!(t.target_duration(), 8);
    segment(&mut t, 10, 10);
    assert_eq!((t.fix_target_duration(), t.is_target_duration_fixed()), (8, true));
    // The muxer never lets this happen; if it does, the playlist stays legal and the caller is told.
    t.open_segment(date(0), false);
    for _ in 0..45 {
        t.push_part(PART, false, 10);
    }
    assert!(t.close_segment().unwrap().over_target);
    assert_eq!(t.target_duration(), 8);
    assert!(t.render_media(false).contains("#EXTINF:8.499989,\n"));
}

#[test]
fn clause_1_a_running_segment_counts_when_target_duration_is_fixed() {
    let mut t = timeline(3);
    t.open_segment(date(0), false);
    for _ in 0..22 {
        t.push_part(PART, false, 10);
    }
    assert_eq!((t.target_duration(), t.fix_target_duration()), (2, 5));
}

#[test]
fn clause_1_a_path_remembers_its_target_duration() {
    let mut t = Timeline::new(Settings::default(), 1, 0, Some(6));
    assert_eq!((t.target_duration(), t.fix_target_duration()), (6, 6));
}

#[test]
fn clause_2_what_depends_on_settings_alone_never_changes() {
    let mut t = timeline(30);
    segment(&mut t, 10, 10);
    t.fix_target_duration();
    let first = parse(&t.render_media(false)).fixed;
    assert_eq!(first.len(), 4);
    t.begin_epoch(Epoch(10));
    t.set_init(0);
    for _ in 0..50 {
        segment(&mut t, 8, 10);
    }
    assert_eq!(parse(&t.render_media(false)).fixed, first);
    t.end();
    assert_eq!(parse(&t.render_media(false)).fixed, first);
}

#[test]
fn clause_4_a_discontinuity_that_leaves_is_counted() {
    let mut t = timeline(3);
    segment(&mut t, 10, 10);
    t.begin_epoch(Epoch(10));
    t.set_init(0);
    segment(&mut t, 10, 10);
    assert_eq!(t.discontinuity_sequence(), 6);
    let p = parse(&t.render_media(false));
    assert_eq!((p.dseq, p.segments[0].discontinuity, p.segments[1].discontinuity), (5, false, true));
    for _ in 0..3 {
        segment(&mut t, 10, 10);
    }
    let p = parse(&t.render_media(false));
    assert_eq!((p.msn, p.dseq, p.segments.iter().filter(|s| s.discontinuity).count()), (102, 6, 0));
    assert_eq!(t.discontinuity_sequence(), 6);
}

#[test]
fn clause_5_never_under_three_target_durations() {
    let mut t = timeline(3);
    segment(&mut t, 42, 10);
    t.fix_target_duration();
    for _ in 0..11 {
        segment(&mut t, 10, 10);
        let p = parse(&t.render_media(false));
        assert!(p.msn == FIRST || p.duration() >= 24.0);
    }
    // 8 s and 11 × 2 s: without the first, 22 s are left, and 24 must be.
    assert_eq!(t.media_sequence(), FIRST);
    segment(&mut t, 10, 10);
    assert_eq!(t.media_sequence(), FIRST + 1);
}

#[test]
fn clause_6_what_leaves_says_how_long_it_must_stay() {
    let mut t = timeline(3);
    t.fix_target_duration();
    for _ in 0..3 {
        segment(&mut t, 10, 10);
    }
    assert_eq!(t.take_retired(), []);
    segment(&mut t, 10, 10);
    let retired = t.take_retired();
    let parts: Vec<Retired> = (0..10)
        .map(|seq| Retired {
            name: ObjectName::Part { epoch: Epoch(9), seq },
            keep_for: Duration::from_secs(6),
        })
        .collect();
    assert_eq!(retired[..10], parts);
    // Its own 2 s, and the 8 s of the longest playlist that listed it.
    let name = ObjectName::Segment { epoch: Epoch(9), msn: FIRST };
    assert_eq!(retired[10..], [Retired { name, keep_for: Duration::from_secs(10) }]);
}

#[test]
fn clause_6_an_init_leaves_with_the_last_segment_that_needs_it() {
    let mut t = timeline(3);
    t.fix_target_duration();
    segment(&mut t, 10, 10);
    t.set_init(1);
    let old = ObjectName::Init { epoch: Epoch(9), version: 0 };
    for _ in 0..2 {
        segment(&mut t, 10, 10);
        assert!(!t.take_retired().iter().any(|r| r.name == old));
    }
    segment(&mut t, 10, 10);
    assert!(t.take_retired().iter().any(|r| r.name == old && r.keep_for == Duration::from_secs(10)));
    // One that no segment ever needed leaves when it is replaced.
    t.set_init(2);
    t.set_init(3);
    let unused = ObjectName::Init { epoch: Epoch(9), version: 2 };
    assert!(t.take_retired().iter().any(|r| r.name == unused));
}

#[test]
fn clause_6_parts_leave_three_target_durations_from_the_end() {
    let mut t = timeline(10);
    t.fix_target_duration();
    for _ in 0..4 {
        segment(&mut t, 10, 10);
    }
    let counts = |t: &Timeline| {
        parse(&t.render_media(false)).segments.iter().map(|s| s.parts.len()).collect::<Vec<_>>()
    };
    assert_eq!(counts(&t), [0, 10, 10, 10]);
    t.open_segment(date(0), false);
    for _ in 0..9 {
        t.push_part(PART, false, 10);
        assert_eq!(counts(&t), [0, 10, 10, 10]);
    }
    t.push_part(PART, false, 10);
    assert_eq!(counts(&t), [0, 0, 10, 10]);
}

#[test]
fn clause_7_a_gap_takes_a_number_and_says_so() {
    let mut t = timeline(3);
    segment(&mut t, 10, 10);
    assert!(!t.in_gap());
    let gap = t.push_gap(Ticks::from_millis(2000), date(4));
    assert!(t.in_gap());
    assert_eq!((gap.name, gap.gap), (ObjectName::Segment { epoch: Epoch(9), msn: 101 }, true));
    let text = t.render_media(false);
    assert!(text.contains("#EXT-X-GAP\n#EXTINF:2.0,\nsegment_9_101.m4s\n#EXT-X-PRELOAD-HINT"), "{text}");
    assert!(t.render_plain().ends_with("#EXT-X-GAP\n#EXTINF:2.0,\nsegment_9_101.m4s\n"));
    assert_eq!(t.next(), Cursor { msn: 102, part: 0 });
}

#[test]
fn clause_9_the_end_is_final_and_hints_nothing() {
    let mut t = timeline(3);
    segment(&mut t, 10, 10);
    t.open_segment(date(0), false);
    t.push_part(PART, true, 10);
    assert_eq!(t.end().map(|s| s.msn), Some(101));
    let text = t.render_media(false);
    assert!(text.ends_with("segment_9_101.m4s\n#EXT-X-ENDLIST\n"));
    assert_eq!(text.matches("ENDLIST").count(), 1);
    assert!(!text.contains("PRELOAD-HINT") && !text.contains("PLAYLIST-TYPE"));
    assert!(t.render_plain().ends_with("#EXT-X-ENDLIST\n"));
    assert_eq!(t.preload_hint(), None);
    let far = Directives { msn: Some(4000), part: Some(1), skip: false };
    assert_eq!(t.decide(&far), Decision::Now);
}

#[test]
fn clause_12_a_new_init_is_a_discontinuity_whatever_the_caller_says() {
    let mut t = timeline(5);
    segment(&mut t, 10, 10);
    t.set_init(1);
    segment(&mut t, 10, 10);
    // The same again is none.
    t.set_init(1);
    segment(&mut t, 10, 10);
    let p = parse(&t.render_media(false));
    let seen: Vec<_> =
        p.segments.iter().map(|s| (s.discontinuity, s.map_written, s.map.as_deref())).collect();
    assert_eq!(
        seen,
        [
            (false, true, Some("init_9_0.mp4")),
            (true, true, Some("init_9_1.mp4")),
            (false, false, Some("init_9_1.mp4")),
        ]
    );
}

#[test]
fn clause_13_and_43_a_republish_continues_the_numbers() {
    let mut t = timeline(5);
    segment(&mut t, 10, 10);
    t.push_gap(Ticks::from_millis(2000), date(2));
    t.begin_epoch(Epoch(12));
    t.set_init(0);
    // Still absent: the GAP belongs to what was before.
    t.push_gap(Ticks::from_millis(2000), date(4));
    segment(&mut t, 1, 10);
    let p = parse(&t.render_media(false));
    let uris: Vec<_> = p.segments.iter().map(|s| (s.uri.as_str(), s.discontinuity)).collect();
    assert_eq!(
        uris,
        [
            ("segment_9_100.m4s", false),
            ("segment_9_101.m4s", false),
            ("segment_12_102.m4s", false),
            ("segment_12_103.m4s", true),
        ]
    );
    assert_eq!(p.hints, ["part_12_1.m4s"]);
    assert!(t.render_media(false).contains("#EXT-X-DISCONTINUITY-SEQUENCE:5\n"));
    assert_eq!(t.nth_segment(1), Some(ObjectName::Segment { epoch: Epoch(12), msn: 103 }));
    assert_eq!(t.nth_segment(2), None);
}

#[test]
fn clause_14_state_comes_before_the_first_part() {
    let mut t = timeline(5);
    segment(&mut t, 10, 10);
    t.begin_epoch(Epoch(10));
    t.set_init(0);
    t.open_segment(date(9), false);
    t.push_part(PART, true, 10);
    let text = t.render_media(false);
    assert!(
        text.contains(
            "segment_9_100.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init_10_0.mp4\"\n\
             #EXT-X-PROGRAM-DATE-TIME:2026-11-20T08:34:14.250Z\n#EXT-X-PART:"
        ),
        "{text}"
    );
}

#[test]
fn clause_18_independent_only_where_it_is_true() {
    let mut t = timeline(5);
    t.open_segment(date(0), false);
    t.push_part(PART, false, 10);
    t.push_part(PART, true, 10);
    let p = parse(&t.render_media(false));
    let flags: Vec<bool> = p.open.unwrap().parts.iter().map(|p| p.independent).collect();
    assert_eq!(flags, [false, true]);
}

#[test]
fn clause_24_a_delta_skips_what_is_older_than_the_boundary_and_no_more() {
    let mut t = timeline(30);
    for _ in 0..6 {
        segment(&mut t, 10, 10);
    }
    t.fix_target_duration();
    assert_eq!(parse(&t.render_media(true)).skipped, 0);
    t.open_segment(date(0), false);
    for _ in 0..10 {
        assert_eq!(parse(&t.render_media(true)).skipped, 0);
        t.push_part(PART, true, 10);
    }
    let text = t.render_media(true);
    let p = parse(&text);
    assert_eq!((p.skipped, p.msn, p.segments[0].uri.as_str()), (1, 100, "segment_9_101.m4s"));
    assert!(p.segments[0].map_written);
    assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:5\n#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n#EXT-X-MAP:"));
    t.end();
    assert_eq!(parse(&t.render_media(true)).skipped, 0);
}

#[test]
fn clause_24_a_short_window_offers_no_delta() {
    let mut t = timeline(29);
    for _ in 0..20 {
        segment(&mut t, 10, 10);
    }
    assert!(!t.render_media(true).contains("SKIP"));
}

#[test]
fn clause_25_the_hint_survives_the_end_of_a_segment_and_not_of_an_epoch() {
    let mut t = timeline(5);
    segment(&mut t, 2, 10);
    let hint = |epoch, seq| Some(ObjectName::Part { epoch: Epoch(epoch), seq });
    assert_eq!(t.preload_hint(), hint(9, 2));
    t.push_gap(Ticks::from_millis(2000), date(1));
    assert_eq!(t.preload_hint(), hint(9, 2));
    t.open_segment(date(3), false);
    assert_eq!(t.preload_hint(), hint(9, 2));
    t.begin_epoch(Epoch(10));
    assert_eq!(t.preload_hint(), hint(10, 0));
}

#[test]
fn clause_26_other_renditions_are_reported() {
    let mut t = timeline(5);
    segment(&mut t, 2, 10);
    assert!(!t.render_media(false).contains("RENDITION-REPORT"));
    t.set_reports(vec![
        (RenditionName::Audio(0), Cursor { msn: 101, part: 3 }),
        (RenditionName::Audio(1), Cursor { msn: 101, part: 0 }),
    ]);
    assert!(t.render_media(false).ends_with(
        "#EXT-X-RENDITION-REPORT:URI=\"audio_0.m3u8\",LAST-MSN=101,LAST-PART=2\n\
         #EXT-X-RENDITION-REPORT:URI=\"audio_1.m3u8\",LAST-MSN=100\n"
    ));
}

#[test]
fn clause_29_the_multivariant_tells_the_truth() {
    let mut t = timeline(3);
    assert_eq!(t.render_index(), None);
    t.set_variant(variant());
    segment(&mut t, 10, 10);
    assert_eq!(
        t.render_index().unwrap(),
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-STREAM-INF:BANDWIDTH=2500000,AVERAGE-BANDWIDTH=2000000,\
         CODECS=\"avc1.64001F,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970\nmedia.m3u8\n"
    );
    assert!(m3u8_rs::parse_master_playlist_res(t.render_index().unwrap().as_bytes()).is_ok());
}

#[test]
fn clause_29_high_dynamic_range_is_told() {
    let mut t = timeline(3);
    segment(&mut t, 10, 10);
    for (code, range) in [(16, Some(",VIDEO-RANGE=PQ\n")), (18, Some(",VIDEO-RANGE=HLG\n")), (1, None)] {
        t.set_variant(Variant { video_range: VideoRange::from_transfer(code), ..variant() });
        let index = t.render_index().unwrap();
        assert_eq!(index.contains("VIDEO-RANGE"), range.is_some(), "{index}");
        assert!(range.is_none_or(|r| index.contains(r)), "{index}");
    }
}

#[test]
fn clause_29_independent_segments_only_while_it_is_true() {
    let mut t = timeline(3);
    t.set_variant(variant());
    let independent = |t: &Timeline| t.render_index().unwrap().contains("INDEPENDENT-SEGMENTS");
    segment(&mut t, 10, 10);
    assert!(independent(&t));
    t.open_segment(date(0), false);
    t.push_part(PART, false, 10);
    assert!(!independent(&t));
    t.close_segment();
    for _ in 0..3 {
        assert!(!independent(&t));
        segment(&mut t, 10, 10);
    }
    assert!(independent(&t));
}

#[test]
fn clause_30_announced_first_and_measured_after_a_window() {
    let mut t = timeline(3);
    t.set_variant(variant());
    let bandwidth = |t: &Timeline| {
        let text = t.render_index().unwrap();
        let attr =
            |k: &str| text.split([',', ':']).find_map(|a| a.strip_prefix(k)?.parse::<u64>().ok()).unwrap();
        (attr("BANDWIDTH="), attr("AVERAGE-BANDWIDTH="))
    };
    segment(&mut t, 10, 1_000_000);
    // 4 Mbit/s measured is more than what was announced.
    assert_eq!(bandwidth(&t), (4_000_000, 2_000_000));
    segment(&mut t, 10, 500_000);
    segment(&mut t, 10, 250_000);
    assert_eq!(bandwidth(&t), (4_000_000, 2_333_333));
    // A stub of a segment is no peak.
    segment(&mut t, 1, 1_000_000);
    assert_eq!(bandwidth(&t).0, 4_000_000);
}

#[test]
fn clause_30_the_average_is_never_above_the_peak() {
    let mut t = Timeline::new(Settings { window: 3, ..Settings::default() }, FIRST, 5, Some(8));
    t.begin_epoch(Epoch(9));
    t.set_init(0);
    t.set_variant(variant());
    segment(&mut t, 40, 1_000_000);
    // Too short to count as peaks (half of TARGETDURATION is 4 s), but denser.
    for _ in 0..3 {
        segment(&mut t, 10, 1_000_000);
    }
    let index = t.render_index().expect("codecs and a bit rate are known");
    assert!(index.contains("BANDWIDTH=2285714,AVERAGE-BANDWIDTH=2285714,"), "{index}");
}

#[test]
fn clause_30_a_window_of_gaps_keeps_the_bit_rate_that_was_known() {
    let mut t = timeline(3);
    t.set_variant(Variant { announced_bitrate: None, ..variant() });
    segment(&mut t, 10, 1_000_000);
    for second in 0..6 {
        t.push_gap(Ticks(2 * Ticks::RATE), date(2 + 2 * second));
    }
    assert!(t.has_index());
    let index = t.render_index().expect("codecs and a bit rate are known");
    assert!(index.contains("BANDWIDTH=5000000,AVERAGE-BANDWIDTH=4000000,"), "{index}");
}

#[test]
fn clause_30_nothing_announced_is_measured_with_headroom() {
    let mut t = timeline(3);
    t.set_variant(Variant { announced_bitrate: None, ..variant() });
    assert!(!t.has_index());
    t.open_segment(date(0), false);
    t.push_part(PART, true, 25_000);
    assert!(t.has_index());
    assert!(t.render_index().unwrap().contains("BANDWIDTH=1250000,AVERAGE-BANDWIDTH=1000000,"));
}

#[test]
fn clause_33_the_sum_of_extinf_is_exact() {
    let mut t = timeline(10_000);
    let mut ticks = 0;
    for i in 0..1000_i64 {
        t.open_segment(date(0), false);
        let d = Ticks(90_000 + i * 7 % 89_999);
        ticks += d.0;
        t.push_part(d, true, 10);
        t.close_segment();
    }
    let sum = parse(&t.render_plain()).duration();
    assert!((sum - ticks as f64 / 90_000.0).abs() < 0.001, "{sum}");
}

#[test]
fn an_empty_segment_uses_no_number_and_loses_no_discontinuity() {
    let mut t = timeline(5);
    segment(&mut t, 2, 10);
    assert_eq!(t.open_segment(date(1), true), 101);
    assert_eq!(t.close_segment(), None);
    assert_eq!(t.open_segment(date(2), false), 101);
    t.push_part(PART, true, 10);
    assert!(parse(&t.render_media(false)).open.unwrap().discontinuity);
}

#[test]
fn clause_33_a_hole_in_the_media_counts_into_extinf_and_into_no_part() {
    let mut t = timeline(3);
    t.open_segment(date(0), false);
    t.push_part(PART, true, 10);
    assert_eq!(
        t.close_segment_after(Ticks::from_millis(280)).map(|s| s.duration),
        Some(Ticks::from_millis(280))
    );
    t.open_segment(date(1), false);
    t.push_part(PART, true, 10);
    assert_eq!(
        t.close_segment_after(Ticks::from_millis(10)).map(|s| s.duration),
        Some(PART),
        "never below its parts"
    );
    t.fix_target_duration();
    let text = t.render_media(false);
    assert!(
        text.contains("DURATION=0.200002,")
            && text.contains("#EXTINF:0.28,")
            && text.contains("#EXTINF:0.2,"),
        "{text}"
    );
}

#[test]
fn clause_3_a_listed_entry_never_changes() {
    let mut t = timeline(3);
    t.fix_target_duration();
    let mut seen = std::collections::HashMap::new();
    for n in 0..12 {
        if n == 5 {
            t.push_gap(Ticks::from_millis(2000), date(n));
        }
        segment(&mut t, 10, 10);
        let p = parse(&t.render_media(false));
        for (i, s) in p.segments.iter().enumerate() {
            let listed = (s.uri.clone(), s.duration, s.date.clone(), s.gap);
            let before = seen.entry(p.msn + i as u64).or_insert_with(|| listed.clone());
            assert_eq!(*before, listed);
        }
    }
    assert_eq!(seen.len(), 13);
}

#[test]
fn clause_10_and_13_version_and_discontinuity_sequence_are_always_there() {
    let mut t = Timeline::new(Settings::default(), 0, 0, None);
    for _ in 0..2 {
        for text in [t.render_media(false), t.render_plain()] {
            assert!(
                text.contains("#EXT-X-VERSION:9\n") && text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:0\n")
            );
        }
        t.begin_epoch(Epoch(9));
        t.set_init(0);
        segment(&mut t, 10, 10);
    }
}

#[test]
fn clause_11_every_segment_has_a_date_the_open_one_too() {
    let mut t = timeline(5);
    segment(&mut t, 10, 10);
    t.push_gap(Ticks::from_millis(2000), date(2));
    t.begin_epoch(Epoch(10));
    t.set_init(0);
    segment(&mut t, 10, 10);
    t.open_segment(date(6), false);
    t.push_part(PART, true, 10);
    let p = parse(&t.render_media(false));
    assert_eq!(p.segments.len(), 3);
    assert!(p.segments.iter().chain(&p.open).all(|s| s.date.is_some()));
    assert_eq!(parse(&t.render_plain()).segments.iter().filter(|s| s.date.is_some()).count(), 3);
}

/// Parts of 209 and 210 ms and of odd lengths: never over PART-TARGET, and as long together as EXTINF says.
#[test]
fn clause_16_parts_stay_within_the_target_and_add_up() {
    for ticks in [18_000, 18_018, 18_769, 18_810, 18_899, 18_900, 17_067] {
        let mut t = timeline(5);
        for n in 0..3 {
            t.open_segment(date(2 * n), false);
            for i in 0..9 {
                t.push_part(Ticks(ticks), i == 0, 10);
            }
            t.close_segment();
        }
        let p = parse(&t.render_media(false));
        for s in &p.segments {
            assert!(s.parts.iter().all(|part| part.duration <= 0.21), "{ticks}");
            let off = s.parts.iter().map(|part| part.duration).sum::<f64>() - s.duration;
            // Only the first does not know which part is its last one.
            assert!(off.abs() < if s.uri.ends_with("_100.m4s") { 2.5e-6 } else { 1e-9 }, "{ticks}: {off}");
        }
    }
}

/// What keeps Shaka from placing parts anew: once the second part is due, the parts before it last a little longer than
/// the media does, and the next segment begins where the media does.
#[test]
fn parts_run_ahead_of_their_media_within_a_segment_and_not_at_its_ends() {
    let mut t = timeline(5);
    for n in 0..2 {
        t.open_segment(date(2 * n), false);
        for i in 0..10 {
            t.push_part(PART, i == 0, 10);
        }
        t.close_segment();
    }
    let p = parse(&t.render_media(false));
    let mut listed = 0.0;
    for (i, part) in p.segments[1].parts.iter().enumerate() {
        let lead = listed - 0.2 * i as f64;
        assert!(if i == 0 { lead == 0.0 } else { (1.5e-6..2.5e-6).contains(&lead) }, "{i}: {lead}");
        listed += part.duration;
    }
    assert!((listed - 2.0).abs() < 1e-9);
}

#[test]
fn clause_17_hold_backs_are_three_times_their_targets() {
    let mut t = Timeline::new(
        Settings { part_target: Ticks::from_millis(500), ..Settings::default() },
        FIRST,
        0,
        Some(4),
    );
    t.fix_target_duration();
    let control = parse(&t.render_media(false)).control;
    assert!(control.contains("PART-HOLD-BACK=1.5,HOLD-BACK=12.0"), "{control}");
}
