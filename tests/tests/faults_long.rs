//! Heavy faults, by their numbers in the list of limits and faults: thousands of connections, waits of many seconds, and
//! disks that only root can make. `make test-long` runs them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use e2e::{Control, Encoder, Options, Server, eventually, fetch, rtmp::RawPublisher};
use tokio::{io::AsyncReadExt, net::TcpStream, task::JoinSet, time::timeout};

const LIVE: Duration = Duration::from_secs(20);

// 1: places and a queue for one address; the rest is closed at once.
#[tokio::test]
#[ignore = "5,000 connections: make test-long"]
async fn fault_1_five_thousand_silent_connections_of_one_address() -> Result<()> {
    let server = Options::open().start().await?;
    let mut control = Control::start(&server).await?;
    let before = server.child.resident()?;
    let mut all = JoinSet::new();
    for n in 0..5_000 {
        let mut socket = TcpStream::connect(server.rtmp).await.with_context(|| format!("connection {n}"))?;
        all.spawn(async move {
            let mut sink = [0; 64];
            let end = async { while socket.read(&mut sink).await.is_ok_and(|n| n > 0) {} };
            timeout(Duration::from_secs(10), end).await
        });
    }
    let held = server.child.resident()?.saturating_sub(before);
    while let Some(done) = all.join_next().await {
        done?.context("closed by the deadline of the handshake")?;
    }
    ensure!(held < 64 << 20, "5,000 silent connections cost {} MiB", held >> 20);
    RawPublisher::publish(server.rtmp, "open", "afterwards").await?.begin().await?;
    control.more(5).await?;
    control.finish().await?.assert_kept();
    Ok(())
}

// 12: gaps while an encoder is held still for 3 s, and it goes on; after 15 s it is closed, and comes back at the same URL.
#[tokio::test]
#[ignore = "stalls of 3 and 15 s: make test-long"]
async fn fault_12_a_stalled_encoder_is_told_by_gaps_and_closed_when_idle() -> Result<()> {
    let server = Options::open().start().await?;
    let mut control = Control::start(&server).await?;
    let publishing = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let media = server.url("/open/x/media.m3u8");
    let playing = async |parts: &str| {
        eventually(parts, LIVE, || async {
            fetch(&media).await.ok().flatten().filter(|p| p.segments().len() >= 2)
        })
        .await
    };
    playing("two segments").await;
    publishing.pause().await?;
    eventually("a gap", Duration::from_secs(6), || async {
        fetch(&media).await.ok().flatten().filter(|p| p.count("EXT-X-GAP") > 0)
    })
    .await;
    publishing.resume().await?;
    let on = fetch(&media).await?.context("a playlist")?;
    eventually("segments after the gap", LIVE, || async {
        fetch(&media).await.ok().flatten().filter(|p| p.next_msn() >= on.next_msn() + 3 && !p.ended())
    })
    .await;
    assert_eq!(server.api().live().await?.len(), 2);
    publishing.pause().await?;
    eventually("the idle publisher is closed", Duration::from_secs(14), || async {
        server.api().live().await.ok().filter(|l| l.len() == 1)
    })
    .await;
    let before = fetch(&media).await?.context("it stays")?;
    assert!(!before.ended());
    let again = Encoder::default().publish(&server.rtmp_url("/open/x"))?;
    let epoch = |uri: &str| uri.split('_').nth(1).map(ToOwned::to_owned);
    let first = epoch(before.segments()[0]);
    let after = eventually("a continuation", LIVE, || async {
        let p = fetch(&media).await.ok().flatten()?;
        let came = p.segments().last().is_some_and(|uri| epoch(uri) != first);
        (came && p.text.contains("#EXT-X-DISCONTINUITY\n")).then_some(p)
    })
    .await;
    assert!(after.next_msn() > before.next_msn() && !after.ended());
    assert_eq!(after.tag("EXT-X-TARGETDURATION"), before.tag("EXT-X-TARGETDURATION"));
    again.finish().await?;
    control.more(5).await?;
    control.finish().await?.assert_kept();
    Ok(())
}

/// A small disk in memory, mounted for a test.
struct Disk(PathBuf);

impl Disk {
    /// Below `folder`, with these options of tmpfs.
    fn mount(folder: &Path, options: &str) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs"], folder)?;
        Ok(Self(folder.to_owned()))
    }

    fn remount(&self, how: &str) -> Result<()> {
        run("mount", &["-o", &format!("remount,{how}")], &self.0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The server may hold files open.
        let _ = run("umount", &["-l"], &self.0);
    }
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<()> {
    let status = std::process::Command::new(program).args(arguments).arg(folder).status()?;
    ensure!(status.success(), "{program} {arguments:?} {}", folder.display());
    Ok(())
}

/// A server that records on a disk of its own, with its control stream.
async fn on_a_disk(options: &str) -> Result<(tempfile::TempDir, Disk, Server, Control)> {
    let folder = tempfile::tempdir()?;
    let disk = Disk::mount(&folder.path().join("disk"), options)?;
    let storage = disk.0.join("streams");
    let storage = storage.to_str().context("a path in UTF-8")?;
    let server = Options::open().set("STORAGE_DIR", storage).start().await?;
    let control = Control::start(&server).await?;
    Ok((folder, disk, server, control))
}

/// What is recorded: the playlist and, for each segment that it lists, its bytes. No name but of whole objects is there.
fn recorded(disk: &Disk) -> Option<Vec<u64>> {
    let folder = disk.0.join("streams/open/control");
    let text = std::fs::read_to_string(folder.join("media.m3u8")).ok()?;
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .map(|uri| Some(folder.join(uri).metadata().ok()?.len()))
        .collect()
}

/// The store says that it fails.
async fn failing(server: &Server) {
    eventually("the store says that it fails", LIVE, || async {
        let text = server.api().get("/metrics").await.ok()?.text().await.ok()?;
        let errors = |l: &&str| l.starts_with("rapidrtmp_store_errors_total");
        let some =
            |l: &str| l.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok()).is_some_and(|n| n > 0.0);
        text.lines().filter(errors).any(some).then_some(())
    })
    .await;
}

/// Recording goes on: newer segments are on the disk than there were.
async fn resumed(disk: &Disk, server: &Server) -> Result<()> {
    let media = server.url("/open/control/media.m3u8");
    let now = fetch(&media).await?.context("live")?.next_msn();
    let folder = disk.0.join("streams/open/control");
    eventually("recording goes on", Duration::from_secs(60), || async {
        let text = std::fs::read_to_string(folder.join("media.m3u8")).ok()?;
        let stored = e2e::Playlist { text };
        (stored.next_msn() > now + 1 && recorded(disk).is_some()).then_some(())
    })
    .await;
    Ok(())
}

// 42.
#[tokio::test]
#[ignore = "mounts a tmpfs, so it needs root: make test-long"]
async fn fault_42_a_full_disk_stops_the_recording_alone() -> Result<()> {
    let (_folder, disk, server, mut control) = on_a_disk("size=4m").await?;
    eventually("it records", LIVE, || async { recorded(&disk).filter(|r| !r.is_empty()) }).await;
    let ballast = disk.0.join("ballast");
    // As much as fits.
    let _ = std::fs::write(&ballast, vec![0; 4 << 20]);
    failing(&server).await;
    control.more(40).await?;
    for (at, size) in recorded(&disk).context("what is listed is there")?.into_iter().enumerate() {
        // A gap is a box of 24 bytes; nothing between is half a segment.
        assert!(size == 24 || size > 10_000, "entry {at} has {size} bytes");
    }
    std::fs::remove_file(&ballast)?;
    resumed(&disk, &server).await?;
    control.finish().await?.assert_kept();
    Ok(())
}

// 42.
#[tokio::test]
#[ignore = "mounts a tmpfs, so it needs root: make test-long"]
async fn fault_42_a_disk_that_turns_read_only_stops_the_recording_alone() -> Result<()> {
    let (_folder, disk, server, mut control) = on_a_disk("size=32m").await?;
    eventually("it records", LIVE, || async { recorded(&disk).filter(|r| !r.is_empty()) }).await;
    // A file open for writing forbids it for a moment.
    eventually("a remount", LIVE, || async { disk.remount("ro").ok() }).await;
    failing(&server).await;
    control.more(30).await?;
    disk.remount("rw")?;
    resumed(&disk, &server).await?;
    control.finish().await?.assert_kept();
    Ok(())
}

// 42.
#[tokio::test]
#[ignore = "mounts a tmpfs, so it needs root: make test-long"]
async fn fault_42_a_disk_without_inodes_stops_the_recording_alone() -> Result<()> {
    let (_folder, disk, server, mut control) = on_a_disk("size=32m,nr_inodes=64").await?;
    eventually("it records", LIVE, || async { recorded(&disk).filter(|r| !r.is_empty()) }).await;
    let ballast = disk.0.join("ballast");
    std::fs::create_dir(&ballast)?;
    let mut files = 0;
    while std::fs::write(ballast.join(files.to_string()), "").is_ok() {
        files += 1;
    }
    failing(&server).await;
    control.more(30).await?;
    std::fs::remove_dir_all(&ballast)?;
    resumed(&disk, &server).await?;
    control.finish().await?.assert_kept();
    Ok(())
}
