//! Frames in; inits, segments and parts out. Decides where to cut.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use media::{Frame, Ticks, Track, TrackKind, Tracks};

use crate::{
    MuxError, MuxWarning, MuxerOptions, Output,
    audio::{AudioSample, AudioTimeline},
    init,
    part::{self, Run},
    start::{Layout, Start},
    video::VideoTimeline,
};

/// Timestamps this far off (10 s) begin a new timeline.
const JUMP: i64 = 10 * Ticks::RATE;
/// Pictures further back than this (1 s) are no disorder but a jump; less is clamped.
const BACKWARDS: i64 = Ticks::RATE;
/// A track silent this long (3 s) beside the other one is given up until it comes back.
const LOST: i64 = 3 * Ticks::RATE;
/// Sound whose timestamps belong nowhere is dropped this long (2 s), then moved to where the pictures are.
const STRAY: i64 = 2 * Ticks::RATE;
/// No frame is larger: RTMP messages are bounded far below, and `trun` offsets are 32-bit.
const MAX_FRAME: usize = 64 << 20;
/// Sound held while a picture is awaited at which its new configuration can begin.
const MAX_HELD: usize = 512;
/// Discontinuities that segments of real length do not make up for: each would cost every viewer a reset.
const MAX_UNREST: u32 = 16;
/// EXTINF stays this far (1 ms) below what would round up, so that writing it in decimals cannot push it over.
const ROUNDING_MARGIN: i64 = 90;

/// One publish (epoch) being cut.
///
/// Nothing blocks, nothing reads a clock; after each call drain [`Self::poll_output`].
#[derive(Debug)]
pub struct Muxer {
    options: MuxerOptions,
    tracks: Tracks,
    /// Present until the first init is written.
    start: Option<Start>,
    layout: Layout,
    versions: u32,
    video: VideoTimeline,
    audio: Option<AudioTimeline>,
    /// Sender's time minus the epoch's.
    offset: i64,
    /// What sound needs on top, when its timestamps do not belong to the video's.
    audio_offset: i64,
    /// How much sound in a row had timestamps from elsewhere.
    stray: i64,
    /// The sender's last decode times.
    last_video: Option<i64>,
    last_audio: Option<i64>,
    /// The declared end of all parts so far.
    end: i64,
    /// The open segment's start, and whether it has parts.
    segment: Option<(i64, bool)>,
    discontinuity: bool,
    /// When the open part got its first frame.
    opened_at: Option<Duration>,
    /// EXTINF at most, once TARGETDURATION is fixed.
    fixed: Option<i64>,
    /// A new audio configuration waits for a picture at which it can begin, with its sound.
    wanted_audio: Option<Arc<Track>>,
    held: VecDeque<Frame>,
    /// Sound since the last picture, and pictures since the last sound, in ticks.
    darkness: i64,
    silence: i64,
    /// The publisher took its audio track back.
    audio_withdrawn: bool,
    /// Discontinuities, less the segments of at least half the target.
    unrest: u32,
    sequence: u32,
    said: HashSet<mem::Discriminant<MuxWarning>>,
    part_audio: Vec<AudioSample>,
    out: VecDeque<Output>,
}

impl Muxer {
    /// A muxer for one publish.
    pub fn new(options: MuxerOptions) -> Self {
        let video = VideoTimeline::new(options.part_target.0);
        Self {
            options,
            tracks: Tracks::default(),
            start: Some(Start::default()),
            layout: Layout::default(),
            versions: 0,
            video,
            audio: None,
            offset: 0,
            audio_offset: 0,
            stray: 0,
            last_video: None,
            last_audio: None,
            end: 0,
            segment: None,
            discontinuity: false,
            opened_at: None,
            fixed: None,
            wanted_audio: None,
            held: VecDeque::new(),
            darkness: 0,
            silence: 0,
            audio_withdrawn: false,
            unrest: 0,
            sequence: 0,
            said: HashSet::new(),
            part_audio: Vec::new(),
            out: VecDeque::new(),
        }
    }

    /// Tells what is configured and announced; call it before the first frame and after each change.
    pub fn set_tracks(&mut self, tracks: &Tracks) {
        if self.tracks.audio.is_some() && tracks.audio.is_none() {
            self.audio_withdrawn = true;
        }
        self.tracks = tracks.clone();
        self.hint();
    }

    /// From now on no EXTINF rounds (half up) to more than `seconds`. The first call counts.
    pub fn fix_target_duration(&mut self, seconds: u32) {
        self.fixed.get_or_insert(rounds_to(i64::from(seconds)));
    }

    /// Takes a frame that arrived at `now`. Frames of a track must come in decode order.
    ///
    /// # Errors
    /// [`MuxError`]: the publisher is to be closed with that reason.
    pub fn push(&mut self, frame: Frame, now: Duration) -> Result<(), MuxError> {
        if frame.data.len() > MAX_FRAME {
            return Err(MuxError::FrameTooLarge(frame.data.len()));
        }
        if frame.data.is_empty() || frame.track.id > 1 {
            return Ok(());
        }
        let wait = self.options.track_wait.0;
        if let Some(start) = &mut self.start {
            start.push(frame, now, wait);
            return self.try_start(false);
        }
        self.take(frame, now)?;
        if self.unrest > MAX_UNREST { Err(MuxError::Unstable) } else { Ok(()) }
    }

    /// When [`Self::handle_timeout`] is due: the open part's last frame did not come.
    pub fn deadline(&self) -> Option<Duration> {
        if let Some(start) = &self.start {
            return Some(start.since? + 3 * self.options.track_wait.to_duration());
        }
        let frame = match &self.audio {
            Some(audio) if self.layout.video.is_none() => audio.frame(),
            _ => self.video.frame(),
        };
        Some(self.opened_at? + Ticks(self.options.part_target.0 + frame).to_duration())
    }

    /// Closes a part, or ends the wait for tracks, if [`Self::deadline`] has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.deadline().is_none_or(|d| now < d) {
            return;
        }
        if let Some(start) = &mut self.start {
            // Looked at once a wait: without a keyframe there is still nothing to start with.
            start.since = Some(now);
            if let Err(error) = self.try_start(true) {
                self.warn(MuxWarning::Failed(error));
            }
            return;
        }
        self.close_part(None, false);
        self.opened_at = None;
    }

    /// A stall: closes part and segment now; the next frame opens a new segment.
    pub fn break_segment(&mut self) {
        self.close_part(None, false);
        self.end_segment(false);
        self.video.cadence.resync();
    }

    /// The publisher is gone: closes part and segment, with what was held back for the start.
    pub fn finish(&mut self) {
        if self.start.is_some()
            && let Err(error) = self.try_start(true)
        {
            self.warn(MuxWarning::Failed(error));
        }
        self.close_part(None, true);
        // Sound that reaches past the last picture still belongs to the segment.
        let sound = self.audio.as_ref().and_then(|a| a.end_of(a.len()));
        if self.segment.is_some() && sound.is_some_and(|s| s > self.end + ROUNDING_MARGIN) {
            self.close_sound_rest();
        }
        self.end_segment(false);
    }

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Frames a second: measured, or what metadata or the SPS say as long as nothing is measured.
    pub fn frame_rate(&self) -> Option<f64> {
        self.layout.video.as_ref()?;
        self.video.cadence.rate().or_else(|| self.announced_rate())
    }

    fn announced_rate(&self) -> Option<f64> {
        let track = self.layout.video.as_ref().or(self.tracks.video.as_ref());
        let own = track.and_then(|t| t.config.picture()?.frame_rate);
        self.tracks.metadata.frame_rate.or(own)
    }

    fn hint(&mut self) {
        if let Some(rate) = self.announced_rate() {
            self.video.cadence.hint(rate);
        }
    }

    fn warn(&mut self, warning: MuxWarning) {
        let once = !matches!(warning, MuxWarning::TimestampJump { .. } | MuxWarning::AudioMoved { .. });
        if self.said.insert(mem::discriminant(&warning)) || !once {
            self.out.push_back(Output::Warning(warning));
        }
    }

    // ---- start and changes of tracks

    fn try_start(&mut self, over: bool) -> Result<(), MuxError> {
        let Some(start) = &self.start else { return Ok(()) };
        let Some(layout) = start.decide(&self.tracks, self.options.track_wait.0, over) else {
            if start.lacks_keyframe() {
                self.warn(MuxWarning::NoKeyframe);
            }
            return Ok(());
        };
        let kind = if layout.video.is_some() { TrackKind::Video } else { TrackKind::Audio };
        let Some(first) = start.first_of(kind) else { return Ok(()) };
        // The first picture is shown at 0 or later, whatever its composition offset.
        self.end = (first.dts.0 - first.pts.0).max(0);
        self.offset = first.dts.0 - self.end;
        let frames = self.start.take().map(Start::into_frames).unwrap_or_default();
        self.set_layout(layout)?;
        self.hint();
        for (frame, now) in frames {
            self.take(frame, now)?;
        }
        Ok(())
    }

    /// Closes what is open and goes on with other tracks or configurations, after a discontinuity.
    fn change_layout(&mut self, layout: Layout) -> Result<(), MuxError> {
        // Sound of a track that goes on waits for the next part; of one that ends, it is now or never.
        self.close_part(None, !same(&self.layout.audio, layout.audio.as_ref()));
        self.end_segment(false);
        self.discontinuity = true;
        self.unrest += 1;
        let resumed = self.wanted_audio.take().is_some();
        self.set_layout(layout)?;
        if resumed {
            for frame in mem::take(&mut self.held) {
                self.take_audio(frame, None)?;
            }
        }
        Ok(())
    }

    fn set_layout(&mut self, layout: Layout) -> Result<(), MuxError> {
        if !same(&self.layout.audio, layout.audio.as_ref()) || self.audio.is_none() {
            let sound = layout.audio.as_ref().and_then(|t| t.config.sound());
            self.audio = sound.map(|sound| AudioTimeline::new(sound, self.end));
            self.last_audio = None;
            self.audio_offset = 0;
        }
        if self.layout.video.is_none() {
            self.last_video = None;
        }
        let tracks: Vec<_> = [&layout.video, &layout.audio].into_iter().flatten().map(Arc::clone).collect();
        self.layout = layout;
        let data = init::write(&tracks).map_err(|e| MuxError::Init(e.to_string()))?;
        self.out.push_back(Output::Init { version: self.versions, data, tracks });
        self.versions += 1;
        Ok(())
    }

    fn take(&mut self, frame: Frame, now: Duration) -> Result<(), MuxError> {
        match frame.track.kind() {
            TrackKind::Video => self.take_video(frame, now),
            TrackKind::Audio => self.take_audio(frame, Some(now)),
        }
    }

    // ---- pictures

    fn take_video(&mut self, frame: Frame, now: Duration) -> Result<(), MuxError> {
        if !same(&self.layout.video, Some(&frame.track)) {
            if !frame.key {
                return Ok(()); // cannot be decoded with the new configuration
            }
            self.new_video(&frame)?;
        }
        let raw = frame.dts.0;
        let step = raw - self.last_video.unwrap_or(raw);
        if !(-BACKWARDS..=JUMP).contains(&step) {
            self.rebase(raw, step);
        }
        self.last_video = Some(raw);
        self.darkness = 0;
        self.silence += self.video.frame();
        let (dts, pts) = (raw - self.offset, frame.pts.0 - self.offset);
        self.video.cadence.observe(dts);
        self.check_part_target();
        self.cut_before(dts, frame.key)?;
        if self.segment.is_none() {
            self.open_segment(self.video.opening(self.end, dts), frame.key);
        }
        self.opened_at.get_or_insert(now);
        self.video.push(self.end, dts, pts, frame.key, frame.data);
        if self.video.is_full() {
            self.close_part(None, false);
        }
        Ok(())
    }

    /// A late video track, or a new configuration, at its keyframe.
    fn new_video(&mut self, frame: &Frame) -> Result<(), MuxError> {
        if self.layout.video.is_none() {
            self.warn(MuxWarning::LateTrack("video"));
        }
        let audio = self.wanted_audio.clone().or_else(|| self.layout.audio.clone());
        self.close_part(None, false);
        if self.end - (frame.dts.0 - self.offset) > BACKWARDS {
            self.rebase(frame.dts.0, frame.dts.0 - self.offset - self.end);
            self.last_video = None;
        }
        self.change_layout(Layout { video: Some(Arc::clone(&frame.track)), audio })
    }

    /// Ends the segment, or only the part, if the picture at `dts` must open a new one.
    fn cut_before(&mut self, dts: i64, key: bool) -> Result<(), MuxError> {
        let Some((start, _)) = self.segment else { return Ok(()) };
        let frame = self.video.frame();
        let due = dts - start >= self.options.segment_target.0 - frame / 2;
        let lost = self.audio_is_lost();
        if key && (due || self.wanted_audio.is_some()) {
            self.close_part(Some(dts), false);
            self.end_segment_before(dts, false);
            if self.wanted_audio.is_some() || lost {
                return self.change_audio();
            }
            return Ok(());
        }
        if dts.max(self.end) + frame - start > self.longest() {
            self.close_part(Some(dts), false);
            self.end_segment_before(dts, !key);
            if !key {
                return self.keyframes_too_rare();
            }
        } else if self.video.would_pass(dts) {
            self.close_part(Some(dts), false);
        }
        Ok(())
    }

    fn keyframes_too_rare(&mut self) -> Result<(), MuxError> {
        let limit_ms = self.longest() / 90;
        if self.options.require_keyframes {
            return Err(MuxError::KeyframesTooRare(limit_ms));
        }
        let advice_ms = self.options.segment_target.0 / 90;
        self.warn(MuxWarning::GopTooLong { limit_ms, advice_ms });
        Ok(())
    }

    /// Audio came late, changed its configuration, or stopped.
    fn change_audio(&mut self) -> Result<(), MuxError> {
        self.warn(match (&self.wanted_audio, &self.layout.audio) {
            (Some(_), None) => MuxWarning::LateTrack("audio"),
            (None, _) => MuxWarning::LostTrack("audio"),
            _ => MuxWarning::NewConfiguration("audio"),
        });
        let layout = Layout { video: self.layout.video.clone(), audio: self.wanted_audio.clone() };
        self.change_layout(layout)
    }

    fn audio_is_lost(&self) -> bool {
        self.layout.audio.is_some() && (self.audio_withdrawn || self.silence > LOST)
    }

    /// The sender's clock jumped: the epoch's timeline goes on where it is.
    fn rebase(&mut self, raw: i64, by: i64) {
        self.close_part(None, true);
        self.end_segment(false);
        self.discontinuity = true;
        self.unrest += 1;
        self.warn(MuxWarning::TimestampJump { by_ms: by / 90 });
        let sound = self.audio.as_ref().and_then(AudioTimeline::expected).unwrap_or(self.end);
        self.end = self.end.max(sound);
        self.offset = raw - self.end;
        self.audio_offset = 0;
        self.stray = 0;
        self.video.cadence.resync();
        if let Some(sound) = self.layout.audio.as_ref().and_then(|t| t.config.sound()) {
            self.audio = Some(AudioTimeline::new(sound, self.end));
        }
    }

    // ---- sound

    fn take_audio(&mut self, frame: Frame, now: Option<Duration>) -> Result<(), MuxError> {
        self.audio_withdrawn = false;
        self.silence = 0;
        if !same(&self.layout.audio, Some(&frame.track)) {
            if self.layout.video.is_some() {
                self.hold(frame);
                return Ok(());
            }
            self.change_layout(Layout { video: None, audio: Some(Arc::clone(&frame.track)) })?;
        }
        let raw = frame.dts.0;
        let step = raw - self.last_audio.replace(raw).unwrap_or(raw);
        if self.layout.video.is_none() && !(-BACKWARDS..=JUMP).contains(&step) {
            self.rebase(raw, step);
        }
        let Some(dts) = self.place_audio(raw) else { return Ok(()) };
        if self.layout.video.is_none() {
            self.take_sound_only(dts, frame, now);
            return Ok(());
        }
        if let Some(audio) = &mut self.audio {
            audio.push(dts, frame.track.config.frame_samples(&frame.data), frame.data);
            // Sound that was held for this picture says nothing about the next one.
            self.darkness += if now.is_some() { audio.frame() } else { 0 };
        }
        if self.darkness > LOST.max(4 * self.video.frame()) {
            self.warn(MuxWarning::LostTrack("video"));
            let audio = self.layout.audio.clone();
            self.change_layout(Layout { video: None, audio })?;
            self.close_sound_parts();
        }
        Ok(())
    }

    /// Keeps sound of a configuration that can only begin at the next keyframe.
    fn hold(&mut self, frame: Frame) {
        if !same(&self.wanted_audio, Some(&frame.track)) {
            self.held.clear();
            self.wanted_audio = Some(Arc::clone(&frame.track));
        }
        if self.held.len() >= MAX_HELD {
            self.held.pop_front();
        }
        self.held.push_back(frame);
    }

    /// The epoch's time of sound at `raw`; `None` while it belongs nowhere.
    fn place_audio(&mut self, raw: i64) -> Option<i64> {
        let audio = self.audio.as_ref()?;
        let dts = raw - self.offset - self.audio_offset;
        let off = dts - audio.expected().unwrap_or(self.end);
        if self.layout.video.is_none() || off.abs() <= JUMP {
            self.stray = 0;
            return Some(dts);
        }
        // One of the tracks jumped; the other one usually follows within its interleaving.
        self.stray += audio.frame();
        if self.stray < STRAY {
            return None;
        }
        self.stray = 0;
        let off = dts - self.end;
        self.audio_offset += off;
        self.warn(MuxWarning::AudioMoved { by_ms: off / 90 });
        Some(dts - off)
    }

    /// Sound alone: a part is so many frames.
    fn take_sound_only(&mut self, dts: i64, frame: Frame, now: Option<Duration>) {
        let Some(audio) = &self.audio else { return };
        if audio.is_hole(dts) {
            self.close_part(None, true);
        }
        if let Some(audio) = &mut self.audio {
            audio.push(dts, frame.track.config.frame_samples(&frame.data), frame.data);
        }
        if self.audio.as_ref().is_some_and(|a| a.len() > 0) {
            self.opened_at = self.opened_at.or(now);
        }
        self.check_part_target();
        self.close_sound_parts();
    }

    fn close_sound_parts(&mut self) {
        while let Some(audio) = &self.audio {
            let (n, whole) = audio.fit(self.options.part_target.0 - ROUNDING_MARGIN);
            if !whole {
                return;
            }
            self.close_sound_part(n);
        }
    }

    /// Lists all waiting sound; no part is longer than a whole one.
    fn close_sound_rest(&mut self) {
        while let Some(audio) = &self.audio
            && audio.len() > 0
        {
            let (n, _) = audio.fit(self.options.part_target.0 - ROUNDING_MARGIN);
            self.close_sound_part(n);
        }
    }

    /// Lists `n` frames of sound, or those before a hole, as a part, in the next segment if this one would become too long.
    fn close_sound_part(&mut self, n: usize) {
        let Some(audio) = &self.audio else { return };
        let n = audio.contiguous(n);
        let (Some(start), Some(end)) = (audio.start(), audio.end_of(n)) else { return };
        // Exact to the tick: parts follow each other where the previous was declared to end.
        let start = if (start - self.end).abs() <= 1 { self.end } else { start.max(self.end) };
        let target = self.options.segment_target.0;
        let rounded = rounds_to((target + Ticks::RATE - 1) / Ticks::RATE).min(self.longest());
        if self.segment.is_some_and(|(s, _)| end - s > rounded) {
            self.end_segment(false);
        }
        if self.segment.is_none() {
            self.open_segment(start, self.layout.video.is_none());
        }
        if let Some(audio) = &mut self.audio {
            audio.take(n, &mut self.part_audio);
        }
        self.list_part(start, end.max(start + 1), self.layout.video.is_none());
        if self.layout.video.is_none() && self.segment.is_some_and(|(s, _)| self.end - s >= target) {
            self.end_segment(false);
        }
    }

    // ---- parts and segments

    /// EXTINF at most, in ticks.
    fn longest(&self) -> i64 {
        self.fixed.unwrap_or(self.options.segment_max.0)
    }

    /// Closes the open part: before the picture at `next`, or where the cadence says. The sound that has
    /// arrived and starts before the part's end goes in; with `all`, every waiting frame.
    fn close_part(&mut self, next: Option<i64>, all: bool) {
        let Some(start) = self.video.start() else {
            if self.layout.video.is_none() {
                self.close_sound_rest();
            }
            return;
        };
        let limit = self.segment.map_or(i64::MAX, |(s, _)| s.saturating_add(self.longest()));
        let end = match next {
            Some(next) => self.video.end_before(next, limit),
            None => self.video.declared_end(limit),
        };
        if let Some(audio) = &mut self.audio {
            audio.take_before(if all { i64::MAX } else { end }, &mut self.part_audio);
        }
        let independent = self.video.samples.first().is_some_and(|s| s.key);
        self.list_part(start, end, independent);
    }

    fn list_part(&mut self, start: i64, end: i64, independent: bool) {
        let id = |t: &Option<Arc<Track>>| t.as_ref().map_or(0, |t| init::track_id(t));
        self.sequence = self.sequence.wrapping_add(1);
        let opens = self.segment.as_mut().is_some_and(|(_, has_parts)| !mem::replace(has_parts, true));
        let data = part::write(
            self.sequence,
            opens,
            &Run { track: id(&self.layout.video), samples: &self.video.samples },
            end,
            &Run { track: id(&self.layout.audio), samples: &self.part_audio },
        );
        self.video.samples.clear();
        self.part_audio.clear();
        self.opened_at = None;
        self.end = end;
        self.out.push_back(Output::Part { data, duration: Ticks(end - start), independent });
    }

    fn open_segment(&mut self, start: i64, independent: bool) {
        self.segment = Some((start, false));
        let discontinuity = mem::take(&mut self.discontinuity);
        self.out.push_back(Output::SegmentStart { start: Ticks(start), discontinuity, independent });
    }

    /// The picture at `dts` opens the next segment: what is missing before it belongs to this one, as far as EXTINF may
    /// go, so that the sum of EXTINF stays the media's time.
    fn end_segment_before(&mut self, dts: i64, forced: bool) {
        let reached = self.segment.map_or(self.end, |(start, _)| {
            self.video.opening(self.end, dts).min(start.saturating_add(self.longest())).max(self.end)
        });
        self.end_segment_at(reached, forced);
    }

    fn end_segment(&mut self, forced: bool) {
        self.end_segment_at(self.end, forced);
    }

    fn end_segment_at(&mut self, end: i64, forced: bool) {
        if let Some((start, _)) = self.segment.take() {
            let duration = Ticks(end - start);
            if duration.0 * 2 >= self.options.segment_target.0 {
                self.unrest = self.unrest.saturating_sub(1);
            }
            self.out.push_back(Output::SegmentEnd { duration, forced });
        }
    }

    /// Says once that parts cannot fill 85 % of PART-TARGET, and which setting would do.
    fn check_part_target(&mut self) {
        if self
            .said
            .contains(&mem::discriminant(&MuxWarning::PartTargetUnreachable { frame_us: 0, advice_ms: 0 }))
        {
            return;
        }
        let target = self.options.part_target.0 as f64;
        let frame = match (&self.layout.video, &self.audio) {
            (Some(_), _) => self.video.misfit(),
            (None, Some(audio)) => {
                let part = audio.whole_frames(self.options.part_target.0 - ROUNDING_MARGIN);
                (part < 0.85 * target || part > target).then(|| audio.frame() as f64)
            }
            (None, None) => None,
        };
        let Some(frame) = frame else { return };
        let advice_ms = ((target / frame).ceil() * frame / 90.0).ceil() as i64 + 2;
        self.warn(MuxWarning::PartTargetUnreachable { frame_us: (frame * 100.0 / 9.0) as i64, advice_ms });
    }
}

/// The longest duration that rounds (half up) to `seconds`, less the margin.
fn rounds_to(seconds: i64) -> i64 {
    seconds * Ticks::RATE + Ticks::RATE / 2 - ROUNDING_MARGIN
}

/// The same track with the same configuration.
fn same(a: &Option<Arc<Track>>, b: Option<&Arc<Track>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (None, None) => true,
        _ => false,
    }
}
