//! Streams: list, look at, stop.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use live::{Entry, EntryState, Stream};
use media::{CodecConfig, Credentials, StreamPath};
use registry::PathState;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{Api, ApiError, error::ErrorBody, rfc3339};

/// How long a stop waits for the path to be free again.
const STOP_WAIT: Duration = Duration::from_secs(1);
/// How often it looks.
const STOP_POLL: Duration = Duration::from_millis(10);

/// A stream as it is now.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamInfo {
    /// The key: without the app when it lies below it.
    stream_key: String,
    /// The full path.
    path: String,
    /// A publisher is sending media.
    active: bool,
    /// `connecting` (no media yet, or the publisher is expected back), `live`, or `stopped`.
    #[schema(example = "live")]
    state: &'static str,
    /// Viewers on this node who asked lately.
    viewers: u64,
    /// When the publish began (RFC 3339).
    started_at: Option<String>,
    /// Seconds that it has lasted; stands still once it is over.
    duration: u64,
    #[schema(example = "h264")]
    video_codec: Option<&'static str>,
    #[schema(example = "aac")]
    audio_codec: Option<&'static str>,
    #[schema(example = "1280x720")]
    resolution: Option<String>,
    /// Bit/s over the last seconds.
    bitrate: u64,
    /// The node that has its publisher.
    node: String,
    /// The publish: rises with each.
    epoch: u64,
    /// What the publisher should know.
    warnings: Vec<String>,
    /// What the encoder says about itself.
    metadata: BTreeMap<String, String>,
}

/// The streams that are live.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamList {
    streams: Vec<StreamInfo>,
    /// How many.
    total: usize,
}

/// A stream that was stopped.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stopped {
    #[schema(example = "stream stopped")]
    message: &'static str,
    stream_key: String,
}

/// What a publish was like when it was last seen: its ring is not held for that.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    started_at: SystemTime,
    lasted: Duration,
    video_codec: Option<&'static str>,
    audio_codec: Option<&'static str>,
    resolution: Option<String>,
    bitrate: u64,
    has_media: bool,
    epoch: u64,
    warnings: Vec<String>,
    metadata: BTreeMap<String, String>,
}

impl Seen {
    pub(crate) fn of(stream: &Stream) -> Self {
        let tracks = stream.tracks();
        let stats = stream.stats();
        let video = tracks.video.as_deref().map(|t| &t.config);
        Self {
            started_at: stream.started_at(),
            lasted: stream.started_at().elapsed().unwrap_or_default(),
            video_codec: video.map(CodecConfig::short_name),
            audio_codec: tracks.audio.as_deref().map(|t| t.config.short_name()),
            resolution: video.and_then(CodecConfig::picture).map(|p| format!("{}x{}", p.width, p.height)),
            bitrate: stats.bitrate,
            has_media: stats.bytes > 0,
            epoch: stream.epoch().0,
            warnings: stream.warnings(),
            metadata: tracks.metadata.entries.into_iter().collect(),
        }
    }
}

/// The key in a URL, percent-decoded; an error when that gives no UTF-8.
type Key = Result<Path<String>, PathRejection>;

/// The streams that are live, and open to anonymous readers.
#[utoipa::path(get, path = "/api/v1/streams", tag = "streams", responses((status = 200, body = StreamList)))]
pub(crate) async fn list(State(api): State<Arc<Api>>) -> Json<StreamList> {
    let streams: Vec<StreamInfo> = api
        .directory
        .list()
        .iter()
        .filter(|e| e.state == EntryState::Live && api.is_visible(&e.path))
        .map(|e| api.describe(e))
        .filter(|s| s.active)
        .collect();
    Json(StreamList { total: streams.len(), streams })
}

/// One stream; a stopped one too while its playlist is there.
#[utoipa::path(
    get, path = "/api/v1/streams/{key}", tag = "streams",
    params(("key" = String, Path, description = "The stream key; a `/` in it is written %2F")),
    responses((status = 200, body = StreamInfo), (status = 404, description = "No such stream", body = ErrorBody)),
)]
pub(crate) async fn get(State(api): State<Arc<Api>>, key: Key) -> Result<Json<StreamInfo>, ApiError> {
    let entry = find(&api, &key?).filter(|e| api.is_visible(&e.path));
    entry.map(|e| Json(api.describe(&e))).ok_or_else(|| ApiError::not_found("stream not found"))
}

/// Stops a stream: disconnects its publisher, ends its playlist, spends its token. The key can be used at once.
#[utoipa::path(
    post, path = "/api/v1/streams/{key}/stop", tag = "streams",
    params(("key" = String, Path, description = "The stream key; a `/` in it is written %2F")),
    responses(
        (status = 200, description = "Stopped", body = Stopped),
        (status = 401, description = "No admin", body = ErrorBody),
        (status = 404, description = "No such stream", body = ErrorBody),
    ),
    security(("admin" = []), ()),
)]
pub(crate) async fn stop(State(api): State<Arc<Api>>, key: Key) -> Result<Json<Stopped>, ApiError> {
    let key = key?;
    let missing = || ApiError::not_found(format!("stream {} not found", key.escape_default()));
    let entry = find(&api, &key).filter(|e| e.state != EntryState::Ended).ok_or_else(missing)?;
    let path = &entry.path;
    if let Some(stream) = &entry.stream {
        api.remember(stream);
    }
    match entry.epoch {
        Some(epoch) => api.end(path, epoch).await,
        None => drop(api.directory.stop(path)),
    }
    wait_until_free(&api, path).await;
    tracing::info!(%path, "stream stopped");
    Ok(Json(Stopped { message: "stream stopped", stream_key: path.stream_key(&api.app).to_owned() }))
}

/// The registry takes a new publisher as soon as the claim is ended; normally that is so already.
async fn wait_until_free(api: &Api, path: &StreamPath) {
    let until = Instant::now() + STOP_WAIT;
    while Instant::now() < until {
        match api.registry.look_up(path).await {
            Ok(Some(record)) if record.state == PathState::Live => tokio::time::sleep(STOP_POLL).await,
            _ => return,
        }
    }
}

/// What a key means: below the app, or a path of one part such as `live`, which is its own key.
fn find(api: &Api, key: &str) -> Option<Entry> {
    let below = StreamPath::from_stream_key(&api.app, key).ok();
    let alone = StreamPath::parse(key).ok();
    below.into_iter().chain(alone).find_map(|path| api.directory.entry(&path))
}

impl Api {
    /// Anonymous readers may see it.
    fn is_visible(&self, path: &StreamPath) -> bool {
        self.policy.read(path, &Credentials::default(), SystemTime::now()).is_ok()
    }

    /// Notes what a publish is like, to tell when it is over.
    fn remember(&self, stream: &Stream) {
        self.seen.lock().insert(stream.path().clone(), Seen::of(stream));
    }

    /// Notes all publishes and forgets paths that are gone. Called every second.
    pub(crate) fn remember_all(&self) {
        let entries = self.directory.list();
        let mut seen = self.seen.lock();
        seen.retain(|path, _| entries.binary_search_by(|e| e.path.cmp(path)).is_ok());
        for stream in entries.iter().filter_map(|e| e.stream.as_ref()) {
            seen.insert(stream.path().clone(), Seen::of(stream));
        }
    }

    fn describe(&self, entry: &Entry) -> StreamInfo {
        let running = entry.stream.as_ref().filter(|_| entry.state == EntryState::Live).map(Seen::of);
        let is_live = running.as_ref().is_some_and(|s| s.has_media);
        let seen = running.or_else(|| self.seen.lock().get(&entry.path).cloned());
        let state = match entry.state {
            EntryState::Live if is_live => "live",
            EntryState::Live | EntryState::Gap => "connecting",
            EntryState::Ended => "stopped",
        };
        let viewers = entry.window.as_ref().map_or(0, |w| w.viewers().count(Instant::now()) as u64);
        let mut info = StreamInfo {
            stream_key: entry.path.stream_key(&self.app).to_owned(),
            path: entry.path.to_string(),
            active: is_live,
            state,
            viewers,
            started_at: None,
            duration: 0,
            video_codec: None,
            audio_codec: None,
            resolution: None,
            bitrate: 0,
            node: self.node.to_string(),
            epoch: entry.epoch.map_or(0, |e| e.0),
            warnings: Vec::new(),
            metadata: BTreeMap::new(),
        };
        if let Some(seen) = seen.filter(|s| s.epoch == info.epoch) {
            info.started_at = Some(rfc3339(seen.started_at));
            info.duration = seen.lasted.as_secs();
            info.video_codec = seen.video_codec;
            info.audio_codec = seen.audio_codec;
            info.resolution = seen.resolution;
            info.bitrate = if is_live { seen.bitrate } else { 0 };
            info.warnings = seen.warnings;
            info.metadata = seen.metadata;
        }
        info
    }

    /// What is only known by looking: set just before the metrics are read.
    pub(crate) fn gauges(&self) {
        let memory = self.directory.memory();
        metrics::gauge!("rapidrtmp_ring_bytes").set(memory.ring_bytes as f64);
        metrics::gauge!("rapidrtmp_window_bytes").set(memory.window_bytes as f64);
        metrics::gauge!("rapidrtmp_held_requests").set(memory.held_requests as f64);
        let entries = self.directory.list();
        let now = Instant::now();
        let viewers: usize =
            entries.iter().filter_map(|e| e.window.as_ref()).map(|w| w.viewers().count(now)).sum();
        metrics::gauge!("rapidrtmp_active_viewers").set(viewers as f64);
    }
}
