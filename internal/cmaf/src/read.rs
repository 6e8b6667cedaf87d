//! Reads fragmented MP4 back: boxes, tracks, samples.
