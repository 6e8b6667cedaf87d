//! A publisher made of rml_rtmp's client session.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use rml_rtmp::{
    handshake::{Handshake, HandshakeProcessResult, PeerType},
    sessions::{
        ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
    },
    time::RtmpTimestamp,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::server::LONG;

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// An AVC sequence header.
pub(crate) fn avc_config() -> Bytes {
    let mut b = vec![0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, SPS.len() as u8];
    b.extend(SPS);
    b.extend([1, 0, PPS.len() as u8]);
    b.extend(PPS);
    b.into()
}

/// A frame of one NAL unit with `size` bytes.
pub(crate) fn avc_frame(key: bool, size: usize) -> Bytes {
    let mut b = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    b.extend((size as u32).to_be_bytes());
    b.push(if key { 5 } else { 1 });
    b.resize(9 + size, 0x80);
    b.into()
}

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    session: ClientSession,
    events: Vec<ClientSessionEvent>,
}

impl Client {
    /// Connects to app `live` and asks to publish `name`; the code of the refusal if it is refused.
    pub(crate) async fn publish(to: SocketAddr, name: &str) -> Result<Self, String> {
        Self::publish_in(to, "live", name).await
    }

    pub(crate) async fn publish_in(to: SocketAddr, app: &str, name: &str) -> Result<Self, String> {
        let mut socket = TcpStream::connect(to).await.unwrap();
        let (session, results) = shake_hands(&mut socket).await;
        let mut c = Self { socket, session, events: Vec::new() };
        c.take(results).await;
        let r = c.session.request_connection(app.into()).unwrap();
        c.take(vec![r]).await;
        c.wait_for(|e| matches!(e, ClientSessionEvent::ConnectionRequestAccepted)).await?;
        let r = c.session.request_publishing(name.into(), PublishRequestType::Live).unwrap();
        c.take(vec![r]).await;
        c.wait_for(|e| matches!(e, ClientSessionEvent::PublishRequestAccepted)).await?;
        Ok(c)
    }

    async fn take(&mut self, results: Vec<ClientSessionResult>) {
        for r in results {
            match r {
                ClientSessionResult::OutboundResponse(p) => {
                    let _closed = self.socket.write_all(&p.bytes).await;
                }
                ClientSessionResult::RaisedEvent(e) => self.events.push(e),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }

    /// Reads until the event came; an onStatus code that is no success, or `closed`, is an error.
    async fn wait_for(&mut self, wanted: impl Fn(&ClientSessionEvent) -> bool) -> Result<(), String> {
        let mut buffer = vec![0; 4096];
        loop {
            for e in self.events.drain(..) {
                if wanted(&e) {
                    return Ok(());
                }
                if let ClientSessionEvent::UnhandleableOnStatusCode { code } = e {
                    return Err(code);
                }
            }
            let n = timeout(LONG, self.socket.read(&mut buffer)).await.expect("an answer in time");
            let n = n.unwrap_or(0);
            if n == 0 {
                return Err("closed".into());
            }
            let results = self.session.handle_input(&buffer[..n]).map_err(|e| e.to_string())?;
            self.take(results).await;
        }
    }

    /// The onStatus code that ends the publish.
    pub(crate) async fn end(&mut self) -> String {
        self.wait_for(|_| false).await.unwrap_err()
    }

    pub(crate) async fn send_config(&mut self) {
        let r = self.session.publish_video_data(avc_config(), RtmpTimestamp::new(0), false).unwrap();
        self.take(vec![r]).await;
    }

    /// Sound and pictures in codecs that no browser takes: MP3 and Sorenson H.263.
    pub(crate) async fn send_unusable(&mut self) {
        let time = RtmpTimestamp::new(0);
        let sound = self.session.publish_audio_data(Bytes::from_static(&[0x2f, 0xff, 0xfb]), time, false);
        let picture = self.session.publish_video_data(Bytes::from_static(&[0x12, 0, 0, 0x84]), time, false);
        self.take(vec![sound.unwrap(), picture.unwrap()]).await;
    }

    pub(crate) async fn send_frame(&mut self, ms: u32, key: bool, size: usize) {
        let r = self.session.publish_video_data(avc_frame(key, size), RtmpTimestamp::new(ms), false).unwrap();
        self.take(vec![r]).await;
    }

    /// A configuration and a keyframe: the stream has media.
    pub(crate) async fn begin(&mut self) {
        self.send_config().await;
        self.send_frame(0, true, 100).await;
    }

    /// Sends a frame every 40 ms, until the end; returns its code.
    pub(crate) async fn keep_on(mut self) -> String {
        let mut ms = 40;
        loop {
            self.send_frame(ms, ms % 1000 == 0, 100).await;
            ms += 40;
            if let Ok(code) = timeout(Duration::from_millis(40), self.end()).await {
                return code;
            }
        }
    }
}

async fn shake_hands(socket: &mut TcpStream) -> (ClientSession, Vec<ClientSessionResult>) {
    let mut handshake = Handshake::new(PeerType::Client);
    socket.write_all(&handshake.generate_outbound_p0_and_p1().unwrap()).await.unwrap();
    let mut buffer = vec![0; 4096];
    loop {
        let n = timeout(LONG, socket.read(&mut buffer)).await.expect("a handshake in time").unwrap();
        assert!(n > 0, "closed in the handshake");
        match handshake.process_bytes(&buffer[..n]).unwrap() {
            HandshakeProcessResult::InProgress { response_bytes } => {
                socket.write_all(&response_bytes).await.unwrap();
            }
            HandshakeProcessResult::Completed { response_bytes, .. } => {
                socket.write_all(&response_bytes).await.unwrap();
                return ClientSession::new(ClientSessionConfig::new()).unwrap();
            }
        }
    }
}
