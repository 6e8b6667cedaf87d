//! Chunk streams (RTMP §5.3): messages cut into chunks, and back.

mod reader;
mod writer;

use bytes::Bytes;

pub(crate) use reader::{ChunkReader, Limits};
pub(crate) use writer::ChunkWriter;

/// Chunk size of both directions until Set Chunk Size (RTMP §5.4.1).
pub(crate) const DEFAULT_CHUNK_SIZE: usize = 128;
/// The timestamp field's value that announces an extended timestamp (RTMP §5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;

/// Message type ids (RTMP §5.4, §6.2, §7.1).
pub(crate) mod kind {
    pub(crate) const SET_CHUNK_SIZE: u8 = 1;
    pub(crate) const ABORT: u8 = 2;
    pub(crate) const ACK: u8 = 3;
    pub(crate) const USER_CONTROL: u8 = 4;
    pub(crate) const WINDOW_ACK_SIZE: u8 = 5;
    pub(crate) const SET_PEER_BANDWIDTH: u8 = 6;
    pub(crate) const AUDIO: u8 = 8;
    pub(crate) const VIDEO: u8 = 9;
    pub(crate) const DATA_AMF3: u8 = 15;
    pub(crate) const COMMAND_AMF3: u8 = 17;
    pub(crate) const DATA_AMF0: u8 = 18;
    pub(crate) const COMMAND_AMF0: u8 = 20;
    pub(crate) const AGGREGATE: u8 = 22;
}

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) stream_id: u32,
    /// Milliseconds, modulo 2^32.
    pub(crate) timestamp: u32,
    pub(crate) payload: Bytes,
}
