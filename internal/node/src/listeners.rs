//! The sockets that a node listens on.

use std::net::SocketAddr;

use tokio::{net::TcpListener, runtime::Handle};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{Config, ListenAddr},
    error::NodeError,
    net,
    tls::{self, Keeper},
};

/// A bound listener.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    pub(crate) addr: SocketAddr,
}

/// Every listener of a node.
pub(crate) struct Listeners {
    pub(crate) http: Bound,
    pub(crate) rtmp: Bound,
    pub(crate) https: Option<Bound>,
    pub(crate) rtmps: Option<Bound>,
}

/// What TLS listeners open connections with, and what keeps their certificate new.
pub(crate) struct Tls {
    pub(crate) https: TlsAcceptor,
    pub(crate) rtmps: TlsAcceptor,
    pub(crate) keeper: Keeper,
}

impl Bound {
    async fn new(what: &'static str, addr: ListenAddr) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Bind { what, addr: addr.to_string(), source };
        let listener = net::bind(&addr).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, addr: bound })
    }

    /// Only this machine can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        self.addr.ip().to_canonical().is_loopback()
    }
}

impl Listeners {
    /// Binds all that the configuration has: those for encoders on the calling threads, those for viewers on `web`, as a
    /// socket is served where it was opened.
    pub(crate) async fn bind(config: &Config, web: &Handle) -> Result<Self, NodeError> {
        let on_web = async |what, addr: ListenAddr| {
            let bound = web.spawn(Bound::new(what, addr)).await;
            bound.expect("binding does not panic, and the threads outlive the node")
        };
        let http = on_web("http", config.http_addr()).await?;
        let rtmp = Bound::new("rtmp", config.rtmp.addr.clone()).await?;
        let https = match config.https.addr.clone() {
            Some(addr) => Some(on_web("https", addr).await?),
            None => None,
        };
        let rtmps = match config.rtmps.addr.clone() {
            Some(addr) => Some(Bound::new("rtmps", addr).await?),
            None => None,
        };
        Ok(Self { http, rtmp, https, rtmps })
    }

    /// `name=ADDR` of each (contract "Command line").
    pub(crate) fn describe(&self) -> String {
        let mut out = format!("http={} rtmp={}", self.http.addr, self.rtmp.addr);
        for (name, bound) in [("rtmps", &self.rtmps), ("https", &self.https)] {
            if let Some(bound) = bound {
                out.push_str(&format!(" {name}={}", bound.addr));
            }
        }
        out
    }
}

impl Tls {
    /// Reads the certificate, if a listener needs one. Blocks for as long as the file system does.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>, NodeError> {
        if config.https.addr.is_none() && config.rtmps.addr.is_none() {
            return Ok(None);
        }
        let (Some(cert), Some(key)) = (&config.tls.cert, &config.tls.key) else {
            return Err(NodeError::Settings("rtmps and https need tls.cert and tls.key".into()));
        };
        let keeper = Keeper::open(cert, key)?;
        Ok(Some(Self {
            https: tls::for_http(keeper.certificates()).into(),
            rtmps: tls::for_rtmp(keeper.certificates()).into(),
            keeper,
        }))
    }
}
