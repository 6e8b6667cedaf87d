//! What a request is answered: an object, or why there is no playlist.

use media::ObjectName;
use thiserror::Error;

use crate::Blob;

/// What stands in the way of a playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// 400: the directives ask for what cannot come.
    #[error("{0}")]
    BadRequest(&'static str),
    /// 404: no such rendition.
    #[error("there is no such rendition")]
    NotFound,
    /// 503: as many requests are held as may be.
    #[error("too many requests are waiting")]
    TooManyWaiters,
    /// 503: held for three target durations (RFC 8216bis §6.2.5.2).
    #[error("nothing new came in time")]
    TimedOut,
    /// 404 for now: nothing is listed yet.
    #[error("the stream has no media yet")]
    NotReady,
    /// 410: it is over and its objects are gone.
    #[error("the stream is over")]
    Gone,
}

/// What became of a request for an object.
#[derive(Clone, Debug)]
pub enum Object {
    /// Here it is.
    Ready(Blob),
    /// Older than memory: ask storage for this name, which is canonical.
    InStore(ObjectName),
    /// 404, also for a hint that was abandoned.
    NotFound,
    /// 410: the stream is over and its objects are gone.
    Gone,
    /// 503: a hinted part did not come in three target durations.
    TimedOut,
    /// 503: as many requests are held as may be.
    TooManyWaiters,
}
