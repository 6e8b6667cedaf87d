//! The table of settings.

use super::{Config, LogFormat, Raw, Role, StorageType, TakeoverPolicy};

/// What every full variable begins with.
pub(super) const PREFIX: &str = "RAPIDRTMP__";

/// One setting.
pub struct Key {
    /// `section.key`, as in the file.
    pub name: &'static str,
    /// Short and old variables, strongest first.
    pub variables: &'static [&'static str],
    /// The default as written in a variable; empty when there is none.
    pub default: &'static str,
    /// What it does: one line a sentence.
    pub doc: &'static str,
    /// Never show its value.
    pub secret: bool,
    pub(super) set: fn(&mut Config, &Raw) -> Result<(), String>,
}

impl Key {
    /// `RAPIDRTMP__SECTION__KEY`.
    pub fn variable(&self) -> String {
        format!("{}{}", PREFIX, self.name.replace('.', "__").to_ascii_uppercase())
    }

    /// `section` and `key`.
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').expect("every key in the table has a section")
    }
}

fn put<T>(slot: &mut T, value: Result<T, String>) -> Result<(), String> {
    *slot = value?;
    Ok(())
}

const fn key(
    name: &'static str,
    variables: &'static [&'static str],
    default: &'static str,
    doc: &'static str,
    set: fn(&mut Config, &Raw) -> Result<(), String>,
) -> Key {
    Key { name, variables, default, doc, secret: false, set }
}

const fn secret(
    name: &'static str,
    variables: &'static [&'static str],
    doc: &'static str,
    set: fn(&mut Config, &Raw) -> Result<(), String>,
) -> Key {
    Key { name, variables, default: "", doc, secret: true, set }
}

const ROLES: [(&str, Role); 3] =
    [("all-in-one", Role::AllInOne), ("ingest", Role::Ingest), ("edge", Role::Edge)];
const STORES: [(&str, StorageType); 3] =
    [("local", StorageType::Local), ("s3", StorageType::S3), ("gcs", StorageType::Gcs)];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
pub(super) const TAKEOVERS: [(&str, TakeoverPolicy); 2] =
    [("takeover", TakeoverPolicy::Takeover), ("reject", TakeoverPolicy::Reject)];

/// Every setting, section by section, in the order of the example file.
pub const KEYS: &[Key] = &[
    key(
        "node.role",
        &[],
        "all-in-one",
        "What this process does: all-in-one. The roles ingest and edge need a cluster,\nwhich this version does not have yet. Flag: --role.",
        |c, v| put(&mut c.node.role, v.choice(&ROLES)),
    ),
    key(
        "node.id",
        &["NODE_ID"],
        "",
        "The name of this node in the API. Made at start when absent.",
        |c, v| put(&mut c.node.id, v.optional()),
    ),
    key(
        "node.state_dir",
        &["STATE_DIR"],
        "./data/state",
        "Where the signing key and the ids of spent tokens live. Never inside storage.dir.",
        |c, v| put(&mut c.node.state_dir, v.text().map(Into::into)),
    ),
    key(
        "node.drain_timeout",
        &[],
        "10s",
        "How long a graceful stop may take in all. A second signal stops at once.",
        |c, v| put(&mut c.node.drain_timeout, v.duration()),
    ),
    key(
        "node.media_threads",
        &[],
        "",
        "Threads that carry encoders and package streams. Default: one for every four cores.\nHTTP has threads of its own, as many as there are cores.",
        |c, v| put(&mut c.node.media_threads, v.optional_integer()),
    ),
    key(
        "http.addr",
        &["HTTP_ADDR"],
        "",
        "Where viewers and the API are served. `:port` means all interfaces, IPv4 and IPv6.\nDefault: `:8080` with an admin token, `127.0.0.1:8080` without one.",
        |c, v| put(&mut c.http.addr, v.optional_addr()),
    ),
    key(
        "http.max_connections",
        &[],
        "20000",
        "Connections held at once; more wait until one closes.",
        |c, v| put(&mut c.http.max_connections, v.integer()),
    ),
    key("http.header_timeout", &[], "10s", "How long the header of a request may take to arrive.", |c, v| {
        put(&mut c.http.header_timeout, v.duration())
    }),
    key("http.idle_timeout", &[], "60s", "A connection without a request for so long is closed.", |c, v| {
        put(&mut c.http.idle_timeout, v.duration())
    }),
    key(
        "http.allow_origins",
        &[],
        "*",
        "The origins whose pages may read streams and the API, such as https://example.org; `*` is any.",
        |c, v| put(&mut c.http.allow_origins, v.list()),
    ),
    key("rtmp.addr", &["RTMP_ADDR"], ":1935", "Where encoders publish.", |c, v| {
        put(&mut c.rtmp.addr, v.addr())
    }),
    key(
        "rtmp.ingest_addr",
        &["RTMP_INGEST_ADDR"],
        "",
        "What a publishUrl begins with: how encoders reach rtmp.addr from outside.\nDefault: rtmp://localhost and the port of the listener.",
        |c, v| put(&mut c.rtmp.ingest_addr, v.optional()),
    ),
    key("rtmp.max_connections", &[], "1000", "Connections of encoders held at once.", |c, v| {
        put(&mut c.rtmp.max_connections, v.integer())
    }),
    key(
        "rtmp.max_pending_per_ip",
        &[],
        "64",
        "Connections from one address that have not published yet.",
        |c, v| put(&mut c.rtmp.max_pending_per_ip, v.integer()),
    ),
    key("rtmp.idle_timeout", &[], "10s", "A publisher that sends nothing for so long is closed.", |c, v| {
        put(&mut c.rtmp.idle_timeout, v.duration())
    }),
    key(
        "rtmp.reconnect_to",
        &[],
        "",
        "Where encoders that understand it (Enhanced RTMP 2) are told to connect when this node\nstops: an RTMP URL without the stream's name. Default: where they are connected.",
        |c, v| put(&mut c.rtmp.reconnect_to, v.optional()),
    ),
    key(
        "https.addr",
        &["HTTPS_ADDR"],
        "",
        "Where viewers and the API are served under TLS, with HTTP/2 and HTTP/1.1, such as :8443.\nAbsent: nowhere. Limits and origins are those of [http].",
        |c, v| put(&mut c.https.addr, v.optional_addr()),
    ),
    key(
        "rtmps.addr",
        &["RTMPS_ADDR"],
        "",
        "Where encoders publish under TLS (rtmps://), such as :1936. Absent: nowhere.\nLimits are those of [rtmp].",
        |c, v| put(&mut c.rtmps.addr, v.optional_addr()),
    ),
    key(
        "tls.cert",
        &["TLS_CERT"],
        "",
        "The certificate of https.addr and rtmps.addr: a PEM file with the server's own first, then its chain.\nA new file is taken without a restart, within seconds or at SIGHUP.",
        |c, v| put(&mut c.tls.cert, v.optional().map(|f| f.map(Into::into))),
    ),
    key("tls.key", &["TLS_KEY"], "", "Its private key: a PEM file, unencrypted.", |c, v| {
        put(&mut c.tls.key, v.optional().map(|f| f.map(Into::into)))
    }),
    key("streams.app", &[], "live", "A stream key without `/` means the path {app}/{key}.", |c, v| {
        put(&mut c.streams.app, v.text())
    }),
    key(
        "streams.max_concurrent",
        &["MAX_CONCURRENT_STREAMS"],
        "100",
        "Streams published at once on this node.",
        |c, v| put(&mut c.streams.max_concurrent, v.integer()),
    ),
    key(
        "streams.max_viewers",
        &["MAX_VIEWERS_PER_STREAM"],
        "1000",
        "Viewers of one stream on this node.",
        |c, v| put(&mut c.streams.max_viewers, v.integer()),
    ),
    key(
        "streams.reconnect_window",
        &[],
        "30s",
        "A publisher that comes back within this time continues its stream at the same URL.",
        |c, v| put(&mut c.streams.reconnect_window, v.duration()),
    ),
    key(
        "streams.takeover",
        &[],
        "takeover",
        "What a second publisher with a token of its own gets on a live path: takeover or reject.",
        |c, v| put(&mut c.streams.takeover, v.choice(&TAKEOVERS)),
    ),
    key(
        "hls.segment_target",
        &["HLS_SEGMENT_DURATION"],
        "2s",
        "Segments are cut at the first keyframe at or past this. At least 1s.",
        |c, v| put(&mut c.hls.segment_target, v.duration()),
    ),
    key(
        "hls.window",
        &["HLS_MAX_SEGMENTS"],
        "10",
        "Segments in a playlist. Together they last at least three times the target duration.",
        |c, v| put(&mut c.hls.window, v.integer()),
    ),
    key(
        "hls.part_target",
        &[],
        "210ms",
        "The longest part of low-latency playlists (PART-TARGET).",
        |c, v| put(&mut c.hls.part_target, v.duration()),
    ),
    key(
        "hls.segment_max",
        &[],
        "10s",
        "How long a segment may run to its keyframe before the target duration is fixed.",
        |c, v| put(&mut c.hls.segment_max, v.duration()),
    ),
    key(
        "hls.require_keyframes",
        &[],
        "false",
        "Close publishers whose keyframes come too late for the target duration.",
        |c, v| put(&mut c.hls.require_keyframes, v.boolean()),
    ),
    secret(
        "auth.admin_token",
        &["ADMIN_TOKEN"],
        "The Bearer token of the admin API. Without one, admin calls work on loopback only.",
        |c, v| put(&mut c.auth.admin_token, v.secret()),
    ),
    secret(
        "auth.secret",
        &["AUTH_SECRET"],
        "What publish tokens are signed with. Default: cluster.secret, else made once in node.state_dir.",
        |c, v| put(&mut c.auth.secret, v.secret()),
    ),
    key(
        "auth.open_publish",
        &[],
        "",
        "Patterns of paths that anybody may publish to without a token, such as live/*.",
        |c, v| put(&mut c.auth.open_publish, v.list()),
    ),
    key(
        "auth.default_token_expiration",
        &["DEFAULT_TOKEN_EXPIRATION"],
        "1h",
        "How long a publish token lasts when the request does not say.",
        |c, v| put(&mut c.auth.default_token_expiration, v.duration()),
    ),
    key(
        "auth.max_token_expiration",
        &["MAX_TOKEN_EXPIRATION"],
        "24h",
        "How long a publish token may last. Longer requests are capped.",
        |c, v| put(&mut c.auth.max_token_expiration, v.duration()),
    ),
    key(
        "storage.type",
        &["STORAGE_TYPE"],
        "local",
        "Where segments go: local. The stores s3 and gcs are not in this version yet.",
        |c, v| put(&mut c.storage.kind, v.choice(&STORES)),
    ),
    key("storage.dir", &["STORAGE_DIR"], "./data/streams", "The folder of the local store.", |c, v| {
        put(&mut c.storage.dir, v.text().map(Into::into))
    }),
    key(
        "storage.prefix",
        &["STORAGE_PREFIX", "GCS_BASE_DIR"],
        "streams",
        "What names of objects begin with inside a bucket.",
        |c, v| put(&mut c.storage.prefix, v.text()),
    ),
    key("storage.gcs_project_id", &["GCS_PROJECT_ID"], "", "The Google project, with type gcs.", |c, v| {
        put(&mut c.storage.gcs_project_id, v.optional())
    }),
    key("storage.gcs_bucket", &["GCS_BUCKET_NAME"], "", "The Google bucket, with type gcs.", |c, v| {
        put(&mut c.storage.gcs_bucket, v.optional())
    }),
    secret(
        "cluster.redis_url",
        &["REDIS_URL"],
        "Redis, for many nodes. Not in this version yet: a node that has it set does not start.",
        |c, v| put(&mut c.cluster.redis_url, v.secret()),
    ),
    secret(
        "cluster.secret",
        &["CLUSTER_SECRET"],
        "What the nodes of a cluster share; also the default of auth.secret.",
        |c, v| put(&mut c.cluster.secret, v.secret()),
    ),
    key("log.format", &[], "text", "How log lines on stderr look: text or json.", |c, v| {
        put(&mut c.log.format, v.choice(&FORMATS))
    }),
    key(
        "log.filter",
        &["RUST_LOG"],
        "info",
        "Which log lines are written: a level, or module=level pairs joined by commas.",
        |c, v| put(&mut c.log.filter, v.text()),
    ),
];
