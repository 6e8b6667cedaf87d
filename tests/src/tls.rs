//! Certificates of the test's own, and clients that check them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{net::TcpStream, process::Command};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::Options;

/// Who signs certificates, and is trusted by those who know its file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub file: PathBuf,
}

/// A server's certificate and key.
#[derive(Clone, Debug)]
pub struct Pair {
    /// PEM.
    pub cert: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

impl Authority {
    /// A new one, its file in `folder`.
    ///
    /// # Errors
    /// When nothing can be made or written.
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let file = folder.join(format!("{name}.pem"));
        std::fs::write(&file, issuer.pem())?;
        Ok(Self { issuer, file })
    }

    /// Writes a certificate for localhost over the files of `pair`, certificate first, valid for `days`.
    ///
    /// # Errors
    /// When nothing can be made or written.
    pub fn sign(&self, pair: &Pair, days: i64) -> Result<()> {
        let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()])?;
        params.not_before = time::OffsetDateTime::now_utc() - time::Duration::days(30);
        params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(days);
        let key = KeyPair::generate()?;
        std::fs::write(&pair.cert, params.signed_by(&key, &self.issuer)?.pem())?;
        std::fs::write(&pair.key, key.serialize_pem())?;
        Ok(())
    }

    /// Connects with TLS, offering `alpn`; the certificate must be this authority's.
    ///
    /// # Errors
    /// When there is no connection, or not with a certificate of this authority.
    pub async fn connect(&self, addr: SocketAddr, alpn: &[&str]) -> Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.file)?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(addr).await?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(connector.connect(ServerName::try_from("localhost")?, stream).await?)
    }
}

impl Pair {
    /// Where a pair may lie in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self { cert: folder.join("server.pem"), key: folder.join("server.key") }
    }

    /// Settings of a server that shows this pair on both TLS listeners.
    pub fn serve(&self, options: Options) -> Options {
        options
            .set("HTTPS_ADDR", "127.0.0.1:0")
            .set("RTMPS_ADDR", "127.0.0.1:0")
            .set("TLS_CERT", &self.cert.display().to_string())
            .set("TLS_KEY", &self.key.display().to_string())
    }
}

/// Runs curl; its exit status, and what it wrote.
///
/// # Errors
/// When it cannot be run, or takes over half a minute.
pub async fn curl(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--noproxy", "*", "--max-time", "25"]).args(arguments).kill_on_drop(true);
    let out =
        tokio::time::timeout(Duration::from_secs(30), command.output()).await.context("curl hangs")??;
    Ok((out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned()))
}
