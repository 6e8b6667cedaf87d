//! Bounded waiting, and where things lie.

use std::{
    future::Future,
    path::PathBuf,
    time::{Duration, Instant},
};

/// How often a condition is looked at again.
const STEP: Duration = Duration::from_millis(50);

/// Waits until `look` gives a value.
///
/// # Panics
/// After `limit`, naming what was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(start.elapsed() < limit, "within {limit:?}: {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// The root of the workspace.
///
/// # Panics
/// Never: the manifest of this crate lies below it.
pub fn workspace() -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
        .to_owned()
}

/// A program that `cargo build` made beside this test.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let folder = test.parent().and_then(std::path::Path::parent).expect("tests lie in target/PROFILE/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: cargo build -p rapidrtmp -p rapidrtmp-bench", path.display());
    path
}
