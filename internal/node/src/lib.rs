//! The composer: configuration, roles, the admin API, metrics, health and drain. No media logic.

mod api;
pub mod config;
mod health;
mod http;
mod logs;
mod metrics;
mod net;

pub use api::openapi;
pub use logs::init as init_logs;
