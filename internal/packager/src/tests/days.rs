//! What many publishes leave behind: nothing that grows.

use std::time::Duration;

use live::Directory;
use media::StreamPath;
use registry::PathState;
use tokio::{runtime::Handle, time::sleep};

use super::{
    bench::{Bench, SECOND},
    source::Source,
};

/// Enough to see what grows: each cycle would leave a task, a file, or an entry.
const CYCLES: usize = 300;

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn files(bench: &Bench) -> usize {
    std::fs::read_dir(bench.stored("")).map_or(0, Iterator::count)
}

/// After the last window and the time of its 410 nobody remembers anything but the registry.
async fn nothing_is_left(bench: &Bench, directory: &Directory, tasks_before: usize) {
    sleep(30 * SECOND).await;
    bench.settle().await;
    sleep(310 * SECOND).await;
    assert!(directory.list().is_empty());
    assert_eq!(directory.memory(), live::Memory::default());
    assert_eq!(files(bench), 0);
    let health = bench.store.health();
    assert_eq!((health.segments_stored, health.bytes_stored, health.backlog), (0, 0, 0));
    assert_eq!(tasks(), tasks_before);
}

#[tokio::test(start_paused = true)]
async fn one_path_stopped_and_published_again_for_ever() {
    let bench = Bench::start();
    sleep(SECOND).await;
    let before = tasks();
    let (mut most_files, mut most_tasks, mut most_bytes) = (0, 0, 0);
    for cycle in 0..CYCLES {
        let mut source = Source::new(60);
        let (mut publisher, stream) = bench.publish(&source).await;
        assert!(source.send(&mut publisher, Duration::from_millis(1_250)).await);
        most_bytes = most_bytes.max(bench.directory.memory().window_bytes);
        assert!(bench.directory.stop(&bench.path), "{cycle}");
        drop((publisher, stream));
        sleep(Duration::from_millis(750)).await;
        bench.settle().await;
        most_files = most_files.max(files(&bench));
        most_tasks = most_tasks.max(tasks());
    }
    // A cycle takes 2 s, an old playlist stays for 20 s: 12 of an init and a segment, and the two playlists.
    assert!(most_files <= 12 * 2 + 2, "{most_files} files");
    assert!(most_tasks <= before + 4, "{before} tasks, then {most_tasks}");
    assert!(most_bytes <= 100_000, "{most_bytes} bytes");
    let record = bench.registry.look_up(&bench.path).await.expect("it answers").expect("known");
    assert_eq!(record.state, PathState::Ended);
    nothing_is_left(&bench, &bench.directory, before).await;
}

#[tokio::test(start_paused = true)]
async fn one_path_lost_and_published_again_for_ever() {
    let bench = Bench::start();
    sleep(SECOND).await;
    let before = tasks();
    let (mut most_files, mut most_tasks, mut most_bytes) = (0, 0, 0);
    for _ in 0..CYCLES {
        let mut source = Source::new(60);
        let (mut publisher, stream) = bench.publish(&source).await;
        assert!(source.send(&mut publisher, Duration::from_millis(1_250)).await);
        bench.disconnect(publisher, &stream).await;
        sleep(Duration::from_millis(750)).await;
        bench.settle().await;
        most_files = most_files.max(files(&bench));
        most_tasks = most_tasks.max(tasks());
        most_bytes = most_bytes.max(bench.directory.memory().window_bytes);
    }
    // Two segments a cycle (media, and the GAP after it), of which 10 are listed and the others stay as long again.
    assert!(most_files <= 60, "{most_files} files");
    assert!(most_tasks <= before + 4, "{before} tasks, then {most_tasks}");
    assert!(most_bytes <= 1_000_000, "{most_bytes} bytes");
    sleep(31 * SECOND).await;
    nothing_is_left(&bench, &bench.directory, before).await;
}

#[tokio::test(start_paused = true)]
async fn many_paths_published_once() {
    let mut bench = Bench::start();
    sleep(SECOND).await;
    let before = tasks();
    for n in 0..CYCLES {
        bench.path = StreamPath::parse(&format!("live/{n}")).expect("a path");
        let mut source = Source::new(60);
        let (mut publisher, stream) = bench.publish(&source).await;
        assert!(source.send(&mut publisher, Duration::from_millis(300)).await);
        bench.disconnect(publisher, &stream).await;
    }
    sleep(31 * SECOND).await;
    nothing_is_left(&bench, &bench.directory, before).await;
    let left = std::fs::read_dir(bench.folder.path()).expect("the root stays").count();
    assert_eq!(left, 0, "no folder of any path");
}
