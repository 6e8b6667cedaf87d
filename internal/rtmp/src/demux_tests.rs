use media::Ticks;

use super::*;

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// An AVC sequence header; `level` makes configurations differ.
pub(crate) fn avc_config(level: u8) -> Bytes {
    let mut b = vec![0x17, 0, 0, 0, 0, 1, 0x64, 0, level, 0xff, 0xe1, 0, SPS.len() as u8];
    b.extend(SPS);
    b.extend([1, 0, PPS.len() as u8]);
    b.extend(PPS);
    b.into()
}

/// One NAL unit of a type in an AVC frame.
pub(crate) fn avc_frame(nal: u8, composition: i32) -> Bytes {
    let mut b = vec![if nal == 5 { 0x17 } else { 0x27 }, 1];
    b.extend(&composition.to_be_bytes()[1..]);
    b.extend([0, 0, 0, 2, nal, 0x80]);
    b.into()
}

const ASC: &[u8] = &[0xaf, 0, 0x12, 0x10];
const AAC: &[u8] = &[0xaf, 1, 0x21, 0x10];
const FLV1: &[u8] = &[0x12, 0, 0];
const MP3: &[u8] = &[0x2f, 0xff, 0xfb];

fn bytes(b: &'static [u8]) -> Bytes {
    Bytes::from_static(b)
}

fn events(d: &mut Demuxer) -> Vec<Event> {
    d.events().collect()
}

fn frames(d: &mut Demuxer) -> Vec<Frame> {
    d.events().filter_map(|e| if let Event::Frame(f) = e { Some(f) } else { None }).collect()
}

fn warnings(d: &mut Demuxer) -> Vec<Warning> {
    d.events().filter_map(|e| if let Event::Warning(w) = e { Some(w) } else { None }).collect()
}

fn expect(video: Option<bool>, audio: Option<bool>) -> Metadata {
    Metadata { expect_video: video, expect_audio: audio, ..Metadata::default() }
}

#[test]
fn configurations_make_tracks_and_frames_follow() {
    let mut d = Demuxer::default();
    d.metadata(expect(Some(true), Some(true)));
    d.video(0, &avc_config(31)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    let e = events(&mut d);
    assert_eq!(e.len(), 3);
    let Event::Tracks(t) = &e[2] else { panic!("{e:?}") };
    assert_eq!((t.video.as_ref().unwrap().id, t.audio.as_ref().unwrap().id), (0, 1));
    assert_eq!(t.metadata.expect_audio, Some(true));
    d.video(40, &avc_frame(5, 80)).unwrap();
    d.audio(46, &bytes(AAC)).unwrap();
    d.video(80, &avc_frame(1, -40)).unwrap();
    let f = frames(&mut d);
    assert_eq!(f.iter().map(|f| (f.track.id, f.key)).collect::<Vec<_>>(), [(0, true), (1, true), (0, false)]);
    assert_eq!((f[0].dts, f[0].pts), (Ticks(3_600), Ticks(10_800)));
    assert_eq!((f[2].dts, f[2].pts), (Ticks(7_200), Ticks(3_600)));
    assert_eq!(&f[1].data[..], [0x21, 0x10]);
}

#[test]
fn a_configuration_sent_again_is_no_change_and_another_is() {
    let mut d = Demuxer::default();
    d.video(0, &avc_config(31)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    events(&mut d);
    d.video(10, &avc_config(31)).unwrap();
    d.audio(10, &bytes(ASC)).unwrap();
    d.metadata(Metadata::default());
    assert!(events(&mut d).is_empty());
    // End of sequence, then the same configuration: encoders do it when they reconnect inside.
    d.video(20, &bytes(&[0x17, 2, 0, 0, 0])).unwrap();
    d.video(20, &avc_config(31)).unwrap();
    assert!(events(&mut d).is_empty());
    d.video(30, &avc_config(40)).unwrap();
    assert!(matches!(events(&mut d).as_slice(), [Event::Tracks(_)]));
}

#[test]
fn a_frames_data_is_its_message() {
    let mut d = Demuxer::default();
    d.video(0, &avc_config(31)).unwrap();
    let message = avc_frame(5, 0);
    d.video(0, &message).unwrap();
    assert_eq!(frames(&mut d)[0].data.as_ptr(), message[5..].as_ptr());
}

// limits-and-faults 10.
#[test]
fn nal_lengths_that_overrun_end_the_stream_with_a_reason() {
    let mut d = Demuxer::default();
    d.video(0, &avc_config(31)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    let e = d.video(0, &bytes(&[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 1])).unwrap_err();
    assert!(e.to_string().contains("NAL unit lengths"), "{e}");
}

// limits-and-faults 10.
#[test]
fn empty_and_early_media_is_dropped_with_one_warning_each() {
    let mut d = Demuxer::default();
    for _ in 0..3 {
        d.video(0, &bytes(&[0x17, 0, 0, 0, 0])).unwrap();
        d.video(0, &avc_frame(5, 0)).unwrap();
        d.video(0, &bytes(&[])).unwrap();
        d.audio(0, &bytes(&[0xaf, 0])).unwrap();
        d.audio(0, &bytes(AAC)).unwrap();
        d.audio(0, &bytes(&[])).unwrap();
    }
    assert_eq!(events(&mut d).len(), 6);
    d.video(0, &avc_config(31)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    events(&mut d);
    d.video(0, &bytes(&[0x17, 1, 0, 0, 0])).unwrap();
    d.video(0, &avc_frame(6, 0)).unwrap();
    d.audio(0, &bytes(&[0xaf, 1])).unwrap();
    assert_eq!(
        warnings(&mut d),
        [Warning::Empty { what: "H.264 frame" }, Warning::Empty { what: "AAC frame" }]
    );
}

#[test]
fn an_unsupported_track_is_dropped_while_the_other_is_used() {
    let mut d = Demuxer::default();
    d.metadata(expect(Some(true), Some(true)));
    d.video(0, &bytes(FLV1)).unwrap();
    d.audio(0, &bytes(ASC)).unwrap();
    for t in 0..200 {
        d.video(t * 40, &bytes(FLV1)).unwrap();
        d.audio(t * 40, &bytes(AAC)).unwrap();
    }
    let e = events(&mut d);
    let named: Vec<_> =
        e.iter().filter_map(|e| if let Event::Warning(w) = e { Some(w) } else { None }).collect();
    assert_eq!(named.len(), 1);
    assert!(named[0].to_string().contains("flv1") && named[0].to_string().contains("libx264"));
    assert_eq!(e.iter().filter(|e| matches!(e, Event::Frame(_))).count(), 200);
    assert_eq!(d.dropped(), 201);
}

#[test]
fn without_a_usable_track_the_refusal_names_codecs_and_flags() {
    // ffmpeg's defaults for FLV.
    let mut d = Demuxer::default();
    d.metadata(expect(Some(true), Some(true)));
    d.video(0, &bytes(FLV1)).unwrap();
    let e = d.audio(0, &bytes(MP3)).unwrap_err().to_string();
    for word in ["flv1", "mp3", "-c:v libx264 -pix_fmt yuv420p", "-c:a aac"] {
        assert!(e.contains(word), "{e}");
    }
    // Alone, as the metadata says: at once.
    let mut d = Demuxer::default();
    d.metadata(expect(Some(true), Some(false)));
    assert!(d.video(0, &bytes(FLV1)).is_err());
    // Nobody said whether the other comes: after two seconds of media, or many messages.
    let mut d = Demuxer::default();
    assert!(d.audio(0, &bytes(MP3)).is_ok());
    assert!(d.audio(1_999, &bytes(MP3)).is_ok());
    assert!(d.audio(2_000, &bytes(MP3)).is_err());
    let mut d = Demuxer::default();
    assert!((0..=ALONE_MESSAGES).any(|_| d.audio(0, &bytes(MP3)).is_err()));
}

#[test]
fn a_bad_configuration_drops_the_track_until_a_good_one_comes() {
    let mut d = Demuxer::default();
    d.audio(0, &bytes(ASC)).unwrap();
    d.video(0, &avc_config(31)).unwrap();
    events(&mut d);
    d.video(40, &bytes(&[0x17, 0, 0, 0, 0, 1, 2, 3])).unwrap();
    let e = events(&mut d);
    assert!(
        matches!(&e[..], [Event::Tracks(t), Event::Warning(Warning::BadConfig { .. })] if t.video.is_none())
    );
    d.video(80, &avc_frame(5, 0)).unwrap();
    assert!(events(&mut d).is_empty());
    d.video(120, &avc_config(31)).unwrap();
    d.video(120, &avc_frame(5, 0)).unwrap();
    assert_eq!(events(&mut d).len(), 2);
}

#[test]
fn warnings_are_bounded() {
    let mut d = Demuxer::default();
    d.audio(0, &bytes(ASC)).unwrap();
    for n in 0..100_u8 {
        let four = [0x90, b'a' + n % 26, b'a' + n / 26, b'x', b'x'];
        d.video(0, &Bytes::copy_from_slice(&four)).unwrap();
    }
    assert_eq!(warnings(&mut d).len(), MAX_WARNINGS);
}
