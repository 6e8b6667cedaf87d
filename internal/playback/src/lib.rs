//! Viewers' HTTP: playlists that wait, parts and segments that nobody copies, and the pages that play them.
//!
//! [`Viewers`] answers every URL below a stream's path (contract: "Objects", "HTTP") from a [`live::Window`], or from the
//! store for older time. What may be cached and for how long follows hls-origin.md's table A3.

mod body;
mod cache;
mod cors;
mod credentials;
mod identity;
mod negotiate;
mod objects;
mod pages;
mod playlists;
mod range;
mod reply;
mod router;
mod seats;
mod target;

pub use cors::Origins;
pub use pages::HAS_HLS_JS;
pub use router::{Playback, Viewers, router};
