//! The lanes over real crates, in virtual time (contract "When a stream ends", "Time, cuts and parts").

mod bench;
mod days;
mod ends;
mod faults;
mod lives;
mod media_time;
mod paths;
mod playlist;
mod source;
