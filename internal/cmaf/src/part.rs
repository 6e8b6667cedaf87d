//! One part: `moof` and `mdat`, in one allocation.

use bytes::Bytes;
use mp4_atom::{Encode, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};

use crate::{
    audio::AudioSample,
    boxes::{NON_SYNC, STYP, SYNC},
    video::VideoSample,
};

/// What a part holds of one track.
pub(crate) struct Run<'a, S> {
    /// `track_ID`.
    pub(crate) track: u32,
    /// The samples in decode order; none: the track is left out.
    pub(crate) samples: &'a [S],
}

/// A part's bytes: `styp` when it opens a segment, one `moof` with a `traf` for each track that has samples,
/// one `mdat`. `end` is where the last picture's duration ends.
pub(crate) fn write(
    sequence: u32,
    styp: bool,
    video: &Run<'_, VideoSample>,
    end: i64,
    audio: &Run<'_, AudioSample>,
) -> Bytes {
    let video_bytes: usize = video.samples.iter().map(|s| s.data.len()).sum();
    let audio_bytes: usize = audio.samples.iter().map(|s| s.data.len()).sum();
    let mut moof = Moof { mfhd: Mfhd { sequence_number: sequence }, traf: Vec::with_capacity(2) };
    if !video.samples.is_empty() {
        moof.traf.push(video_traf(video, end));
    }
    if !audio.samples.is_empty() {
        moof.traf.push(audio_traf(audio));
    }
    // Above what the headers take: 72 bytes a track, 16 a picture, 8 a sound frame.
    let headers = 256 + 16 * video.samples.len() + 8 * audio.samples.len();
    let mut buf = Vec::with_capacity(headers + video_bytes + audio_bytes);
    if styp {
        buf.extend_from_slice(STYP);
    }
    put_moof(&mut buf, &mut moof, [video_bytes, audio_bytes], video.samples.is_empty());
    buf.extend_from_slice(&((8 + video_bytes + audio_bytes) as u32).to_be_bytes());
    buf.extend_from_slice(b"mdat");
    for s in video.samples {
        buf.extend_from_slice(&s.data);
    }
    for s in audio.samples {
        buf.extend_from_slice(&s.data);
    }
    buf.into()
}

/// Writes the `moof` twice: its size, which the data offsets need, is known after the first time.
fn put_moof(buf: &mut Vec<u8>, moof: &mut Moof, bytes: [usize; 2], audio_only: bool) {
    let at = buf.len();
    let first = moof.encode(buf);
    debug_assert!(first.is_ok(), "encoding into a Vec fails only on sizes over 4 GiB");
    let mut offset = buf.len() - at + 8;
    let [video, audio] = bytes;
    for (traf, size) in moof.traf.iter_mut().zip(if audio_only { [audio, 0] } else { [video, audio] }) {
        if let Some(run) = traf.trun.first_mut() {
            run.data_offset = Some(offset as i32);
        }
        offset += size;
    }
    buf.truncate(at);
    let second = moof.encode(buf);
    debug_assert!(second.is_ok());
}

fn traf(track: u32, time: i64, entries: Vec<TrunEntry>) -> Traf {
    Traf {
        tfhd: Tfhd { track_id: track, default_base_is_moof: true, ..Tfhd::default() },
        tfdt: Some(Tfdt { base_media_decode_time: time.max(0) as u64 }),
        trun: vec![Trun { data_offset: Some(0), samples: entries.into() }],
        ..Traf::default()
    }
}

fn video_traf(run: &Run<'_, VideoSample>, end: i64) -> Traf {
    let next = run.samples.iter().skip(1).map(|s| s.time).chain([end]);
    let entries = run.samples.iter().zip(next).map(|(s, next)| TrunEntry {
        duration: Some((next - s.time).clamp(0, i64::from(u32::MAX)) as u32),
        size: Some(s.data.len() as u32),
        flags: Some(if s.key { SYNC } else { NON_SYNC }),
        cts: Some((s.pts - s.time).clamp(i64::from(i32::MIN), i64::from(i32::MAX))),
    });
    traf(run.track, run.samples.first().map_or(0, |s| s.time), entries.collect())
}

fn audio_traf(run: &Run<'_, AudioSample>) -> Traf {
    let entries = run.samples.iter().map(|s| TrunEntry {
        duration: Some(s.duration),
        size: Some(s.data.len() as u32),
        flags: None,
        cts: None,
    });
    traf(run.track, run.samples.first().map_or(0, |s| s.at), entries.collect())
}
