//! Why a certificate cannot be used.

use std::io;

use thiserror::Error;

/// What is wrong with `tls.cert` and `tls.key`, each with what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{setting}: {file} cannot be read ({source}): give a file that this user may read")]
    Unreadable {
        /// `tls.cert` or `tls.key`.
        setting: &'static str,
        /// As configured.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no certificate in the file.
    #[error(
        "tls.cert: {file} holds no certificate: give the PEM file with the server's certificate first, then its chain"
    )]
    NoCertificate {
        /// As configured.
        file: String,
    },
    /// There is no private key in the file.
    #[error("tls.key: {file} holds no private key: give it as PEM, unencrypted (PKCS#8, PKCS#1 or SEC1)")]
    NoKey {
        /// As configured.
        file: String,
    },
    /// The library does not take the key, or it is another certificate's.
    #[error(
        "tls.cert and tls.key do not work together ({reason}): give the key that this certificate was made for"
    )]
    Mismatch {
        /// The library's reason.
        reason: String,
    },
    /// Its time is over.
    #[error("tls.cert: the certificate in {file} expired on {on}: renew it")]
    Expired {
        /// As configured.
        file: String,
        /// When, RFC 3339.
        on: String,
    },
    /// Its time has not come.
    #[error("tls.cert: the certificate in {file} is valid from {from} on: check this machine's clock")]
    NotYet {
        /// As configured.
        file: String,
        /// When, RFC 3339.
        from: String,
    },
}
