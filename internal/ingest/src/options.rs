//! Limits and policies of the RTMP listener (limits-and-faults.md "Limits, with defaults").

use std::time::Duration;

use live::StreamOptions;
use media::PerPath;
use registry::NodeId;
use rtmp::SessionOptions;

/// What another valid publisher on a live path gets (contract "Tokens").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takeover {
    /// It replaces the present one, unless that one is younger than 10 s and sent media within 2 s.
    #[default]
    Takeover,
    /// It is refused as long as the present one is connected.
    Reject,
}

/// How connections are treated.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// This node's name in claims.
    pub node: NodeId,
    /// The app that a stream key without `/` lies below, for the `stream_key` label. Default `live`.
    pub app: String,
    /// From accept to the end of the handshake, waiting for a place included. Default 5 s.
    pub handshake_timeout: Duration,
    /// From the handshake to `publish`. Default 10 s.
    pub publish_timeout: Duration,
    /// How long a publisher may send no media. Default 10 s.
    pub idle_timeout: Duration,
    /// Connections from one address that have not published yet; more wait. Default 64.
    pub max_pending_per_ip: usize,
    /// Connections in all; more are closed at once. Default 10,000.
    pub max_connections: usize,
    /// Streams published at once. Default 1000.
    pub max_streams: usize,
    /// What a second valid publisher gets, path by path.
    pub takeover: PerPath<Takeover>,
    /// How far media time may run ahead of the wall clock before reading pauses. Default 10 s.
    pub max_ahead: Duration,
    /// Where encoders are told to connect when this node stops, a `tcUrl`; `None`: to where they are connected.
    pub reconnect_to: Option<String>,
    /// How long an encoder that was told so may go on before it is closed. Default 1 s.
    pub reconnect_grace: Duration,
    /// Bounds of one RTMP session.
    pub session: SessionOptions,
    /// Bounds of a stream's ring.
    pub stream: StreamOptions,
}

impl IngestOptions {
    /// The defaults, for a node of this name.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            app: "live".into(),
            handshake_timeout: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            max_pending_per_ip: 64,
            max_connections: 10_000,
            max_streams: 1000,
            takeover: PerPath::default(),
            max_ahead: Duration::from_secs(10),
            reconnect_to: None,
            reconnect_grace: Duration::from_secs(1),
            session: SessionOptions::default(),
            stream: StreamOptions::default(),
        }
    }
}
