//! The HTTP side: connections, and what every request passes through.

mod app;
mod conduit;
mod connection;
mod frames;
mod meter;
mod pulse;
mod replayed;
mod server;
mod tracked;

pub(crate) use app::App;
pub(crate) use meter::measure;
pub(crate) use server::{Entrance, Limits, serve};
