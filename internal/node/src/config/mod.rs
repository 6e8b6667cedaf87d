//! Settings: one static table of keys drives reading, documentation and the example file.
//!
//! Layers, strongest first: flag, `RAPIDRTMP__SECTION__KEY`, short or old variable, file, default.

mod error;
mod example;
mod keys;
mod layers;
mod paths;
mod validate;
mod value;

use std::{path::PathBuf, time::Duration};

pub use error::ConfigError;
pub use example::{example, reference};
pub use keys::{KEYS, Key};
pub use layers::{Sources, load};
pub use paths::{PATH_KEYS, PathKey, PathSettings};
pub use value::{ListenAddr, Raw, Secret, parse_duration};

/// Every setting of a node, read and checked.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[node]`.
    pub node: NodeSettings,
    /// `[http]`.
    pub http: HttpSettings,
    /// `[rtmp]`.
    pub rtmp: RtmpSettings,
    /// `[https]`.
    pub https: HttpsSettings,
    /// `[rtmps]`.
    pub rtmps: RtmpsSettings,
    /// `[tls]`.
    pub tls: TlsSettings,
    /// `[streams]`.
    pub streams: StreamSettings,
    /// `[hls]`.
    pub hls: HlsSettings,
    /// `[auth]`.
    pub auth: AuthSettings,
    /// `[storage]`.
    pub storage: StorageSettings,
    /// `[cluster]`.
    pub cluster: ClusterSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[[paths]]`, strongest first.
    pub paths: Vec<PathSettings>,
}

/// What this process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Everything, in one process.
    #[default]
    AllInOne,
    /// Takes streams from encoders; needs a cluster.
    Ingest,
    /// Serves viewers; needs a cluster.
    Edge,
}

/// `[node]`: the process.
#[derive(Clone, Debug, Default)]
pub struct NodeSettings {
    /// What this process does.
    pub role: Role,
    /// Its name; made at start when absent.
    pub id: Option<String>,
    /// Where the signing key and spent tokens live.
    pub state_dir: PathBuf,
    /// How long a graceful stop may take in all.
    pub drain_timeout: Duration,
    /// Threads that carry media; absent: by the number of cores.
    pub media_threads: Option<usize>,
}

/// `[http]`: the listener for viewers and the API.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// Where to listen; see [`Config::http_addr`] for the default.
    pub addr: Option<ListenAddr>,
    /// Connections held at once; more wait in the backlog.
    pub max_connections: usize,
    /// How long a request's header may take.
    pub header_timeout: Duration,
    /// How long a connection may be without a request.
    pub idle_timeout: Duration,
    /// Origins whose pages may read streams and the API; `*` is any.
    pub allow_origins: Vec<String>,
}

/// `[rtmp]`: the listener for encoders.
#[derive(Clone, Debug, Default)]
pub struct RtmpSettings {
    /// Where to listen.
    pub addr: ListenAddr,
    /// What a `publishUrl` begins with; made from the listener when absent.
    pub ingest_addr: Option<String>,
    /// Connections held at once.
    pub max_connections: usize,
    /// Connections from one address that have not published yet.
    pub max_pending_per_ip: usize,
    /// How long a publisher may send nothing.
    pub idle_timeout: Duration,
    /// Where encoders are told to go when this node stops.
    pub reconnect_to: Option<String>,
}

/// `[https]`: the listener for viewers and the API under TLS; all else is as `[http]` says.
#[derive(Clone, Debug, Default)]
pub struct HttpsSettings {
    /// Where to listen, if at all.
    pub addr: Option<ListenAddr>,
}

/// `[rtmps]`: the listener for encoders under TLS; all else is as `[rtmp]` says.
#[derive(Clone, Debug, Default)]
pub struct RtmpsSettings {
    /// Where to listen, if at all.
    pub addr: Option<ListenAddr>,
}

/// `[tls]`: the certificate of both.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// PEM: the certificate, then its chain.
    pub cert: Option<PathBuf>,
    /// PEM: its private key.
    pub key: Option<PathBuf>,
}

/// What a second valid publisher on a live path gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakeoverPolicy {
    /// It replaces the first.
    #[default]
    Takeover,
    /// It is refused.
    Reject,
}

/// `[streams]`: how many, and whose.
#[derive(Clone, Debug, Default)]
pub struct StreamSettings {
    /// The app that a stream key without `/` lies below.
    pub app: String,
    /// Streams published at once on this node.
    pub max_concurrent: usize,
    /// Viewers of one stream on this node.
    pub max_viewers: usize,
    /// How long a path waits for its publisher to come back.
    pub reconnect_window: Duration,
    /// What a second valid publisher gets.
    pub takeover: TakeoverPolicy,
}

/// `[hls]`: cuts and playlists.
#[derive(Clone, Debug, Default)]
pub struct HlsSettings {
    /// Where segments are cut.
    pub segment_target: Duration,
    /// Segments in a playlist.
    pub window: usize,
    /// PART-TARGET.
    pub part_target: Duration,
    /// How long a segment may run to its keyframe before TARGETDURATION is fixed.
    pub segment_max: Duration,
    /// Close publishers whose keyframes come too late.
    pub require_keyframes: bool,
}

/// `[auth]`: who may do what.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// The Bearer token of the admin API.
    pub admin_token: Option<Secret>,
    /// The key that signs publish tokens.
    pub secret: Option<Secret>,
    /// Patterns of paths that need no token to publish.
    pub open_publish: Vec<String>,
    /// How long a token lasts when the request does not say.
    pub default_token_expiration: Duration,
    /// How long it may last.
    pub max_token_expiration: Duration,
}

/// Which object store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageType {
    /// A folder.
    #[default]
    Local,
    /// Amazon S3 and its like.
    S3,
    /// Google Cloud Storage.
    Gcs,
}

/// `[storage]`: where segments go.
#[derive(Clone, Debug, Default)]
pub struct StorageSettings {
    /// Which object store.
    pub kind: StorageType,
    /// The folder.
    pub dir: PathBuf,
    /// The prefix inside a bucket.
    pub prefix: String,
    /// Google project.
    pub gcs_project_id: Option<String>,
    /// Google bucket.
    pub gcs_bucket: Option<String>,
}

/// `[cluster]`: many nodes.
#[derive(Clone, Debug, Default)]
pub struct ClusterSettings {
    /// Redis.
    pub redis_url: Option<Secret>,
    /// What nodes prove themselves to each other with.
    pub secret: Option<Secret>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`: what is written to stderr.
#[derive(Clone, Debug, Default)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines, as `tracing` filters are written.
    pub filter: String,
}

impl Config {
    /// Where HTTP listens: as set, else all interfaces with an admin token and loopback without one.
    pub fn http_addr(&self) -> ListenAddr {
        match (&self.http.addr, &self.auth.admin_token) {
            (Some(addr), _) => addr.clone(),
            (None, Some(_)) => ListenAddr::Any(DEFAULT_HTTP_PORT),
            (None, None) => ListenAddr::Host("127.0.0.1".into(), DEFAULT_HTTP_PORT),
        }
    }

    /// The text that publish tokens are signed with: `AUTH_SECRET`, else `CLUSTER_SECRET`, else made once.
    pub fn signing_secret(&self) -> Option<&str> {
        self.auth.secret.as_ref().or(self.cluster.secret.as_ref()).map(Secret::expose)
    }
}

/// RapidRTMP's port.
const DEFAULT_HTTP_PORT: u16 = 8080;
