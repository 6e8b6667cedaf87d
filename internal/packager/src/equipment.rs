//! What the lanes share.

use std::sync::Arc;

use live::Directory;
use registry::StreamRegistry;
use store::SegmentStore;

use crate::{meters::Meters, options::PackagerOptions};

/// What every lane works with.
pub(crate) struct Equipment {
    pub(crate) options: PackagerOptions,
    pub(crate) directory: Directory,
    pub(crate) store: SegmentStore,
    pub(crate) registry: Arc<dyn StreamRegistry>,
    pub(crate) meters: Meters,
}
