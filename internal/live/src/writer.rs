//! The writing end of a window: changes of the timeline, with the bytes that they list.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use hls::{Edge, Segment, Timeline, Variant};
use media::{Cursor, Epoch, Msn, ObjectName, StreamPath, Ticks};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use crate::{
    HeldRequests, Viewers, Window, WindowOptions,
    core::{Cache, Core},
    held::HeldObjects,
    verdict::Signal,
    window::Shared,
};

/// A window over this timeline, as its one writer and as what readers share.
pub fn window(path: StreamPath, t: Timeline, o: WindowOptions) -> (WindowWriter, Window) {
    let signal = Signal { edge: t.edge(), expired: false, has_index: false, released: false };
    let viewers = Viewers::default();
    viewers.set_target_duration(t.target_duration());
    let core = Core {
        timeline: t,
        objects: HeldObjects::new(o.max_retired_bytes),
        cache: Cache::default(),
        variant_changes: 0,
        expired: false,
    };
    let shared = Shared {
        path,
        held: HeldRequests::new(o.max_held),
        options: o,
        core: Mutex::new(core),
        signal: watch::Sender::new(signal),
        viewers,
    };
    let window = Window(Arc::new(shared));
    (WindowWriter { window: window.clone() }, window)
}

/// A complete segment, for storage.
#[derive(Clone, Debug)]
pub struct ClosedSegment {
    /// What the timeline says of it.
    pub segment: Segment,
    /// Its object.
    pub name: ObjectName,
    /// Its media sequence number.
    pub msn: Msn,
    /// Its media time.
    pub duration: Ticks,
    /// Its bytes: those of its parts, shared with them.
    pub data: Vec<Bytes>,
}

/// Complete playlists for storage.
#[derive(Clone, Debug)]
pub struct PlainPlaylists {
    /// `index.m3u8`.
    pub index: Bytes,
    /// `media.m3u8`, without low-latency tags.
    pub media: Bytes,
}

/// The one writer of a [`Window`]. Each call that readers can see wakes all waiters once.
#[derive(Debug)]
pub struct WindowWriter {
    window: Window,
}

impl WindowWriter {
    /// The shared end.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// As [`Timeline::begin_epoch`]: abandons the hint of the epoch before, and returns its open segment if it had parts.
    pub fn begin_epoch(&mut self, epoch: Epoch) -> Option<ClosedSegment> {
        self.change(|core| {
            let segment = core.timeline.begin_epoch(epoch);
            core.closed(segment)
        })
    }

    /// As [`Timeline::set_init`]; the bytes are fetchable before a segment lists them.
    pub fn set_init(&mut self, version: u32, data: Bytes) {
        let mut core = self.window.0.core.lock();
        if core.expired {
            return;
        }
        let epoch = core.timeline.epoch().unwrap_or_default();
        core.objects.add_init(epoch, version, data);
        core.timeline.set_init(version);
    }

    /// As [`Timeline::set_variant`].
    pub fn set_variant(&mut self, variant: Variant) {
        self.change(|core| {
            core.timeline.set_variant(variant);
            core.variant_changes += 1;
        });
    }

    /// As [`Timeline::open_segment`]. Readers see nothing of it before its first part.
    pub fn open_segment(&mut self, date: SystemTime, discontinuity: bool) -> Msn {
        self.window.0.core.lock().timeline.open_segment(date, discontinuity)
    }

    /// As [`Timeline::push_part`]: the part is fetchable, then listed, then all waiters wake.
    pub fn push_part(&mut self, duration: Ticks, independent: bool, data: Bytes) -> ObjectName {
        self.change(|core| {
            if core.timeline.ended() {
                return core.timeline.push_part(duration, independent, 0);
            }
            let name = core.timeline.push_part(duration, independent, data.len() as u64);
            core.objects.add_part(name, data);
            name
        })
    }

    /// As [`Timeline::close_segment`].
    pub fn close_segment(&mut self) -> Option<ClosedSegment> {
        self.close_segment_after(Ticks::ZERO)
    }

    /// As [`Timeline::close_segment_after`].
    pub fn close_segment_after(&mut self, duration: Ticks) -> Option<ClosedSegment> {
        self.change(|core| {
            let segment = core.timeline.close_segment_after(duration);
            core.closed(segment)
        })
    }

    /// As [`Timeline::push_gap`]; `data` is what the GAP's URI answers. Close an open segment before.
    pub fn push_gap(&mut self, duration: Ticks, date: SystemTime, data: Bytes) -> ClosedSegment {
        self.change(|core| {
            let open = core.timeline.close_segment();
            core.closed(open);
            let segment = core.timeline.push_gap(duration, date);
            if !core.timeline.ended() {
                core.objects.add_gap(segment.msn, segment.name, data.clone());
            }
            ClosedSegment { name: segment.name, msn: segment.msn, duration, segment, data: vec![data] }
        })
    }

    /// As [`Timeline::end`]: ENDLIST, and all held requests are answered. Objects stay until [`WindowWriter::expire`].
    pub fn end(&mut self) -> Option<ClosedSegment> {
        self.change(|core| {
            let segment = core.timeline.end();
            core.closed(segment)
        })
    }

    /// From now on everything answers [`Unavailable::Gone`](crate::Unavailable::Gone), and memory is given back.
    pub fn expire(&mut self) {
        self.change(|core| {
            core.timeline.end();
            core.expired = true;
            core.objects.clear();
        });
    }

    /// The playlists for storage; fixes TARGETDURATION. `None` while no segment is complete or codecs are unknown.
    pub fn plain_playlists(&mut self) -> Option<PlainPlaylists> {
        let mut core = self.window.0.core.lock();
        if core.timeline.media_sequence() == core.timeline.next().msn {
            return None;
        }
        let index = core.timeline.render_index()?;
        let td = core.timeline.fix_target_duration();
        let media = core.timeline.render_plain();
        self.window.0.viewers.set_target_duration(td);
        Some(PlainPlaylists { index: index.into(), media: media.into() })
    }

    /// TARGETDURATION in seconds once it is fixed: what the muxer must keep from then on.
    pub fn target_duration_fixed(&self) -> Option<u32> {
        let core = self.window.0.core.lock();
        core.timeline.is_target_duration_fixed().then(|| core.timeline.target_duration())
    }

    /// TARGETDURATION in seconds, as it stands.
    pub fn target_duration(&self) -> u32 {
        self.window.target_duration()
    }

    /// The first part that is not there yet.
    pub fn next(&self) -> Cursor {
        self.window.0.core.lock().timeline.next()
    }

    /// The discontinuity sequence of the newest segment: what a checkpoint remembers, and a successor must be above.
    pub fn discontinuity_sequence(&self) -> u64 {
        self.window.0.core.lock().timeline.discontinuity_sequence()
    }

    /// The same as [`Window::mark_stored`].
    pub fn mark_stored(&self, name: ObjectName) {
        self.window.mark_stored(name);
    }

    /// The same as [`Window::mark_lost`].
    pub fn mark_lost(&self, name: ObjectName) {
        self.window.mark_lost(name);
    }

    /// Segments and inits that left the playlist long enough ago (clause 6): storage may delete them. Also gives memory
    /// back, so call it now and then in times without changes, too.
    pub fn take_due(&mut self) -> Vec<ObjectName> {
        let now = Instant::now();
        let mut core = self.window.0.core.lock();
        core.objects.purge(now);
        core.objects.take_due(now)
    }

    fn change<T>(&mut self, f: impl FnOnce(&mut Core) -> T) -> T {
        let shared = &self.window.0;
        let mut core = shared.core.lock();
        let out = f(&mut core);
        core.cache = Cache { renders: core.cache.renders, ..Cache::default() };
        let retired = core.timeline.take_retired();
        core.objects.retire(retired, Instant::now());
        let (edge, expired) = (core.timeline.edge(), core.expired);
        let has_index = shared.signal.borrow().has_index || core.timeline.has_index();
        drop(core);
        shared.signal.send_modify(|s| {
            // A reader may have fixed it since `edge` was copied; it never falls.
            let td = edge.target_duration.max(s.edge.target_duration);
            s.edge = Edge { target_duration: td, ..edge };
            s.has_index = has_index;
            s.expired = expired;
        });
        out
    }
}

impl Core {
    fn closed(&mut self, segment: Option<Segment>) -> Option<ClosedSegment> {
        let segment = segment?;
        let data = self.objects.close_segment(segment.msn, segment.name);
        let Segment { name, msn, duration, .. } = segment;
        Some(ClosedSegment { segment, name, msn, duration, data })
    }
}
