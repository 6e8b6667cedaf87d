//! Reads an FLV file (Adobe FLV 10.1, annex E).

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;

use super::clip::{Clip, Kind, Tag};

const SCRIPT: u8 = 18;

/// Reads a whole file. Tags before the first keyframe are left out, and times begin at 0.
///
/// # Errors
/// When it is no FLV file, is cut short in its header, or holds no media.
pub(crate) fn read(file: &Bytes) -> Result<Clip> {
    ensure!(file.starts_with(b"FLV"), "not an FLV file");
    let header =
        file.get(5..9).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes).context("cut short")?;
    let mut rest = file.slice((header as usize + 4).min(file.len())..);
    let mut clip = Clip::default();
    // A recording may be cut off in the middle of its last tag.
    while let Some((kind, time, body)) = tag(&mut rest) {
        let kind = match kind {
            8 => Kind::Audio,
            9 => Kind::Video,
            SCRIPT => {
                clip.metadata.get_or_insert(body);
                continue;
            }
            other => bail!("tag type {other}"),
        };
        let tag = Tag { kind, time, data: body };
        if is_header(&tag) {
            clip.headers.push(Tag { time: 0, ..tag });
        } else {
            clip.tags.push(tag);
        }
    }
    trim(&mut clip)?;
    Ok(clip)
}

fn tag(rest: &mut Bytes) -> Option<(u8, u32, Bytes)> {
    let head: [u8; 11] = rest.get(..11)?.try_into().ok()?;
    let size = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
    let time = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
    if rest.len() < 11 + size {
        return None;
    }
    let body = rest.slice(11..11 + size);
    *rest = rest.slice((11 + size + 4).min(rest.len())..);
    Some((head[0] & 0x1f, time, body))
}

/// AVC and AAC configuration: packet type 0.
fn is_header(t: &Tag) -> bool {
    match (t.kind, t.data.first(), t.data.get(1)) {
        (Kind::Video, Some(b), Some(0)) => b & 0x8f == 7,
        (Kind::Audio, Some(b), Some(0)) => b >> 4 == 10,
        _ => false,
    }
}

fn is_key(t: &Tag) -> bool {
    t.kind == Kind::Video && t.data.first().is_some_and(|b| b >> 4 & 7 == 1)
}

fn trim(clip: &mut Clip) -> Result<()> {
    clip.tags.sort_by_key(|t| t.time);
    let start = clip.tags.iter().position(is_key).unwrap_or(0);
    clip.tags.drain(..start);
    let first = clip.tags.first().context("no media in the file")?.time;
    clip.tags.iter_mut().for_each(|t| t.time -= first);
    let last = |kind| clip.tags.iter().rev().filter(move |t| t.kind == kind).map(|t| t.time);
    // The next round starts one frame after the last one of the track that ends later.
    let end = |kind| {
        let mut times = last(kind);
        let end = times.next()?;
        Some(end + end.saturating_sub(times.next().unwrap_or(end)).clamp(1, 1000))
    };
    clip.length = end(Kind::Video).max(end(Kind::Audio)).unwrap_or(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flv(tags: &[(u8, u32, &[u8])]) -> Bytes {
        let mut out = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        for (kind, time, body) in tags {
            out.push(*kind);
            out.extend(&(body.len() as u32).to_be_bytes()[1..]);
            out.extend(&time.to_be_bytes()[1..]);
            out.extend([time.to_be_bytes()[0], 0, 0, 0]);
            out.extend(*body);
            out.extend((body.len() as u32 + 11).to_be_bytes());
        }
        out.into()
    }

    #[test]
    fn a_file_becomes_a_clip_from_its_first_keyframe() {
        let file = flv(&[
            (18, 0, b"meta"),
            (9, 0, b"\x17\0avcc"),
            (8, 0, b"\xaf\0asc"),
            (9, 100, b"\x27\x01p"),
            (9, 133, b"\x17\x01i"),
            (8, 140, b"\xaf\x01a"),
            (9, 166, b"\x27\x01p"),
        ]);
        let clip = read(&file).unwrap();
        assert_eq!((clip.metadata.as_deref(), clip.headers.len()), (Some(&b"meta"[..]), 2));
        assert_eq!(clip.tags.iter().map(|t| t.time).collect::<Vec<_>>(), [0, 7, 33]);
        assert_eq!(clip.length, 66);
        assert_eq!(read(&file.slice(..file.len() - 6)).unwrap().tags.len(), 2, "the last tag is cut off");
    }

    #[test]
    fn other_files_are_refused() {
        assert!(read(&Bytes::from_static(b"MP4")).is_err());
        assert!(read(&Bytes::from_static(b"FLV")).is_err());
        assert!(read(&flv(&[])).is_err());
    }
}
