//! A certificate with its key, from two PEM files.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{error::TlsError, validity::Validity};

/// A chain and its key are some kilobytes; what is longer is another file.
const MAX_FILE: u64 = 1 << 20;

/// Where the certificate lies.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
}

/// The text of both files, as they were at one time.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate that may be shown to clients.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) expires: SystemTime,
}

impl Files {
    /// Blocks for as long as the file system does.
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        let unreadable = |setting, file: &Path, source| TlsError::Unreadable {
            setting,
            file: file.display().to_string(),
            source,
        };
        Ok(Contents {
            cert: read(&self.cert).map_err(|e| unreadable("tls.cert", &self.cert, e))?,
            key: read(&self.key).map_err(|e| unreadable("tls.key", &self.key, e))?,
        })
    }

    /// Makes a certificate of what was read, if it is one that works at `now`.
    pub(super) fn certificate(&self, from: &Contents, now: SystemTime) -> Result<Certificate, TlsError> {
        let file = || self.cert.display().to_string();
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&from.cert)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::NoCertificate { file: file() })?;
        let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate { file: file() })?;
        let validity = Validity::of(leaf).ok_or_else(|| TlsError::NoCertificate { file: file() })?;
        let key = PrivateKeyDer::from_pem_slice(&from.key)
            .map_err(|_| TlsError::NoKey { file: self.key.display().to_string() })?;
        if validity.until < now {
            return Err(TlsError::Expired { file: file(), on: rfc3339(validity.until) });
        }
        if validity.from > now {
            return Err(TlsError::NotYet { file: file(), from: rfc3339(validity.from) });
        }
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|e| TlsError::Mismatch { reason: e.to_string() })?;
        Ok(Certificate { certified: Arc::new(certified), expires: validity.until })
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    fs::File::open(file)?.take(MAX_FILE).read_to_end(&mut out)?;
    Ok(out)
}

fn rfc3339(t: SystemTime) -> String {
    OffsetDateTime::from(t).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A folder with a self-signed certificate of this name that is valid around now.
    pub(in crate::tls) fn folder(name: &str) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        write(&files, name, days(-1), days(30));
        (dir, files)
    }

    pub(in crate::tls) fn write(files: &Files, name: &str, from: OffsetDateTime, until: OffsetDateTime) {
        let mut params = rcgen::CertificateParams::new(vec![name.into()]).unwrap();
        (params.not_before, params.not_after) = (from, until);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(&files.cert, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
    }

    pub(in crate::tls) fn days(from_now: i64) -> OffsetDateTime {
        OffsetDateTime::now_utc() + time::Duration::days(from_now)
    }

    fn load(files: &Files) -> Result<Certificate, TlsError> {
        files.certificate(&files.read()?, SystemTime::now())
    }

    fn refusal(files: &Files) -> String {
        load(files).unwrap_err().to_string()
    }

    #[test]
    fn a_good_pair_is_taken_with_its_expiry() {
        let (_dir, files) = folder("localhost");
        let left = load(&files).unwrap().expires.duration_since(SystemTime::now()).unwrap();
        assert!(left.abs_diff(Duration::from_secs(30 * 86_400)) < Duration::from_secs(60), "{left:?}");
    }

    #[test]
    fn each_fault_says_which_file_and_what_to_do() {
        let (_dir, files) = folder("localhost");
        let (_other_dir, other) = folder("localhost");
        let missing = Files { key: "/nowhere/key.pem".into(), ..files.clone() };
        assert!(
            refusal(&missing).starts_with("tls.key: /nowhere/key.pem cannot be read"),
            "{}",
            refusal(&missing)
        );
        let swapped = Files { cert: files.key.clone(), key: files.cert.clone() };
        assert!(refusal(&swapped).contains("holds no certificate"), "{}", refusal(&swapped));
        let keyless = Files { key: files.cert.clone(), ..files.clone() };
        assert!(refusal(&keyless).contains("holds no private key"), "{}", refusal(&keyless));
        let mixed = Files { key: other.key, ..files.clone() };
        assert!(refusal(&mixed).contains("do not work together"), "{}", refusal(&mixed));
        write(&files, "localhost", days(-30), days(-1));
        assert!(refusal(&files).contains("expired on 20") && refusal(&files).ends_with("renew it"));
        write(&files, "localhost", days(2), days(30));
        assert!(refusal(&files).contains("is valid from 20"), "{}", refusal(&files));
        fs::write(&files.cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(refusal(&files).contains("holds no certificate"), "{}", refusal(&files));
    }
}
