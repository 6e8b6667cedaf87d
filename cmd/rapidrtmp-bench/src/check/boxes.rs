//! A small reader of fragmented MP4 (ISO/IEC 14496-12), written apart from the server's muxer so that the two can
//! disagree.

use thiserror::Error;

/// The box nesting that is followed: moov/trak/mdia/mdhd is four deep.
const MAX_SAMPLES: u32 = 100_000;

/// Why bytes are no readable fMP4.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum BoxError {
    /// A box or field reaches past the end of its parent.
    #[error("a box ends early")]
    Short,
    /// A box that must be there is not.
    #[error("no {0} box")]
    Missing(&'static str),
    /// A run that claims more samples than any part has.
    #[error("a run of too many samples")]
    TooMany,
}

/// One track of an initialization section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InitTrack {
    pub(crate) id: u32,
    pub(crate) timescale: u32,
    pub(crate) video: bool,
    defaults: Defaults,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

/// One sample of a track fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) duration: u32,
    pub(crate) size: u32,
    pub(crate) flags: u32,
    /// Composition offset, signed.
    pub(crate) offset: i64,
}

impl Sample {
    /// Decoding can start here (sample_is_non_sync_sample is 0).
    pub(crate) const fn sync(&self) -> bool {
        self.flags & 0x0001_0000 == 0
    }

    /// sample_depends_on: 1 depends on others, 2 does not.
    pub(crate) const fn depends_on(&self) -> u32 {
        self.flags >> 24 & 3
    }
}

/// One `traf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traf {
    pub(crate) track: u32,
    /// baseMediaDecodeTime, in the track's timescale.
    pub(crate) time: u64,
    pub(crate) base_is_moof: bool,
    /// A composition offset over 2^31 in a version 0 run: a negative one, written wrongly.
    pub(crate) wrapped_offset: bool,
    pub(crate) samples: Vec<Sample>,
}

impl Traf {
    /// Sum of the samples' durations.
    pub(crate) fn duration(&self) -> u64 {
        self.samples.iter().map(|s| u64::from(s.duration)).sum()
    }
}

/// One `moof` with the size of its `mdat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moof {
    pub(crate) trafs: Vec<Traf>,
    pub(crate) mdat: u64,
}

/// Reads the tracks of an initialization section.
pub(crate) fn read_init(data: &[u8]) -> Result<Vec<InitTrack>, BoxError> {
    let moov = child(data, b"moov")?;
    let mut tracks = Vec::new();
    for trak in all(moov, b"trak")? {
        let tkhd = child(trak, b"tkhd")?;
        let mdia = child(trak, b"mdia")?;
        let mdhd = child(mdia, b"mdhd")?;
        let wide = |b: &[u8]| b.first() == Some(&1);
        tracks.push(InitTrack {
            id: u32_at(tkhd, if wide(tkhd) { 20 } else { 12 })?,
            timescale: u32_at(mdhd, if wide(mdhd) { 20 } else { 12 })?.max(1),
            video: child(mdia, b"hdlr")?.get(8..12) == Some(b"vide"),
            defaults: Defaults::default(),
        });
    }
    for trex in all(child(moov, b"mvex")?, b"trex")? {
        let id = u32_at(trex, 4)?;
        let defaults =
            Defaults { duration: u32_at(trex, 12)?, size: u32_at(trex, 16)?, flags: u32_at(trex, 20)? };
        tracks.iter_mut().filter(|t| t.id == id).for_each(|t| t.defaults = defaults);
    }
    if tracks.is_empty() { Err(BoxError::Missing("trak")) } else { Ok(tracks) }
}

/// Reads the fragments of a part or segment; none at all when there is no `moof` (a gap).
pub(crate) fn read_media(data: &[u8], tracks: &[InitTrack]) -> Result<Vec<Moof>, BoxError> {
    let mut moofs: Vec<Moof> = Vec::new();
    for b in boxes(data)? {
        match (&b.kind, moofs.last_mut()) {
            (b"moof", _) => {
                let trafs = all(b.body, b"traf")?;
                let trafs = trafs.into_iter().map(|t| traf(t, tracks)).collect::<Result<_, _>>()?;
                moofs.push(Moof { trafs, mdat: 0 });
            }
            (b"mdat", Some(moof)) => moof.mdat += b.body.len() as u64,
            _ => {}
        }
    }
    Ok(moofs)
}

struct Box4<'a> {
    kind: [u8; 4],
    body: &'a [u8],
}

fn boxes(mut data: &[u8]) -> Result<Vec<Box4<'_>>, BoxError> {
    let mut out = Vec::new();
    while !data.is_empty() {
        let kind = data.get(4..8).and_then(|k| k.try_into().ok()).ok_or(BoxError::Short)?;
        let (head, size) = match u32_at(data, 0)? {
            1 => (16, usize::try_from(u64_at(data, 8)?).map_err(|_| BoxError::Short)?),
            0 => (8, data.len()),
            n => (8, n as usize),
        };
        let body = data.get(head..size).ok_or(BoxError::Short)?;
        out.push(Box4 { kind, body });
        data = data.get(size..).ok_or(BoxError::Short)?;
    }
    Ok(out)
}

fn all<'a>(data: &'a [u8], kind: &[u8; 4]) -> Result<Vec<&'a [u8]>, BoxError> {
    Ok(boxes(data)?.into_iter().filter(|b| b.kind == *kind).map(|b| b.body).collect())
}

fn child<'a>(data: &'a [u8], kind: &'static [u8; 4]) -> Result<&'a [u8], BoxError> {
    let name = std::str::from_utf8(kind).unwrap_or("?");
    all(data, kind)?.into_iter().next().ok_or(BoxError::Missing(name))
}

fn traf(data: &[u8], tracks: &[InitTrack]) -> Result<Traf, BoxError> {
    let tfhd = child(data, b"tfhd")?;
    let flags = u32_at(tfhd, 0)? & 0x00ff_ffff;
    let track = u32_at(tfhd, 4)?;
    let mut d = tracks.iter().find(|t| t.id == track).map(|t| t.defaults).unwrap_or_default();
    let mut at = 8 + if flags & 1 != 0 { 8 } else { 0 } + if flags & 2 != 0 { 4 } else { 0 };
    for (bit, field) in [(8, &mut d.duration), (0x10, &mut d.size), (0x20, &mut d.flags)] {
        if flags & bit != 0 {
            *field = u32_at(tfhd, at)?;
            at += 4;
        }
    }
    let tfdt = child(data, b"tfdt")?;
    let time = if tfdt.first() == Some(&1) { u64_at(tfdt, 4)? } else { u64::from(u32_at(tfdt, 4)?) };
    let mut out = Traf { track, time, base_is_moof: flags & 0x02_0000 != 0, ..Traf::default() };
    for run in all(data, b"trun")? {
        trun(run, d, &mut out)?;
    }
    Ok(out)
}

fn trun(run: &[u8], d: Defaults, out: &mut Traf) -> Result<(), BoxError> {
    let word = u32_at(run, 0)?;
    let (version, flags) = (word >> 24, word & 0x00ff_ffff);
    let count = u32_at(run, 4)?;
    if count > MAX_SAMPLES {
        return Err(BoxError::TooMany);
    }
    let mut at = 8 + if flags & 1 != 0 { 4 } else { 0 };
    let mut next = |given: bool, default: u32| -> Result<u32, BoxError> {
        if !given {
            return Ok(default);
        }
        at += 4;
        u32_at(run, at - 4)
    };
    let first_flags = next(flags & 4 != 0, d.flags)?;
    for i in 0..count {
        let default_flags = if i == 0 && flags & 4 != 0 { first_flags } else { d.flags };
        let duration = next(flags & 0x100 != 0, d.duration)?;
        let size = next(flags & 0x200 != 0, d.size)?;
        let sample_flags = next(flags & 0x400 != 0, default_flags)?;
        let raw = next(flags & 0x800 != 0, 0)?;
        out.wrapped_offset |= version == 0 && raw > 1 << 31;
        let offset = if version == 0 { i64::from(raw) } else { i64::from(raw.cast_signed()) };
        out.samples.push(Sample { duration, size, flags: sample_flags, offset });
    }
    Ok(())
}

fn u32_at(data: &[u8], at: usize) -> Result<u32, BoxError> {
    let bytes = data.get(at..at + 4).and_then(|b| b.try_into().ok()).ok_or(BoxError::Short)?;
    Ok(u32::from_be_bytes(bytes))
}

fn u64_at(data: &[u8], at: usize) -> Result<u64, BoxError> {
    let bytes = data.get(at..at + 8).and_then(|b| b.try_into().ok()).ok_or(BoxError::Short)?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
pub(crate) mod made {
    //! Tiny boxes for tests.

    /// A box.
    pub(crate) fn mp4(kind: &[u8; 4], body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], &body].concat()
    }

    fn words(w: &[u32]) -> Vec<u8> {
        w.iter().flat_map(|w| w.to_be_bytes()).collect()
    }

    /// An init section: track 1 video at 90000, track 2 audio at 48000.
    pub(crate) fn init() -> Vec<u8> {
        let trak = |id: u32, scale: u32, kind: &[u8; 4]| {
            let tkhd = mp4(b"tkhd", &[&words(&[0, 0, 0, id, 0])]);
            let mdhd = mp4(b"mdhd", &[&words(&[0, 0, 0, scale, 0, 0])]);
            let hdlr = mp4(b"hdlr", &[&words(&[0, 0]), kind, &words(&[0, 0, 0])]);
            mp4(b"trak", &[&tkhd, &mp4(b"mdia", &[&mdhd, &hdlr])])
        };
        let trex = |id: u32| mp4(b"trex", &[&words(&[0, id, 1, 0, 0, 0])]);
        let mvex = mp4(b"mvex", &[&trex(1), &trex(2)]);
        mp4(b"moov", &[&trak(1, 90_000, b"vide"), &trak(2, 48_000, b"soun"), &mvex])
    }

    /// A part of one video run at `time`: each sample is (duration, flags, offset).
    pub(crate) fn part(time: u64, samples: &[(u32, u32, i32)]) -> Vec<u8> {
        traf_part(1, 0x02_0000, time, 1, samples)
    }

    /// The same with every field free.
    pub(crate) fn traf_part(
        track: u32,
        tfhd: u32,
        time: u64,
        version: u32,
        samples: &[(u32, u32, i32)],
    ) -> Vec<u8> {
        let rows: Vec<u8> =
            samples.iter().flat_map(|&(d, f, o)| words(&[d, 1, f, o.cast_unsigned()])).collect();
        let trun = mp4(b"trun", &[&words(&[version << 24 | 0xf01, samples.len() as u32, 0]), &rows]);
        let tfdt = mp4(b"tfdt", &[&words(&[1 << 24]), &time.to_be_bytes()]);
        let tfhd = mp4(b"tfhd", &[&words(&[tfhd, track])]);
        let moof = mp4(b"moof", &[&mp4(b"traf", &[&tfhd, &tfdt, &trun])]);
        [moof, mp4(b"mdat", &[&vec![0; samples.len()]])].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: u32 = 0x0200_0000;
    const DELTA: u32 = 0x0101_0000;

    #[test]
    fn an_init_and_a_part_are_read() {
        let tracks = read_init(&made::init()).unwrap();
        assert_eq!(
            tracks.iter().map(|t| (t.id, t.timescale, t.video)).collect::<Vec<_>>(),
            [(1, 90_000, true), (2, 48_000, false)]
        );
        let moofs = read_media(&made::part(9000, &[(3000, SYNC, 0), (3000, DELTA, -3000)]), &tracks).unwrap();
        let t = &moofs[0].trafs[0];
        assert_eq!(
            (moofs.len(), moofs[0].mdat, t.time, t.duration(), t.base_is_moof),
            (1, 2, 9000, 6000, true)
        );
        assert!(t.samples[0].sync() && !t.samples[1].sync());
        assert_eq!((t.samples[1].offset, t.samples[1].depends_on()), (-3000, 1));
    }

    #[test]
    fn every_truncation_is_an_error_or_a_gap() {
        let tracks = read_init(&made::init()).unwrap();
        let part = made::part(0, &[(3000, SYNC, 0)]);
        let moof = u32_at(&part, 0).unwrap() as usize;
        for n in 1..part.len() {
            assert_eq!(read_media(&part[..n], &tracks).is_ok(), n == moof, "{n}");
        }
        assert_eq!(read_media(&[], &tracks), Ok(Vec::new()));
        assert_eq!(read_init(&[]), Err(BoxError::Missing("moov")));
    }
}
