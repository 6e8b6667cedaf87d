//! Faults and abuse by their numbers in the list of limits and faults: each against a server with a control stream,
//! which must keep its cadence, and with the server's memory in sight.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{
    Control, Options, Server, eventually, fetch,
    rtmp::{self, AUDIO, COMMAND, RawPublisher, SET_CHUNK_SIZE, VIDEO},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// The handshake's deadline, and a busy machine.
const HANDSHAKE: Duration = Duration::from_secs(8);
/// Errors of the protocol close at once.
const AT_ONCE: Duration = Duration::from_secs(2);
/// What the server may hold more than before, whatever strangers send: their 24 MiB each are freed with them.
const MEMORY: u64 = 96 << 20;

/// A server whose memory is watched beside its control stream.
struct Watched {
    server: Server,
    control: Control,
    before: u64,
}

impl Watched {
    async fn start(options: Options) -> Result<Self> {
        let server = options.start().await?;
        let control = Control::start(&server).await?;
        let before = server.child.resident()?;
        Ok(Self { server, control, before })
    }

    /// Others OK.
    async fn finish(mut self) -> Result<Server> {
        self.control.more(10).await?;
        self.control.finish().await?.assert_kept();
        let after = self.server.child.resident()?;
        let before = self.before;
        ensure!(after < before + MEMORY, "{} MiB before, {} MiB after", before >> 20, after >> 20);
        Ok(self.server)
    }
}

/// Reads to the end, which must come within `limit`.
async fn closed(mut socket: TcpStream, limit: Duration) -> Result<()> {
    let mut sink = vec![0; 8192];
    let end = async { while socket.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
    timeout(limit, end).await.context("it was not closed")
}

/// A metric's value, summed over its labels.
async fn metric(server: &Server, name: &str) -> Result<f64> {
    let text = server.api().get("/metrics").await?.text().await?;
    let of = |l: &str| l.strip_prefix(name).is_some_and(|r| r.starts_with([' ', '{']));
    let value = |l: &str| l.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or_default();
    Ok(text.lines().filter(|l| of(l)).map(value).sum())
}

/// `count` connections that never speak, each closed by the deadline of the handshake or at once.
async fn silent(to: SocketAddr, count: usize) -> Result<()> {
    let mut all = JoinSet::new();
    for n in 0..count {
        let socket = TcpStream::connect(to).await.with_context(|| format!("connection {n}"))?;
        all.spawn(closed(socket, HANDSHAKE));
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    Ok(())
}

/// A byte every 50 ms: the deadline is one for the whole handshake.
async fn slow_handshake(to: SocketAddr) -> Result<()> {
    let (mut read, mut write) = TcpStream::connect(to).await?.into_split();
    let drip = async {
        let mut byte = 3;
        while write.write_all(&[byte]).await.is_ok() {
            byte = 0;
            sleep(Duration::from_millis(50)).await;
        }
    };
    let end = async {
        let mut sink = [0; 4096];
        while read.read(&mut sink).await.is_ok_and(|n| n > 0) {}
    };
    let since = Instant::now();
    timeout(HANDSHAKE, async {
        tokio::select! { () = drip => {}, () = end => {} }
    })
    .await?;
    ensure!(since.elapsed() >= Duration::from_secs(4), "closed after {:?}", since.elapsed());
    Ok(())
}

// 1 (lightly), 2.
#[tokio::test]
async fn faults_1_and_2_silent_and_slow_handshakes() -> Result<()> {
    let watched = Watched::start(Options::open()).await?;
    let errors = metric(&watched.server, "rapidrtmp_rtmp_errors_total").await?;
    let to = watched.server.rtmp;
    let mut slow = JoinSet::new();
    (0..8).for_each(|_| drop(slow.spawn(slow_handshake(to))));
    silent(to, 200).await?;
    while let Some(done) = slow.join_next().await {
        done??;
    }
    let errors = metric(&watched.server, "rapidrtmp_rtmp_errors_total").await? - errors;
    assert!((errors - 208.0).abs() < 0.5, "{errors} are counted");
    watched.finish().await?;
    Ok(())
}

// 3, 4, 6, and the limits of messages.
#[tokio::test]
async fn faults_3_4_and_6_broken_chunks_and_commands() -> Result<()> {
    let watched = Watched::start(Options::open()).await?;
    let to = watched.server.rtmp;
    let errors = metric(&watched.server, "rapidrtmp_rtmp_errors_total").await?;
    // 3: a part of C1 and no more, another version (RTMPE), another protocol.
    for bytes in [&b"\x03partial"[..], &[6; 1537], b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1, 2, 0]] {
        let mut socket = TcpStream::connect(to).await?;
        socket.write_all(bytes).await?;
        socket.shutdown().await?;
        closed(socket, AT_ONCE).await?;
    }
    let mut broken = 3;
    // 4: 2^31-1 is over the largest size, and bit 31 must not be set.
    for size in [0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff_u32] {
        let mut c = RawPublisher::connect(to).await?;
        c.send(SET_CHUNK_SIZE, 0, &size.to_be_bytes()).await?;
        c.closed(AT_ONCE).await.with_context(|| format!("chunk size {size}"))?;
        broken += 1;
    }
    // 6.
    let deep = [3, 0, 1, b'a'].repeat(10_000);
    let commands: [Vec<u8>; 5] = [
        rtmp::command("connect", &[&deep]),
        rtmp::command("connect", &[&[0x0a, 0xff, 0xff, 0xff, 0xff]]),
        rtmp::command("connect", &[&[0x02, 0xff, 0xff, b'x']]),
        rtmp::command("connect", &[&[0x0c, 0xff, 0xff, 0xff, 0xff]]),
        rtmp::command("connect", &[&[0x05; 2000]]),
    ];
    for payload in commands {
        let mut c = RawPublisher::connect(to).await?;
        c.send(COMMAND, 0, &payload).await?;
        c.closed(AT_ONCE).await.context("an AMF0 bomb")?;
        broken += 1;
    }
    // By its header alone: a message over its cap. Then a message inside another, a header that never came, and more
    // chunk streams than an encoder has.
    let begun = |id| [rtmp::header(id, 0, 100, VIDEO), vec![0]].concat();
    let (inside, many) = ([begun(5), begun(5)].concat(), (3..=19).flat_map(begun).collect());
    for bytes in [rtmp::header(5, 0, (4 << 20) + 1, AUDIO), inside, vec![0xc9], many] {
        let mut c = RawPublisher::connect(to).await?;
        c.send(SET_CHUNK_SIZE, 0, &1_u32.to_be_bytes()).await?;
        c.socket.write_all(&bytes).await?;
        c.closed(AT_ONCE).await.with_context(|| format!("{:x?}", &bytes[..bytes.len().min(12)]))?;
        broken += 1;
    }
    let errors = metric(&watched.server, "rapidrtmp_rtmp_errors_total").await? - errors;
    assert!((errors - f64::from(broken)).abs() < 0.5, "{errors} of {broken} are counted");
    watched.finish().await?;
    Ok(())
}

/// What the publisher is told: the text with which it is turned away, or the warnings in the API.
async fn told(server: &Server, name: &str, messages: &[(u8, Vec<u8>)]) -> Result<String> {
    let mut c = RawPublisher::publish(server.rtmp, "open", name).await?;
    for (n, (kind, payload)) in messages.iter().enumerate() {
        // It may be closed half-way.
        if c.send(*kind, n as u32 * 40, payload).await.is_err() {
            break;
        }
    }
    let (api, key) = (server.api(), format!("open/{name}"));
    let warned = eventually("a reason", AT_ONCE, || async {
        let info = api.stream(&key).await.ok().flatten()?;
        let warnings = info["warnings"].as_array().filter(|w| !w.is_empty())?;
        Some(warnings.iter().filter_map(|w| w.as_str()).collect::<Vec<_>>().join("; "))
    });
    tokio::select! {
        refused = c.closed(AT_ONCE) => refused,
        warned = warned => Ok(warned),
    }
}

// 10.
#[tokio::test]
async fn fault_10_tags_that_lie_are_refused_or_dropped_with_a_reason() -> Result<()> {
    let watched = Watched::start(Options::open()).await?;
    let server = &watched.server;
    let (config, frame) = (rtmp::avc_config(), rtmp::avc_frame(true, 100));
    let mut bad_sps = config.clone();
    bad_sps[13..30].fill(0xff);
    let mut overrun = frame.clone();
    overrun[5..9].copy_from_slice(&[0xff; 4]);
    let half = config[..config.len() / 2].to_vec();
    // A sample of millions of units, a byte each: it must not cost many times its size.
    let mut dust = vec![0x27, 1, 0, 0, 0];
    (0..1_500_000).for_each(|_| dust.extend([0, 0, 0, 1, 0x41]));
    for (name, want, messages) in [
        ("empty-avcc", "empty", vec![(VIDEO, vec![0x17, 0, 0, 0, 0])]),
        ("bad-sps", "SPS", vec![(VIDEO, bad_sps)]),
        ("half-avcc", "truncated", vec![(VIDEO, half)]),
        ("overrun", "overrun", vec![(VIDEO, config.clone()), (VIDEO, overrun)]),
        ("no-avc-config", "before its configuration", vec![(VIDEO, frame)]),
        ("no-aac-config", "before its configuration", vec![(AUDIO, vec![0xaf, 1, 0x21, 0, 0])]),
        ("bad-aac-config", "AAC", vec![(AUDIO, vec![0xaf, 0, 0xff, 0xff])]),
        ("unknown-four-cc", "zzzz", vec![(VIDEO, b"\x90zzzz\x01".to_vec())]),
        ("cut-tag", "empty", vec![(VIDEO, vec![0x17]), (AUDIO, vec![0xaf])]),
        ("dust", "empty", vec![(VIDEO, config.clone()), (VIDEO, dust), (VIDEO, vec![0x27, 1, 0, 0, 0])]),
    ] {
        let told = told(server, name, &messages).await.with_context(|| name.to_owned())?;
        assert!(told.contains(want), "{name}: {told:?}");
    }
    let log = server.child.log();
    assert!(!log.contains("panicked"), "{log}");
    watched.finish().await?;
    Ok(())
}

// The limits of memory: what a stranger may hold before it publishes, and what a publisher may.
#[tokio::test]
async fn unfinished_messages_hold_little_before_a_publish_and_are_bounded_after() -> Result<()> {
    let watched = Watched::start(Options::open()).await?;
    let to = watched.server.rtmp;
    let mut strangers = JoinSet::new();
    for _ in 0..32 {
        strangers.spawn(async move {
            let mut c = RawPublisher::connect(to).await?;
            fill(&mut c, 9, 200 << 10).await;
            c.closed(AT_ONCE).await.context("a stranger")
        });
    }
    while let Some(done) = strangers.join_next().await {
        done??;
    }
    let grown = watched.server.child.resident()?.saturating_sub(watched.before);
    assert!(grown < 48 << 20, "32 strangers hold {} MiB", grown >> 20);
    let mut publisher = RawPublisher::publish(to, "open", "hoard").await?;
    publisher.begin().await?;
    fill(&mut publisher, 4, 12 << 20).await;
    publisher.closed(AT_ONCE).await.context("the publisher")?;
    let grown = watched.server.child.resident()?.saturating_sub(watched.before);
    assert!(grown < MEMORY, "the server holds {} MiB more", grown >> 20);
    watched.finish().await?;
    Ok(())
}

/// Begins `count` video messages of `size` bytes, all of which come but the last byte. The server may close at any.
async fn fill(c: &mut RawPublisher, count: u8, size: usize) {
    let chunk = (size as u32 - 1).to_be_bytes();
    if c.send(SET_CHUNK_SIZE, 0, &chunk).await.is_err() {
        return;
    }
    for id in 0..count {
        let mut bytes = rtmp::header(20 + id, 0, size, VIDEO);
        bytes.resize(bytes.len() + size - 1, 0);
        if c.socket.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

// 13: parts that were whole stay, the open segment is closed, and who comes back goes on.
#[tokio::test]
async fn fault_13_a_reset_in_mid_part_keeps_what_was_whole() -> Result<()> {
    let watched = Watched::start(Options::open()).await?;
    let server = &watched.server;
    let media = server.url("/open/x/media.m3u8");
    let mut first = RawPublisher::publish(server.rtmp, "open", "x").await?;
    send(&mut first, 0..75).await?;
    let listed = eventually("a segment and two parts of the next", AT_ONCE, || async {
        fetch(&format!("{media}?_HLS_msn=0")).await.ok().flatten().filter(|p| {
            p.text.rsplit_once(".m4s\n").is_some_and(|(_, open)| open.matches("#EXT-X-PART:").count() >= 2)
        })
    })
    .await;
    // A frame of which a half comes, and a reset.
    first.socket.write_all(&rtmp::header(11, 2_500, 1000, VIDEO)).await?;
    first.socket.set_zero_linger()?;
    drop(first);
    let closed = eventually("the open segment is closed", AT_ONCE, || async {
        fetch(&media).await.ok().flatten().filter(|p| p.segments().len() > listed.segments().len())
    })
    .await;
    assert_eq!(closed.segments().len(), 2, "{}", closed.text);
    for uri in listed.text.lines().filter_map(|l| l.split_once("URI=\"part_")?.1.split_once('"')) {
        let url = server.url(&format!("/open/x/part_{}", uri.0));
        let hinted = listed.tag("EXT-X-PRELOAD-HINT").is_some_and(|h| h.contains(uri.0));
        assert!(hinted || e2e::get(&url).await?.status() == 200, "{url} was listed");
    }
    let mut second = RawPublisher::publish(server.rtmp, "open", "x").await?;
    send(&mut second, 0..75).await?;
    let after = eventually("the stream goes on", AT_ONCE, || async {
        fetch(&media).await.ok().flatten().filter(|p| p.segments().len() >= 3)
    })
    .await;
    let (_, next) = after.text.split_once(closed.segments()[1]).context("the closed segment stays")?;
    assert!(next.trim_start().starts_with("#EXT-X-DISCONTINUITY\n"), "{}", after.text);
    assert_eq!(after.number("EXT-X-MEDIA-SEQUENCE"), closed.number("EXT-X-MEDIA-SEQUENCE"));
    assert_eq!(after.count("EXT-X-GAP"), 0, "nothing is missing yet: {}", after.text);
    watched.finish().await?;
    Ok(())
}

/// Frames at 30 a second, in one go; a keyframe every 2 s.
async fn send(c: &mut RawPublisher, frames: std::ops::Range<u32>) -> Result<()> {
    c.send(VIDEO, 0, &rtmp::avc_config()).await?;
    for n in frames {
        c.send(VIDEO, n * 100 / 3, &rtmp::avc_frame(n % 60 == 0, 1000)).await?;
    }
    Ok(())
}

// 42: every descriptor is taken; who is there already notices nothing, and the store catches up.
#[tokio::test]
async fn fault_42_sixty_four_descriptors_and_a_hundred_strangers() -> Result<()> {
    let mut watched = Watched::start(Options::open().open_files(64)).await?;
    let server = &watched.server;
    let mut strangers = Vec::new();
    for n in 0..100 {
        let to = if n % 2 == 0 { server.rtmp } else { server.http };
        strangers.push(TcpStream::connect(to).await?);
    }
    eventually("the server runs out of descriptors", AT_ONCE, || async {
        server.child.log().contains("could not be accepted").then_some(())
    })
    .await;
    // Long enough that a segment is due.
    watched.control.more(15).await?;
    drop(strangers);
    let server = &watched.server;
    let folder = server.storage().join("open/control");
    eventually("recording goes on", Duration::from_secs(15), || async {
        let text = std::fs::read_to_string(folder.join("media.m3u8")).ok()?;
        let listed = text.lines().filter(|l| !l.starts_with('#')).all(|uri| folder.join(uri).exists());
        (listed && text.matches("#EXTINF").count() >= 3).then_some(())
    })
    .await;
    RawPublisher::publish(server.rtmp, "open", "again").await?.begin().await?;
    watched.finish().await?;
    Ok(())
}
