//! One connection, from its handshake to its end.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use live::CloseReason;
use rtmp::{Event, Output, PublishRequest, Refusal, SessionError};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    IngestOptions,
    admission::{Admission, Admitted, Held},
    doorway::Ticket,
    meters::Meters,
    pace::Pause,
    publishing::{Publishing, farewell},
    socket::{Broken, Socket},
    wire::Wire,
};

const TLS_HANDSHAKE: &str = "TLS handshake";

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) options: IngestOptions,
    pub(crate) admission: Admission,
    pub(crate) meters: Meters,
}

/// What a connection needs.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: SocketAddr,
    pub(crate) accepted: Instant,
    pub(crate) held: Held,
    pub(crate) cancel: CancellationToken,
    /// What the connection must open with, on a listener of RTMPS.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Why a connection ended before it published.
enum Early {
    Broken(Broken),
    /// TLS could not be agreed on.
    Tls(io::Error),
    /// A deadline passed; which one.
    TooSlow(&'static str),
    Draining,
}

impl From<Broken> for Early {
    fn from(b: Broken) -> Self {
        Self::Broken(b)
    }
}

impl Connection {
    /// Serves the connection to its end.
    pub(crate) async fn run(self, stream: TcpStream, mut ticket: Ticket) {
        let wire = match self.open(stream, &mut ticket).await {
            Ok(wire) => wire,
            Err(early) => return self.note_early(&early),
        };
        let mut socket = Socket::new(wire, self.shared.options.session);
        let request = match self.until_publish(&mut socket, ticket).await {
            Ok((request, ticket)) => {
                let admitted = self.shared.admission.admit(&self.shared.options, &request, &self.held).await;
                drop(ticket);
                admitted.map_err(|refused| (request, refused))
            }
            Err(early) => {
                self.note_early(&early);
                return socket.close().await;
            }
        };
        match request {
            Ok(admitted) => self.publish(&mut socket, admitted).await,
            Err((request, refused)) => {
                self.held.refuse();
                if refused.refusal == Refusal::Unauthorized {
                    self.shared.meters.auth_failures.increment(1);
                }
                let path = request.path.as_ref().map_or("(invalid)", |p| p.as_str());
                let (peer, reason) = (self.peer, &refused.text);
                tracing::warn!(%peer, path, code = refused.refusal.code(), reason, "publish refused");
                socket.session.reject_publish(refused.refusal, &refused.text);
            }
        }
        // The reply first, then the path, then the lingering goodbye.
        while socket.poll().is_some() {}
        let _gone = socket.flush().await;
        self.held.release(&*self.shared.admission.registry).await;
        socket.close().await;
    }

    /// Waits for a place among those of the peer's address, then for TLS if the listener has it: a handshake costs
    /// far more than a socket.
    async fn open(&self, stream: TcpStream, ticket: &mut Ticket) -> Result<Wire, Early> {
        let deadline = self.accepted + self.shared.options.handshake_timeout;
        let opened = async {
            timeout_at(deadline, ticket.place()).await.map_err(|_| Early::TooSlow("place"))?;
            match timeout_at(deadline, Wire::open(stream, self.tls.as_ref())).await {
                Ok(opened) => opened.map_err(Early::Tls),
                Err(_) => Err(Early::TooSlow(TLS_HANDSHAKE)),
            }
        };
        tokio::select! {
            opened = opened => opened,
            () = self.cancel.cancelled() => Err(Early::Draining),
        }
    }

    /// Handshake and commands, up to the publish request. The address's place is held meanwhile.
    async fn until_publish(
        &self,
        socket: &mut Socket,
        ticket: Ticket,
    ) -> Result<(PublishRequest, Ticket), Early> {
        let o = &self.shared.options;
        let mut deadline = self.accepted + o.handshake_timeout;
        let mut cancelled = pin!(self.cancel.cancelled());
        let mut shaken = false;
        loop {
            let read = tokio::select! {
                read = timeout_at(deadline, socket.read()) => read,
                () = &mut cancelled => return Err(Early::Draining),
            };
            let late = if shaken { "publish" } else { "handshake" };
            let n = read.map_err(|_| Early::TooSlow(late))??;
            self.shared.meters.bytes.increment(n as u64);
            if !shaken && socket.session.has_handshaken() {
                shaken = true;
                deadline = Instant::now() + o.publish_timeout;
            }
            while let Some(output) = socket.poll() {
                match output {
                    Output::Event(Event::Publish(request)) => return Ok((request, ticket)),
                    Output::Event(Event::Connected { app, flash_ver }) => {
                        tracing::debug!(peer = %self.peer, app, flash_ver, "connected");
                    }
                    _ => {}
                }
            }
            socket.flush().await?;
        }
    }

    fn note_early(&self, early: &Early) {
        let peer = self.peer;
        match early {
            Early::Broken(Broken::Protocol(e)) => {
                self.shared.meters.errors.increment(1);
                tracing::debug!(%peer, error = %e, "closed before publishing");
            }
            Early::Tls(e) => {
                self.shared.meters.errors.increment(1);
                self.shared.meters.no_tls.increment(1);
                tracing::debug!(%peer, error = %e, "closed before publishing: no TLS");
            }
            &Early::TooSlow(what) => {
                self.shared.meters.errors.increment(1);
                if what == TLS_HANDSHAKE {
                    self.shared.meters.no_tls.increment(1);
                }
                tracing::debug!(%peer, what, "closed before publishing: too slow");
            }
            Early::Broken(Broken::Disconnected) | Early::Draining => {}
        }
    }

    /// A publish, from its acceptance to its end.
    async fn publish(&self, socket: &mut Socket, admitted: Admitted) {
        let mut publishing = Publishing::new(admitted, &self.shared.options, &self.shared.meters);
        socket.session.accept_publish();
        let reason = match self.pump(socket, &mut publishing).await {
            Ok(reason) => reason,
            Err(Broken::Disconnected) => CloseReason::Disconnected,
            Err(Broken::Protocol(e)) => {
                self.shared.meters.errors.increment(1);
                tracing::warn!(peer = %self.peer, path = %publishing.stream.path(), error = %e, "publish broken");
                match e {
                    SessionError::Unusable(text) => CloseReason::Refused(text),
                    _ => CloseReason::Disconnected,
                }
            }
        };
        publishing.close(reason);
        // Whoever closed it first gave the reason.
        let reason = publishing.stream.close_reason().unwrap_or(CloseReason::Disconnected);
        let stats = publishing.stream.stats();
        if matches!(reason, CloseReason::Refused(_)) && stats.video_frames + stats.audio_frames == 0 {
            self.held.refuse();
        }
        let (refusal, text) = farewell(&reason);
        socket.session.end_publish(refusal, &text);
    }

    /// Reads and pushes until something ends it.
    async fn pump(&self, socket: &mut Socket, p: &mut Publishing) -> Result<CloseReason, Broken> {
        let idle = self.shared.options.idle_timeout;
        let stream = p.stream.clone();
        let mut closed = pin!(stream.closed());
        let mut cancelled = pin!(self.cancel.cancelled());
        // Once the client was asked to connect anew: when its time to do so is over.
        let mut leaving = pin!(sleep(Duration::ZERO));
        let mut asked = false;
        let mut silent = pin!(sleep_until(p.last_media + idle));
        // What came behind the publish command waits in the session.
        let mut result = socket.session.handle_input(&[]).map_err(Broken::Protocol);
        loop {
            let drained = self.drain(socket, p);
            socket.flush().await?;
            let pause = match drained {
                Drained::Ended(reason) => return Ok(reason),
                Drained::Paused(pause) => Some(pause),
                Drained::All => {
                    result?;
                    result = Ok(());
                    p.pace.pause(Instant::now())
                }
            };
            if pause.is_some_and(|p| p.ahead) {
                p.stream.warn(
                    "the encoder sends faster than real time; reading is paused (ffmpeg: add -re)".into(),
                );
            }
            tokio::select! {
                biased;
                reason = &mut closed => return Ok(reason),
                () = &mut cancelled, if !asked => {
                    if !self.ask_to_reconnect(socket) {
                        return Ok(CloseReason::Draining);
                    }
                    asked = true;
                    leaving.as_mut().reset(Instant::now() + self.shared.options.reconnect_grace);
                }
                () = &mut leaving, if asked => return Ok(CloseReason::Draining),
                () = sleep(pause.map(|p| p.time).unwrap_or_default()), if pause.is_some() => {
                    p.last_media = Instant::now();
                }
                () = &mut silent, if pause.is_none() => {
                    let due = p.last_media + idle;
                    if due <= Instant::now() {
                        return Ok(CloseReason::Idle);
                    }
                    silent.as_mut().reset(due);
                }
                read = socket.read(), if pause.is_none() => {
                    result = read.map(|n| self.shared.meters.bytes.increment(n as u64));
                }
            }
        }
    }

    /// Enhanced RTMP 2, "Reconnect Request": the old server goes on until the client leaves, here for a bounded time.
    fn ask_to_reconnect(&self, socket: &mut Socket) -> bool {
        let to = self.shared.options.reconnect_to.as_deref();
        socket.session.request_reconnect(to, "The server is shutting down.")
    }

    /// What the session gave, into the stream, until that ends it or the pace asks for a pause.
    fn drain(&self, socket: &mut Socket, p: &mut Publishing) -> Drained {
        let drained = loop {
            if let Some(pause) = p.pace.pause(Instant::now()) {
                break Drained::Paused(pause);
            }
            match socket.poll() {
                None => break Drained::All,
                Some(Output::Event(event)) => {
                    if let Err(reason) = p.take(event) {
                        break Drained::Ended(reason);
                    }
                }
                Some(_) => {}
            }
        };
        p.count_no_track(socket.session.media_dropped());
        drained
    }
}

/// How far a session's output was taken.
enum Drained {
    All,
    /// There may be more.
    Paused(Pause),
    /// The publish is over.
    Ended(CloseReason),
}
