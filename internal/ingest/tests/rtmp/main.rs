//! Publishers over real sockets: ffmpeg, and an independent client with the digest handshake.

mod abuse;
mod client;
mod encoders;
mod policies;
mod reconnect;
mod server;
