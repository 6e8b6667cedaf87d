//! A node's store.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use media::{ObjectName, StreamPath};
use object_store::{ObjectStore, local::LocalFileSystem};
use parking_lot::Mutex;
use thiserror::Error;

use crate::{
    backend::Backend,
    health::{Meter, StoreHealth},
    queue::Queue,
    worker,
    writer::{Shared, StreamWriter},
};

/// Why the store did not do it. Holds names of objects and the system's words, no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It did not answer in time.
    #[error("the store did not answer in time")]
    Overdue,
    /// The object is not there.
    #[error("no such object in the store")]
    NotFound,
    /// The object has more bytes than any of ours.
    #[error("the stored object has {0} bytes, too many to be ours")]
    TooLarge(u64),
    /// It said no.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// The store's bounds.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// An operation is overdue after this.
    pub deadline: Duration,
    /// Bytes that may wait for one stream.
    pub stream_backlog: u64,
    /// Bytes that may wait for all streams.
    pub node_backlog: u64,
    /// Bytes of the largest object that is read.
    pub max_object: u64,
}

impl Default for StoreOptions {
    /// 10 s; 64 MiB a stream (over 20 s at 25 Mbit/s); 256 MiB a node; objects of 64 MiB.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            stream_backlog: 64 << 20,
            node_backlog: 256 << 20,
            max_object: 64 << 20,
        }
    }
}

pub(crate) struct Inner {
    pub(crate) backend: Backend,
    pub(crate) streams: Mutex<HashMap<StreamPath, Arc<Shared>>>,
    options: StoreOptions,
    meter: Arc<Meter>,
}

/// Segments, inits and plain playlists of all streams, in `{prefix}/{path}/{object}`. Cheap to clone.
#[derive(Clone)]
pub struct SegmentStore(Arc<Inner>);

impl SegmentStore {
    /// Over a folder, made if missing: `{folder}/{path}/{object}`. Blocks shortly.
    ///
    /// # Errors
    /// The folder can neither be found nor made. One that cannot be written to is found out later.
    pub fn local(folder: &Path) -> Result<Self, StoreError> {
        Self::local_with(folder, StoreOptions::default())
    }

    /// As [`local`](Self::local), with other bounds.
    ///
    /// # Errors
    /// As [`local`](Self::local).
    pub fn local_with(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let failed = |e: String| StoreError::Failed(e);
        std::fs::create_dir_all(folder).map_err(|e| failed(format!("{}: {e}", folder.display())))?;
        let folder = folder.canonicalize().map_err(|e| failed(format!("{}: {e}", folder.display())))?;
        // Empty folders go with their last object. No fsync: a live segment that a power cut eats is not missed.
        let disk = LocalFileSystem::new_with_prefix(&folder)?.with_automatic_cleanup(true);
        Ok(Self::build(Arc::new(disk), "", Some(folder), options))
    }

    /// Over any object store, below `prefix` (may be empty). Content types and cache headers are written as
    /// attributes.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self::new_with(store, prefix, StoreOptions::default())
    }

    /// As [`new`](Self::new), with other bounds.
    pub fn new_with(store: Arc<dyn ObjectStore>, prefix: &str, options: StoreOptions) -> Self {
        Self::build(store, prefix, None, options)
    }

    fn build(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        folder: Option<std::path::PathBuf>,
        options: StoreOptions,
    ) -> Self {
        let meter = Arc::new(Meter::new());
        let backend = Backend::new(store, prefix, folder, options.deadline, Arc::clone(&meter));
        Self(Arc::new(Inner { backend, streams: Mutex::default(), options, meter }))
    }

    /// A writer for a path; of several, all feed one queue. Must be called within a Tokio runtime.
    pub fn writer(&self, path: &StreamPath) -> StreamWriter {
        let inner = &self.0;
        let mut streams = inner.streams.lock();
        let shared = streams.entry(path.clone()).or_insert_with(|| {
            let o = &inner.options;
            let shared =
                Arc::new(Shared::new(Queue::new(o.stream_backlog, o.node_backlog, Arc::clone(&inner.meter))));
            tokio::spawn(worker::run(path.clone(), Arc::clone(&shared), Arc::clone(inner)));
            shared
        });
        shared.add_user();
        StreamWriter::new(path.clone(), Arc::clone(shared))
    }

    /// Reads an init, segment or playlist, at most `max_object` bytes; `None`: it is not there. Waits at most the
    /// deadline. Names that are never stored (parts, RapidRTMP's aliases) are not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(&self, path: &StreamPath, name: ObjectName) -> Result<Option<Bytes>, StoreError> {
        match name {
            ObjectName::Part { .. } | ObjectName::CurrentInit | ObjectName::NthSegment(_) => Ok(None),
            _ => self.0.backend.read(path, &name, self.0.options.max_object).await,
        }
    }

    /// Deletes what an earlier owner left below a path, except `keep` and what this process's writers put there.
    /// Waits for the store, at most three deadlines. Returns how many objects were to be deleted.
    ///
    /// # Errors
    /// [`StoreError`]; the stream can go on, its names are its own.
    pub async fn clear_leftovers(&self, path: &StreamPath, keep: &[ObjectName]) -> Result<usize, StoreError> {
        let writer = self.writer(path);
        self.0.backend.sweep(path).await?;
        let mut found = self.0.backend.list(path).await?;
        found.retain(|n| !keep.contains(n));
        let leftovers = writer.delete_strangers(found);
        if writer.flush(self.0.options.deadline).await { Ok(leftovers) } else { Err(StoreError::Overdue) }
    }

    /// How the store is. Never waits.
    pub fn health(&self) -> StoreHealth {
        self.0.meter.health()
    }
}

#[cfg(test)]
mod tests;
