//! What is published: RTMP message bodies with their times, played in a loop and shared by all publishers.

use bytes::Bytes;

/// Which RTMP message a tag travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    Video,
}

/// One tag's body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tag {
    pub(crate) kind: Kind,
    /// Milliseconds from the start of the clip.
    pub(crate) time: u32,
    pub(crate) data: Bytes,
}

/// A clip that begins with a keyframe.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Clip {
    /// Body of a script tag: the string `onMetaData` and its value, in AMF0.
    pub(crate) metadata: Option<Bytes>,
    /// Sequence headers, sent once before everything else.
    pub(crate) headers: Vec<Tag>,
    /// In order of time.
    pub(crate) tags: Vec<Tag>,
    /// Milliseconds after which it starts over.
    pub(crate) length: u32,
}

impl Clip {
    /// The `i`-th tag of the endless loop and its time in milliseconds since the start of the publish.
    pub(crate) fn at(&self, i: u64) -> (&Tag, u64) {
        let n = self.tags.len() as u64;
        let tag = &self.tags[(i % n) as usize];
        (tag, i / n * u64::from(self.length) + u64::from(tag.time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_over_the_seam() {
        let tag = |time| Tag { kind: Kind::Audio, time, data: Bytes::new() };
        let clip = Clip { tags: vec![tag(0), tag(20)], length: 40, ..Clip::default() };
        assert_eq!((0..5).map(|i| clip.at(i).1).collect::<Vec<_>>(), [0, 20, 40, 60, 80]);
    }
}
