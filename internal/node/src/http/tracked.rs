//! Bodies over HTTP/2 whose pieces are watched until they are sent.
//!
//! A peer that gives no window keeps what was handed over for it in memory, and its answers to PING keep the connection
//! alive. The connection is closed when a piece has waited too long; pieces are small, so that a slow peer is not a stuck
//! one.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

use super::pulse::Pulse;

/// At 30 s a piece, whoever takes 2 KiB/s is served.
const PIECE: usize = 64 * 1024;

/// A body in pieces.
pub(super) struct Tracked {
    body: Body,
    /// What is left of the frame that the body gave last.
    rest: Bytes,
    pulse: Arc<Pulse>,
}

impl Tracked {
    pub(super) fn new(body: Body, pulse: Arc<Pulse>) -> Self {
        Self { body, rest: Bytes::new(), pulse }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Frame::data(self.pulse.send(piece))
    }
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        Poll::Ready(Some(Ok(self.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[tokio::test]
    async fn the_pieces_are_the_body_and_share_its_bytes() {
        let bytes = Bytes::from((0..200_000u32).map(|i| i as u8).collect::<Vec<u8>>());
        let mut body = Tracked::new(Body::from(bytes.clone()), Arc::default());
        assert_eq!(body.size_hint().exact(), Some(200_000));
        let (mut at, mut pieces) = (0, 0);
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let piece = frame.unwrap().into_data().unwrap();
            assert_eq!(piece.as_ptr(), bytes[at..].as_ptr(), "not copied");
            at += piece.len();
            pieces += 1;
            assert_eq!(body.size_hint().exact(), Some((bytes.len() - at) as u64));
            assert_eq!(body.is_end_stream(), at == bytes.len());
        }
        assert_eq!((at, pieces), (bytes.len(), 4));
    }
}
