//! Reads fragmented MP4 back: tracks of an init segment, samples of parts and segments.
//!
//! For the conformance checker and for tests. Every read is bounded by the input, every count by a constant;
//! hostile bytes give [`ReadError`], never a panic.

use std::ops::Range;

use thiserror::Error;

/// Tracks in an init segment at most.
const MAX_TRACKS: usize = 16;
/// Fragments in one buffer at most: a 10 s segment of 10 ms parts.
const MAX_FRAGMENTS: usize = 4_096;
/// Samples in one buffer at most.
const MAX_SAMPLES: usize = 200_000;

/// Why bytes are no fragmented MP4 that we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// A box or field ends behind its container.
    #[error("a box or field is cut off in {0}")]
    Short(&'static str),
    /// A box that must be there is not.
    #[error("there is no {0} box")]
    Missing(&'static str),
    /// More tracks, fragments or samples than any real file has.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// A track that the init segment does not have.
    #[error("track {0} is not in the init segment")]
    UnknownTrack(u32),
    /// Sample data outside the buffer.
    #[error("sample data lies outside the file")]
    OutOfData,
    /// Addressing other than from the start of the `moof` (default-base-is-moof).
    #[error("sample data is not addressed from its moof")]
    Base,
}

type Result<T> = std::result::Result<T, ReadError>;

/// What an init segment says about a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitTrack {
    /// `track_ID`.
    pub id: u32,
    /// Units a second.
    pub timescale: u32,
    /// `vide` or `soun`.
    pub handler: [u8; 4],
    /// The sample entry: `avc1`, `mp4a`, …
    pub codec: [u8; 4],
    /// The whole sample entry, for its configuration boxes.
    pub entry: Vec<u8>,
    default_duration: u32,
    default_size: u32,
    default_flags: u32,
}

/// A sample of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Decode time in the track's timescale.
    pub dts: u64,
    /// Presentation minus decode time.
    pub cts: i64,
    /// In the track's timescale.
    pub duration: u32,
    /// Sample flags (ISO/IEC 14496-12 §8.8.3.1).
    pub flags: u32,
    /// Where its bytes are in the buffer that was read.
    pub data: Range<usize>,
}

impl Sample {
    /// A sync sample: `sample_is_non_sync_sample` is not set.
    pub const fn is_sync(&self) -> bool {
        self.flags & 0x0001_0000 == 0
    }

    /// Presentation time in the track's timescale.
    pub const fn pts(&self) -> i64 {
        (self.dts as i64).saturating_add(self.cts)
    }

    /// Bytes.
    pub const fn size(&self) -> usize {
        self.data.end - self.data.start
    }
}

/// A `traf`: the samples of one track in one fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackRun {
    /// `track_ID`.
    pub track: u32,
    /// `baseMediaDecodeTime`.
    pub tfdt: u64,
    /// In decode order.
    pub samples: Vec<Sample>,
}

impl TrackRun {
    /// Where the last sample's duration ends.
    pub fn end(&self) -> u64 {
        self.samples.last().map_or(self.tfdt, |s| s.dts.saturating_add(u64::from(s.duration)))
    }
}

/// A `moof` with what surrounds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// A `styp` box stands before it.
    pub has_styp: bool,
    /// `sequence_number` of `mfhd`.
    pub sequence: u32,
    /// One for each `traf`.
    pub runs: Vec<TrackRun>,
}

impl Fragment {
    /// The run of a track, if it has samples here.
    pub fn run(&self, track: u32) -> Option<&TrackRun> {
        self.runs.iter().find(|r| r.track == track)
    }
}

/// Reads an init segment (`ftyp`, `moov`).
///
/// # Errors
/// [`ReadError`] when it has no `moov` with readable tracks.
pub fn init(data: &[u8]) -> Result<Vec<InitTrack>> {
    let moov = find(data, b"moov")?.ok_or(ReadError::Missing("moov"))?;
    let mut tracks = Vec::new();
    for child in Boxes::of(moov) {
        let (kind, range) = child?;
        if &kind == b"trak" {
            if tracks.len() >= MAX_TRACKS {
                return Err(ReadError::TooMany("tracks"));
            }
            tracks.push(trak(body(moov, &range))?);
        }
    }
    let mvex = find(moov, b"mvex")?.ok_or(ReadError::Missing("mvex"))?;
    for child in Boxes::of(mvex) {
        let (kind, range) = child?;
        if &kind == b"trex" {
            trex(body(mvex, &range), &mut tracks)?;
        }
    }
    Ok(tracks)
}

/// Reads parts or a whole segment: every `moof` with its samples.
///
/// # Errors
/// [`ReadError`] for malformed boxes, unknown tracks, or samples outside `data`.
pub fn fragments(data: &[u8], tracks: &[InitTrack]) -> Result<Vec<Fragment>> {
    let mut out: Vec<Fragment> = Vec::new();
    let (mut has_styp, mut left) = (false, MAX_SAMPLES);
    let mut at = 0;
    for child in Boxes::of(data) {
        let (kind, range) = child?;
        match &kind {
            b"styp" => has_styp = true,
            b"moof" => {
                if out.len() >= MAX_FRAGMENTS {
                    return Err(ReadError::TooMany("fragments"));
                }
                let moof = Moof { body: body(data, &range), at, data_len: data.len(), tracks };
                out.push(moof.read(std::mem::take(&mut has_styp), &mut left)?);
            }
            _ => {}
        }
        at = range.end;
    }
    Ok(out)
}

/// The kinds of the top-level boxes, in order.
///
/// # Errors
/// [`ReadError::Short`] when the last one is cut off.
pub fn box_kinds(data: &[u8]) -> Result<Vec<[u8; 4]>> {
    Boxes::of(data).take(MAX_FRAGMENTS * 3).map(|b| b.map(|(kind, _)| kind)).collect()
}

/// Iterates over the boxes in a buffer; each step moves at least the 8 bytes of a header.
struct Boxes<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Boxes<'a> {
    const fn of(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    fn step(&mut self) -> Result<([u8; 4], Range<usize>)> {
        let mut r = Reader::new(self.data.get(self.at..).unwrap_or_default(), "box header");
        let size = r.u32()?;
        let kind = r.array::<4>()?;
        let (head, size) = match size {
            0 => (8, (self.data.len() - self.at) as u64),
            1 => (16, r.u64()?),
            n => (8, u64::from(n)),
        };
        let size = usize::try_from(size).map_err(|_| ReadError::Short("box"))?;
        let end = self.at.checked_add(size).filter(|e| size >= head && *e <= self.data.len());
        let range = self.at + head..end.ok_or(ReadError::Short("box"))?;
        self.at = range.end;
        Ok((kind, range))
    }
}

impl Iterator for Boxes<'_> {
    type Item = Result<([u8; 4], Range<usize>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.data.len() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.at = self.data.len();
        }
        Some(step)
    }
}

fn body<'a>(data: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    data.get(range.clone()).unwrap_or_default()
}

fn find<'a>(data: &'a [u8], wanted: &[u8; 4]) -> Result<Option<&'a [u8]>> {
    for child in Boxes::of(data) {
        let (kind, range) = child?;
        if &kind == wanted {
            return Ok(Some(body(data, &range)));
        }
    }
    Ok(None)
}

fn need<'a>(data: &'a [u8], kind: &'static [u8; 4]) -> Result<&'a [u8]> {
    find(data, kind)?.ok_or(ReadError::Missing(std::str::from_utf8(kind).unwrap_or("?")))
}

fn trak(trak: &[u8]) -> Result<InitTrack> {
    let mut tkhd = Reader::new(need(trak, b"tkhd")?, "tkhd");
    tkhd.full_times()?;
    let id = tkhd.u32()?;
    let mdia = need(trak, b"mdia")?;
    let mut mdhd = Reader::new(need(mdia, b"mdhd")?, "mdhd");
    mdhd.full_times()?;
    let timescale = mdhd.u32()?;
    let mut hdlr = Reader::new(need(mdia, b"hdlr")?, "hdlr");
    hdlr.skip(8)?;
    let handler = hdlr.array()?;
    let stsd = need(need(need(mdia, b"minf")?, b"stbl")?, b"stsd")?;
    let entries = stsd.get(8..).ok_or(ReadError::Short("stsd"))?;
    let (codec, range) = Boxes::of(entries).next().ok_or(ReadError::Missing("sample entry"))??;
    let entry = body(entries, &range).to_vec();
    let (default_duration, default_size, default_flags) = (0, 0, 0);
    Ok(InitTrack { id, timescale, handler, codec, entry, default_duration, default_size, default_flags })
}

fn trex(trex: &[u8], tracks: &mut [InitTrack]) -> Result<()> {
    let mut r = Reader::new(trex, "trex");
    r.skip(4)?;
    let id = r.u32()?;
    r.skip(4)?;
    let track = tracks.iter_mut().find(|t| t.id == id).ok_or(ReadError::UnknownTrack(id))?;
    track.default_duration = r.u32()?;
    track.default_size = r.u32()?;
    track.default_flags = r.u32()?;
    Ok(())
}

struct Moof<'a> {
    body: &'a [u8],
    /// Where the box starts in the file: what data offsets count from.
    at: usize,
    data_len: usize,
    tracks: &'a [InitTrack],
}

struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

impl Moof<'_> {
    fn read(&self, has_styp: bool, left: &mut usize) -> Result<Fragment> {
        let mut mfhd = Reader::new(need(self.body, b"mfhd")?, "mfhd");
        mfhd.skip(4)?;
        let sequence = mfhd.u32()?;
        let mut runs = Vec::new();
        for child in Boxes::of(self.body) {
            let (kind, range) = child?;
            if &kind == b"traf" {
                if runs.len() >= MAX_TRACKS {
                    return Err(ReadError::TooMany("trafs"));
                }
                runs.push(self.traf(body(self.body, &range), left)?);
            }
        }
        Ok(Fragment { has_styp, sequence, runs })
    }

    fn traf(&self, traf: &[u8], left: &mut usize) -> Result<TrackRun> {
        let mut tfhd = Reader::new(need(traf, b"tfhd")?, "tfhd");
        let flags = tfhd.u32()?;
        let track = tfhd.u32()?;
        if flags & 0x02_0000 == 0 || flags & 1 != 0 {
            return Err(ReadError::Base);
        }
        let known = self.tracks.iter().find(|t| t.id == track).ok_or(ReadError::UnknownTrack(track))?;
        if flags & 2 != 0 {
            tfhd.skip(4)?;
        }
        let defaults = Defaults {
            duration: tfhd.optional(flags & 8 != 0)?.unwrap_or(known.default_duration),
            size: tfhd.optional(flags & 16 != 0)?.unwrap_or(known.default_size),
            flags: tfhd.optional(flags & 32 != 0)?.unwrap_or(known.default_flags),
        };
        let mut tfdt_box = Reader::new(need(traf, b"tfdt")?, "tfdt");
        let tfdt = if tfdt_box.u32()? >> 24 == 0 { u64::from(tfdt_box.u32()?) } else { tfdt_box.u64()? };
        let mut run = TrackRun { track, tfdt, samples: Vec::new() };
        let mut next = self.at;
        for child in Boxes::of(traf) {
            let (kind, range) = child?;
            if &kind == b"trun" {
                next = self.trun(body(traf, &range), &defaults, next, &mut run, left)?;
            }
        }
        Ok(run)
    }

    /// Adds a run's samples; gives where the next run's data begin if it does not say.
    fn trun(
        &self,
        trun: &[u8],
        defaults: &Defaults,
        next: usize,
        run: &mut TrackRun,
        left: &mut usize,
    ) -> Result<usize> {
        let mut r = Reader::new(trun, "trun");
        let head = r.u32()?;
        let count = r.u32()? as usize;
        *left = left.checked_sub(count).ok_or(ReadError::TooMany("samples"))?;
        let offset = r.optional(head & 1 != 0)?;
        let mut at = match offset {
            Some(o) => self.at.checked_add_signed(o as i32 as isize).ok_or(ReadError::OutOfData)?,
            None => next,
        };
        let mut first_flags = r.optional(head & 4 != 0)?;
        for _ in 0..count {
            let duration = r.optional(head & 0x100 != 0)?.unwrap_or(defaults.duration);
            let size = r.optional(head & 0x200 != 0)?.unwrap_or(defaults.size) as usize;
            let own = r.optional(head & 0x400 != 0)?;
            let flags = first_flags.take().or(own).unwrap_or(defaults.flags);
            let cts = r.optional(head & 0x800 != 0)?.unwrap_or(0);
            let cts = if head >> 24 == 0 { i64::from(cts) } else { i64::from(cts as i32) };
            let end = at.checked_add(size).filter(|e| *e <= self.data_len).ok_or(ReadError::OutOfData)?;
            let dts = run.end();
            run.samples.push(Sample { dts, cts, duration, flags, data: at..end });
            at = end;
        }
        Ok(at)
    }
}

/// Big-endian fields of a box.
struct Reader<'a> {
    data: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    const fn new(data: &'a [u8], what: &'static str) -> Self {
        Self { data, what }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.data.split_first_chunk::<N>().ok_or(ReadError::Short(self.what))?;
        self.data = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn skip(&mut self, n: usize) -> Result<()> {
        self.data = self.data.get(n..).ok_or(ReadError::Short(self.what))?;
        Ok(())
    }

    fn optional(&mut self, present: bool) -> Result<Option<u32>> {
        if present { self.u32().map(Some) } else { Ok(None) }
    }

    /// Version, flags, creation and modification time, whose width the version gives.
    fn full_times(&mut self) -> Result<()> {
        let version = self.u32()? >> 24;
        self.skip(if version == 0 { 8 } else { 16 })
    }
}
