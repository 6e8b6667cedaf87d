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
    extract::{ConnectInfo, State},
    response::Response,
};
use hls::Directives;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header, request::Parts};
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

/// Viewers' HTTP. Cheap to clone.
#[derive(Clone)]
pub struct Viewers(Arc<Service>);

struct Service {
    playback: Playback,
    identities: Identities,
    seats: Seats,
}

/// What is left to do for a request once all that its answer depends on is read out of it.
enum Rest {
    Done(Response),
    Index(Window),
    Playlist(Window, RenditionName, Directives),
    Object(Window, ObjectName),
}

/// What an answer depends on besides.
struct Asked {
    method: Method,
    headers: HeaderMap,
}

impl Viewers {
    /// Serves what `playback` has.
    pub fn new(playback: Playback) -> Self {
        let seats = Seats::new(playback.max_viewers);
        Self(Arc::new(Service { playback, identities: Identities::default(), seats }))
    }

    /// Answers a request for any URL that is a viewer's: GET, HEAD and OPTIONS.
    ///
    /// Without a `peer`, viewers who send no CMCD session differ by User-Agent alone. Requests are held as the [`Window`]
    /// decides, never longer, and hold nothing of what was sent: the request is taken apart before the future is made.
    pub fn answer<B>(
        &self,
        request: Request<B>,
        peer: Option<IpAddr>,
    ) -> impl Future<Output = Response> + Send + use<B> {
        let service = Arc::clone(&self.0);
        // The body of a GET means nothing here and is not read.
        let (parts, _) = request.into_parts();
        let rest = match parts.method {
            Method::GET | Method::HEAD => service.begin(&parts, peer),
            Method::OPTIONS => Ok(Rest::Done(cors::preflight())),
            _ => Ok(Rest::Done(not_allowed())),
        };
        let asked = Asked { headers: copied(&parts.headers), method: parts.method };
        async move { service.finish(rest, &asked).await }
    }
}

/// The headers that answers depend on, as copies: the request's own are views of the buffer that it was read into, which
/// would stay for as long as the request is held.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in
        [header::ACCEPT_ENCODING, header::IF_NONE_MATCH, header::RANGE, header::IF_RANGE, header::ORIGIN]
    {
        for value in headers.get_all(&name) {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                kept.append(&name, value);
            }
        }
    }
    kept
}

/// [`Viewers`] as the fallback of whatever else a server has. A viewer's address comes from axum's
/// `ConnectInfo<SocketAddr>`.
pub fn router(viewers: Viewers) -> Router {
    Router::new().fallback(serve).with_state(viewers)
}

async fn serve(State(viewers): State<Viewers>, request: Request<Body>) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    viewers.answer(request, peer).await
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
    /// Reads a request, lets the viewer in or not, and answers what needs no waiting.
    fn begin(&self, request: &Parts, peer: Option<IpAddr>) -> Result<Rest, Refusal> {
        let done = match Target::parse(request.uri.path())? {
            Target::List => pages::list(&request.headers),
            Target::Player(_) => pages::player(&request.headers),
            Target::Moved(path) => reply::moved(path.as_str(), request.uri.query()),
            Target::Asset(name) => pages::asset(&name, &request.headers)?,
            Target::Object(path, name) => return self.begin_object(&path, name, (request, peer)),
        };
        Ok(Rest::Done(done))
    }

    fn begin_object(
        &self,
        path: &StreamPath,
        name: ObjectName,
        (request, peer): (&Parts, Option<IpAddr>),
    ) -> Result<Rest, Refusal> {
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
            ObjectName::Index => Ok(Rest::Index(window)),
            ObjectName::Playlist(rendition) => {
                let directives = Directives::parse(query)
                    .map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why.to_string()))?;
                self.admit(&window, self.viewer(request, peer))?;
                Ok(Rest::Playlist(window, rendition, directives))
            }
            _ => {
                self.seats.keep(&window, self.viewer(request, peer), Instant::now());
                Ok(Rest::Object(window, name))
            }
        }
    }

    /// Waits where the answer has to be waited for.
    async fn finish(&self, rest: Result<Rest, Refusal>, asked: &Asked) -> Response {
        let answered = match rest {
            Ok(rest) => self.wait(rest, asked).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = answered.unwrap_or_else(Response::from);
        self.playback.origins.allow(asked.headers.get(header::ORIGIN), response.headers_mut());
        if asked.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn wait(&self, rest: Rest, asked: &Asked) -> Result<Response, Refusal> {
        match rest {
            Rest::Done(response) => Ok(response),
            Rest::Index(window) => {
                let before = window.next();
                let rendered = window.index().await?;
                // Who waited for the very first part has a fresh edge already.
                if window.next() == before {
                    window.advance(TUNE_IN).await;
                }
                Ok(playlists::respond(&rendered, CachePolicy::Index, &asked.headers))
            }
            Rest::Playlist(window, rendition, directives) => {
                playlist(&window, rendition, directives, &asked.headers).await
            }
            Rest::Object(window, name) => {
                let blob = self.blob(&window, name).await?;
                Ok(objects::respond(name, blob, &asked.method, &asked.headers))
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

    fn admit(&self, window: &Window, viewer: u64) -> Result<(), Refusal> {
        if self.seats.admit(window, viewer, Instant::now()) {
            return Ok(());
        }
        let max = self.playback.max_viewers;
        Err(Refusal::unavailable(format!("this stream has all the {max} viewers that it may have")))
    }

    fn viewer(&self, request: &Parts, peer: Option<IpAddr>) -> u64 {
        let address = peer.map(|ip| ip.to_canonical());
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
