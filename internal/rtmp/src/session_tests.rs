use media::StreamPath;
use proptest::prelude::*;
use rml_rtmp::{
    handshake::{Handshake as Peer, HandshakeProcessResult, PeerType},
    sessions::{
        ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
        StreamMetadata,
    },
    time::RtmpTimestamp,
};

use super::*;
use crate::{
    ChunkError,
    demux::tests::{avc_config, avc_frame},
};

/// C0, C1 and C2 of the plain handshake.
fn plain_handshake() -> Vec<u8> {
    let mut b = vec![0; 1 + 2 * 1536];
    b[0] = 3;
    b
}

fn string(s: &str) -> Value {
    Value::String(s.into())
}

fn chunk(kind: u8, stream_id: u32, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let m = Message { kind, stream_id, timestamp, payload: Bytes::copy_from_slice(payload) };
    // Each kind on its own chunk stream.
    ChunkWriter::new().write(3 + kind % 8, &m).to_vec()
}

fn command(stream_id: u32, values: &[Value]) -> Vec<u8> {
    let mut payload = Vec::new();
    amf0::encode(&mut payload, values);
    chunk(kind::COMMAND_AMF0, stream_id, 0, &payload)
}

fn connect(app: &str, tc_url: &str) -> Vec<u8> {
    let object = [("app", app), ("tcUrl", tc_url), ("flashVer", "FMLE/3.0")];
    let object = Value::Object(object.into_iter().map(|(n, v)| (n.to_owned(), string(v))).collect());
    command(0, &[string("connect"), Value::Number(1.0), object])
}

fn publish(name: &str) -> Vec<u8> {
    let mut b = command(0, &[string("releaseStream"), Value::Number(2.0), Value::Null, string(name)]);
    b.extend(command(0, &[string("FCPublish"), Value::Number(3.0), Value::Null, string(name)]));
    b.extend(command(0, &[string("createStream"), Value::Number(4.0), Value::Null]));
    b.extend(command(1, &[string("publish"), Value::Number(5.0), Value::Null, string(name), string("live")]));
    b
}

/// What a session gave, its replies read back.
#[derive(Default)]
struct Drained {
    replies: Vec<Message>,
    events: Vec<Event>,
    closed: bool,
}

impl Drained {
    fn commands(&self) -> Vec<Vec<Value>> {
        let commands = self.replies.iter().filter(|m| m.kind == kind::COMMAND_AMF0);
        commands.map(|m| amf0::decode_all(&m.payload).unwrap()).collect()
    }

    /// The codes of all onStatus messages.
    fn statuses(&self) -> Vec<String> {
        let commands = self.commands();
        let status = commands.iter().filter(|c| c[0] == string("onStatus"));
        status.map(|c| c[3].get("code").unwrap().as_str().unwrap().to_owned()).collect()
    }
}

/// A session and the reader of its replies.
struct Server {
    session: Session,
    replies: ChunkReader,
    handshake: usize,
}

impl Server {
    fn new() -> Self {
        let o = SessionOptions::default();
        let limits = Limits { message: 1 << 20, video_message: 0, buffered: 1 << 20, chunk_streams: 16 };
        Self { session: Session::new(o), replies: ChunkReader::new(limits), handshake: 1 + 2 * 1536 }
    }

    fn feed(&mut self, input: &[u8]) -> Drained {
        self.session.handle_input(input).unwrap();
        self.drain()
    }

    fn drain(&mut self) -> Drained {
        let mut d = Drained::default();
        while let Some(o) = self.session.poll_output() {
            match o {
                Output::Send(bytes) => {
                    let skip = self.handshake.min(bytes.len());
                    self.handshake -= skip;
                    let mut rest = &bytes[skip..];
                    while let Some(m) = self.replies.read(&mut rest).unwrap() {
                        if m.kind == kind::SET_CHUNK_SIZE {
                            self.replies.set_chunk_size(number(&m.payload).unwrap()).unwrap();
                        }
                        d.replies.push(m);
                    }
                }
                Output::Event(e) => d.events.push(e),
                Output::Close => d.closed = true,
            }
        }
        d
    }

    /// A session that publishes live/demo.
    fn publishing() -> Self {
        let mut s = Self::new();
        s.feed(&plain_handshake());
        s.feed(&connect("live", "rtmp://h/live"));
        s.feed(&publish("demo"));
        s.session.accept_publish();
        assert_eq!(s.feed(&[]).statuses(), ["NetStream.Publish.Start"]);
        s
    }
}

fn requested(d: &Drained) -> &crate::PublishRequest {
    let request = d.events.iter().find_map(|e| if let Event::Publish(r) = e { Some(r) } else { None });
    request.expect("a publish request")
}

fn media() -> Vec<u8> {
    let mut b = chunk(kind::VIDEO, 1, 0, &avc_config(31));
    b.extend(chunk(kind::AUDIO, 1, 0, &[0xaf, 0, 0x12, 0x10]));
    for t in 0..5 {
        b.extend(chunk(kind::VIDEO, 1, t * 40, &avc_frame(if t == 0 { 5 } else { 1 }, 40)));
        b.extend(chunk(kind::AUDIO, 1, t * 40, &[0xaf, 1, 1, 2, 3]));
    }
    b
}

#[test]
fn a_publisher_is_answered_step_by_step() {
    let mut s = Server::new();
    assert!(!s.session.has_handshaken());
    s.feed(&plain_handshake());
    assert!(s.session.has_handshaken());
    let d = s.feed(&connect("live?x=1", "rtmp://h/live"));
    let kinds: Vec<_> = d.replies.iter().map(|m| m.kind).collect();
    assert_eq!(kinds, [5, 6, 1, 20]);
    assert_eq!(d.commands()[0][3].get("code"), Some(&string("NetConnection.Connect.Success")));
    assert!(
        matches!(&d.events[0], Event::Connected { app, flash_ver } if app == "live" && flash_ver == "FMLE/3.0")
    );
    let d = s.feed(&publish("demo?token=T"));
    let results: Vec<_> = d.commands().iter().map(|c| (c[0].clone(), c[1].clone())).collect();
    assert_eq!(results, [2.0, 3.0, 4.0].map(|n| (string("_result"), Value::Number(n))));
    assert_eq!(d.commands()[2][3], Value::Number(1.0));
    let r = requested(&d);
    assert_eq!(r.path, StreamPath::parse("live/demo"));
    assert_eq!((r.credentials.token.as_deref(), r.query.as_str()), (Some("T"), "x=1"));
    s.session.accept_publish();
    let d = s.feed(&[]);
    assert_eq!((d.replies[0].kind, &d.replies[0].payload[..]), (4, &[0, 0, 0, 0, 0, 1][..]));
    assert_eq!(d.commands()[0][0], string("onFCPublish"));
    assert_eq!(d.statuses(), ["NetStream.Publish.Start"]);
    assert_eq!(d.replies.last().unwrap().stream_id, 1);
}

#[test]
fn media_and_metadata_come_out_and_unpublish_ends_them() {
    let mut s = Server::publishing();
    let mut payload = Vec::new();
    let o = Value::Object(vec![("videocodecid".into(), Value::Number(7.0))]);
    amf0::encode(&mut payload, &[string("@setDataFrame"), string("onMetaData"), o]);
    let d = s.feed(&chunk(kind::DATA_AMF0, 1, 0, &payload));
    assert!(matches!(&d.events[..], [Event::Tracks(t)] if t.metadata.expect_video == Some(true)));
    let d = s.feed(&media());
    assert_eq!(d.events.iter().filter(|e| matches!(e, Event::Frame(_))).count(), 10);
    let d = s.feed(&command(0, &[string("FCUnpublish"), Value::Number(6.0), Value::Null, string("demo")]));
    assert!(matches!(d.events[..], [Event::Unpublish]));
    assert_eq!(d.statuses(), ["NetStream.Unpublish.Success"]);
    // The other two ways to say it are no second end, and late media is nobody's.
    let mut late = command(0, &[string("deleteStream"), Value::Number(7.0), Value::Null, Value::Number(1.0)]);
    late.extend(command(1, &[string("closeStream"), Value::Number(0.0), Value::Null]));
    late.extend(media());
    assert!(s.feed(&late).events.is_empty());
    // And the connection may publish again.
    assert!(requested(&s.feed(&publish("other"))).path.is_ok());
}

#[test]
fn a_refusal_carries_its_code_and_closes() {
    for (refusal, code) in [
        (Refusal::Unauthorized, "NetStream.Publish.Unauthorized"),
        (Refusal::BadName, "NetStream.Publish.BadName"),
        (Refusal::Rejected, "NetStream.Publish.Rejected"),
    ] {
        let mut s = Server::new();
        s.feed(&plain_handshake());
        s.feed(&connect("live", ""));
        s.feed(&publish("demo"));
        s.session.reject_publish(refusal, "why");
        let d = s.drain();
        assert!(d.closed);
        assert_eq!(d.statuses(), [code]);
        let status = d.commands().pop().unwrap();
        assert_eq!(status[3].get("level"), Some(&string("error")));
        assert_eq!(status[3].get("description"), Some(&string("why")));
        assert_eq!(s.session.handle_input(b"x"), Err(SessionError::Ended));
    }
}

#[test]
fn the_server_can_end_a_publish() {
    let mut s = Server::publishing();
    s.session.end_publish(None, "stopped");
    let d = s.drain();
    assert!(d.closed && d.statuses() == ["NetStream.Unpublish.Success"]);
    s.session.end_publish(Some(Refusal::Rejected), "twice");
    assert!(s.session.poll_output().is_none());
}

#[test]
fn input_behind_a_publish_waits_for_its_answer() {
    let mut s = Server::new();
    s.feed(&plain_handshake());
    s.feed(&connect("live", ""));
    let mut all = publish("demo");
    let media = media();
    all.extend(&media[..100]);
    assert_eq!(s.feed(&all).events.len(), 1);
    assert!(s.feed(&media[100..200]).events.is_empty());
    s.session.accept_publish();
    let d = s.feed(&media[200..]);
    assert_eq!(d.events.iter().filter(|e| matches!(e, Event::Frame(_))).count(), 10);
    // Not without end.
    let mut s = Server::new();
    s.feed(&plain_handshake());
    s.feed(&connect("live", ""));
    s.feed(&publish("demo"));
    assert_eq!(s.session.handle_input(&vec![0; MAX_HELD + 1]), Err(SessionError::Flood));
}

#[test]
fn every_way_to_cut_the_input_gives_the_same() {
    let mut wire = plain_handshake();
    wire.extend(connect("live", ""));
    wire.extend(publish("demo"));
    let head = wire.len();
    wire.extend(media());
    let events = |cuts: &[usize]| {
        let mut s = Server::new();
        let (mut from, mut seen) = (0, String::new());
        for &to in cuts.iter().chain([&wire.len()]) {
            let mut d = s.feed(&wire[from..to]);
            from = to;
            if d.events.iter().any(|e| matches!(e, Event::Publish(_))) {
                s.session.accept_publish();
                d.events.extend(s.feed(&[]).events);
            }
            seen.extend(d.events.iter().map(|e| format!("{e:?}\n")));
        }
        seen
    };
    let whole = events(&[]);
    assert_eq!(whole.matches("Frame(").count(), 10);
    for at in (0..wire.len()).filter(|at| *at > 3000 || at % 97 == 0) {
        assert_eq!(events(&[at]), whole, "cut at {at}");
    }
    let bytes: Vec<_> = (1..wire.len()).collect();
    assert_eq!(events(&bytes), whole, "byte by byte, {head} before the media");
}

// RTMP §5.4.3: the sequence number is all bytes received so far.
#[test]
fn acknowledgements_carry_the_running_total() {
    let mut s = Server::publishing();
    s.feed(&chunk(kind::WINDOW_ACK_SIZE, 0, 0, &10_000_u32.to_be_bytes()));
    let mut acks = Vec::new();
    for t in 0..40 {
        let d = s.feed(&chunk(kind::AUDIO, 1, t, &[0x2f; 1_000]));
        acks.extend(d.replies.iter().filter(|m| m.kind == kind::ACK).map(|m| number(&m.payload).unwrap()));
        if let Some(last) = acks.last()
            && d.replies.iter().any(|m| m.kind == kind::ACK)
        {
            assert_eq!(u64::from(*last), s.session.bytes_received());
        }
        if t == 1 {
            s.feed(&chunk(kind::AUDIO, 1, 0, &[0xaf, 0, 0x12, 0x10]));
        }
    }
    assert!(acks.len() >= 3 && acks.windows(2).all(|w| w[1] - w[0] >= 10_000), "{acks:?}");
}

#[test]
fn pings_are_answered_and_unknown_commands_are_not() {
    let mut s = Server::publishing();
    let d = s.feed(&chunk(kind::USER_CONTROL, 0, 0, &[0, 6, 1, 2, 3, 4]));
    assert_eq!(&d.replies[0].payload[..], [0, 7, 1, 2, 3, 4]);
    assert!(s.feed(&chunk(kind::USER_CONTROL, 0, 0, &[0, 3, 0, 0, 0, 0])).replies.is_empty());
    assert!(s.feed(&command(0, &[string("onWhatever"), Value::Number(9.0)])).replies.is_empty());
    let d = s.feed(&command(0, &[string("_checkbw"), Value::Number(9.0), Value::Null]));
    assert_eq!(d.commands()[0][..2], [string("_result"), Value::Number(9.0)]);
}

#[test]
fn amf3_messages_hold_amf0_behind_a_zero() {
    let mut s = Server::new();
    s.feed(&plain_handshake());
    let mut payload = vec![0];
    let object = Value::Object(vec![("app".into(), string("live"))]);
    amf0::encode(&mut payload, &[string("connect"), Value::Number(1.0), object]);
    let d = s.feed(&chunk(kind::COMMAND_AMF3, 0, 0, &payload));
    assert!(matches!(&d.events[..], [Event::Connected { app, .. }] if app == "live"));
}

#[test]
fn aggregates_are_taken_apart() {
    let mut s = Server::publishing();
    let mut payload = Vec::new();
    for (tag, time, data) in
        [(9_u8, 1_000_u32, avc_config(31)), (9, 1_000, avc_frame(5, 0)), (9, 1_040, avc_frame(1, 0))]
    {
        payload.push(tag);
        payload.extend(&(data.len() as u32).to_be_bytes()[1..]);
        let t = time.to_be_bytes();
        payload.extend([t[1], t[2], t[3], t[0], 0, 0, 0]);
        payload.extend(&data);
        payload.extend((data.len() as u32 + 11).to_be_bytes());
    }
    let d = s.feed(&chunk(kind::AGGREGATE, 1, 500, &payload));
    let times = d.events.iter().filter_map(|e| if let Event::Frame(f) = e { Some(f.dts.0) } else { None });
    assert_eq!(times.collect::<Vec<_>>(), [45_000, 48_600]);
    for n in 0..payload.len() {
        Server::publishing().feed(&chunk(kind::AGGREGATE, 1, 500, &payload[..n]));
    }
}

#[test]
fn unusable_media_is_refused_to_the_publishers_face() {
    let mut s = Server::publishing();
    let mut wire = chunk(kind::VIDEO, 1, 0, &[0x12, 0, 0]);
    wire.extend(chunk(kind::AUDIO, 1, 0, &[0x2f, 0xff]));
    let e = s.session.handle_input(&wire).unwrap_err();
    assert_eq!(e.kind(), "media");
    let d = s.drain();
    assert!(d.closed);
    assert_eq!(d.statuses(), ["NetStream.Publish.Rejected"]);
    let text = d.commands().pop().unwrap()[3].get("description").unwrap().as_str().unwrap().to_owned();
    assert!(text.contains("flv1") && text.contains("mp3") && text.contains("-c:v libx264"), "{text}");
}

#[test]
fn what_is_out_of_order_or_broken_ends_the_session() {
    let after = |input: &[u8]| {
        let mut s = Server::new();
        s.feed(&plain_handshake());
        s.session.handle_input(input).unwrap_err()
    };
    assert!(matches!(after(&publish("demo")), SessionError::Order(_)));
    assert!(matches!(after(&[connect("a", ""), connect("a", "")].concat()), SessionError::Order(_)));
    assert_eq!(after(&chunk(kind::COMMAND_AMF0, 0, 0, b"\x03")), SessionError::Command);
    assert_eq!(after(&chunk(kind::SET_CHUNK_SIZE, 0, 0, &[1])), SessionError::Control);
    // limits-and-faults 4 and 6.
    for bad in [0, 0x7fff_ffff, 0xffff_ffff_u32] {
        let e = after(&chunk(kind::SET_CHUNK_SIZE, 0, 0, &bad.to_be_bytes()));
        assert_eq!(e, SessionError::Chunk(ChunkError::ChunkSize(bad)));
    }
    let deep = [0x03, 0, 1, b'a'].repeat(20_000);
    let bomb = [&[2, 0, 7][..], b"connect", &[0; 9], &deep].concat();
    assert_eq!(after(&chunk(kind::COMMAND_AMF0, 0, 0, &bomb)), SessionError::Command);
    let play = [connect("live", ""), command(1, &[string("play"), Value::Number(2.0)])].concat();
    assert_eq!(after(&play), SessionError::Play);
    let streams = command(0, &[string("createStream"), Value::Number(2.0)]).repeat(17);
    assert!(matches!(after(&[connect("live", ""), streams].concat()), SessionError::Order(_)));
}

/// Whoever has shown no credentials yet holds half a MiB, a publisher what it needs.
#[test]
fn messages_are_small_until_a_publish_is_accepted() {
    let mut s = Server::new();
    s.feed(&plain_handshake());
    let e = s.session.handle_input(&rtmp_header(300 << 10)).unwrap_err();
    assert_eq!(e, SessionError::Chunk(ChunkError::MessageTooLong(300 << 10)));
    // Chunks of all but a message's last byte, so that three messages stay open.
    let (len, mut s) = (200_u32 << 10, Server::new());
    s.feed(&plain_handshake());
    s.feed(&chunk(kind::SET_CHUNK_SIZE, 0, 0, &(len - 1).to_be_bytes()));
    let open = |id: u8| {
        let mut b = rtmp_header(len);
        b[0] = id;
        b.resize(b.len() + len as usize - 1, 0);
        b
    };
    s.feed(&[open(5), open(6)].concat());
    assert_eq!(s.session.handle_input(&open(7)), Err(SessionError::Chunk(ChunkError::TooMuchBuffered)));
    let mut s = Server::publishing();
    s.session.handle_input(&rtmp_header(300 << 10)).unwrap();
}

/// The header of a video message.
fn rtmp_header(len: u32) -> Vec<u8> {
    let mut b = vec![4, 0, 0, 0];
    b.extend(&len.to_be_bytes()[1..]);
    b.push(kind::VIDEO);
    b.extend(1_u32.to_le_bytes());
    b
}

// limits-and-faults 3.
#[test]
fn other_versions_and_garbage_are_no_handshake() {
    for first in [6, 0, b'G', 0x16] {
        let mut s = Session::new(SessionOptions::default());
        assert_eq!(s.handle_input(&[first; 2000]), Err(SessionError::Handshake));
    }
    let mut s = Session::new(SessionOptions::default());
    s.handle_input(&plain_handshake()[..900]).unwrap();
    assert!(!s.has_handshaken());
}

/// An independent client: rml_rtmp's, with the digest handshake.
struct Client {
    handshake: Peer,
    session: Option<ClientSession>,
    outbound: Vec<u8>,
    events: Vec<ClientSessionEvent>,
}

impl Client {
    fn take(&mut self, results: Vec<ClientSessionResult>) {
        for r in results {
            match r {
                ClientSessionResult::OutboundResponse(p) => self.outbound.extend(p.bytes),
                ClientSessionResult::RaisedEvent(e) => self.events.push(e),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        if let Some(s) = &mut self.session {
            let results = s.handle_input(bytes).unwrap();
            return self.take(results);
        }
        match self.handshake.process_bytes(bytes).unwrap() {
            HandshakeProcessResult::InProgress { response_bytes } => self.outbound.extend(response_bytes),
            HandshakeProcessResult::Completed { response_bytes, .. } => {
                self.outbound.extend(response_bytes);
                let (session, results) = ClientSession::new(ClientSessionConfig::new()).unwrap();
                self.session = Some(session);
                self.take(results);
                let packet = self.session.as_mut().unwrap().request_connection("live".into()).unwrap();
                self.take(vec![packet]);
            }
        }
    }

    /// Bytes to and fro until both are silent.
    fn talk(&mut self, server: &mut Session) -> Vec<Event> {
        let mut events = Vec::new();
        while !self.outbound.is_empty() {
            server.handle_input(&std::mem::take(&mut self.outbound)).unwrap();
            while let Some(o) = server.poll_output() {
                match o {
                    Output::Send(b) => self.read(&b),
                    Output::Event(e) => events.push(e),
                    Output::Close => panic!("closed"),
                }
            }
        }
        events
    }
}

#[test]
fn an_independent_client_with_the_digest_handshake_publishes() {
    let mut handshake = Peer::new(PeerType::Client);
    let outbound = handshake.generate_outbound_p0_and_p1().unwrap();
    let mut client = Client { handshake, session: None, outbound, events: Vec::new() };
    let mut server = Session::new(SessionOptions::default());
    let events = client.talk(&mut server);
    assert!(matches!(&events[..], [Event::Connected { app, .. }] if app == "live"));
    assert!(client.events.contains(&ClientSessionEvent::ConnectionRequestAccepted));

    let session = client.session.as_mut().unwrap();
    let r = session.request_publishing("demo?token=T".into(), PublishRequestType::Live).unwrap();
    client.take(vec![r]);
    let events = client.talk(&mut server);
    assert!(matches!(&events[..], [Event::Publish(r)] if r.path == StreamPath::parse("live/demo")));
    server.accept_publish();
    while let Some(Output::Send(b)) = server.poll_output() {
        client.read(&b);
    }
    assert!(client.events.contains(&ClientSessionEvent::PublishRequestAccepted));

    let session = client.session.as_mut().unwrap();
    let mut metadata = StreamMetadata::new();
    metadata.video_frame_rate = Some(25.0);
    let mut results = vec![session.publish_metadata(&metadata).unwrap()];
    results.push(session.publish_video_data(avc_config(31), RtmpTimestamp::new(0), false).unwrap());
    for t in 0..100 {
        let frame = avc_frame(if t == 0 { 5 } else { 1 }, 40);
        results.push(session.publish_video_data(frame, RtmpTimestamp::new(t * 40), false).unwrap());
    }
    client.take(results);
    let events = client.talk(&mut server);
    let frames: Vec<_> =
        events.iter().filter_map(|e| if let Event::Frame(f) = e { Some(f.dts.0) } else { None }).collect();
    assert_eq!(frames, (0..100).map(|t| t * 3_600).collect::<Vec<_>>());
    assert!(events.iter().any(|e| matches!(e, Event::Tracks(t) if t.metadata.frame_rate == Some(25.0))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Any bytes after any honest beginning: no panic, and nothing kept but what the caps allow.
    #[test]
    fn arbitrary_input_never_panics(
        start in 0_usize..4,
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..30),
    ) {
        let mut s = if start == 3 { Server::publishing() } else { Server::new() };
        if start == 1 || start == 2 {
            s.feed(&plain_handshake());
        }
        if start == 2 {
            s.feed(&connect("live", ""));
        }
        for p in pieces {
            let result = s.session.handle_input(&p);
            while let Some(o) = s.session.poll_output() {
                if matches!(o, Output::Event(Event::Publish(_))) {
                    s.session.accept_publish();
                }
            }
            if result.is_err() {
                prop_assert_eq!(s.session.handle_input(&[]), Err(SessionError::Ended));
                break;
            }
        }
    }

    // Whole messages with arbitrary content get further than arbitrary chunks.
    #[test]
    fn arbitrary_messages_never_panic(
        messages in prop::collection::vec(
            (prop_oneof![0_u8..24, Just(9_u8), Just(20)], any::<u32>(), prop::collection::vec(any::<u8>(), 0..200)),
            1..30,
        ),
    ) {
        let mut s = Server::publishing();
        for (kind, time, payload) in messages {
            let result = s.session.handle_input(&chunk(kind, 1, time, &payload));
            while s.session.poll_output().is_some() {}
            if result.is_err() {
                break;
            }
        }
    }
}

/// `connect` with properties of an enhanced client besides the usual ones.
fn enhanced_connect(more: Vec<(String, Value)>) -> Vec<u8> {
    let mut object = vec![("app".to_owned(), string("live")), ("tcUrl".to_owned(), string("rtmp://h/live"))];
    object.extend(more);
    command(0, &[string("connect"), Value::Number(1.0), Value::Object(object)])
}

// Enhanced RTMP 2, "Enhancing NetConnection connect Command".
#[test]
fn an_enhanced_client_learns_what_is_carried() {
    let list = Value::Array(vec![string("hvc1"), string("av01")]);
    let map = Value::Object(vec![("*".into(), Value::Number(4.0))]);
    for more in [
        ("fourCcList".to_owned(), list),
        ("videoFourCcInfoMap".to_owned(), map.clone()),
        ("audioFourCcInfoMap".to_owned(), map),
        ("capsEx".to_owned(), Value::Number(15.0)),
    ] {
        let mut s = Server::new();
        s.feed(&plain_handshake());
        let commands = s.feed(&enhanced_connect(vec![more])).commands();
        let properties = &commands[0][2];
        let Some(Value::Array(list)) = properties.get("fourCcList") else { panic!("{properties:?}") };
        assert_eq!(list.len(), 7);
        // CanForward, of what the tags and CMAF carry.
        for (map, four) in [("videoFourCcInfoMap", "hvc1"), ("audioFourCcInfoMap", "fLaC")] {
            assert_eq!(properties.get(map).unwrap().get(four).unwrap().as_number(), Some(4.0));
        }
        // Reconnect, ModEx and TimestampNanoOffset; no Multitrack.
        assert_eq!(properties.get("capsEx").unwrap().as_number(), Some(13.0));
    }
    let mut s = Server::new();
    s.feed(&plain_handshake());
    let commands = s.feed(&connect("live", "rtmp://h/live")).commands();
    assert!(commands[0][2].get("fourCcList").is_none(), "others get the answer that they know");
}

// Enhanced RTMP 2, "Reconnect Request".
#[test]
fn only_who_reconnects_is_asked_to() {
    for (caps, asked) in [(1.0, true), (15.0, true), (14.0, false), (f64::NAN, false), (-1.0, false)] {
        let mut s = Server::new();
        s.feed(&plain_handshake());
        s.feed(&enhanced_connect(vec![("capsEx".to_owned(), Value::Number(caps))]));
        s.feed(&publish("demo"));
        s.session.accept_publish();
        s.feed(&[]);
        assert_eq!(s.session.request_reconnect(Some("rtmp://other/live"), "The server is updated."), asked);
        let d = s.drain();
        let codes: &[&str] = if asked { &["NetConnection.Connect.ReconnectRequest"] } else { &[] };
        assert_eq!(d.statuses(), codes);
        if asked {
            let info = &d.commands()[0][3];
            assert_eq!(info.get("level").unwrap().as_str(), Some("status"));
            assert_eq!(info.get("tcUrl").unwrap().as_str(), Some("rtmp://other/live"));
            assert_eq!(d.replies[0].stream_id, 0);
        }
        assert!(!d.closed);
        assert!(s.feed(&media()).events.iter().any(|e| matches!(e, Event::Frame(_))), "it goes on as before");
        s.session.request_reconnect(None, "again");
        assert!(s.drain().commands().iter().all(|c| c[3].get("tcUrl").is_none()));
        s.session.end_publish(None, "bye");
        s.drain();
        assert!(!s.session.request_reconnect(None, "too late"));
    }
}
