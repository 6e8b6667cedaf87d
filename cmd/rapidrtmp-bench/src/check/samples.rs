//! A playlist that breaks no clause, for the tests to break.

/// Four segments of 2 s in ten parts each (the older two without), and two parts of a fifth.
pub(crate) const GOOD: &str = include_str!("good.m3u8");

/// No clause.
pub(crate) const NONE: [u8; 0] = [];
