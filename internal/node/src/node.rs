//! A running node: bound, serving, drained.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    error::NodeError,
    health::{Health, PROBE_EVERY},
    http::{self, Entrance, Limits},
    listeners::{Listeners, Tls},
    metrics::Metrics,
    roles::{self, Services},
};

/// A node whose listeners are bound. Nothing is served until [`Node::run`].
pub struct Node {
    web: Handle,
    drain_timeout: Duration,
    limits: Limits,
    listeners: Listeners,
    tls: Option<Tls>,
    health: Health,
    metrics: Metrics,
    services: Services,
}

impl Node {
    /// Opens state and store and binds every listener. HTTP is served on the threads of `web`, everything else on
    /// the calling ones.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is bound then.
    pub async fn bind(config: &Config, web: Handle) -> Result<Self, NodeError> {
        let metrics = Metrics::install();
        let tls = Tls::open(config)?;
        let listeners = Listeners::bind(config, &web).await?;
        let health = Health::default();
        let services = roles::all_in_one(config, &listeners, &health, &metrics)?;
        let limits = Limits {
            max_connections: config.http.max_connections,
            header_timeout: config.http.header_timeout,
            idle_timeout: config.http.idle_timeout,
            grace: config.node.drain_timeout,
        };
        let drain_timeout = config.node.drain_timeout;
        Ok(Self { web, drain_timeout, limits, listeners, tls, health, metrics, services })
    }

    /// The line that says where the node listens (contract "Command line").
    pub fn listening(&self) -> String {
        format!("listening {}", self.listeners.describe())
    }

    /// Where HTTP listens.
    pub fn http_addr(&self) -> SocketAddr {
        self.listeners.http.addr
    }

    /// Where RTMP listens.
    pub fn rtmp_addr(&self) -> SocketAddr {
        self.listeners.rtmp.addr
    }

    /// Serves until `stop`, then drains: not ready, publishers closed, playlists ended in the store, held requests
    /// answered. Takes at most the drain timeout from `stop` on.
    ///
    /// # Errors
    /// [`NodeError::HttpEnded`]: this node serves nobody any more.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        let Services { api, app, secure_app, ingest, packager, published, probe } = self.services;
        let Listeners { http, rtmp, https, rtmps } = self.listeners;
        let (https_tls, rtmps_tls, keeper) = match self.tls {
            Some(Tls { https, rtmps, keeper }) => (Some(https), Some(rtmps), Some(keeper)),
            None => (None, None, None),
        };
        let [stop_ingest, stop_packager, stop_http] = std::array::from_fn(|_| CancellationToken::new());
        let until = stop_ingest.clone();
        let mut ingest = tokio::spawn(async move {
            let secure = async {
                if let Some(rtmps) = rtmps {
                    ingest.serve(rtmps.listener, rtmps_tls, until.clone()).await;
                }
            };
            tokio::join!(ingest.serve(rtmp.listener, None, until.clone()), secure);
        });
        let mut packager = tokio::spawn(packager.run(published, stop_packager.clone()));
        // Before the first request can ask.
        self.health.started();
        let mut entrances = vec![Entrance { listener: http.listener, tls: None, app }];
        entrances.extend(https.map(|https| Entrance {
            listener: https.listener,
            tls: https_tls,
            app: secure_app,
        }));
        let mut http = self.web.spawn(http::serve(entrances, self.limits, stop_http.clone()));
        let keeping = keeper.map(|keeper| self.web.spawn(keeper.run()));
        let housekeeping = self.web.spawn(keep_house(self.metrics, Arc::clone(&api), probe));
        let ended = watch(&self.health, stop, &mut ingest, &mut packager, &mut http).await;
        tracing::info!("draining");
        self.health.draining();
        let start = Instant::now();
        let quarter = self.drain_timeout / 4;
        // Publishers first, so that the playlists end after their last frame; viewers last, so that held requests
        // get what there is.
        finish("ingest", stop_ingest, ingest, start + quarter).await;
        finish("packager", stop_packager, packager, start + quarter * 3).await;
        finish("http", stop_http, http, start + self.drain_timeout).await;
        housekeeping.abort();
        keeping.inspect(JoinHandle::abort);
        tracing::info!("stopped");
        ended
    }
}

/// Reads the certificate that the configuration names, if it needs one, and forgets it.
///
/// # Errors
/// [`NodeError::Tls`].
pub fn check_tls(config: &Config) -> Result<(), NodeError> {
    Tls::open(config).map(drop)
}

/// Waits for the stop. A service that ends on its own makes this node unready; without HTTP it is of no use.
async fn watch(
    health: &Health,
    stop: impl Future<Output = ()>,
    ingest: &mut JoinHandle<()>,
    packager: &mut JoinHandle<()>,
    http: &mut JoinHandle<()>,
) -> Result<(), NodeError> {
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = &mut *http => return Err(NodeError::HttpEnded),
            _ = &mut *ingest, if !ingest.is_finished() => {
                tracing::error!("the RTMP listener ended");
                health.broken("streamManager", "the RTMP listener ended");
            }
            _ = &mut *packager, if !packager.is_finished() => {
                tracing::error!("the packager ended");
                health.broken("segmenter", "the packager ended");
            }
        }
    }
}

/// Stops a service and waits until `deadline`; then it is cut off.
async fn finish(name: &'static str, stop: CancellationToken, mut task: JoinHandle<()>, deadline: Instant) {
    stop.cancel();
    if task.is_finished() {
        return;
    }
    if timeout_at(deadline, &mut task).await.is_err() {
        tracing::warn!(service = name, "did not stop in its time and was cut off");
        task.abort();
    }
}

/// What has to be done every now and then.
async fn keep_house(metrics: Metrics, api: Arc<crate::api::Api>, probe: roles::Probe) {
    let mut tick = tokio::time::interval(PROBE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        probe.run().await;
        api.remember_all();
        metrics.upkeep();
    }
}
