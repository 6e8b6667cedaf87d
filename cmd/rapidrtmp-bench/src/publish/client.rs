//! The client's side of an RTMP publish. Handshake, chunks and AMF0 are rml_rtmp's; the commands are sent from here,
//! because its client session drops the description that a refusal carries.

use std::{collections::HashMap, io::Cursor, time::Duration};

use bytes::Bytes;
use rml_rtmp::{
    chunk_io::{ChunkDeserializer, ChunkSerializer},
    handshake::{Handshake, HandshakeProcessResult, PeerType},
    messages::{MessagePayload, RtmpMessage},
    rml_amf0::{self, Amf0Value},
    time::RtmpTimestamp,
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    clip::{Kind, Tag},
    target::Target,
};

/// Connecting, handshaking and being accepted; a takeover may take a server half a second.
const START: Duration = Duration::from_secs(10);
/// A server that does not read for this long has died.
const STUCK: Duration = Duration::from_secs(10);
const CHUNK: u32 = 64 * 1024;
const READ: usize = 16 * 1024;
/// Message types (RTMP §5.4.1, §7.1.1).
const SET_CHUNK_SIZE: u8 = 1;
const COMMAND: u8 = 20;
const DATA: u8 = 18;
const STREAM_COMMAND: f64 = 4.0;

/// Why a publish ended.
#[derive(Debug, Error)]
pub(crate) enum PublishError {
    /// The server said no, or ended it.
    #[error("{code}: {description}")]
    Refused { code: String, description: String },
    /// The connection closed without a word.
    #[error("the server closed the connection")]
    Closed,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// Not RTMP.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The network.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn protocol(e: impl std::fmt::Display) -> PublishError {
    PublishError::Protocol(e.to_string())
}

/// A connection that was allowed to publish.
pub(crate) struct Connection {
    socket: TcpStream,
    out: ChunkSerializer,
    input: ChunkDeserializer,
    stream_id: u32,
}

impl Connection {
    /// Connects and asks to publish.
    ///
    /// # Errors
    /// [`PublishError::Refused`] with the server's reason, or why it came to no answer.
    pub(crate) async fn open(target: &Target) -> Result<Self, PublishError> {
        tokio::time::timeout(START, Self::start(target)).await.map_err(|_| PublishError::TimedOut)?
    }

    async fn start(target: &Target) -> Result<Self, PublishError> {
        let mut socket = TcpStream::connect((target.host.as_str(), target.port)).await?;
        socket.set_nodelay(true)?;
        let early = handshake(&mut socket).await?;
        let mut c =
            Self { socket, out: ChunkSerializer::new(), input: ChunkDeserializer::new(), stream_id: 0 };
        let size = c.out.set_max_chunk_size(CHUNK, RtmpTimestamp::new(0)).map_err(protocol)?;
        c.socket.write_all(&size.bytes).await?;
        c.command("connect", 1.0, connect_object(target), Vec::new()).await?;
        let mut pending = c.commands(&early)?;
        c.result(1.0, &mut pending).await?;
        let name = || vec![Amf0Value::Utf8String(target.name.clone())];
        c.command("releaseStream", 2.0, Amf0Value::Null, name()).await?;
        c.command("FCPublish", 3.0, Amf0Value::Null, name()).await?;
        c.command("createStream", STREAM_COMMAND, Amf0Value::Null, Vec::new()).await?;
        let id = c.result(STREAM_COMMAND, &mut pending).await?.into_iter().find_map(Amf0Value::get_number);
        c.stream_id = id.ok_or_else(|| protocol("createStream gave no stream"))? as u32;
        let arguments =
            vec![Amf0Value::Utf8String(target.name.clone()), Amf0Value::Utf8String("live".into())];
        c.command("publish", 5.0, Amf0Value::Null, arguments).await?;
        c.started(&mut pending).await?;
        Ok(c)
    }

    async fn command(
        &mut self,
        name: &str,
        transaction_id: f64,
        command_object: Amf0Value,
        additional_arguments: Vec<Amf0Value>,
    ) -> Result<(), PublishError> {
        let command_name = name.to_owned();
        let m =
            RtmpMessage::Amf0Command { command_name, transaction_id, command_object, additional_arguments };
        self.message(m).await
    }

    async fn message(&mut self, m: RtmpMessage) -> Result<(), PublishError> {
        let payload = m.into_message_payload(RtmpTimestamp::new(0), self.stream_id).map_err(protocol)?;
        self.payload(&payload).await
    }

    async fn payload(&mut self, payload: &MessagePayload) -> Result<(), PublishError> {
        let packet = self.out.serialize(payload, false, false).map_err(protocol)?;
        let written = tokio::time::timeout(STUCK, self.socket.write_all(&packet.bytes)).await;
        Ok(written.map_err(|_| PublishError::TimedOut)??)
    }

    /// The commands in what arrived. They are decoded here: rml_rtmp panics on one that is only a name, as ffmpeg's
    /// `onFCPublish` is.
    fn commands(&mut self, data: &[u8]) -> Result<Vec<Command>, PublishError> {
        let mut out = Vec::new();
        let mut data = data;
        while let Some(payload) = self.input.get_next_message(data).map_err(protocol)? {
            data = &[];
            match (payload.type_id, payload.data.first_chunk::<4>()) {
                (SET_CHUNK_SIZE, Some(size)) => {
                    let size = u32::from_be_bytes(*size) as usize;
                    self.input.set_max_chunk_size(size).map_err(protocol)?;
                }
                (COMMAND, _) => out.extend(Command::read(&payload.data)?),
                _ => {}
            }
        }
        Ok(out)
    }

    async fn read(&mut self) -> Result<Vec<Command>, PublishError> {
        let mut buffer = vec![0; READ];
        let n = self.socket.read(&mut buffer).await?;
        if n == 0 {
            return Err(PublishError::Closed);
        }
        self.commands(&buffer[..n])
    }

    /// Arguments of the `_result` of a transaction.
    async fn result(&mut self, id: f64, pending: &mut Vec<Command>) -> Result<Vec<Amf0Value>, PublishError> {
        loop {
            for c in std::mem::take(pending) {
                let ours = (c.transaction - id).abs() < 0.5;
                match c.name.as_str() {
                    "_result" if ours => return Ok(c.arguments),
                    "_error" if ours => return Err(refusal(&c.arguments)),
                    "onStatus" => status(&c.arguments)?,
                    _ => {}
                }
            }
            *pending = self.read().await?;
        }
    }

    async fn started(&mut self, pending: &mut Vec<Command>) -> Result<(), PublishError> {
        loop {
            if let Some(c) = std::mem::take(pending).into_iter().find(|c| c.name == "onStatus") {
                return status(&c.arguments);
            }
            *pending = self.read().await?;
        }
    }

    /// Sends the metadata of a clip as encoders do.
    pub(crate) async fn metadata(&mut self, body: &Bytes) -> Result<(), PublishError> {
        let data = [&b"\x02\x00\x0d@setDataFrame"[..], body].concat().into();
        let payload = MessagePayload {
            timestamp: RtmpTimestamp::new(0),
            type_id: DATA,
            message_stream_id: self.stream_id,
            data,
        };
        self.payload(&payload).await
    }

    /// Sends a tag at a time in milliseconds (mod 2^32, as RTMP counts).
    pub(crate) async fn tag(&mut self, tag: &Tag, time: u64) -> Result<usize, PublishError> {
        let payload = MessagePayload {
            timestamp: RtmpTimestamp::new(time as u32),
            type_id: if tag.kind == Kind::Audio { 8 } else { 9 },
            message_stream_id: self.stream_id,
            data: tag.data.clone(),
        };
        self.payload(&payload).await?;
        Ok(tag.data.len())
    }

    /// Reads what the server says until it ends the publish. Nothing is lost when it is cancelled.
    pub(crate) async fn watch(&mut self) -> PublishError {
        loop {
            let commands = match self.read().await {
                Ok(c) => c,
                Err(e) => return e,
            };
            let ended =
                commands.iter().filter(|c| c.name == "onStatus").find_map(|c| status(&c.arguments).err());
            if let Some(e) = ended {
                return e;
            }
        }
    }

    /// Ends the publish in good form.
    pub(crate) async fn close(mut self) -> Result<(), PublishError> {
        let id = vec![Amf0Value::Number(f64::from(self.stream_id))];
        self.command("deleteStream", 6.0, Amf0Value::Null, id).await?;
        Ok(self.socket.shutdown().await?)
    }
}

/// A command message.
struct Command {
    name: String,
    transaction: f64,
    arguments: Vec<Amf0Value>,
}

impl Command {
    /// `None` for one without a name.
    fn read(body: &[u8]) -> Result<Option<Self>, PublishError> {
        let mut values = rml_amf0::deserialize(&mut Cursor::new(body)).map_err(protocol)?.into_iter();
        let Some(Amf0Value::Utf8String(name)) = values.next() else { return Ok(None) };
        let transaction = values.next().and_then(Amf0Value::get_number).unwrap_or(0.0);
        Ok(Some(Self { name, transaction, arguments: values.collect() }))
    }
}

async fn handshake(socket: &mut TcpStream) -> Result<Vec<u8>, PublishError> {
    let mut h = Handshake::new(PeerType::Client);
    socket.write_all(&h.generate_outbound_p0_and_p1().map_err(protocol)?).await?;
    let mut buffer = vec![0; READ];
    loop {
        let n = socket.read(&mut buffer).await?;
        if n == 0 {
            return Err(PublishError::Closed);
        }
        match h.process_bytes(&buffer[..n]).map_err(protocol)? {
            HandshakeProcessResult::InProgress { response_bytes } => {
                socket.write_all(&response_bytes).await?
            }
            HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                socket.write_all(&response_bytes).await?;
                return Ok(remaining_bytes);
            }
        }
    }
}

fn connect_object(target: &Target) -> Amf0Value {
    let text = |s: &str| Amf0Value::Utf8String(s.to_owned());
    let tc_url = target.tc_url();
    let pairs =
        [("app", &*target.app), ("type", "nonprivate"), ("flashVer", "FMLE/3.0"), ("tcUrl", &*tc_url)];
    Amf0Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), text(v))).collect())
}

/// `Ok` for a status of level other than `error`.
fn status(arguments: &[Amf0Value]) -> Result<(), PublishError> {
    let level = arguments.iter().find_map(|a| field(a, "level"));
    let code = arguments.iter().find_map(|a| field(a, "code")).unwrap_or_default();
    if level.as_deref() == Some("error") || code == "NetStream.Unpublish.Success" && level.is_none() {
        return Err(refusal(arguments));
    }
    Ok(())
}

fn refusal(arguments: &[Amf0Value]) -> PublishError {
    let find = |name| arguments.iter().find_map(|a| field(a, name)).unwrap_or_default();
    PublishError::Refused { code: find("code"), description: find("description") }
}

fn field(value: &Amf0Value, name: &str) -> Option<String> {
    let Amf0Value::Object(map) = value else { return None };
    let map: &HashMap<String, Amf0Value> = map;
    match map.get(name) {
        Some(Amf0Value::Utf8String(s)) => Some(s.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(pairs: &[(&str, &str)]) -> Vec<Amf0Value> {
        let map = pairs.iter().map(|(k, v)| ((*k).to_owned(), Amf0Value::Utf8String((*v).to_owned())));
        vec![Amf0Value::Object(map.collect())]
    }

    #[test]
    fn a_refusal_keeps_code_and_description() {
        let bad =
            object(&[("level", "error"), ("code", "NetStream.Publish.BadName"), ("description", "busy")]);
        assert_eq!(status(&bad).unwrap_err().to_string(), "NetStream.Publish.BadName: busy");
        let mut name_only = vec![2, 0, 11];
        name_only.extend(b"onFCPublish");
        assert_eq!(Command::read(&name_only).unwrap().map(|c| c.name).as_deref(), Some("onFCPublish"));
        assert!(status(&object(&[("level", "status"), ("code", "NetStream.Publish.Start")])).is_ok());
    }
}
