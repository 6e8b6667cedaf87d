//! TLS of every listener that has it: one certificate from two files, replaced while connections go on.

mod certificate;
mod error;
mod keeper;
mod validity;

use std::sync::Arc;

use rustls::{ServerConfig, crypto::aws_lc_rs, server::ResolvesServerCert, version};

pub use error::TlsError;
pub(crate) use keeper::Keeper;

/// What a listener of encoders offers: RTMP has no name in ALPN, so none is negotiated.
pub(crate) fn for_rtmp(certificates: Arc<dyn ResolvesServerCert>) -> Arc<ServerConfig> {
    Arc::new(offer(certificates))
}

/// What a listener of viewers offers: HTTP/2 before HTTP/1.1 (RFC 7301).
pub(crate) fn for_http(certificates: Arc<dyn ResolvesServerCert>) -> Arc<ServerConfig> {
    let mut config = offer(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// TLS 1.2 and 1.3. Sessions to resume are kept in memory, 256 of them at most (the library's default).
fn offer(certificates: Arc<dyn ResolvesServerCert>) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("the provider has suites of both versions")
        .with_no_client_auth()
        .with_cert_resolver(certificates)
}
