//! What each role is made of. Only `all-in-one` exists yet: everything in one process, nothing to install.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use auth::{AdminRule, Policy, Tokens};
use ingest::{Ingest, IngestOptions, Takeover};
use live::{Directory, DirectoryOptions, Published};
use media::{PathPattern, Ticks};
use packager::{Cutting, Packager, PackagerOptions};
use playback::{Origins, Playback, Viewers};
use registry::{MemoryRegistry, NodeId, StreamRegistry};
use store::SegmentStore;

use crate::{
    api::{self, Api},
    config::{Config, TakeoverPolicy},
    error::NodeError,
    health::Health,
    http::App,
    listeners::{Bound, Listeners},
    metrics::Metrics,
};

/// The services of a node, ready to run.
pub(crate) struct Services {
    pub(crate) api: Arc<Api>,
    /// Viewers' routes and the API, as the HTTP listener has them.
    pub(crate) app: App,
    /// The same as the HTTPS listener has them.
    pub(crate) secure_app: App,
    pub(crate) ingest: Ingest,
    pub(crate) packager: Packager,
    pub(crate) published: Published,
    pub(crate) probe: Probe,
}

/// Asks what the node depends on.
pub(crate) struct Probe {
    registry: Arc<dyn StreamRegistry>,
    store: SegmentStore,
    health: Health,
}

impl Probe {
    pub(crate) async fn run(&self) {
        let registry = self.registry.health().await;
        let problem = registry.problem.or_else(|| (!registry.reachable).then(|| "not reachable".into()));
        self.health.probed("registry", problem);
        self.health.probed("store", self.store.health().failing.map(|(_, text)| text));
    }
}

/// Ingest, packager, playback and the API over a memory registry and a folder.
pub(crate) fn all_in_one(
    config: &Config,
    bound: &Listeners,
    health: &Health,
    metrics: &Metrics,
) -> Result<Services, NodeError> {
    let state_dir = &config.node.state_dir;
    let state = |source| NodeError::State { dir: state_dir.display().to_string(), source };
    let registry: Arc<dyn StreamRegistry> = Arc::new(MemoryRegistry::open(Some(state_dir)).map_err(state)?);
    let secret = auth::load_secret(config.signing_secret(), state_dir).map_err(state)?;
    let open_publish = patterns(&config.auth.open_publish)?;
    let policy = Arc::new(Policy::new(Tokens::new(&secret), open_publish));
    let store = SegmentStore::local(&config.storage.dir)
        .map_err(|source| NodeError::Store { dir: config.storage.dir.display().to_string(), source })?;
    let (directory, published) = Directory::new(DirectoryOptions {
        max_streams: config.streams.max_concurrent,
        ..DirectoryOptions::default()
    });
    let node = NodeId::new(&config.node.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()));
    let viewers = Viewers::new(playback_of(config, &directory, &store, &policy));
    let api = Arc::new(Api {
        app: config.streams.app.clone(),
        publish_prefix: publish_prefix(config, bound.rtmp.addr),
        default_expiration: config.auth.default_token_expiration,
        max_expiration: config.auth.max_token_expiration,
        allow_origins: config.http.allow_origins.clone(),
        admin: AdminRule::new(config.auth.admin_token.as_ref().map(crate::config::Secret::expose)),
        policy: Arc::clone(&policy),
        registry: Arc::clone(&registry),
        directory: directory.clone(),
        health: health.clone(),
        metrics: metrics.clone(),
        node: node.clone(),
        seen: Default::default(),
    });
    let app = |loopback| {
        let viewers_too = playback::router(viewers.clone());
        App::new(api::router(Arc::clone(&api), viewers_too, loopback), viewers.clone())
    };
    Ok(Services {
        app: app(bound.http.is_loopback()),
        secure_app: app(bound.https.as_ref().is_some_and(Bound::is_loopback)),
        api,
        ingest: Ingest::new(ingest_of(config, node), directory.clone(), Arc::clone(&registry), policy),
        packager: Packager::new(packager_of(config), directory, store.clone(), Arc::clone(&registry)),
        published,
        probe: Probe { registry, store, health: health.clone() },
    })
}

fn patterns(texts: &[String]) -> Result<Vec<PathPattern>, NodeError> {
    texts.iter().map(|t| PathPattern::parse(t).map_err(|e| NodeError::Settings(e.to_string()))).collect()
}

/// What a `publishUrl` begins with.
fn publish_prefix(config: &Config, rtmp_addr: SocketAddr) -> String {
    match &config.rtmp.ingest_addr {
        Some(given) => given.trim_end_matches('/').to_owned(),
        None => format!("rtmp://localhost:{}", rtmp_addr.port()),
    }
}

fn ingest_of(config: &Config, node: NodeId) -> IngestOptions {
    IngestOptions {
        app: config.streams.app.clone(),
        idle_timeout: config.rtmp.idle_timeout,
        max_pending_per_ip: config.rtmp.max_pending_per_ip,
        max_connections: config.rtmp.max_connections,
        max_streams: config.streams.max_concurrent,
        takeover: config.takeover_per_path(|policy| match policy {
            TakeoverPolicy::Takeover => Takeover::Takeover,
            TakeoverPolicy::Reject => Takeover::Reject,
        }),
        reconnect_to: config.rtmp.reconnect_to.clone(),
        // Ingest has a quarter of the time to drain; half of that is left for the goodbye.
        reconnect_grace: (config.node.drain_timeout / 8).min(Duration::from_secs(1)),
        ..IngestOptions::new(node)
    }
}

fn packager_of(config: &Config) -> PackagerOptions {
    PackagerOptions {
        app: config.streams.app.clone(),
        cutting: config.hls_per_path(|hls| Cutting {
            part_target: Ticks::from_duration(hls.part_target),
            segment_target: Ticks::from_duration(hls.segment_target),
            segment_max: Ticks::from_duration(hls.segment_max),
            window: hls.window,
            require_keyframes: hls.require_keyframes,
        }),
        reconnect_window: config.streams.reconnect_window,
        ..PackagerOptions::default()
    }
}

fn playback_of(
    config: &Config,
    directory: &Directory,
    store: &SegmentStore,
    policy: &Arc<Policy>,
) -> Playback {
    let any = config.http.allow_origins.iter().any(|o| o == "*");
    Playback {
        directory: directory.clone(),
        store: store.clone(),
        policy: Arc::clone(policy),
        origins: if any { Origins::Any } else { Origins::Only(config.http.allow_origins.clone()) },
        max_viewers: config.streams.max_viewers,
    }
}
