//! Stamps: a number inside each frame, which servers carry through and which is found again in what they serve.
//!
//! In video it is an SEI message of unregistered user data (ISO/IEC 14496-10 §D.1.6), in audio a data stream element
//! (ISO/IEC 14496-3 §4.4.2.6): decoders skip both, and packagers have no reason to touch them. A stamp is plain ASCII, so
//! that neither start codes nor emulation prevention can change it.

use bytes::Bytes;

use crate::publish::clip::{Kind, Tag};

/// What a stamp begins with; as long as the UUID that user data opens with.
const MARK: &[u8; 16] = b"rapidrtmp-stamp:";
/// The mark, the run and the number, in hexadecimal digits.
const LENGTH: usize = MARK.len() + 16;
/// Bytes before the payload: frame type and codec, packet type, composition time.
const VIDEO_HEADER: usize = 5;
/// Sound format and packet type.
const AUDIO_HEADER: usize = 2;

/// The body of a frame with its stamp. Sequence headers must not be given.
pub(crate) fn stamped(tag: &Tag, run: u32, number: u32) -> Bytes {
    let stamp = format!("{}{run:08x}{number:08x}", String::from_utf8_lossy(MARK));
    let (at, wrapped) = match tag.kind {
        // Length, NAL type 6, payload type 5 and its size, the payload, the stop bit.
        Kind::Video => {
            let nal = [&[6, 5, LENGTH as u8][..], stamp.as_bytes(), &[0x80]].concat();
            (VIDEO_HEADER, [&(nal.len() as u32).to_be_bytes()[..], &nal].concat())
        }
        // ID_DSE, instance 0, byte aligned; count; then the element that was first goes on, still aligned.
        Kind::Audio => (AUDIO_HEADER, [&[0x81, LENGTH as u8][..], stamp.as_bytes()].concat()),
    };
    let (header, rest) = tag.data.split_at(at.min(tag.data.len()));
    [header, &wrapped, rest].concat().into()
}

/// The numbers of the frames of a run in a part, in whatever container.
pub(crate) fn found(data: &[u8], run: u32) -> Vec<u32> {
    let hex = |digits: Option<&[u8]>| u32::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok();
    let mut out = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(MARK.len()).position(|w| w == MARK) {
        rest = &rest[at + MARK.len()..];
        if hex(rest.get(..8)) == Some(run) {
            out.extend(hex(rest.get(8..16)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: Kind, data: &'static [u8]) -> Tag {
        Tag { kind, time: 0, data: Bytes::from_static(data) }
    }

    #[test]
    fn a_video_frame_opens_with_a_user_data_message() {
        let b = stamped(&tag(Kind::Video, &[0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 9]), 0xabc, 31);
        assert_eq!(&b[..5], [0x17, 1, 0, 0, 0]);
        assert_eq!(&b[5..12], [0, 0, 0, 36, 6, 5, 32]);
        assert_eq!(&b[12..44], b"rapidrtmp-stamp:00000abc0000001f");
        assert_eq!(&b[44..], [0x80, 0, 0, 0, 2, 0x65, 9]);
    }

    #[test]
    fn an_audio_frame_opens_with_a_data_stream_element() {
        let b = stamped(&tag(Kind::Audio, &[0xaf, 1, 0x21, 0x10]), 1, 2);
        assert_eq!(&b[..4], [0xaf, 1, 0x81, 32]);
        assert_eq!(&b[36..], [0x21, 0x10]);
    }

    #[test]
    fn stamps_of_this_run_are_found_in_any_bytes() {
        let video = stamped(&tag(Kind::Video, &[0x27, 1, 0, 0, 0]), 7, 0x1_0000);
        let audio = stamped(&tag(Kind::Audio, &[0xaf, 1]), 7, 3);
        let other = stamped(&tag(Kind::Audio, &[0xaf, 1]), 8, 4);
        let cut = &audio[..audio.len() - 1];
        assert_eq!(found(&[b"moof", &video[..], &other, b"rr", &audio, cut].concat(), 7), [0x1_0000, 3]);
        assert_eq!(found(b"rapidrtmp-stamp:", 7), [0_u32; 0]);
    }
}
