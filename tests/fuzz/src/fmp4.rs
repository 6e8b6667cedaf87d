//! The reader of fragmented MP4.

use cmaf::read::{box_kinds, fragments, init};

/// As many as the reader says that it takes at most.
const MAX_SAMPLES: usize = 200_000;

/// Whatever is read lies in the buffer and is bounded. Two bytes give the length of the init segment, media follow.
pub fn fmp4(data: &[u8]) {
    let Some((len, rest)) = data.split_first_chunk::<2>() else { return };
    let len = usize::from(u16::from_be_bytes(*len)).min(rest.len());
    let (head, media) = rest.split_at(len);
    if let Ok(kinds) = box_kinds(media) {
        assert!(kinds.len() * 8 <= media.len(), "{} boxes in {} bytes", kinds.len(), media.len());
    }
    let Ok(tracks) = init(head) else { return };
    assert!(tracks.len() <= 16);
    assert!(tracks.iter().all(|t| t.entry.len() <= head.len()));
    let Ok(read) = fragments(media, &tracks) else { return };
    let mut samples = 0;
    for run in read.iter().flat_map(|f| &f.runs) {
        assert!(tracks.iter().any(|t| t.id == run.track), "track {} is unknown", run.track);
        let mut dts = run.tfdt;
        for s in &run.samples {
            assert!(s.dts >= dts, "decode times go back");
            dts = s.dts;
            assert!(s.data.start <= s.data.end && s.data.end <= media.len(), "{:?}", s.data);
            assert_eq!(s.size(), s.data.len());
            let _saturates = s.pts();
        }
        samples += run.samples.len();
        assert!(run.end() >= dts);
    }
    assert!(samples <= MAX_SAMPLES, "{samples} samples");
}
