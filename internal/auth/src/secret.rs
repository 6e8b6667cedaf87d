//! The key that tokens are signed with.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use uuid::Uuid;

/// The key's name in the state directory.
const FILE: &str = "secret";
/// No key is longer; HMAC-SHA256 gains nothing beyond 64 bytes.
const MAX_BYTES: u64 = 4096;

/// A signing key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// A key of any bytes; `None` when there are none.
    pub fn new(key: impl Into<Vec<u8>>) -> Option<Self> {
        let key = key.into();
        (!key.is_empty()).then_some(Self(key))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The signing key: `auth_secret` (`AUTH_SECRET`) where it is given and not empty, else `{state_dir}/secret`, made
/// once with mode 0600. Of several processes that make it at once, all get the same. Blocks for one small file.
///
/// # Errors
/// The file cannot be made or read, or is empty.
pub fn load_secret(auth_secret: Option<&str>, state_dir: &Path) -> io::Result<Secret> {
    if let Some(secret) = auth_secret.and_then(Secret::new) {
        return Ok(secret);
    }
    let path = state_dir.join(FILE);
    match read(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            make(state_dir, &path)?;
            read(&path)
        }
        other => other,
    }
}

fn read(path: &Path) -> io::Result<Secret> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut text)?;
    Secret::new(text.trim_ascii())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the secret file in STATE_DIR is empty"))
}

/// Writes a complete file under another name and links it in place: nobody sees half a key, and the first wins.
fn make(state_dir: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let temporary = state_dir.join(format!("{FILE}.{}", Uuid::new_v4().simple()));
    let made = write_new(&temporary).and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => removed,
        Err(e) => Err(e),
        Ok(()) => removed,
    }
}

fn write_new(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Two random UUIDs: 244 bits from the system's generator.
    writeln!(file, "{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, sync::Barrier};

    use super::*;

    #[test]
    fn a_configured_secret_is_taken_and_no_file_is_made() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load_secret(Some("given"), dir.path()).unwrap().as_bytes(), b"given");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_secret_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/state");
        let first = load_secret(None, &state).unwrap();
        assert_eq!(first.as_bytes().len(), 64);
        assert_eq!(load_secret(Some(""), &state).unwrap(), first);
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state.join(FILE)), mode(&state)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "no temporary file is left");
        assert_ne!(load_secret(None, &dir.path().join("b")).unwrap(), first);
    }

    #[test]
    fn of_many_that_make_it_at_once_all_get_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let barrier = Barrier::new(16);
        let secrets: Vec<Secret> = std::thread::scope(|s| {
            let one = || {
                barrier.wait();
                load_secret(None, dir.path()).unwrap()
            };
            let threads: Vec<_> = (0..16).map(|_| s.spawn(one)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|s| *s == secrets[0]));
    }

    #[test]
    fn an_empty_file_is_an_error_and_debug_shows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), " \n").unwrap();
        assert_eq!(load_secret(None, dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "Some(Secret)");
    }
}
