//! The composer: configuration, roles, the admin API, metrics, health and drain. No media logic.

mod api;
pub mod config;
mod error;
mod health;
mod http;
mod listeners;
mod logs;
mod metrics;
mod mint;
mod net;
mod node;
mod roles;
mod threads;
mod tls;

pub use api::openapi;
pub use error::NodeError;
pub use logs::{check as check_logs, init as init_logs};
pub use mint::{MintError, mint};
pub use node::{Node, check_tls};
pub use threads::Threads;
pub use tls::TlsError;
