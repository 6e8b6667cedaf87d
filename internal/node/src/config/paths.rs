//! `[[paths]]`: what differs on some paths.

use std::time::Duration;

use auth::PathPattern;
use media::StreamPath;

use super::{Raw, TakeoverPolicy, keys::TAKEOVERS};

/// What differs on the paths that a pattern means. The first match wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathOverride {
    /// Which paths; always there once read.
    pub pattern: Option<PathPattern>,
    /// PART-TARGET.
    pub part_target: Option<Duration>,
    /// Where segments are cut.
    pub segment_target: Option<Duration>,
    /// Close publishers whose keyframes come too late.
    pub require_keyframes: Option<bool>,
    /// What a second valid publisher gets.
    pub takeover: Option<TakeoverPolicy>,
}

/// One setting of a `[[paths]]` table.
pub struct PathKey {
    /// The key.
    pub name: &'static str,
    /// A value for the example file.
    pub example: &'static str,
    /// What it does.
    pub doc: &'static str,
    pub(super) set: fn(&mut PathOverride, &Raw) -> Result<(), String>,
}

/// Every setting of a `[[paths]]` table.
pub const PATH_KEYS: &[PathKey] = &[
    PathKey {
        name: "path",
        example: "\"studio/*\"",
        doc: "Which paths: a path, a path and /* for all below it, or *.",
        set: |o, v| {
            let pattern = PathPattern::parse(&v.text()?).map_err(|e| format!("is wrong: {e}"))?;
            o.pattern = Some(pattern);
            Ok(())
        },
    },
    PathKey {
        name: "part_target",
        example: "\"500ms\"",
        doc: "As hls.part_target.",
        set: |o, v| v.duration().map(|x| o.part_target = Some(x)),
    },
    PathKey {
        name: "segment_target",
        example: "\"4s\"",
        doc: "As hls.segment_target.",
        set: |o, v| v.duration().map(|x| o.segment_target = Some(x)),
    },
    PathKey {
        name: "require_keyframes",
        example: "true",
        doc: "As hls.require_keyframes.",
        set: |o, v| v.boolean().map(|x| o.require_keyframes = Some(x)),
    },
    PathKey {
        name: "takeover",
        example: "\"reject\"",
        doc: "As streams.takeover.",
        set: |o, v| v.choice(&TAKEOVERS).map(|x| o.takeover = Some(x)),
    },
];

impl PathOverride {
    /// Does this mean `path`?
    pub fn matches(&self, path: &StreamPath) -> bool {
        self.pattern.as_ref().is_some_and(|p| p.matches(path))
    }
}
