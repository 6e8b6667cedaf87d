//! One object store with our names, deadlines and attributes.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use media::{ObjectName, StreamPath};
use object_store::{
    Attribute, Attributes, Error, GetOptions, ObjectStore, ObjectStoreExt, PutOptions, PutPayload,
    path::Path as Location,
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{health::Meter, segment_store::StoreError};

/// Operations at once on behalf of writers: on local disk each holds a thread of the blocking pool.
const MAX_WRITES: usize = 32;
/// Reads at once on behalf of viewers, apart from the writes.
const MAX_READS: usize = 64;

/// The object store. Futures end within the deadline, but for writes and deletions on local disk, and for waiting
/// until other operations have made place.
pub(crate) struct Backend {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// The folder, where the store is local disk: it takes no attributes, and an operation cannot be cancelled.
    folder: Option<PathBuf>,
    deadline: Duration,
    writes: Semaphore,
    reads: Arc<Semaphore>,
    meter: Arc<Meter>,
}

impl Backend {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        folder: Option<PathBuf>,
        deadline: Duration,
        meter: Arc<Meter>,
    ) -> Self {
        let prefix = prefix.trim_matches('/').to_owned();
        let (writes, reads) = (Semaphore::new(MAX_WRITES), Arc::new(Semaphore::new(MAX_READS)));
        Self { store, prefix, folder, deadline, writes, reads, meter }
    }

    pub(crate) fn is_local(&self) -> bool {
        self.folder.is_some()
    }

    /// Parsed, not built from parts: that keeps `~` as it is, so the object's name equals the URL's.
    fn location(&self, path: &StreamPath, name: Option<&str>) -> Result<Location, StoreError> {
        let name = name.map(|n| format!("/{n}")).unwrap_or_default();
        let whole = format!("{}/{path}{name}", self.prefix);
        Location::parse(whole).map_err(|e| StoreError::Failed(e.to_string()))
    }

    /// Writes an object whole: on local disk to another name in the same folder, then renamed; no fsync.
    pub(crate) async fn put(
        &self,
        path: &StreamPath,
        name: &ObjectName,
        chunks: Vec<Bytes>,
    ) -> Result<(), StoreError> {
        let location = self.location(path, Some(&name.to_string()))?;
        let attributes = if self.is_local() { Attributes::default() } else { attributes(name) };
        let options = PutOptions { attributes, ..PutOptions::default() };
        let result = self.work(self.store.put_opts(&location, PutPayload::from_iter(chunks), options)).await;
        match &result {
            Ok(_) => self.meter.succeeded(),
            Err(e) => self.meter.failed(&e.to_string()),
        }
        result.map(drop)
    }

    /// Deletes an object; that it is not there is no error.
    pub(crate) async fn delete(&self, path: &StreamPath, name: &ObjectName) -> Result<(), StoreError> {
        let location = self.location(path, Some(&name.to_string()))?;
        match self.work(self.store.delete(&location)).await {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(e) => {
                self.meter.failed(&e.to_string());
                Err(e)
            }
        }
    }

    /// Runs a writer's operation under the deadline. An operation on local disk cannot be cancelled: a late rename
    /// could undo a newer one, so it is counted as failing and waited for, and the stream's queue fills meanwhile.
    async fn work<T>(
        &self,
        operation: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        let _place = self.writes.acquire().await;
        tokio::pin!(operation);
        match timeout(self.deadline, &mut operation).await {
            Ok(done) => done.map_err(StoreError::from),
            Err(_) if self.is_local() => {
                self.meter.failed(&StoreError::Overdue.to_string());
                operation.await.map_err(StoreError::from)
            }
            Err(_) => Err(StoreError::Overdue),
        }
    }

    /// The object is there.
    pub(crate) async fn exists(&self, path: &StreamPath, name: &ObjectName) -> Result<bool, StoreError> {
        let location = self.location(path, Some(&name.to_string()))?;
        let store = Arc::clone(&self.store);
        match self.ask(async move { Ok(store.head(&location).await?) }).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The objects right below a path, those of longer paths left out; a path without a folder has none.
    pub(crate) async fn list(&self, path: &StreamPath) -> Result<Vec<ObjectName>, StoreError> {
        let location = self.location(path, None)?;
        let store = Arc::clone(&self.store);
        match self.ask(async move { Ok(store.list_with_delimiter(Some(&location)).await?) }).await {
            Ok(found) => {
                let names = found.objects.iter().filter_map(|o| o.location.filename());
                Ok(names.filter_map(ObjectName::parse).collect())
            }
            Err(StoreError::NotFound) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Reads an object of at most `max` bytes.
    pub(crate) async fn read(
        &self,
        path: &StreamPath,
        name: &ObjectName,
        max: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let location = self.location(path, Some(&name.to_string()))?;
        let store = Arc::clone(&self.store);
        let read = async move {
            let found = store.get_opts(&location, GetOptions::default()).await?;
            if found.meta.size > max {
                return Err(StoreError::TooLarge(found.meta.size));
            }
            Ok(found.bytes().await?)
        };
        match self.ask(read).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Removes what a crash left half written in a path's local folder (`{object}#{n}`).
    pub(crate) async fn sweep(&self, path: &StreamPath) -> Result<(), StoreError> {
        let Some(folder) = self.folder.as_ref().map(|f| f.join(path.as_str())) else { return Ok(()) };
        let sweep = async move {
            tokio::task::spawn_blocking(move || sweep(&folder))
                .await
                .map_err(|e| StoreError::Failed(e.to_string()))?
                .map_err(|e| StoreError::Failed(e.to_string()))
        };
        self.ask(sweep).await
    }

    /// Runs a reading operation under the deadline, with a bound on those that run at once. On local disk an
    /// overdue one still holds a thread, so it keeps its place in the bound until it ends.
    async fn ask<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reads = Arc::clone(&self.reads);
        let mut job = tokio::spawn(async move {
            let _place = reads.acquire_owned().await;
            operation.await
        });
        let result = match timeout(self.deadline, &mut job).await {
            Ok(Ok(done)) => done,
            Ok(Err(broken)) => Err(StoreError::Failed(broken.to_string())),
            Err(_) => {
                if !self.is_local() {
                    job.abort();
                }
                Err(StoreError::Overdue)
            }
        };
        if !matches!(result, Ok(_) | Err(StoreError::NotFound)) {
            self.meter.error();
        }
        result
    }
}

fn sweep(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let object = name.to_str().and_then(|n| n.split_once('#')).map(|(object, _)| object);
        if object.and_then(ObjectName::parse).is_some() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl From<Error> for StoreError {
    fn from(e: Error) -> Self {
        match e {
            Error::NotFound { .. } => Self::NotFound,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Headers as the object is to be served (contract "Objects"): media never changes, playlists live a second.
fn attributes(name: &ObjectName) -> Attributes {
    const FOREVER: &str = "public, max-age=31536000, immutable";
    let (kind, cache) = match name {
        ObjectName::Index | ObjectName::Playlist(_) => ("application/vnd.apple.mpegurl", "max-age=1"),
        ObjectName::Init { .. } | ObjectName::CurrentInit => ("video/mp4", FOREVER),
        ObjectName::Segment { .. } | ObjectName::Part { .. } | ObjectName::NthSegment(_) => {
            ("video/iso.segment", FOREVER)
        }
    };
    Attributes::from_iter([(Attribute::ContentType, kind), (Attribute::CacheControl, cache)])
}
