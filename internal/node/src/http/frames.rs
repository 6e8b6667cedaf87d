//! Frames of HTTP/2 that cost us work and bring the peer nothing, counted as they come in.
//!
//! The library bounds the memory of such floods; this bounds their number.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// RFC 9113 §3.4.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// RFC 9113 §4.1: length, type, flags, stream.
const HEADER: usize = 9;

/// A credit of 512 frames such as PING, SETTINGS, RST_STREAM or empty DATA, and 64 more each second. A player that seeks
/// resets some streams at a time; a proxy that shares a connection resets those of viewers who leave.
const CREDIT: u64 = 512 * FRAME;
const CREDIT_A_SECOND: f64 = 64.0 * FRAME as f64;
const FRAME: u64 = 300;
/// A receiver sends two of these for 16 KiB: at gigabit speed some 16,000 a second.
const WINDOW_UPDATE: u64 = 1;

/// Counts frames against a credit.
#[derive(Debug)]
struct Meter {
    /// Bytes of the preface or of a frame's payload that are still to come.
    skip: usize,
    header: [u8; HEADER],
    have: usize,
    credit: u64,
    since: Instant,
}

impl Meter {
    fn new() -> Self {
        Self { skip: PREFACE.len(), header: [0; HEADER], have: 0, credit: CREDIT, since: Instant::now() }
    }

    /// Takes bytes as they came; false once the credit is used up.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + wanted].copy_from_slice(&bytes[..wanted]);
            self.have += wanted;
            bytes = &bytes[wanted..];
            if self.have == HEADER {
                self.have = 0;
                let [a, b, c, kind, flags, ..] = self.header;
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                if !self.pay(cost(kind, flags, self.skip)) {
                    return false;
                }
            }
        }
        true
    }

    fn pay(&mut self, cost: u64) -> bool {
        if self.credit < cost {
            let now = Instant::now();
            let earned = (now - self.since).as_secs_f64() * CREDIT_A_SECOND;
            self.credit = (self.credit + earned as u64).min(CREDIT);
            self.since = now;
        }
        let paid = self.credit.checked_sub(cost);
        self.credit = paid.unwrap_or(0);
        paid.is_some()
    }
}

/// What a frame costs (RFC 9113 §6, types by number).
const fn cost(kind: u8, flags: u8, length: usize) -> u64 {
    const END_STREAM: u8 = 1;
    match kind {
        // DATA that holds nothing and ends nothing.
        0 if length > 0 || flags & END_STREAM != 0 => 0,
        // HEADERS: a request, which its stream pays for.
        1 => 0,
        8 => WINDOW_UPDATE,
        _ => FRAME,
    }
}

/// A connection of HTTP/2 whose peer has a credit of frames.
pub(super) struct Metered<S> {
    inner: S,
    meter: Meter,
}

impl<S> Metered<S> {
    /// `inner` begins with the preface.
    pub(super) fn new(inner: S) -> Self {
        Self { inner, meter: Meter::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if self.meter.take(&buf.filled()[before..]) {
            return Poll::Ready(Ok(()));
        }
        metrics::counter!("rapidrtmp_http_cut_total", "reason" => "flood").increment(1);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a flood of HTTP/2 frames")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        out.extend([kind, flags, 0, 0, 0, 1]);
        out.extend(payload);
        out
    }

    fn taken(meter: &mut Meter, frame: &[u8], times: usize) -> usize {
        (0..times).take_while(|_| meter.take(frame)).count()
    }

    fn opened() -> Meter {
        let mut meter = Meter::new();
        assert!(meter.take(PREFACE));
        meter
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_bring_nothing_are_bounded_and_the_credit_comes_back() {
        for kind in [2, 3, 4, 6, 7, 9, 200] {
            assert_eq!(taken(&mut opened(), &frame(kind, 0, &[1; 4]), 10_000), 512, "type {kind}");
        }
        assert_eq!(taken(&mut opened(), &frame(0, 0, &[]), 10_000), 512, "empty DATA");
        let mut meter = opened();
        let mut paid = async |seconds| {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            (0..10_000).take_while(|_| meter.pay(FRAME)).count()
        };
        assert_eq!(
            [paid(0).await, paid(2).await, paid(3600).await],
            [512, 128, 512],
            "at most the whole credit"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_free() {
        let mut meter = opened();
        assert_eq!(taken(&mut meter, &frame(1, 5, &[7; 40]), 50_000), 50_000, "requests");
        assert_eq!(taken(&mut meter, &frame(0, 0, &[7; 4000]), 10_000), 10_000, "bodies");
        assert_eq!(taken(&mut meter, &frame(0, 1, &[]), 10_000), 10_000, "ends of bodies");
        assert_eq!(taken(&mut meter, &frame(8, 0, &[0, 0, 1, 0]), 100_000), 100_000, "windows");
    }

    /// However the bytes come, the frames are the same.
    #[tokio::test(start_paused = true)]
    async fn reads_may_end_anywhere() {
        let mut all = PREFACE.to_vec();
        for _ in 0..600 {
            all.extend(frame(0, 0, b"payload with \x06 in it"));
            all.extend(frame(6, 0, &[6; 8]));
        }
        for size in [1, 2, 7, 9, 10, 100, 4096] {
            let mut meter = Meter::new();
            let sent: usize = all.chunks(size).take_while(|piece| meter.take(piece)).map(<[u8]>::len).sum();
            let until_the_513th = PREFACE.len() + 512 * (9 + 20 + 9 + 8) + 9 + 20 + 9;
            assert!(sent < until_the_513th && until_the_513th <= sent + size, "{size}: {sent}");
        }
    }
}
