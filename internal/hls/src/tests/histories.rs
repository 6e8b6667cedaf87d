//! Random histories: every playlist is legal, and so is every step from one to the next.

use std::time::{Duration, SystemTime};

use media::{Epoch, Ticks};
use proptest::prelude::*;

use super::legality::{Playlist, check, check_change, parse};
use crate::{Settings, Timeline, Variant};

#[derive(Clone, Copy, Debug)]
enum Step {
    Part { millis: i64, independent: bool },
    Open { discontinuity: bool },
    Close,
    Gap { millis: i64 },
    Epoch,
    Init,
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (170_i64..=210, any::<bool>()).prop_map(|(millis, independent)| Step::Part { millis, independent }),
        2 => prop::bool::weighted(0.2).prop_map(|discontinuity| Step::Open { discontinuity }),
        1 => Just(Step::Close),
        1 => (500_i64..=3000).prop_map(|millis| Step::Gap { millis }),
        1 => Just(Step::Epoch),
        1 => Just(Step::Init),
        6 => Just(Step::Look),
    ]
}

struct World {
    timeline: Timeline,
    epoch: u64,
    version: u32,
    clock: SystemTime,
    before: Option<Playlist>,
}

impl World {
    fn new(window: usize) -> Self {
        let settings = Settings { window, ..Settings::default() };
        let mut timeline = Timeline::new(settings, 1_795_000_000, 7, None);
        timeline.begin_epoch(Epoch(1));
        timeline.set_init(0);
        timeline.set_variant(Variant { codecs: vec!["avc1.64001F".into()], ..Variant::default() });
        let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        Self { timeline, epoch: 1, version: 0, clock, before: None }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Part { millis, independent } => {
                self.cut_as_the_muxer_does(Ticks::from_millis(millis));
                let hint = self.timeline.preload_hint();
                let name = self.timeline.push_part(Ticks::from_millis(millis), independent, 10_000);
                assert_eq!(hint, Some(name), "25: the hint is always the next part");
                self.clock += Duration::from_millis(u64::try_from(millis).unwrap());
            }
            Step::Open { discontinuity } => {
                self.timeline.close_segment();
                self.timeline.open_segment(self.clock, discontinuity);
            }
            Step::Close => {
                self.timeline.close_segment();
            }
            Step::Gap { millis } => {
                self.timeline.push_gap(Ticks::from_millis(millis), self.clock);
                self.clock += Duration::from_millis(u64::try_from(millis).unwrap());
            }
            Step::Epoch => {
                self.epoch += 1;
                self.version = 0;
                self.timeline.begin_epoch(Epoch(self.epoch));
                self.timeline.set_init(0);
            }
            Step::Init => {
                self.version += 1;
                self.timeline.set_init(self.version);
            }
            Step::Look => self.look(),
        }
        let retired = self.timeline.take_retired();
        if !retired.is_empty() {
            let listed = self.timeline.render_media(false);
            let still = retired.iter().find(|r| listed.contains(&r.name.to_string()));
            assert_eq!(still, None, "6: retired while listed");
        }
    }

    /// Once TARGETDURATION is fixed, no segment rounds above it.
    fn cut_as_the_muxer_does(&mut self, next: Ticks) {
        let most = Ticks(i64::from(self.timeline.target_duration()) * Ticks::RATE + Ticks::RATE / 2 - 1);
        let running = self.timeline.open.as_ref().map_or(Ticks::ZERO, |o| o.duration);
        if self.timeline.is_target_duration_fixed() && running + next > most {
            self.timeline.close_segment();
            self.timeline.open_segment(self.clock, false);
        }
    }

    /// A reader loads the playlist, whole and as a delta.
    fn look(&mut self) {
        if !self.timeline.edge().has_media {
            return;
        }
        self.timeline.fix_target_duration();
        let text = self.timeline.render_media(false);
        let now = parse(&text);
        check(&now);
        let plain = parse(&self.timeline.render_plain());
        assert_eq!(plain.segments.len(), now.segments.len());
        assert!(plain.part_target.is_none() && plain.control.is_empty() && plain.hints.is_empty());
        if !now.segments.is_empty() {
            m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("another reader takes it");
        }
        self.look_at_delta(&now);
        if let Some(before) = &self.before {
            // A reader that slept for longer than the window starts anew.
            if now.msn <= before.msn + before.segments.len() as u64 {
                check_change(before, &now);
            }
        }
        self.before = Some(now);
    }

    fn look_at_delta(&self, full: &Playlist) {
        let delta = parse(&self.timeline.render_media(true));
        assert_eq!((delta.msn, delta.dseq), (full.msn, full.dseq), "13: SKIP changes no number");
        assert_eq!(delta.skipped + delta.segments.len(), full.segments.len());
        if delta.skipped == 0 {
            return;
        }
        let rest: f64 = delta.duration();
        assert!(rest + 0.001 >= f64::from(6 * full.td), "24: the skip boundary");
        for (a, b) in delta.segments.iter().zip(full.segments.iter().skip(delta.skipped)) {
            assert_eq!(
                (&a.uri, &a.map, &a.parts, a.discontinuity),
                (&b.uri, &b.map, &b.parts, b.discontinuity)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_is_a_row_of_legal_changes(
        window in prop_oneof![Just(3_usize), Just(6), Just(30)],
        steps in prop::collection::vec(step(), 1..500),
    ) {
        let mut world = World::new(window);
        for step in steps {
            world.apply(step);
        }
        world.timeline.end();
        world.look();
        let text = world.timeline.render_media(true);
        prop_assert!(!world.timeline.edge().has_media || text.ends_with("#EXT-X-ENDLIST\n"));
        // Nothing changes after the end.
        let text = world.timeline.render_media(false);
        world.timeline.push_part(Ticks(9000), true, 1);
        world.timeline.push_gap(Ticks(9000), world.clock);
        world.timeline.open_segment(world.clock, true);
        prop_assert_eq!(text, world.timeline.render_media(false));
    }
}
