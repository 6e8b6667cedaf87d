//! From a request to its answer.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::Policy;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use hls::Directives;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use live::{Blob, Directory, Object, Window};
use media::{Cursor, ObjectName, RenditionName, StreamPath};
use store::SegmentStore;
use tokio::time::Instant;

use crate::{
    cache::CachePolicy,
    cors::{self, Origins},
    credentials,
    identity::Identities,
    objects, pages, playlists,
    reply::{self, Refusal},
    seats::Seats,
    target::{BadTarget, Target},
};

/// A multivariant playlist is answered when the next part is listed, at most this much later: a part of the default length
/// and a frame. Players take the edge of the media playlist that they load next for the live edge, and stay behind by
/// the age that its newest part had (docs/decisions/0017-players-start-at-a-fresh-edge.md).
const TUNE_IN: Duration = Duration::from_millis(250);

/// What serving viewers needs.
#[derive(Clone)]
pub struct Playback {
    /// Streams and their windows.
    pub directory: Directory,
    /// Segments older than memory.
    pub store: SegmentStore,
    /// Who may watch what.
    pub policy: Arc<Policy>,
    /// Whose pages may read answers.
    pub origins: Origins,
    /// Viewers that one stream takes on this node; newcomers beyond it get a 503 that says so.
    pub max_viewers: usize,
}

struct Service {
    playback: Playback,
    identities: Identities,
    seats: Seats,
}

/// Answers every URL that is a viewer's, as the fallback of whatever else the server has.
///
/// GET, HEAD and OPTIONS. A viewer's address comes from axum's `ConnectInfo<SocketAddr>`; without it, viewers who send no
/// CMCD session differ by User-Agent alone. Requests are held as the [`Window`] decides, never longer.
pub fn router(playback: Playback) -> Router {
    let seats = Seats::new(playback.max_viewers);
    let service = Service { playback, identities: Identities::default(), seats };
    Router::new().fallback(serve).with_state(Arc::new(service))
}

async fn serve(State(service): State<Arc<Service>>, request: Request) -> Response {
    // The body of a GET means nothing here and is not read.
    let (parts, _) = request.into_parts();
    let mut response = match parts.method {
        Method::GET | Method::HEAD => service.answer(&parts).await.unwrap_or_else(Response::from),
        Method::OPTIONS => cors::preflight(),
        _ => not_allowed(),
    };
    service.playback.origins.allow(parts.headers.get(header::ORIGIN), response.headers_mut());
    if parts.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

fn not_allowed() -> Response {
    let mut response = Response::from(Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "only GET, HEAD and OPTIONS are answered",
    ));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(cors::METHODS));
    response
}

impl Service {
    async fn answer(&self, request: &Parts) -> Result<Response, Refusal> {
        let query = request.uri.query();
        match Target::parse(request.uri.path())? {
            Target::List => Ok(pages::list(&request.headers)),
            Target::Player(_) => Ok(pages::player(&request.headers)),
            Target::Moved(path) => Ok(reply::moved(path.as_str(), query)),
            Target::Asset(name) => pages::asset(&name, &request.headers),
            Target::Object(path, name) => self.object(&path, name, request).await,
        }
    }

    async fn object(
        &self,
        path: &StreamPath,
        name: ObjectName,
        request: &Parts,
    ) -> Result<Response, Refusal> {
        let query = request.uri.query().unwrap_or_default();
        let shown = credentials::of(&request.headers, query);
        self.playback
            .policy
            .read(path, &shown, SystemTime::now())
            .map_err(|why| Refusal::new(StatusCode::UNAUTHORIZED, why.to_string()))?;
        let window = self
            .playback
            .directory
            .window(path)
            .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "no such stream"))?;
        match name {
            // Not counted: hls.js sends no session with it, and would be two viewers. Who plays goes on to the media.
            ObjectName::Index => {
                let rendered = window.index().await?;
                window.advance(TUNE_IN).await;
                Ok(playlists::respond(&rendered, CachePolicy::Index, &request.headers))
            }
            ObjectName::Playlist(rendition) => {
                let directives = Directives::parse(query)
                    .map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why.to_string()))?;
                self.admit(&window, request)?;
                playlist(&window, rendition, directives, &request.headers).await
            }
            _ => {
                self.seats.keep(&window, self.viewer(request), Instant::now());
                let blob = self.blob(&window, name).await?;
                Ok(objects::respond(name, blob, &request.method, &request.headers))
            }
        }
    }

    async fn blob(&self, window: &Window, name: ObjectName) -> Result<Blob, Refusal> {
        match window.object(name).await {
            Object::Ready(blob) => Ok(blob),
            Object::InStore(name) => self.stored(window.path(), name).await,
            Object::NotFound => Err(Refusal::not_found()),
            Object::Gone => Err(Refusal::gone()),
            Object::TimedOut => Err(Refusal::unavailable("the part did not come in time")),
            Object::TooManyWaiters => Err(Refusal::unavailable("too many requests are waiting")),
        }
    }

    async fn stored(&self, path: &StreamPath, name: ObjectName) -> Result<Blob, Refusal> {
        match self.playback.store.read(path, name).await {
            Ok(Some(bytes)) => Ok(Blob { name, len: bytes.len() as u64, chunks: [bytes].into() }),
            Ok(None) => Err(Refusal::not_found()),
            Err(error) => {
                tracing::warn!(%path, %name, %error, "an older object cannot be read");
                Err(Refusal::unavailable("the store does not answer"))
            }
        }
    }

    fn admit(&self, window: &Window, request: &Parts) -> Result<(), Refusal> {
        if self.seats.admit(window, self.viewer(request), Instant::now()) {
            return Ok(());
        }
        let max = self.playback.max_viewers;
        Err(Refusal::unavailable(format!("this stream has all the {max} viewers that it may have")))
    }

    fn viewer(&self, request: &Parts) -> u64 {
        let address: Option<IpAddr> =
            request.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
        self.identities.key(&request.headers, request.uri.query().unwrap_or_default(), address)
    }
}

async fn playlist(
    window: &Window,
    rendition: RenditionName,
    directives: Directives,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let rendered = window.playlist(rendition, directives).await?;
    let target = rendered.target_duration();
    // After ENDLIST directives are ignored, and the next publish may reuse what they ask for. Held requests that a
    // shutdown releases are not satisfied either: neither may stay in a cache under that URL.
    let satisfied = !rendered.ended() && reached(window.next(), directives);
    let policy = if satisfied { CachePolicy::Satisfied { target } } else { CachePolicy::Playlist { target } };
    Ok(playlists::respond(&rendered, policy, headers))
}

/// Whether the edge is past what the directives wait for.
fn reached(next: Cursor, directives: Directives) -> bool {
    match (directives.msn, directives.part) {
        (None, _) => false,
        (Some(msn), None) => next.msn > msn,
        (Some(msn), Some(part)) => next > Cursor { msn, part },
    }
}

impl From<BadTarget> for Refusal {
    fn from(why: BadTarget) -> Self {
        let status = match why {
            BadTarget::TooLong => StatusCode::URI_TOO_LONG,
            BadTarget::Malformed => StatusCode::BAD_REQUEST,
            BadTarget::Unknown => StatusCode::NOT_FOUND,
        };
        Self::new(status, why.to_string())
    }
}

#[cfg(test)]
mod tests;
