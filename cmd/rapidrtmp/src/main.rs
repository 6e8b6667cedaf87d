//! rapidrtmp

fn main() {}
