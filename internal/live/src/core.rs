//! What a window's lock guards: the timeline, the bytes that it lists, and the text of the present state.

use hls::Timeline;
use media::{Cursor, ObjectName};

use crate::{
    Object, Rendered,
    held::{Found, HeldObjects},
};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) timeline: Timeline,
    pub(crate) objects: HeldObjects,
    pub(crate) cache: Cache,
    pub(crate) variant_changes: u64,
    pub(crate) expired: bool,
}

/// The renderings of the current state; emptied by every change.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) media: Option<Rendered>,
    pub(crate) delta: Option<Rendered>,
    pub(crate) index: Option<Rendered>,
    /// Playlists rendered so far.
    pub(crate) renders: u64,
}

impl Core {
    pub(crate) fn find(&self, n: ObjectName) -> Option<Object> {
        let epoch = self.timeline.epoch();
        let resolved = match n {
            ObjectName::CurrentInit => self.timeline.current_init(),
            ObjectName::NthSegment(nth) => self.timeline.nth_segment(nth),
            other => Some(other),
        };
        let Some(name) = resolved else { return Some(Object::NotFound) };
        let found = match name {
            ObjectName::Segment { .. } => self.objects.segment(name, epoch, self.timeline.next().msn),
            ObjectName::Init { epoch: e, version } => self.objects.init(e, version, epoch),
            ObjectName::Part { epoch, seq } => {
                let part = self.objects.part(epoch, seq).map(Object::Ready);
                let hinted = self.timeline.preload_hint() == Some(name);
                return part.or((!hinted).then_some(Object::NotFound));
            }
            _ => Found::Nowhere,
        };
        Some(match found {
            Found::Here(blob) => Object::Ready(blob),
            Found::Older => Object::InStore(name),
            Found::Nowhere => Object::NotFound,
        })
    }

    /// The media playlist as it stands, rendered unless it was. TARGETDURATION must be fixed by now.
    pub(crate) fn media(&mut self, skip: bool) -> Rendered {
        let skip = skip && self.timeline.settings().offers_skip();
        let cached = if skip { &self.cache.delta } else { &self.cache.media };
        if let Some(rendered) = cached {
            return rendered.clone();
        }
        let text = self.timeline.render_media(skip);
        let rendered = self.rendered(text, if skip { "delta" } else { "media" });
        let cached = if skip { &mut self.cache.delta } else { &mut self.cache.media };
        *cached = Some(rendered.clone());
        rendered
    }

    pub(crate) fn index(&mut self) -> Option<Rendered> {
        if self.cache.index.is_none() {
            let text = self.timeline.render_index()?;
            let kind = format!("index.{}", self.variant_changes);
            self.cache.index = Some(self.rendered(text, &kind));
        }
        self.cache.index.clone()
    }

    /// Nothing listed is ever edited, so epoch, position and end tell one text from every other.
    fn rendered(&mut self, text: String, kind: &str) -> Rendered {
        self.cache.renders += 1;
        let t = &self.timeline;
        let Cursor { msn, part } = t.next();
        let end = if t.ended() { ".end" } else { "" };
        let etag = format!("{kind}_{}_{msn}.{part}{end}", t.epoch().unwrap_or_default());
        Rendered::new(text, etag, t.target_duration(), t.ended())
    }
}
