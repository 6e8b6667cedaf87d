//! Commands (RTMP §7.2) and the answers to them.

use bytes::Bytes;

use crate::{
    SessionError,
    amf0::{self, Value},
    chunk::{Message, kind},
};

/// Text that goes to the peer is cut there.
const MAX_DESCRIPTION: usize = 512;

/// A command as read.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) transaction: f64,
    /// The command object, or null.
    pub(crate) object: Value,
    pub(crate) arguments: Vec<Value>,
}

impl Command {
    /// # Errors
    /// [`SessionError::Command`] when it is no AMF0, or has no name.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, SessionError> {
        let values = amf0::decode_all(payload).map_err(|_| SessionError::Command)?;
        let mut values = values.into_iter();
        let Some(Value::String(name)) = values.next() else { return Err(SessionError::Command) };
        let transaction = values.next().and_then(|v| v.as_number()).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction, object, arguments: values.collect() })
    }

    /// The argument at `index`, if it is a string; else an empty one.
    pub(crate) fn string(&self, index: usize) -> &str {
        self.arguments.get(index).and_then(Value::as_str).unwrap_or_default()
    }

    /// A string of the command object; else an empty one.
    pub(crate) fn property(&self, name: &str) -> &str {
        self.object.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// `_result` with what it gives.
pub(crate) fn result(transaction: f64, values: [Value; 2]) -> Message {
    let [object, information] = values;
    command(0, &[string("_result"), Value::Number(transaction), object, information])
}

/// The answer to `connect`; `enhanced` is what an enhanced client learns of the server besides.
pub(crate) fn connected(
    transaction: f64,
    enhanced: impl IntoIterator<Item = (&'static str, Value)>,
) -> Message {
    let properties = [("fmsVer", string("FMS/3,5,7,7009")), ("capabilities", Value::Number(31.0))];
    let information = object([
        ("level", string("status")),
        ("code", string("NetConnection.Connect.Success")),
        ("description", string("Connection succeeded.")),
        ("objectEncoding", Value::Number(0.0)),
    ]);
    result(transaction, [object(properties.into_iter().chain(enhanced)), information])
}

/// Asks the client to connect anew (Enhanced RTMP 2, "Reconnect Request"): to `tc_url`, or to where it is connected.
pub(crate) fn reconnect_request(tc_url: Option<&str>, description: &str) -> Message {
    let information = [
        ("level", string("status")),
        ("code", string("NetConnection.Connect.ReconnectRequest")),
        ("description", string(description)),
    ];
    let information = object(information.into_iter().chain(tc_url.map(|url| ("tcUrl", string(url)))));
    command(0, &[string("onStatus"), Value::Number(0.0), Value::Null, information])
}

/// `onStatus` of a message stream (RTMP §7.2.2).
pub(crate) fn on_status(stream_id: u32, level: &str, code: &str, description: &str) -> Message {
    let end = (0..=MAX_DESCRIPTION.min(description.len())).rev().find(|n| description.is_char_boundary(*n));
    let description = description.get(..end.unwrap_or(0)).unwrap_or_default();
    let information =
        object([("level", string(level)), ("code", string(code)), ("description", string(description))]);
    command(stream_id, &[string("onStatus"), Value::Number(0.0), Value::Null, information])
}

/// `onFCPublish`, which Flash Media Live Encoder waits for.
pub(crate) fn on_fc_publish() -> Message {
    let information = object([("code", string("NetStream.Publish.Start")), ("description", string(""))]);
    command(0, &[string("onFCPublish"), Value::Number(0.0), Value::Null, information])
}

/// A protocol control message (RTMP §5.4) or user control message (§7.1.7) on message stream 0.
pub(crate) fn control(kind: u8, payload: Vec<u8>) -> Message {
    Message { kind, stream_id: 0, timestamp: 0, payload: payload.into() }
}

/// Stream Begin, event 0.
pub(crate) fn stream_begin(stream_id: u32) -> Message {
    let mut payload = vec![0, 0];
    payload.extend(stream_id.to_be_bytes());
    control(kind::USER_CONTROL, payload)
}

fn command(stream_id: u32, values: &[Value]) -> Message {
    let mut payload = Vec::new();
    amf0::encode(&mut payload, values);
    Message { kind: kind::COMMAND_AMF0, stream_id, timestamp: 0, payload: Bytes::from(payload) }
}

fn string(s: &str) -> Value {
    Value::String(s.to_owned())
}

fn object<'a>(properties: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Object(properties.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())
}
