//! The composer: configuration, roles, the admin API, metrics, health and drain. No media logic.

pub mod config;
mod http;
mod logs;
mod metrics;
mod net;

pub use logs::init as init_logs;
