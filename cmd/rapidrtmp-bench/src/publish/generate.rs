//! A picture and a silent sound made here, so that load needs no file and no encoder.
//!
//! Video is H.264 Constrained Baseline: IDR pictures of raw macroblocks (I_PCM), and P pictures that skip all but a few
//! raw ones, which paint a band that moves. Raw macroblocks cost 384 bytes each, so their number sets the bitrate.

use bytes::Bytes;

use super::{
    bits::Bits,
    clip::{Clip, Kind, Tag},
};

/// Bytes of a raw 4:2:0 macroblock.
const RAW: u32 = 384;
/// AAC-LC, 48 kHz, stereo.
const ASC: [u8; 2] = [0x11, 0x90];
/// A frame of AAC-LC stereo silence.
const SILENCE: [u8; 6] = [0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c];

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picture {
    /// Pixels, multiples of 16.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Frames a second.
    pub(crate) fps: u32,
    /// Seconds from keyframe to keyframe.
    pub(crate) gop: u32,
    /// Video bit/s, reached by the P pictures as far as there is room in them.
    pub(crate) bitrate: u32,
}

/// A clip of two GOPs.
pub(crate) fn generate(p: Picture) -> Clip {
    let mut clip = Clip { length: 2 * p.gop * 1000, ..Clip::default() };
    clip.headers = vec![
        Tag { kind: Kind::Video, time: 0, data: video_tag(true, 0, &record(p)) },
        Tag { kind: Kind::Audio, time: 0, data: [&[0xaf, 0][..], &ASC].concat().into() },
    ];
    let in_gop = p.gop * p.fps;
    for i in 0..2 * in_gop {
        let nal = if i % in_gop == 0 { idr(p, i / in_gop) } else { delta(p, i % in_gop, i) };
        let sample = [&(nal.len() as u32).to_be_bytes()[..], &nal].concat();
        let time = (u64::from(i) * 1000 / u64::from(p.fps)) as u32;
        clip.tags.push(Tag { kind: Kind::Video, time, data: video_tag(i % in_gop == 0, 1, &sample) });
    }
    let sound: Bytes = [&[0xaf, 1][..], &SILENCE].concat().into();
    for i in 0.. {
        let time = (i * 1024 * 1000 / 48_000) as u32;
        if time >= clip.length {
            break;
        }
        clip.tags.push(Tag { kind: Kind::Audio, time, data: sound.clone() });
    }
    clip.tags.sort_by_key(|t| t.time);
    clip
}

fn video_tag(key: bool, packet_type: u8, body: &[u8]) -> Bytes {
    [&[if key { 0x17 } else { 0x27 }, packet_type, 0, 0, 0][..], body].concat().into()
}

fn macroblocks(p: Picture) -> u32 {
    (p.width / 16) * (p.height / 16)
}

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
fn record(p: Picture) -> Vec<u8> {
    let (sps, pps) = (sps(p), pps());
    let mut out = vec![1, sps[1], sps[2], sps[3], 0xff, 0xe1];
    out.extend((sps.len() as u16).to_be_bytes());
    out.extend(&sps);
    out.push(1);
    out.extend((pps.len() as u16).to_be_bytes());
    out.extend(&pps);
    out
}

fn sps(p: Picture) -> Vec<u8> {
    let mut b = Bits::default();
    // Constrained Baseline (constraint_set0 and 1), level 4.
    b.put(66, 8).put(0xc0, 8).put(40, 8);
    // Id, 4 bits of frame_num, picture order as decoded, one reference, no gaps.
    b.ue(0).ue(0).ue(2).ue(1).put(0, 1);
    b.ue(p.width / 16 - 1).ue(p.height / 16 - 1);
    // Frames only, direct 8x8, no cropping.
    b.put(1, 1).put(1, 1).put(0, 1);
    // VUI: nothing but a fixed frame rate.
    b.put(1, 1).put(0, 4).put(1, 1).put(1, 32).put(2 * p.fps, 32).put(1, 1).put(0, 4);
    b.nal(0x67)
}

fn pps() -> Vec<u8> {
    let mut b = Bits::default();
    b.ue(0).ue(0).put(0, 2).ue(0).ue(0).ue(0).put(0, 3);
    // QPs and chroma offset 0; the deblocking filter is controlled by the slice.
    b.se0().se0().se0().put(1, 1).put(0, 2);
    b.nal(0x68)
}

fn raw(b: &mut Bits, luma: u8) {
    b.align().fill(luma, 256).fill(128, 128);
}

fn idr(p: Picture, round: u32) -> Vec<u8> {
    let mut b = Bits::default();
    // I slice of the whole picture, frame_num 0, idr_pic_id, no marking, QP delta 0, no deblocking.
    b.ue(0).ue(7).ue(0).put(0, 4).ue(round % 2).put(0, 2).se0().ue(1);
    for i in 0..macroblocks(p) {
        b.ue(25);
        raw(&mut b, 40 + ((i % (p.width / 16)) * 6 % 160) as u8);
    }
    b.nal(0x65)
}

/// A P picture: skips, a band of raw macroblocks, skips.
fn delta(p: Picture, in_gop: u32, i: u32) -> Vec<u8> {
    let total = macroblocks(p);
    let key_bits = total * RAW * 8;
    let left = (p.bitrate * p.gop).saturating_sub(key_bits) / (p.gop * p.fps).max(1);
    let band = (left / (RAW * 8)).min(total);
    let start = if band == total { 0 } else { i * band.max(1) % (total - band) };
    let mut b = Bits::default();
    // P slice, frame_num, no override, no reordering, sliding window, QP delta 0, no deblocking.
    b.ue(0).ue(5).ue(0).put(in_gop % 16, 4).put(0, 1).put(0, 1).put(0, 1).se0().ue(1);
    for k in 0..band {
        b.ue(if k == 0 { start } else { 0 }).ue(5 + 25);
        raw(&mut b, 60 + (i % 150) as u8);
    }
    let rest = total - if band == 0 { 0 } else { start + band };
    if rest > 0 {
        b.ue(rest);
    }
    b.nal(0x41)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Picture = Picture { width: 320, height: 176, fps: 30, gop: 2, bitrate: 1_000_000 };

    #[test]
    fn the_bitrate_is_met_and_audio_runs_beside() {
        let clip = generate(SMALL);
        let bytes = |kind| clip.tags.iter().filter(|t| t.kind == kind).map(|t| t.data.len()).sum::<usize>();
        let video = bytes(Kind::Video) * 8 / 4;
        assert!((850_000..1_100_000).contains(&video), "{video}");
        assert_eq!(clip.tags.iter().filter(|t| t.kind == Kind::Video).count(), 120);
        assert_eq!(clip.tags.iter().filter(|t| t.kind == Kind::Audio).count(), 188);
        assert_eq!((clip.length, clip.headers.len()), (4000, 2));
    }

    #[test]
    fn no_bitrate_at_all_still_gives_pictures() {
        let clip = generate(Picture { bitrate: 0, ..SMALL });
        assert!(clip.tags.iter().all(|t| t.data.len() > 6));
    }
}
