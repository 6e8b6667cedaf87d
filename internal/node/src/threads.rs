//! The process's two sets of threads: one for media, one for whoever asks over HTTP.

use std::{future::Future, io, num::NonZeroUsize, thread::available_parallelism};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::config::Config;

/// Cores for each media thread. One packages hundreds of publishers, and threads that are not needed cost CPU: they wake
/// each other for tasks that one of them has already done.
const CORES_PER_MEDIA_THREAD: usize = 4;

/// Media threads carry encoders' sockets and the packager, web threads every HTTP connection. So a crowd of viewers, or a
/// flood of requests, can take all of its own threads and no part comes late for it.
pub struct Threads {
    media: Runtime,
    web: Runtime,
}

impl Threads {
    /// Starts the threads: as many for media as `node.media_threads` says, as many for the web as there are cores.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(config: &Config) -> io::Result<Self> {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let media = config.node.media_threads.unwrap_or(cores.div_ceil(CORES_PER_MEDIA_THREAD));
        Ok(Self { media: runtime("media", media)?, web: runtime("web", cores)? })
    }

    /// Runs a future on this thread and what it spawns on the media threads.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.media.block_on(future)
    }

    /// Where HTTP is served.
    pub fn web(&self) -> Handle {
        self.web.handle().clone()
    }
}

fn runtime(name: &'static str, threads: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build()
}
