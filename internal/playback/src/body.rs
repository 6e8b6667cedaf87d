//! A body made of shared chunks: every viewer sends the same bytes, none copies them.

use std::{
    convert::Infallible,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Shared chunks in order, from somewhere in the first to somewhere in the last. One HTTP body frame for each chunk.
#[derive(Debug)]
pub(crate) struct Chunks {
    chunks: Arc<[Bytes]>,
    /// The chunk to send next, and how much of it to leave out.
    next: usize,
    skip: u64,
    left: u64,
}

impl Chunks {
    /// The bytes of `chunks` that lie in `range`. Ranges past the end are cut to it.
    pub(crate) fn slice(chunks: Arc<[Bytes]>, range: Range<u64>) -> Self {
        let len: u64 = chunks.iter().map(|c| c.len() as u64).sum();
        let end = range.end.min(len);
        let mut body =
            Self { chunks, next: 0, skip: range.start.min(end), left: end.saturating_sub(range.start) };
        while let Some(chunk) = body.chunks.get(body.next)
            && body.skip >= chunk.len() as u64
        {
            body.skip -= chunk.len() as u64;
            body.next += 1;
        }
        body
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.left > 0 {
            let Some(chunk) = self.chunks.get(self.next) else { break };
            let from = self.skip.min(chunk.len() as u64);
            let to = (from + self.left).min(chunk.len() as u64);
            let piece = chunk.slice(from as usize..to as usize);
            self.next += 1;
            self.skip = 0;
            self.left -= to - from;
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(body: Chunks) -> String {
        let exact = body.size_hint().exact().unwrap();
        let all = body.collect().await.unwrap().to_bytes();
        assert_eq!(all.len() as u64, exact);
        String::from_utf8(all.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_slice_is_that_of_the_concatenation() {
        let chunks: Arc<[Bytes]> = ["abc", "", "defg", "h"].map(Bytes::from).into();
        let whole = "abcdefgh";
        for start in 0..=whole.len() {
            for end in start..=whole.len() + 2 {
                let body = Chunks::slice(Arc::clone(&chunks), start as u64..end as u64);
                assert_eq!(text(body).await, whole[start..end.min(whole.len())]);
            }
        }
        assert_eq!(text(Chunks::slice(chunks, 0..u64::MAX)).await, whole);
    }

    #[tokio::test]
    async fn the_bytes_are_shared_not_copied() {
        let chunk = Bytes::from(vec![7; 1000]);
        let mut body = Chunks::slice([chunk.clone()].into(), 10..20);
        let sent = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(sent.as_ptr(), chunk[10..].as_ptr());
    }
}
