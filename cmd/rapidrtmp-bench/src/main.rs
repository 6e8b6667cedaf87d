//! rapidrtmp-bench

fn main() {}
