//! Keeps the certificate that new connections see in step with its files.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{
    certificate::{Certificate, Contents, Files},
    error::TlsError,
};

/// How often the files are looked at. Two reads of a few kilobytes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches the two files and gives every handshake the newest certificate that works.
pub(crate) struct Keeper {
    files: Files,
    shown: Arc<Shown>,
    /// What the files held when the present certificate was made of them.
    used: Contents,
    /// What the last look found and could not use.
    refused: Option<Refused>,
}

struct Refused {
    contents: Option<Contents>,
    told: bool,
}

/// The certificate of the next handshake.
#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Keeper {
    /// Reads the files for the first time. Blocks for as long as the file system does.
    ///
    /// # Errors
    /// [`TlsError`]: there is no certificate to begin with.
    pub(crate) fn open(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files { cert: cert.to_owned(), key: key.to_owned() };
        let used = files.read()?;
        let Certificate { certified, expires } = files.certificate(&used, SystemTime::now())?;
        note_expiry(expires);
        Ok(Self { files, shown: Arc::new(Shown(ArcSwap::new(certified))), used, refused: None })
    }

    /// What handshakes ask.
    pub(crate) fn certificates(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::clone(&self.shown) as Arc<dyn ResolvesServerCert>
    }

    /// Looks at the files every few seconds, and at once on SIGHUP. Never ends.
    pub(crate) async fn run(mut self) {
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|e| tracing::warn!(error = %e, "SIGHUP cannot be heard; files are still watched"))
            .ok();
        let mut tick = interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = tick.tick() => false,
                true = async {
                    match &mut hangup {
                        Some(hangup) => hangup.recv().await.is_some(),
                        None => std::future::pending().await,
                    }
                } => true,
            };
            let files = self.files.clone();
            // The file system may block, and must not block the runtime.
            let read = tokio::task::spawn_blocking(move || files.read()).await;
            self.look(read.unwrap_or_else(|e| panic!("reading two files: {e}")), asked);
        }
    }

    /// Takes what a look found. A pair is written one file after the other, so what does not work is told only when
    /// a second look finds the same, or when somebody asked.
    fn look(&mut self, read: Result<Contents, TlsError>, asked: bool) {
        if read.as_ref().is_ok_and(|contents| *contents == self.used) {
            self.refused = None;
            return;
        }
        let (contents, error) = match read {
            Err(error) => (None, error),
            Ok(contents) => match self.files.certificate(&contents, SystemTime::now()) {
                Ok(certificate) => return self.show(contents, certificate),
                Err(error) => (Some(contents), error),
            },
        };
        let seen = self.refused.take().filter(|r| r.contents == contents);
        let told = seen.as_ref().is_some_and(|r| r.told);
        let tell = asked || (seen.is_some() && !told);
        if tell {
            metrics::counter!("rapidrtmp_tls_reload_failures_total").increment(1);
            tracing::error!(%error, "the new certificate cannot be used; the present one stays");
        }
        self.refused = Some(Refused { contents, told: told || tell });
    }

    fn show(&mut self, contents: Contents, Certificate { certified, expires }: Certificate) {
        self.shown.0.store(certified);
        self.used = contents;
        self.refused = None;
        note_expiry(expires);
        metrics::counter!("rapidrtmp_tls_reloads_total").increment(1);
        tracing::info!("new connections see the new certificate");
    }
}

fn note_expiry(expires: SystemTime) {
    let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    metrics::gauge!("rapidrtmp_tls_certificate_expiry_timestamp_seconds").set(seconds as f64);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::certificate::tests::{days, folder, write},
        *,
    };

    fn keeper(files: &Files) -> Keeper {
        Keeper::open(&files.cert, &files.key).unwrap()
    }

    fn shown(k: &Keeper) -> Vec<u8> {
        k.shown.0.load().end_entity_cert().unwrap().to_vec()
    }

    fn told(k: &Keeper) -> bool {
        k.refused.as_ref().is_some_and(|r| r.told)
    }

    #[test]
    fn a_new_pair_is_shown_and_the_same_pair_changes_nothing() {
        let (_dir, files) = folder("one");
        let mut k = keeper(&files);
        let first = shown(&k);
        k.look(files.read(), false);
        assert_eq!(shown(&k), first);
        write(&files, "two", days(-1), days(9));
        k.look(files.read(), false);
        assert_ne!(shown(&k), first);
    }

    #[test]
    fn a_half_written_pair_is_told_once_and_only_if_it_stays() {
        let (_dir, files) = folder("one");
        let (_other_dir, other) = folder("two");
        let mut k = keeper(&files);
        let first = shown(&k);
        fs::copy(&other.cert, &files.cert).unwrap();
        k.look(files.read(), false);
        assert!(!told(&k), "the key may be about to follow");
        k.look(files.read(), false);
        assert!(told(&k));
        assert_eq!(shown(&k), first, "the old one stays");
        fs::copy(&other.key, &files.key).unwrap();
        k.look(files.read(), false);
        assert_ne!(shown(&k), first);
        assert!(k.refused.is_none());
    }

    #[test]
    fn a_vanished_or_expired_file_keeps_the_old_one_and_is_told_at_once_when_asked() {
        let (_dir, files) = folder("one");
        let mut k = keeper(&files);
        let first = shown(&k);
        fs::remove_file(&files.key).unwrap();
        k.look(files.read(), true);
        assert!(told(&k));
        write(&files, "two", days(-9), days(-1));
        k.look(files.read(), true);
        assert!(told(&k));
        assert_eq!(shown(&k), first);
    }
}
