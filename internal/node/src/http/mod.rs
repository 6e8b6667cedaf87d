//! The HTTP side: connections, and what every request passes through.

mod meter;
mod opening;
mod server;

pub(crate) use meter::measure;
pub(crate) use server::{Entrance, Limits, serve};
