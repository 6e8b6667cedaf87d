//! What reads well but cannot work is refused before anything is bound.

use std::{
    path::{Component, Path, PathBuf},
    time::Duration,
};

use media::{PathPattern, StreamPath, Ticks};

use super::{Config, ConfigError, HlsSettings, Role, StorageType};

/// More threads than any machine's cores is a slip of the pen.
const MAX_THREADS: usize = 1024;

pub(super) fn check(c: &Config) -> Result<(), ConfigError> {
    check_role(c)?;
    check_threads(c)?;
    check_storage(c)?;
    check_tls(c)?;
    check_times(c)?;
    check_hls("hls", &c.hls)?;
    for entry in &c.paths {
        check_hls(&format!("[[paths]] {}", entry.pattern), &entry.hls(&c.hls))?;
    }
    for pattern in &c.auth.open_publish {
        PathPattern::parse(pattern).or_else(|e| refuse(format!("auth.open_publish: {e}")))?;
    }
    if StreamPath::parse(&format!("{}/x", c.streams.app)).is_err() {
        return refuse("streams.app must be the first part of a stream path, such as live");
    }
    let is_origin = |o: &String| o == "*" || (o.contains("://") && o.parse::<http::HeaderValue>().is_ok());
    if c.http.allow_origins.is_empty() || !c.http.allow_origins.iter().all(is_origin) {
        return refuse("http.allow_origins must hold * or origins such as https://example.org");
    }
    Ok(())
}

fn refuse<T>(why: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Refused(why.into()))
}

fn check_role(c: &Config) -> Result<(), ConfigError> {
    match c.node.role {
        Role::AllInOne => {}
        Role::Ingest | Role::Edge => {
            return refuse(
                "the roles ingest and edge need a cluster, which this version does not have: use --role all-in-one",
            );
        }
    }
    if c.cluster.redis_url.is_some() {
        return refuse(
            "REDIS_URL is set, but this version has no clusters yet: a node started now would be alone without \
             saying so. Unset it",
        );
    }
    Ok(())
}

fn check_threads(c: &Config) -> Result<(), ConfigError> {
    match c.node.media_threads {
        Some(n) if !(1..=MAX_THREADS).contains(&n) => {
            refuse(format!("node.media_threads must be 1 to {MAX_THREADS}"))
        }
        _ => Ok(()),
    }
}

fn check_storage(c: &Config) -> Result<(), ConfigError> {
    if c.storage.kind != StorageType::Local {
        return refuse("STORAGE_TYPE: this version has only the local store");
    }
    if is_inside(&c.node.state_dir, &c.storage.dir) {
        return refuse(format!(
            "STATE_DIR ({}) lies inside STORAGE_DIR ({}): whoever serves the streams would serve the signing key",
            c.node.state_dir.display(),
            c.storage.dir.display()
        ));
    }
    Ok(())
}

/// Whether there is a certificate at all; whether it works is seen when it is read.
fn check_tls(c: &Config) -> Result<(), ConfigError> {
    let listens = c.https.addr.is_some() || c.rtmps.addr.is_some();
    match (&c.tls.cert, &c.tls.key) {
        (Some(_), Some(_)) if !listens => refuse(
            "tls.cert is set and nothing uses it: set https.addr (HTTPS_ADDR) or rtmps.addr (RTMPS_ADDR) too",
        ),
        (Some(_), Some(_)) => Ok(()),
        (None, None) if !listens => Ok(()),
        (None, _) => refuse("tls.cert (TLS_CERT) is missing: give the PEM file of the certificate"),
        (_, None) => {
            refuse("tls.key (TLS_KEY) is missing: give the PEM file of the certificate's private key")
        }
    }
}

fn check_times(c: &Config) -> Result<(), ConfigError> {
    let a = &c.auth;
    if a.default_token_expiration.is_zero() || a.default_token_expiration > a.max_token_expiration {
        return refuse(
            "auth.default_token_expiration must be above 0 and not above auth.max_token_expiration",
        );
    }
    for (name, value, least) in [
        ("rtmp.idle_timeout", c.rtmp.idle_timeout, Duration::from_secs(2)),
        ("http.header_timeout", c.http.header_timeout, Duration::from_secs(1)),
        ("http.idle_timeout", c.http.idle_timeout, Duration::from_secs(1)),
        ("streams.reconnect_window", c.streams.reconnect_window, Duration::from_secs(1)),
        ("node.drain_timeout", c.node.drain_timeout, Duration::from_secs(1)),
    ] {
        if value < least {
            return refuse(format!("{name} must be at least {least:?}"));
        }
    }
    for (name, value) in [
        ("http.max_connections", c.http.max_connections),
        ("rtmp.max_connections", c.rtmp.max_connections),
        ("rtmp.max_pending_per_ip", c.rtmp.max_pending_per_ip),
        ("streams.max_concurrent", c.streams.max_concurrent),
        ("streams.max_viewers", c.streams.max_viewers),
    ] {
        if value == 0 {
            return refuse(format!("{name} must be at least 1"));
        }
    }
    Ok(())
}

/// What the HLS draft and the contract forbid; `name` says whose settings these are.
fn check_hls(name: &str, h: &HlsSettings) -> Result<(), ConfigError> {
    if h.segment_max < h.segment_target {
        return refuse(format!("{name}: segment_max must not be below segment_target"));
    }
    if h.segment_max > Duration::from_secs(60) {
        return refuse(format!("{name}: segment_max must not be above 60s"));
    }
    let settings = hls::Settings {
        part_target: Ticks::from_duration(h.part_target),
        segment_target: Ticks::from_duration(h.segment_target),
        window: h.window,
    };
    settings.validate().or_else(|e| refuse(format!("{name}: {e}")))
}

/// Is `inner` the same folder as `outer`, or below it? Links of what exists are followed.
fn is_inside(inner: &Path, outer: &Path) -> bool {
    real(inner).starts_with(real(outer))
}

fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut out = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
        if let Ok(followed) = out.canonicalize() {
            out = followed;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Sources, load};

    fn error(pairs: &[(&str, &str)]) -> String {
        let env = pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        load(&Sources { env, ..Sources::default() }).unwrap_err().to_string()
    }

    #[test]
    fn what_needs_a_cluster_is_refused() {
        assert!(error(&[("RAPIDRTMP__NODE__ROLE", "ingest")]).contains("need a cluster"));
        assert!(error(&[("RAPIDRTMP__NODE__ROLE", "edge")]).contains("need a cluster"));
        assert!(error(&[("REDIS_URL", "redis://x")]).contains("REDIS_URL"));
        assert!(error(&[("STORAGE_TYPE", "gcs")]).contains("local"));
    }

    #[test]
    fn tls_needs_both_files_and_a_listener() {
        for listener in ["HTTPS_ADDR", "RTMPS_ADDR"] {
            assert!(error(&[(listener, ":0")]).contains("tls.cert (TLS_CERT) is missing"));
            assert!(error(&[(listener, ":0"), ("TLS_CERT", "c")]).contains("tls.key (TLS_KEY) is missing"));
        }
        assert!(error(&[("TLS_KEY", "k")]).contains("tls.cert (TLS_CERT) is missing"));
        assert!(error(&[("TLS_CERT", "c"), ("TLS_KEY", "k")]).contains("nothing uses it"));
    }

    #[test]
    fn state_never_lies_inside_storage() {
        for (state, storage) in
            [("/a/b", "/a"), ("/a", "/a"), ("/a/../b/c", "/b"), ("./data/streams/x", "data/streams")]
        {
            let e = error(&[("STATE_DIR", state), ("STORAGE_DIR", storage)]);
            assert!(e.contains("lies inside"), "{state} {storage}: {e}");
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("streams")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("streams"), dir.path().join("link")).unwrap();
        let state = dir.path().join("link/state").display().to_string();
        let storage = dir.path().join("streams").display().to_string();
        assert!(error(&[("STATE_DIR", &state), ("STORAGE_DIR", &storage)]).contains("lies inside"));
        let ok = [("STATE_DIR", "/a/streams-state"), ("STORAGE_DIR", "/a/streams")];
        let env = ok.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        assert!(load(&Sources { env, ..Sources::default() }).is_ok());
    }

    /// RFC 8216bis §6.2.2: a live playlist lasts at least three target durations; contract: segments ≥ 1 s.
    #[test]
    fn what_the_hls_draft_forbids_is_refused_with_the_reason() {
        for pairs in [
            [("HLS_MAX_SEGMENTS", "2"), ("HLS_SEGMENT_DURATION", "2s")],
            [("HLS_MAX_SEGMENTS", "10"), ("HLS_SEGMENT_DURATION", "500ms")],
            [("RAPIDRTMP__HLS__PART_TARGET", "3s"), ("HLS_SEGMENT_DURATION", "2s")],
            [("RAPIDRTMP__HLS__SEGMENT_MAX", "1s"), ("HLS_SEGMENT_DURATION", "2s")],
        ] {
            let e = error(&pairs);
            assert!(e.starts_with("hls: ") && e.len() > 20, "{e}");
        }
    }
}
