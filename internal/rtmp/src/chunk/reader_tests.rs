use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::chunk::ChunkWriter;

const LIMITS: Limits =
    Limits { message: 1 << 20, video_message: 2 << 20, buffered: 3 << 20, chunk_streams: 16 };

fn read_all(r: &mut ChunkReader, mut input: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut out = Vec::new();
    while let Some(m) = r.read(&mut input)? {
        out.push(m);
    }
    assert!(input.is_empty());
    Ok(out)
}

fn read(input: &[u8]) -> Result<Vec<Message>, ChunkError> {
    read_all(&mut ChunkReader::new(LIMITS), input)
}

fn message(kind: u8, timestamp: u32, payload: &[u8]) -> Message {
    Message { kind, stream_id: 1, timestamp, payload: Bytes::copy_from_slice(payload) }
}

/// A type 0 header on a one-byte chunk stream.
fn type_0(id: u8, time: u32, len: usize, kind: u8) -> Vec<u8> {
    let mut b = vec![id];
    b.extend(&time.min(EXTENDED).to_be_bytes()[1..]);
    b.extend(&(len as u32).to_be_bytes()[1..]);
    b.push(kind);
    b.extend(1_u32.to_le_bytes());
    if time >= EXTENDED {
        b.extend(time.to_be_bytes());
    }
    b
}

/// What a sender keeps of a chunk stream, to write the shortest headers that fit.
#[derive(Clone, Default)]
struct Sent {
    timestamp: u32,
    delta: Option<u32>,
    len: usize,
    kind: u8,
}

/// A sender that uses all header types and either form of extended timestamps.
struct Sender {
    sent: Vec<Option<Sent>>,
    chunk_size: usize,
    repeats: bool,
}

impl Sender {
    /// The chunks of a message on chunk stream `id`; all headers complete.
    fn chunks(&mut self, id: usize, m: &Message) -> Vec<Vec<u8>> {
        let basic = |format: u8| -> Vec<u8> {
            match id {
                0..64 => vec![format << 6 | id as u8],
                64..320 => vec![format << 6, (id - 64) as u8],
                _ => vec![format << 6 | 1, ((id - 64) & 255) as u8, ((id - 64) >> 8) as u8],
            }
        };
        if self.sent.len() <= id {
            self.sent.resize(id + 1, None);
        }
        let len = m.payload.len();
        let before = self.sent[id].take();
        let step = before.as_ref().map(|b| m.timestamp.wrapping_sub(b.timestamp));
        let (format, time) = match (&before, step) {
            (Some(b), Some(step)) if step < 1 << 31 => {
                let same = b.len == len && b.kind == m.kind;
                (
                    if same && b.delta == Some(step) {
                        3
                    } else if same {
                        2
                    } else {
                        1
                    },
                    step,
                )
            }
            _ => (0, m.timestamp),
        };
        let delta = (format > 0).then_some(time);
        self.sent[id] = Some(Sent { timestamp: m.timestamp, delta, len, kind: m.kind });
        let extended = time >= EXTENDED;
        let mut header = basic(format);
        if format < 3 {
            header.extend(&time.min(EXTENDED).to_be_bytes()[1..]);
        }
        if format < 2 {
            header.extend(&(len as u32).to_be_bytes()[1..]);
            header.push(m.kind);
        }
        if format < 1 {
            header.extend(m.stream_id.to_le_bytes());
        }
        if extended && (format < 3 || self.repeats) {
            header.extend(time.to_be_bytes());
        }
        let mut out = Vec::new();
        let mut pieces = m.payload.chunks(self.chunk_size);
        header.extend(pieces.next().unwrap_or_default());
        out.push(header);
        for piece in pieces {
            let mut chunk = basic(3);
            if extended && self.repeats {
                chunk.extend(time.to_be_bytes());
            }
            chunk.extend(piece);
            out.push(chunk);
        }
        out
    }
}

/// Messages of four chunk streams, their times near an interesting start.
fn streams() -> impl Strategy<Value = Vec<(usize, Vec<Message>)>> {
    let ids = prop::sample::subsequence(vec![3, 4, 63, 64, 319, 320, 65_599], 1..5);
    let start = prop_oneof![Just(0), Just(EXTENDED - 50), Just(u32::MAX - 50), any::<u32>()];
    let step = prop_oneof![Just(0_u32), Just(20), Just(20), 0_u32..100, Just(EXTENDED + 7)];
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::collection::vec(any::<u8>(), 200..600),
        prop::collection::vec(any::<u8>(), 300..=300),
    ];
    let kinds = prop_oneof![Just(8_u8), Just(9), Just(18)];
    let messages = prop::collection::vec((step, body, kinds), 1..8);
    (ids, start).prop_flat_map(move |(ids, start)| {
        ids.into_iter().map(|id| (Just(id), Just(start), messages.clone())).collect::<Vec<_>>().prop_map(
            |streams| {
                streams
                    .into_iter()
                    .map(|(id, start, messages)| {
                        let mut at = start;
                        let messages = messages
                            .into_iter()
                            .map(|(step, body, kind)| {
                                at = at.wrapping_add(step);
                                message(kind, at, &body)
                            })
                            .collect();
                        (id, messages)
                    })
                    .collect()
            },
        )
    })
}

proptest! {
    // RTMP §5.3.1: all header types, interleaved at chunk granularity, in both forms of the extended
    // timestamp, and cut anywhere.
    #[test]
    fn interleaved_chunk_streams_give_each_message_back(
        streams in streams(),
        chunk_size in prop_oneof![Just(1_usize), Just(5), Just(128), Just(4096)],
        repeats in any::<bool>(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 4000),
        cuts in prop::collection::vec(1_usize..300, 1..50),
    ) {
        let mut sender = Sender { sent: Vec::new(), chunk_size, repeats };
        let mut queues: Vec<_> = streams
            .iter()
            .map(|(id, messages)| {
                messages.iter().flat_map(|m| sender.chunks(*id, m)).collect::<std::collections::VecDeque<_>>()
            })
            .collect();
        let mut wire = Vec::new();
        for pick in order.iter().cycle() {
            queues.retain(|q| !q.is_empty());
            if queues.is_empty() {
                break;
            }
            let n = pick.index(queues.len());
            wire.extend(queues[n].pop_front().unwrap());
        }
        let mut reader = ChunkReader::new(LIMITS);
        reader.set_chunk_size(chunk_size as u32).unwrap();
        let (mut got, mut rest) = (Vec::new(), wire.as_slice());
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            got.extend(read_all(&mut reader, now).unwrap());
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(reader.buffered(), 0);
        let mut expect: Vec<_> = streams.into_iter().flat_map(|(_, m)| m).collect();
        let key = |m: &Message| (m.timestamp, m.kind, m.payload.clone());
        expect.sort_by_key(key);
        got.sort_by_key(key);
        prop_assert_eq!(got, expect);
    }

    // Fuzz target "chunk parser": any input ends in messages or an error, within the caps.
    #[test]
    fn any_input_stays_within_the_caps(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..40),
    ) {
        let limits = Limits { message: 5_000, video_message: 20_000, buffered: 24_000, chunk_streams: 4 };
        let mut reader = ChunkReader::new(limits);
        'all: for piece in pieces {
            let mut input = piece.as_slice();
            loop {
                let result = reader.read(&mut input);
                prop_assert!(reader.buffered() <= limits.buffered);
                prop_assert!(reader.streams.len() <= limits.chunk_streams);
                match result {
                    Ok(Some(m)) => prop_assert!(m.payload.len() <= limits.video_message),
                    Ok(None) => break,
                    Err(_) => break 'all,
                }
            }
        }
    }
}

#[test]
fn the_writers_chunks_read_back_when_cut_at_every_byte() {
    let writer = ChunkWriter::new();
    let messages = [
        message(9, 5, &[7; 300]),
        message(8, EXTENDED, &[8; 129]),
        message(20, u32::MAX, b""),
        message(18, 1, b"x"),
    ];
    let wire: Vec<u8> = messages.iter().flat_map(|m| writer.write(3, m)).collect();
    for at in 0..=wire.len() {
        let mut r = ChunkReader::new(LIMITS);
        let mut got = read_all(&mut r, &wire[..at]).unwrap();
        got.extend(read_all(&mut r, &wire[at..]).unwrap());
        assert_eq!(got, messages, "cut at {at}");
    }
}

// RTMP §5.3.1.2.4.
#[test]
fn a_type_3_chunk_begins_a_message_with_the_last_delta() {
    let mut wire = type_0(4, 1_000, 1, 8);
    wire.push(b'a');
    wire.extend([2 << 6 | 4, 0, 0, 23, b'b']);
    wire.extend([3 << 6 | 4, b'c', 3 << 6 | 4, b'd']);
    let times: Vec<_> = read(&wire).unwrap().iter().map(|m| m.timestamp).collect();
    assert_eq!(times, [1_000, 1_023, 1_046, 1_069]);
}

#[test]
fn a_type_3_chunk_behind_type_0_takes_its_time_as_delta_near_the_start_only() {
    let times = |time| {
        let mut wire = type_0(4, time, 1, 8);
        wire.extend([b'a', 3 << 6 | 4, b'b']);
        read(&wire).unwrap().iter().map(|m| m.timestamp).collect::<Vec<_>>()
    };
    assert_eq!(times(40), [40, 80]);
    assert_eq!(times(3_600_000), [3_600_000, 3_600_000]);
}

// RTMP §5.3.1.3, and senders that do not follow it.
#[test]
fn extended_timestamps_may_be_repeated_or_omitted() {
    let time = EXTENDED + 5;
    let payload: Vec<u8> = (0..=255).cycle().take(300).collect();
    for field in [Some(time), None] {
        let mut wire = type_0(4, time, 300, 9);
        for (n, piece) in payload.chunks(128).enumerate() {
            if n > 0 {
                wire.push(3 << 6 | 4);
                wire.extend(field.iter().flat_map(|t| t.to_be_bytes()));
            }
            wire.extend(piece);
        }
        for at in 0..wire.len() {
            let mut r = ChunkReader::new(LIMITS);
            let mut got = read_all(&mut r, &wire[..at]).unwrap();
            got.extend(read_all(&mut r, &wire[at..]).unwrap());
            assert_eq!(got, [message(9, time, &payload)], "{field:?} cut at {at}");
        }
    }
}

#[test]
fn a_short_last_piece_without_the_field_is_not_waited_for() {
    let mut wire = type_0(4, EXTENDED + 5, 129, 9);
    wire.extend([1; 128]);
    wire.extend([3 << 6 | 4, 9]);
    assert_eq!(read(&wire).unwrap().len(), 1);
}

#[test]
fn delta_fields_may_be_repeated_as_absolute_time() {
    let mut wire = type_0(4, 7, 1, 9);
    wire.push(0);
    wire.extend([1 << 6 | 4, 0xff, 0xff, 0xff, 0, 0, 130, 9]);
    wire.extend((EXTENDED + 1).to_be_bytes());
    wire.extend([2; 128]);
    wire.push(3 << 6 | 4);
    wire.extend((EXTENDED + 8).to_be_bytes());
    wire.extend([3; 2]);
    let got = read(&wire).unwrap();
    assert_eq!((got[1].timestamp, got[1].payload.len()), (EXTENDED + 8, 130));
    assert_eq!(got[1].payload[128..], [3, 3]);
}

// limits-and-faults 4, RTMP §5.4.1.
#[test]
fn chunk_sizes_out_of_bounds_are_refused() {
    let mut r = ChunkReader::new(LIMITS);
    for bad in [0, 0x100_0000, 0x7fff_ffff, 0x8000_0001, u32::MAX] {
        assert_eq!(r.set_chunk_size(bad), Err(ChunkError::ChunkSize(bad)));
    }
    for ok in [1, 128, 0xff_ffff] {
        assert_eq!(r.set_chunk_size(ok), Ok(()));
    }
}

// RTMP §5.4.2.
#[test]
fn abort_drops_what_came_and_the_stream_goes_on() {
    let mut r = ChunkReader::new(LIMITS);
    let mut wire = type_0(4, 1, 300, 9);
    wire.extend([1; 128]);
    assert_eq!(read_all(&mut r, &wire).unwrap(), []);
    assert!(r.buffered() > 0);
    r.abort(5);
    assert!(r.buffered() > 0);
    r.abort(4);
    assert_eq!(r.buffered(), 0);
    let mut next = type_0(4, 2, 2, 9);
    next.extend(b"ok");
    assert_eq!(read_all(&mut r, &next).unwrap(), [message(9, 2, b"ok")]);
}

#[test]
fn continuations_may_be_of_type_1_and_2_but_a_new_header_may_not_interrupt() {
    let mut start = type_0(4, 1, 300, 9);
    start.extend([1; 128]);
    let mut wire = start.clone();
    wire.extend([2 << 6 | 4, 0, 0, 0]);
    wire.extend([2; 128]);
    wire.extend([1 << 6 | 4, 0, 0, 0, 0, 1, 44, 9]);
    wire.extend([3; 44]);
    let got = read(&wire).unwrap();
    assert_eq!((got.len(), got[0].payload.len(), got[0].timestamp), (1, 300, 1));
    let mut wire = start.clone();
    wire.extend(type_0(4, 2, 300, 9));
    assert_eq!(read(&wire), Err(ChunkError::Unfinished));
    start.extend([1 << 6 | 4, 0, 0, 0, 0, 0, 9, 9]);
    assert_eq!(read(&start), Err(ChunkError::Unfinished));
}

#[test]
fn headers_that_never_came_are_missed() {
    assert_eq!(read(&[3 << 6 | 4, 0]), Err(ChunkError::NoHeader));
    assert_eq!(read(&[2 << 6 | 4, 0, 0, 0]), Err(ChunkError::NoHeader));
    // librtmp opens its control stream with type 1.
    assert_eq!(read(&[1 << 6 | 2, 0, 0, 0, 0, 0, 1, 4, 9]).unwrap().len(), 1);
}

#[test]
fn memory_grows_with_what_arrives_and_ends_at_the_caps() {
    let mut r = ChunkReader::new(LIMITS);
    r.set_chunk_size(0xff_ffff).unwrap();
    // Headers alone reserve nothing, however long their messages claim to be.
    for id in 3..19 {
        let mut input = type_0(id, 0, 2 << 20, 9);
        input.push(0);
        r.chunk = None;
        read_all(&mut r, &input).unwrap();
    }
    assert!(r.buffered() <= 16 * FIRST_ALLOCATION);
    r.chunk = None;
    assert_eq!(read_all(&mut r, &type_0(19, 0, 1, 9)), Err(ChunkError::TooManyChunkStreams));
    let mut r = ChunkReader::new(LIMITS);
    assert_eq!(read_all(&mut r, &type_0(3, 0, 2 << 20, 8)), Err(ChunkError::MessageTooLong(2 << 20)));
    let mut r = ChunkReader::new(LIMITS);
    assert_eq!(
        read_all(&mut r, &type_0(3, 0, (2 << 20) + 1, 9)),
        Err(ChunkError::MessageTooLong((2 << 20) + 1))
    );
}

#[test]
fn unfinished_messages_together_have_a_cap() {
    let mut r = ChunkReader::new(LIMITS);
    r.set_chunk_size(1 << 20).unwrap();
    let mut last = Ok(Vec::new());
    for id in 3..10 {
        let mut wire = type_0(id, 0, 2 << 20, 9);
        wire.extend(vec![0; 1 << 20]);
        last = read_all(&mut r, &wire);
        assert!(r.buffered() <= LIMITS.buffered);
    }
    assert_eq!(last, Err(ChunkError::TooMuchBuffered));
}

#[test]
fn a_megabyte_frame_arrives_whole() {
    let payload: Vec<u8> = (0..1 << 20).map(|n| (n % 251) as u8).collect();
    let wire = ChunkWriter::new().write(6, &message(9, 40, &payload));
    let mut r = ChunkReader::new(LIMITS);
    let mut got = Vec::new();
    for piece in wire.chunks(1460) {
        got.extend(read_all(&mut r, piece).unwrap());
    }
    assert_eq!(got, [message(9, 40, &payload)]);
}
