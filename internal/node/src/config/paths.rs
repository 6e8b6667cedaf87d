//! `[[paths]]`: settings of single paths over the global ones.

use std::time::Duration;

use media::{PathPattern, PerPath};

use super::{Config, HlsSettings, Raw, TakeoverPolicy, keys::TAKEOVERS};

/// Entries of `[[paths]]`. Each publish walks them, so a list beyond all sense is refused.
pub(super) const MAX_PATHS: usize = 1000;

/// One entry of `[[paths]]`. What is `None` is as the global setting says.
#[derive(Clone, Debug)]
pub struct PathSettings {
    /// The paths meant.
    pub pattern: PathPattern,
    /// PART-TARGET.
    pub part_target: Option<Duration>,
    /// Where segments are cut.
    pub segment_target: Option<Duration>,
    /// How long a segment may run to its keyframe before TARGETDURATION is fixed.
    pub segment_max: Option<Duration>,
    /// Segments in a playlist.
    pub window: Option<usize>,
    /// Close publishers whose keyframes come too late.
    pub require_keyframes: Option<bool>,
    /// What a second valid publisher gets.
    pub takeover: Option<TakeoverPolicy>,
}

impl PathSettings {
    /// An entry that gives nothing.
    pub const fn new(pattern: PathPattern) -> Self {
        Self {
            pattern,
            part_target: None,
            segment_target: None,
            segment_max: None,
            window: None,
            require_keyframes: None,
            takeover: None,
        }
    }

    /// The `[hls]` settings of these paths, `global` where the entry gives none.
    pub fn hls(&self, global: &HlsSettings) -> HlsSettings {
        HlsSettings {
            segment_target: self.segment_target.unwrap_or(global.segment_target),
            window: self.window.unwrap_or(global.window),
            part_target: self.part_target.unwrap_or(global.part_target),
            segment_max: self.segment_max.unwrap_or(global.segment_max),
            require_keyframes: self.require_keyframes.unwrap_or(global.require_keyframes),
        }
    }
}

impl Config {
    /// A value made from each path's `[hls]` settings.
    pub fn hls_per_path<T>(&self, make: impl Fn(&HlsSettings) -> T) -> PerPath<T> {
        let rules = self.paths.iter().map(|p| (p.pattern.clone(), make(&p.hls(&self.hls))));
        PerPath::new(rules.collect(), make(&self.hls))
    }

    /// What a second valid publisher gets, path by path.
    pub fn takeover_per_path<T>(&self, make: impl Fn(TakeoverPolicy) -> T) -> PerPath<T> {
        let global = self.streams.takeover;
        let rules = self.paths.iter().map(|p| (p.pattern.clone(), make(p.takeover.unwrap_or(global))));
        PerPath::new(rules.collect(), make(global))
    }
}

/// One setting of an entry besides its pattern.
pub struct PathKey {
    /// As in the file.
    pub name: &'static str,
    /// The setting of [`super::KEYS`] that it replaces, which says what it does.
    pub global: &'static str,
    pub(super) set: fn(&mut PathSettings, &Raw) -> Result<(), String>,
}

const fn key(
    name: &'static str,
    global: &'static str,
    set: fn(&mut PathSettings, &Raw) -> Result<(), String>,
) -> PathKey {
    PathKey { name, global, set }
}

fn give<T>(slot: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *slot = Some(value?);
    Ok(())
}

/// Every setting of an entry besides its pattern, in the order of the example file.
pub const PATH_KEYS: &[PathKey] = &[
    key("part_target", "hls.part_target", |p, v| give(&mut p.part_target, v.duration())),
    key("segment_target", "hls.segment_target", |p, v| give(&mut p.segment_target, v.duration())),
    key("segment_max", "hls.segment_max", |p, v| give(&mut p.segment_max, v.duration())),
    key("window", "hls.window", |p, v| give(&mut p.window, v.integer())),
    key("require_keyframes", "hls.require_keyframes", |p, v| give(&mut p.require_keyframes, v.boolean())),
    key("takeover", "streams.takeover", |p, v| give(&mut p.takeover, v.choice(&TAKEOVERS))),
];

#[cfg(test)]
mod tests {
    use media::StreamPath;

    use super::*;
    use crate::config::{KEYS, Sources, load};

    fn read(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let file = Some(("t.toml".into(), text.to_owned()));
        let env = env.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        load(&Sources { file, env, ..Sources::default() }).map_err(|e| e.to_string())
    }

    fn hls_of(c: &Config, path: &str) -> HlsSettings {
        c.hls_per_path(Clone::clone).of(&StreamPath::parse(path).unwrap()).clone()
    }

    fn takeover_of(c: &Config, path: &str) -> TakeoverPolicy {
        *c.takeover_per_path(|t| t).of(&StreamPath::parse(path).unwrap())
    }

    const FILE: &str = r#"
        [hls]
        window = 12

        [[paths]]
        pattern = "live/fast"
        part_target = "100ms"
        takeover = "reject"

        [[paths]]
        pattern = "live/*"
        segment_target = "4s"
        segment_max = "20s"
        window = 20
        part_target = "500ms"
        require_keyframes = true
    "#;

    #[test]
    fn the_first_entry_that_matches_decides_and_the_global_settings_fill_it_up() {
        let c = read(FILE, &[("HLS_SEGMENT_DURATION", "3s")]).unwrap();
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        let fast = hls_of(&c, "live/fast");
        assert_eq!((fast.part_target, fast.segment_target, fast.window), (ms(100), s(3), 12));
        assert!(!fast.require_keyframes, "not from the second entry");
        let live = hls_of(&c, "live/a/b");
        assert_eq!((live.part_target, live.segment_target, live.window), (ms(500), s(4), 20));
        assert!(live.require_keyframes && live.segment_max == s(20));
        let other = hls_of(&c, "cam/1");
        assert_eq!((other.part_target, other.segment_target, other.window), (ms(210), s(3), 12));
        assert_eq!(takeover_of(&c, "live/fast"), TakeoverPolicy::Reject);
        assert_eq!(takeover_of(&c, "live/a"), TakeoverPolicy::Takeover);

        let c = read(FILE, &[("RAPIDRTMP__STREAMS__TAKEOVER", "reject")]).unwrap();
        assert_eq!(takeover_of(&c, "live/a"), TakeoverPolicy::Reject, "the global one, of any layer");
        assert!(read("", &[]).unwrap().paths.is_empty());
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_said_with_its_pattern() {
        for (entry, said) in [
            (
                "pattern = \"live/*\"\npart_taget = \"1s\"",
                "unknown setting paths.part_taget in [[paths]] live/* of t.toml: did you mean paths.part_target?",
            ),
            (
                "patern = \"live/*\"",
                "unknown setting paths.patern in [[paths]] number 1 of t.toml: did you mean paths.pattern?",
            ),
            (
                "pattern = \"live/*\"\nwindow = \"ten\"",
                "paths.window in [[paths]] live/* of t.toml takes a whole number in range, such as 100",
            ),
            (
                "pattern = \"live/*\"\ntakeover = \"maybe\"",
                "paths.takeover in [[paths]] live/* of t.toml takes one of takeover, reject",
            ),
            ("window = 10", "paths.pattern in [[paths]] number 1 of t.toml is missing"),
            (
                "pattern = \"li*\"",
                "paths.pattern in [[paths]] li* of t.toml takes a path pattern: a path pattern is a stream path, \
                 a stream path followed by '/*', or '*'",
            ),
        ] {
            assert_eq!(read(&format!("[[paths]]\n{entry}\n"), &[]).unwrap_err(), said);
        }
    }

    #[test]
    fn only_a_list_of_tables_is_read() {
        let e = read("[[path]]\npattern = \"*\"\n", &[]).unwrap_err();
        assert_eq!(e, "unknown setting path in t.toml: did you mean paths?");
        for wrong in ["[paths]\npattern = \"*\"\n", "paths = \"*\"\n", "paths = [\"*\"]\n"] {
            let e = read(wrong, &[]).unwrap_err();
            assert_eq!(e, "paths in t.toml takes tables: begin each with [[paths]]");
        }
        assert!(read("", &[("RAPIDRTMP__PATHS__WINDOW", "3")]).unwrap_err().starts_with("unknown setting"));
        let many = |n: usize| "[[paths]]\npattern = \"*\"\n".repeat(n);
        assert_eq!(read(&many(MAX_PATHS), &[]).unwrap().paths.len(), MAX_PATHS);
        assert_eq!(read(&many(MAX_PATHS + 1), &[]).unwrap_err(), "paths in t.toml takes at most 1000 tables");
    }

    /// RFC 8216bis §6.2.2 and the contract, for each entry with what the global settings add to it.
    #[test]
    fn what_the_hls_draft_forbids_is_refused_with_the_entrys_pattern() {
        for (entry, why) in [
            ("window = 2", "three target durations"),
            ("segment_target = \"500ms\"", "between 1 s and 60 s"),
            ("part_target = \"3s\"", "part target"),
            ("part_target = \"10ms\"", "part target"),
            ("segment_max = \"1s\"", "segment_max"),
            ("segment_target = \"12s\"", "segment_max"),
            ("segment_max = \"61s\"", "60s"),
        ] {
            let text = format!("[[paths]]\npattern = \"*\"\n[[paths]]\npattern = \"live/*\"\n{entry}\n");
            let e = read(&text, &[]).unwrap_err();
            assert!(e.starts_with("[[paths]] live/*: ") && e.contains(why), "{entry}: {e}");
        }
        // Fine by itself, not with the global segment target.
        let e =
            read("[hls]\nsegment_target = \"1100ms\"\n[[paths]]\npattern = \"live/*\"\nwindow = 5\n", &[]);
        assert!(e.unwrap_err().starts_with("[[paths]] live/*: "));
    }

    #[test]
    fn the_example_in_the_documentation_gives_every_setting() {
        let text = include_str!("../../../../docs/operations.md");
        let (_, from) = text.split_once("```toml\n[[paths]]").expect("there is an example");
        let (example, _) = from.split_once("```").expect("it ends");
        let c = read(&format!("[[paths]]{example}"), &[]).unwrap();
        assert_eq!(c.paths.len(), 2);
        assert!(PATH_KEYS.iter().all(|k| example.contains(&format!("\n{} = ", k.name))));
        assert_eq!(takeover_of(&c, "live/studio"), TakeoverPolicy::Reject);
        assert_eq!(hls_of(&c, "live/a").part_target, Duration::from_millis(510));
    }

    #[test]
    fn every_setting_of_an_entry_replaces_a_global_one() {
        for key in PATH_KEYS {
            let global = KEYS.iter().find(|k| k.name == key.global).expect("it is in the table");
            assert_eq!(global.parts().1, key.name);
        }
    }
}
