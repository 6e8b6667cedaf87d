//! The session: handshake, control messages, commands, media.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{
    Event, Output, Refusal, SessionError, Warning,
    amf0::{self, Value},
    chunk::{ChunkReader, ChunkWriter, Limits, Message, kind},
    command::{self, Command},
    demux::Demuxer,
    enhanced,
    handshake::Handshake,
    metadata, target,
};

/// Chunks that we send: every reply fits one.
const CHUNK_SIZE: u32 = 4096;
/// Chunk streams of our replies.
const CONTROL: u8 = 2;
const COMMANDS: u8 = 3;
/// Message streams a peer may create in all; encoders need one.
const MAX_STREAMS: u32 = 16;
/// What may come before a publish is answered: clients wait for the answer, so a read's worth is plenty.
const MAX_HELD: usize = 1 << 20;
/// Longest message, and all unfinished ones together, before a publish is accepted: commands are small, and whoever
/// sends them has shown no credentials yet.
const MAX_COMMAND: usize = 256 << 10;
const MAX_COMMANDS: usize = 512 << 10;
/// App and encoder name, for logs.
const MAX_TEXT: usize = 256;
/// Between acknowledgements at least, whatever window the peer asks for.
const MIN_WINDOW: u32 = 4096;

/// Bounds of one connection. Before its first publish is accepted, messages have 256 KiB at most and unfinished ones
/// 512 KiB together.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Longest message of any kind but video, in bytes. Default 4 MiB.
    pub max_message: usize,
    /// Longest video message, in bytes. Default 16 MiB.
    pub max_video_message: usize,
    /// What unfinished messages may hold together, in bytes. Default 24 MiB.
    pub max_buffered: usize,
    /// Chunk streams a peer may open. Default 16.
    pub max_chunk_streams: usize,
    /// How many bytes each side may send before it wants an acknowledgement. Default 2,500,000.
    pub window_ack_size: u32,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            max_message: 4 << 20,
            max_video_message: 16 << 20,
            max_buffered: 24 << 20,
            max_chunk_streams: 16,
            window_ack_size: 2_500_000,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before `connect`.
    New,
    Connected,
    /// A publish on this message stream waits for its answer.
    Pending(u32),
    Publishing(u32),
    Ended,
}

/// The server side of one connection.
///
/// Feed it with [`Session::handle_input`], then drain [`Session::poll_output`]. While a publish is pending,
/// input is kept and not read; it is taken up by the first `handle_input` after
/// [`Session::accept_publish`], so call that once with no bytes.
pub struct Session {
    stage: Stage,
    handshake: Option<Handshake>,
    reader: ChunkReader,
    writer: ChunkWriter,
    window: u32,
    peer_window: u32,
    received: u64,
    acknowledged: u64,
    /// `connect`'s app and tcUrl.
    app: String,
    tc_url: String,
    client: enhanced::Client,
    streams: u32,
    fc_publish: bool,
    demuxer: Demuxer,
    held: Vec<u8>,
    output: VecDeque<Output>,
    /// Of the chunk reader, from the first accepted publish on.
    limits: Limits,
}

impl Session {
    /// A session that waits for the handshake.
    pub fn new(o: SessionOptions) -> Self {
        let limits = Limits {
            message: o.max_message,
            video_message: o.max_video_message,
            buffered: o.max_buffered,
            chunk_streams: o.max_chunk_streams,
        };
        Self {
            stage: Stage::New,
            handshake: Some(Handshake::new()),
            reader: ChunkReader::new(Limits {
                message: o.max_message.min(MAX_COMMAND),
                video_message: o.max_video_message.min(MAX_COMMAND),
                buffered: o.max_buffered.min(MAX_COMMANDS),
                ..limits
            }),
            writer: ChunkWriter::new(),
            window: o.window_ack_size,
            peer_window: o.window_ack_size,
            received: 0,
            acknowledged: 0,
            app: String::new(),
            tc_url: String::new(),
            client: enhanced::Client::default(),
            streams: 0,
            fc_publish: false,
            demuxer: Demuxer::default(),
            held: Vec::new(),
            output: VecDeque::new(),
            limits,
        }
    }

    /// Takes bytes as read from the peer, in pieces of any size.
    ///
    /// # Errors
    /// [`SessionError`]; drain [`Session::poll_output`] then, which may hold a refusal, and close.
    pub fn handle_input(&mut self, data: &[u8]) -> Result<(), SessionError> {
        self.received += data.len() as u64;
        let result = match self.stage {
            Stage::Ended => Err(SessionError::Ended),
            _ if self.held.is_empty() && !self.is_pending() => self.process(data),
            _ if self.held.len() + data.len() > MAX_HELD => Err(SessionError::Flood),
            _ => {
                self.held.extend_from_slice(data);
                if self.is_pending() {
                    return Ok(());
                }
                let held = std::mem::take(&mut self.held);
                self.process(&held)
            }
        };
        if result.is_err() {
            self.stage = Stage::Ended;
        }
        result
    }

    /// Asks the client to connect anew, to `tc_url` or else to where it is connected; whether it is one that does
    /// (`capsEx`). Goes on as before: the client leaves when it is ready.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) -> bool {
        let asked = self.client.reconnects && self.stage != Stage::Ended;
        if asked {
            self.send(COMMANDS, &command::reconnect_request(tc_url, description));
        }
        asked
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// Answers the pending publish with `NetStream.Publish.Start`; without one it does nothing.
    pub fn accept_publish(&mut self) {
        let Stage::Pending(stream) = self.stage else { return };
        self.stage = Stage::Publishing(stream);
        self.reader.set_limits(self.limits);
        self.demuxer = Demuxer::default();
        self.send(CONTROL, &command::stream_begin(stream));
        if self.fc_publish {
            self.send(COMMANDS, &command::on_fc_publish());
        }
        let text = "Publishing started.";
        self.send(COMMANDS, &command::on_status(stream, "status", "NetStream.Publish.Start", text));
    }

    /// Answers the pending publish with an error, then closes. `description` is shown to the user.
    pub fn reject_publish(&mut self, refusal: Refusal, description: &str) {
        self.end_publish(Some(refusal), description);
    }

    /// Ends a pending or running publish from the server's side, then closes.
    pub fn end_publish(&mut self, refusal: Option<Refusal>, description: &str) {
        if self.stage == Stage::Ended {
            return;
        }
        if let Stage::Pending(stream) | Stage::Publishing(stream) = self.stage {
            self.send_end(stream, refusal, description);
        }
        self.stage = Stage::Ended;
        self.held = Vec::new();
        self.output.push_back(Output::Close);
    }

    /// Whether the handshake is complete.
    pub fn has_handshaken(&self) -> bool {
        self.handshake.is_none()
    }

    /// All bytes taken so far, the handshake's included.
    pub fn bytes_received(&self) -> u64 {
        self.received
    }

    /// Media messages of the running publish that were dropped: their codec is not supported, or its
    /// configuration did not come.
    pub const fn media_dropped(&self) -> u64 {
        self.demuxer.dropped()
    }

    const fn is_pending(&self) -> bool {
        matches!(self.stage, Stage::Pending(_))
    }

    fn process(&mut self, mut input: &[u8]) -> Result<(), SessionError> {
        if let Some(handshake) = &mut self.handshake {
            let step = handshake.feed(&mut input)?;
            if !step.reply.is_empty() {
                self.output.push_back(Output::Send(step.reply.into()));
            }
            if !step.done {
                return Ok(());
            }
            self.handshake = None;
        }
        while let Some(message) = self.reader.read(&mut input)? {
            self.message(&message)?;
            if self.is_pending() {
                self.held = input.to_vec();
                break;
            }
        }
        self.acknowledge();
        Ok(())
    }

    /// RTMP §5.4.3: the sequence number is the number of bytes received so far, modulo 2^32.
    fn acknowledge(&mut self) {
        if self.received - self.acknowledged >= u64::from(self.peer_window) {
            self.acknowledged = self.received;
            let total = self.received as u32;
            self.send(CONTROL, &command::control(kind::ACK, total.to_be_bytes().to_vec()));
        }
    }

    fn message(&mut self, m: &Message) -> Result<(), SessionError> {
        match m.kind {
            kind::SET_CHUNK_SIZE => self.reader.set_chunk_size(number(&m.payload)?)?,
            kind::ABORT => self.reader.abort(number(&m.payload)?),
            kind::WINDOW_ACK_SIZE => self.peer_window = number(&m.payload)?.max(MIN_WINDOW),
            kind::USER_CONTROL => self.user_control(&m.payload)?,
            kind::AUDIO | kind::VIDEO | kind::AGGREGATE => self.media(m)?,
            kind::DATA_AMF0 => self.data(&m.payload),
            kind::DATA_AMF3 => self.data(without_amf3_mark(&m.payload)),
            kind::COMMAND_AMF0 => self.command(m, &m.payload)?,
            kind::COMMAND_AMF3 => self.command(m, without_amf3_mark(&m.payload))?,
            // Acknowledgements, bandwidths, shared objects: nothing hangs on them.
            _ => {}
        }
        Ok(())
    }

    /// RTMP §7.1.7: a ping (6) is answered (7) with its timestamp.
    fn user_control(&mut self, payload: &[u8]) -> Result<(), SessionError> {
        match payload {
            [0, 6, timestamp @ ..] => {
                let mut pong = vec![0, 7];
                pong.extend(timestamp.iter().take(4));
                self.send(CONTROL, &command::control(kind::USER_CONTROL, pong));
            }
            [_, _, ..] => {}
            _ => return Err(SessionError::Control),
        }
        Ok(())
    }

    fn media(&mut self, m: &Message) -> Result<(), SessionError> {
        let Stage::Publishing(stream) = self.stage else { return Ok(()) };
        let result = self.demux(m.kind, m.timestamp, &m.payload);
        self.output.extend(self.demuxer.events().map(Output::Event));
        if let Err(SessionError::Unusable(text)) = &result {
            self.send_end(stream, Some(Refusal::Rejected), text);
            self.output.push_back(Output::Close);
        }
        result
    }

    fn demux(&mut self, kind: u8, timestamp: u32, payload: &Bytes) -> Result<(), SessionError> {
        match kind {
            kind::VIDEO => self.demuxer.video(timestamp, payload),
            kind::AUDIO => self.demuxer.audio(timestamp, payload),
            _ => self.aggregate(timestamp, payload),
        }
    }

    /// RTMP §7.1.6: FLV tags with back pointers; the first one's time is the message's.
    fn aggregate(&mut self, timestamp: u32, payload: &Bytes) -> Result<(), SessionError> {
        let (mut at, mut first) = (0, None);
        while let Some(&[tag, a, b, c, t2, t1, t0, t3, _, _, _]) = payload.get(at..at + 11) {
            let (start, end) = (at + 11, at + 11 + u32::from_be_bytes([0, a, b, c]) as usize);
            if end > payload.len() {
                break;
            }
            let time = u32::from_be_bytes([t3, t2, t1, t0]);
            let time = timestamp.wrapping_add(time.wrapping_sub(*first.get_or_insert(time)));
            if matches!(tag, kind::AUDIO | kind::VIDEO) {
                self.demux(tag, time, &payload.slice(start..end))?;
            }
            at = end + 4;
        }
        Ok(())
    }

    fn data(&mut self, payload: &[u8]) {
        if !matches!(self.stage, Stage::Publishing(_)) {
            return;
        }
        match amf0::decode_all(payload) {
            Ok(values) => {
                if let Some(m) = metadata::read(&values) {
                    self.demuxer.on_metadata(m);
                }
            }
            Err(_) => self.demuxer.warn(Warning::BadMetadata),
        }
        self.output.extend(self.demuxer.events().map(Output::Event));
    }

    fn command(&mut self, m: &Message, payload: &[u8]) -> Result<(), SessionError> {
        let c = Command::read(payload)?;
        if self.stage == Stage::New && c.name != "connect" {
            return Err(SessionError::Order("a command came before connect"));
        }
        match c.name.as_str() {
            "connect" => self.connect(&c)?,
            "createStream" => self.create_stream(&c)?,
            "publish" => self.publish(&c, m.stream_id)?,
            "FCPublish" => {
                self.fc_publish = true;
                self.answer(&c);
            }
            "releaseStream" | "_checkbw" | "getStreamLength" => self.answer(&c),
            "FCUnpublish" | "deleteStream" | "closeStream" => self.unpublish(),
            "play" | "play2" => {
                let text = "Playing over RTMP is not supported.";
                let code = "NetStream.Play.StreamNotFound";
                self.send(COMMANDS, &command::on_status(m.stream_id, "error", code, text));
                return Err(SessionError::Play);
            }
            // Servers ignore what they do not know; clients do not wait for it.
            _ => {}
        }
        Ok(())
    }

    /// An empty result, for calls that only want one.
    fn answer(&mut self, c: &Command) {
        if c.transaction > 0.0 {
            self.send(COMMANDS, &command::result(c.transaction, [Value::Null, Value::Undefined]));
        }
    }

    fn connect(&mut self, c: &Command) -> Result<(), SessionError> {
        if self.stage != Stage::New {
            return Err(SessionError::Order("connect came twice"));
        }
        self.stage = Stage::Connected;
        c.property("app").clone_into(&mut self.app);
        c.property("tcUrl").clone_into(&mut self.tc_url);
        let window = self.window.to_be_bytes();
        self.send(CONTROL, &command::control(kind::WINDOW_ACK_SIZE, window.to_vec()));
        // Limit type 2, dynamic (RTMP §5.4.5).
        let bandwidth = window.iter().copied().chain([2]).collect();
        self.send(CONTROL, &command::control(kind::SET_PEER_BANDWIDTH, bandwidth));
        self.send(CONTROL, &command::control(kind::SET_CHUNK_SIZE, CHUNK_SIZE.to_be_bytes().to_vec()));
        self.writer.set_chunk_size(CHUNK_SIZE as usize);
        self.client = enhanced::Client::read(&c.object);
        let ours = self.client.enhanced.then(enhanced::server).into_iter().flatten();
        self.send(COMMANDS, &command::connected(c.transaction, ours));
        let app = cut(target::app_name(&self.app));
        let flash_ver = cut(c.property("flashVer"));
        self.output.push_back(Output::Event(Event::Connected { app, flash_ver }));
        Ok(())
    }

    fn create_stream(&mut self, c: &Command) -> Result<(), SessionError> {
        if self.streams == MAX_STREAMS {
            return Err(SessionError::Order("too many message streams"));
        }
        self.streams += 1;
        let id = Value::Number(f64::from(self.streams));
        self.send(COMMANDS, &command::result(c.transaction, [Value::Null, id]));
        Ok(())
    }

    fn publish(&mut self, c: &Command, stream: u32) -> Result<(), SessionError> {
        if self.stage != Stage::Connected {
            return Err(SessionError::Order("publish came while publishing"));
        }
        self.stage = Stage::Pending(stream);
        let request = target::request(&self.app, &self.tc_url, c.string(0));
        self.output.push_back(Output::Event(Event::Publish(request)));
        Ok(())
    }

    fn unpublish(&mut self) {
        let Stage::Publishing(stream) = self.stage else { return };
        self.stage = Stage::Connected;
        self.demuxer = Demuxer::default();
        self.output.push_back(Output::Event(Event::Unpublish));
        self.send_end(stream, None, "Publishing ended.");
    }

    fn send_end(&mut self, stream: u32, refusal: Option<Refusal>, description: &str) {
        let (level, code) = match refusal {
            Some(r) => ("error", r.code()),
            None => ("status", "NetStream.Unpublish.Success"),
        };
        self.send(COMMANDS, &command::on_status(stream, level, code, description));
    }

    fn send(&mut self, chunk_stream: u8, m: &Message) {
        self.output.push_back(Output::Send(self.writer.write(chunk_stream, m)));
    }
}

/// The four bytes of most control messages.
fn number(payload: &[u8]) -> Result<u32, SessionError> {
    payload.first_chunk().map(|b| u32::from_be_bytes(*b)).ok_or(SessionError::Control)
}

/// Messages of types 15 and 17 hold AMF0 behind a zero byte.
fn without_amf3_mark(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(&[0]).unwrap_or(payload)
}

fn cut(s: &str) -> String {
    let end = (0..=MAX_TEXT.min(s.len())).rev().find(|n| s.is_char_boundary(*n));
    s.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
