//! House rules, held by a test: who may use whom, how long a file may be, what the documents must name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use e2e::workspace;
use serde_json::Value;

/// Which of our crates each may use (docs/architecture.md). Arrows go down only.
const ARROWS: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("rtmp", &["media"]),
    ("cmaf", &["media"]),
    ("hls", &["media"]),
    ("live", &["media", "hls"]),
    ("store", &["media"]),
    ("registry", &["media"]),
    ("auth", &["media"]),
    ("ingest", &["media", "rtmp", "live", "registry", "auth"]),
    ("packager", &["media", "cmaf", "hls", "live", "store", "registry"]),
    ("playback", &["media", "hls", "live", "store", "auth"]),
    (
        "node",
        &[
            "media", "rtmp", "cmaf", "hls", "live", "store", "registry", "auth", "ingest", "packager",
            "playback",
        ],
    ),
    ("rapidrtmp", &["node"]),
    ("rapidrtmp-bench", &["media", "rtmp", "cmaf"]),
    ("e2e", &[]),
    ("fuzz", &["media", "rtmp", "cmaf", "hls", "auth", "node"]),
];
/// The pure cores: no I/O, no runtime, no clock, so none of these crates.
const PURE: &[&str] = &["media", "rtmp", "cmaf", "hls"];
const IMPURE: &[&str] =
    &["tokio", "tokio-util", "axum", "hyper", "reqwest", "object_store", "socket2", "tracing"];
/// Lines of production code in one file: tests at its end do not count.
const MAX_LINES: usize = 400;
const MAX_PURE_LINES: usize = 900;
const MAX_LIB_LINES: usize = 80;
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Names that say nothing.
const EMPTY_WORDS: &[&str] = &["util", "utils", "common", "manager", "helper", "helpers", "misc"];

fn metadata() -> Value {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("cargo writes JSON")
}

/// Dependencies (not those of tests) of each crate of the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |v: &Value| v["name"].as_str().expect("a name").to_owned();
    packages
        .iter()
        .map(|p| {
            let list = p["dependencies"].as_array().expect("dependencies");
            (name(p), list.iter().filter(|d| d["kind"].is_null()).map(name).collect())
        })
        .collect()
}

fn tracked() -> Vec<PathBuf> {
    let out =
        Command::new("git").args(["ls-files", "-z"]).current_dir(workspace()).output().expect("git runs");
    let text = String::from_utf8(out.stdout).expect("file names are UTF-8");
    let files: Vec<PathBuf> = text.split('\0').filter(|f| !f.is_empty()).map(PathBuf::from).collect();
    assert!(files.len() > 50, "git lists the work tree");
    files.into_iter().filter(|f| workspace().join(f).exists()).collect()
}

fn rust_sources() -> Vec<PathBuf> {
    let is_source = |f: &Path| f.extension().is_some_and(|e| e == "rs");
    tracked().into_iter().filter(|f| is_source(f)).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(workspace().join(file)).expect("a tracked text file can be read")
}

/// Lines before the module of tests.
fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|w| w[0] == "#[cfg(test)]" && w[1].starts_with("mod tests"));
    tests.unwrap_or(lines.len())
}

#[test]
fn arrows_go_down_only() {
    let all = dependencies();
    let ours: BTreeSet<&str> = all.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = ARROWS.iter().map(|a| a.0).collect();
    assert_eq!(ours, known, "a crate was added or removed: give it its arrows");
    for (name, allowed) in ARROWS {
        for used in all[*name].iter().filter(|d| ours.contains(d.as_str())) {
            assert!(allowed.contains(&used.as_str()), "{name} may not use {used}");
        }
    }
}

#[test]
fn the_cores_do_no_io() {
    let all = dependencies();
    for name in PURE {
        for used in &all[*name] {
            assert!(!IMPURE.contains(&used.as_str()), "{name} is a pure core and may not use {used}");
        }
    }
}

#[test]
fn files_are_short() {
    let mut long = Vec::new();
    for file in rust_sources() {
        let path = file.to_string_lossy().into_owned();
        let is_test = path.contains("/tests/") || path.ends_with("tests.rs") || path.ends_with("_tests.rs");
        if is_test {
            continue;
        }
        let lines = production_lines(&read(&file));
        let pure = PURE.iter().any(|p| path.starts_with(&format!("internal/{p}/")));
        let cap = match path.rsplit('/').next() {
            Some("lib.rs") => MAX_LIB_LINES,
            _ if pure => MAX_PURE_LINES,
            _ => MAX_LINES,
        };
        if lines > cap {
            long.push(format!("{path}: {lines} lines, at most {cap}"));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_file_is_big() {
    for file in tracked() {
        let size = fs::metadata(workspace().join(&file)).expect("a tracked file").len();
        assert!(size <= MAX_FILE_BYTES, "{} has {size} bytes", file.display());
    }
}

#[test]
fn names_say_something() {
    for file in tracked() {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let empty = stem.split(['_', '-', '.']).any(|w| EMPTY_WORDS.contains(&w));
        assert!(!empty, "{} is named for nothing in particular", file.display());
    }
}

#[test]
fn the_map_names_every_crate() {
    let map = read(Path::new("docs/architecture.md"));
    for name in dependencies().keys().filter(|n| *n != "e2e") {
        assert!(map.contains(name.as_str()), "docs/architecture.md does not name {name}");
    }
    assert!(map.contains("tests/"));
}

#[test]
fn links_between_documents_resolve() {
    let mut broken = Vec::new();
    for file in tracked().into_iter().filter(|f| f.extension().is_some_and(|e| e == "md")) {
        let text = read(&file);
        for target in text.split("](").skip(1).filter_map(|r| r.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let from = workspace().join(&file).parent().expect("a file lies in a folder").join(path);
            if !from.exists() {
                broken.push(format!("{}: {target}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn lock_files_pin_by_hash_and_name_no_host() {
    for lock in ["deploy/assets/package-lock.json", "tests/browser/package-lock.json"] {
        let lock: Value = serde_json::from_str(&read(Path::new(lock))).expect("JSON");
        for (name, package) in
            lock["packages"].as_object().expect("packages").iter().filter(|p| !p.0.is_empty())
        {
            assert!(package["integrity"].as_str().is_some_and(|i| i.starts_with("sha512-")), "{name}");
            assert!(package["resolved"].is_null(), "{name} names where it was fetched");
        }
    }
}

/// What stands in backquotes in the table's last column is the name of a test.
#[test]
fn every_test_that_conformance_names_exists() {
    let sources: String =
        tracked().iter().filter(|f| f.extension().is_some_and(|e| e == "rs")).map(|f| read(f)).collect();
    let table = read(Path::new("docs/conformance.md"));
    let column = table.lines().filter_map(|l| l.strip_suffix(" |")?.rsplit(" | ").next());
    let names: Vec<&str> = column.flat_map(|c| c.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 80, "{} names", names.len());
    let absent: Vec<_> = names.iter().filter(|n| !sources.contains(&format!("fn {n}("))).collect();
    assert!(absent.is_empty(), "docs/conformance.md names tests that are not there: {absent:?}");
}
