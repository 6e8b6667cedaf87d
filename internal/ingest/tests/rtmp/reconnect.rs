//! Enhanced RTMP 2, "Reconnect Request": what a client that announces it gets when the server stops. Its bytes are written
//! by hand, as no client at hand announces it.

use std::time::Duration;

use live::CloseReason;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::{avc_config, avc_frame},
    server::{LONG, Server, options, record},
};

const COMMAND: u8 = 20;
const VIDEO: u8 = 9;

fn string(s: &str) -> Vec<u8> {
    [&[2, 0, s.len() as u8], s.as_bytes()].concat()
}

fn number(n: f64) -> Vec<u8> {
    [&[0][..], &n.to_be_bytes()].concat()
}

fn property(name: &str, value: &[u8]) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), value].concat()
}

/// A message in chunks of 128 bytes on chunk stream 3.
fn message(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![3, 0, 0, 0];
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.push(kind);
    out.extend(stream.to_le_bytes());
    for (n, piece) in payload.chunks(128).enumerate() {
        if n > 0 {
            out.push(0xc3);
        }
        out.extend(piece);
    }
    out
}

/// A publisher of `open/demo` with a keyframe, whose `connect` has `capsEx`.
async fn publisher(server: &Server, caps: f64) -> TcpStream {
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    let mut hello = vec![0; 1 + 2 * 1536];
    hello[0] = 3;
    let object = [
        property("app", &string("open")),
        property("tcUrl", &string("rtmp://h/open")),
        property("capsEx", &number(caps)),
        vec![0, 0, 9],
    ];
    let connect = [string("connect"), number(1.0), vec![3], object.concat()].concat();
    let create = [string("createStream"), number(2.0), vec![5]].concat();
    let publish = [string("publish"), number(3.0), vec![5], string("demo"), string("live")].concat();
    let all = [
        hello,
        message(COMMAND, 0, &connect),
        message(COMMAND, 0, &create),
        message(COMMAND, 1, &publish),
        message(VIDEO, 1, &avc_config()),
        message(VIDEO, 1, &avc_frame(true, 100)),
    ];
    socket.write_all(&all.concat()).await.unwrap();
    socket
}

/// Reads until `text` came.
async fn until(socket: &mut TcpStream, text: &str) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while !all.windows(text.len()).any(|w| w == text.as_bytes()) {
        let n = timeout(LONG, socket.read(&mut buffer)).await.expect("an answer in time").unwrap();
        assert!(n > 0, "closed before {text}: {}", String::from_utf8_lossy(&all));
        all.extend(&buffer[..n]);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_asks_who_can_to_reconnect_and_waits_for_it() {
    let mut o = options();
    (o.reconnect_to, o.reconnect_grace) = (Some("rtmp://other.example/open".into()), LONG);
    let mut server = Server::start(o).await;
    let mut socket = publisher(&server, 1.0).await;
    until(&mut socket, "NetStream.Publish.Start").await;
    let stream = server.next().await;
    server.cancel.cancel();
    let asked = until(&mut socket, "ReconnectRequest").await;
    assert!(String::from_utf8_lossy(&asked).contains("rtmp://other.example/open"));
    assert!(!String::from_utf8_lossy(&asked).contains("NetStream.Unpublish"), "not told to leave yet");
    // Its media is still taken, until it leaves.
    socket.write_all(&message(VIDEO, 1, &avc_frame(true, 100))).await.unwrap();
    let delete = [b"\x02\x00\x0cdeleteStream".to_vec(), number(0.0), vec![5], number(1.0)].concat();
    socket.write_all(&message(COMMAND, 0, &delete)).await.unwrap();
    let recorded = record(&stream).await;
    assert_eq!((recorded.frames.len(), recorded.reason), (2, CloseReason::Unpublished));
    timeout(LONG, server.serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_leave_in_time_or_cannot_reconnect_is_closed() {
    for (caps, grace) in [(1.0, Duration::ZERO), (14.0, LONG)] {
        let mut o = options();
        o.reconnect_grace = grace;
        let mut server = Server::start(o).await;
        let mut socket = publisher(&server, caps).await;
        until(&mut socket, "NetStream.Publish.Start").await;
        let stream = server.next().await;
        server.cancel.cancel();
        let told = until(&mut socket, "NetStream.Unpublish.Success").await;
        let asked = String::from_utf8_lossy(&told).contains("ReconnectRequest");
        assert_eq!(asked, caps == 1.0);
        assert_eq!(record(&stream).await.reason, CloseReason::Draining);
        drop(socket);
        timeout(LONG, server.serving).await.unwrap().unwrap();
    }
}
