//! AMF0 ("Action Message Format – AMF 0", 2007), read with bounds.

use thiserror::Error;

/// Objects within objects; real commands have 3.
const MAX_DEPTH: usize = 16;
/// Properties and elements of one message, in all.
const MAX_PROPERTIES: usize = 1024;
/// Longest string, long strings included.
const MAX_STRING: usize = 64 * 1024;

/// Why AMF0 data cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Amf0Error {
    #[error("it ends early")]
    Truncated,
    #[error("it is nested too deep")]
    Depth,
    #[error("it has too many properties")]
    Properties,
    #[error("a string is too long")]
    String,
    #[error("it has an unknown type")]
    Marker,
}

/// A value. Types that RTMP never uses read as `Undefined`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Boolean(bool),
    /// Not UTF-8 on the wire: replacement characters.
    String(String),
    /// Objects, typed objects and ECMA arrays, in order.
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Null,
    Undefined,
}

impl Value {
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(s) = self { Some(s) } else { None }
    }

    pub(crate) const fn as_number(&self) -> Option<f64> {
        if let Self::Number(n) = self { Some(*n) } else { None }
    }

    /// A property of an object, the first of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(properties) = self else { return None };
        properties.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}

/// Reads all values of a message.
pub(crate) fn decode_all(data: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    let mut r = Reader { data, properties: 0 };
    let mut values = Vec::new();
    while !r.data.is_empty() {
        r.count()?;
        values.push(r.value(0)?);
    }
    Ok(values)
}

/// Appends values.
pub(crate) fn encode(out: &mut Vec<u8>, values: &[Value]) {
    for v in values {
        match v {
            Value::Number(n) => {
                out.push(0x00);
                out.extend(n.to_be_bytes());
            }
            Value::Boolean(b) => out.extend([0x01, u8::from(*b)]),
            Value::String(s) => match u16::try_from(s.len()) {
                Ok(len) => {
                    out.push(0x02);
                    out.extend(len.to_be_bytes());
                    out.extend(s.as_bytes());
                }
                Err(_) => {
                    out.push(0x0c);
                    out.extend((s.len() as u32).to_be_bytes());
                    out.extend(s.as_bytes());
                }
            },
            Value::Object(properties) => {
                out.push(0x03);
                for (name, value) in properties {
                    let name = name.as_bytes();
                    let name = name.get(..name.len().min(usize::from(u16::MAX))).unwrap_or_default();
                    out.extend((name.len() as u16).to_be_bytes());
                    out.extend(name);
                    encode(out, std::slice::from_ref(value));
                }
                out.extend([0, 0, 9]);
            }
            Value::Array(items) => {
                out.push(0x0a);
                out.extend((items.len() as u32).to_be_bytes());
                encode(out, items);
            }
            Value::Null => out.push(0x05),
            Value::Undefined => out.push(0x06),
        }
    }
}

struct Reader<'a> {
    data: &'a [u8],
    properties: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        if depth > MAX_DEPTH {
            return Err(Amf0Error::Depth);
        }
        Ok(match self.byte()? {
            0x00 => Value::Number(f64::from_be_bytes(self.array()?)),
            0x01 => Value::Boolean(self.byte()? != 0),
            0x02 => Value::String(self.short_string()?),
            0x03 => Value::Object(self.object(depth, false)?),
            0x05 => Value::Null,
            0x06 | 0x0d => Value::Undefined,
            0x07 => {
                self.take(2)?;
                Value::Undefined
            }
            0x08 => {
                // The count is a hint only (§2.10).
                self.take(4)?;
                Value::Object(self.object(depth, true)?)
            }
            0x0a => self.strict_array(depth)?,
            0x0b => {
                let milliseconds = f64::from_be_bytes(self.array()?);
                self.take(2)?;
                Value::Number(milliseconds)
            }
            0x0c | 0x0f => {
                let len = u32::from_be_bytes(self.array()?) as usize;
                Value::String(self.string(len)?)
            }
            0x10 => {
                self.short_string()?;
                Value::Object(self.object(depth, false)?)
            }
            _ => return Err(Amf0Error::Marker),
        })
    }

    /// Properties up to the end marker. Some encoders end an ECMA array with the message instead.
    fn object(&mut self, depth: usize, may_end: bool) -> Result<Vec<(String, Value)>, Amf0Error> {
        let mut properties = Vec::new();
        loop {
            if may_end && self.data.is_empty() {
                return Ok(properties);
            }
            let name = self.short_string()?;
            if name.is_empty() && self.data.first() == Some(&0x09) {
                self.take(1)?;
                return Ok(properties);
            }
            self.count()?;
            properties.push((name, self.value(depth + 1)?));
        }
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let len = u32::from_be_bytes(self.array()?) as usize;
        if len > MAX_PROPERTIES {
            return Err(Amf0Error::Properties);
        }
        let mut items = Vec::new();
        for _ in 0..len {
            self.count()?;
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    const fn count(&mut self) -> Result<(), Amf0Error> {
        self.properties += 1;
        if self.properties > MAX_PROPERTIES { Err(Amf0Error::Properties) } else { Ok(()) }
    }

    fn short_string(&mut self) -> Result<String, Amf0Error> {
        let len = usize::from(u16::from_be_bytes(self.array()?));
        self.string(len)
    }

    fn string(&mut self, len: usize) -> Result<String, Amf0Error> {
        if len > MAX_STRING {
            return Err(Amf0Error::String);
        }
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Amf0Error> {
        let (taken, rest) = self.data.split_at_checked(n).ok_or(Amf0Error::Truncated)?;
        self.data = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Amf0Error> {
        let [b] = self.array()?;
        Ok(b)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let (taken, rest) = self.data.split_first_chunk::<N>().ok_or(Amf0Error::Truncated)?;
        self.data = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>().prop_filter("NaN is not equal to itself", |n| !n.is_nan()).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,40}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(("[a-zA-Z]{1,12}", inner.clone()), 0..8).prop_map(Value::Object),
                prop::collection::vec(inner, 0..8).prop_map(Value::Array),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_round_trip(v in prop::collection::vec(values(), 0..6)) {
            let mut out = Vec::new();
            encode(&mut out, &v);
            prop_assert_eq!(decode_all(&out), Ok(v));
        }

        #[test]
        fn any_bytes_give_a_value_or_an_error(data in prop::collection::vec(any::<u8>(), 0..600)) {
            // Reading ends, and holds no more values than it read bytes.
            if let Ok(v) = decode_all(&data) {
                prop_assert!(v.len() <= data.len());
            }
        }

        #[test]
        fn every_cut_of_an_object_is_refused(
            v in prop::collection::vec(("[a-z]{1,8}", values()), 1..6).prop_map(Value::Object),
            at in any::<prop::sample::Index>(),
        ) {
            let mut out = Vec::new();
            encode(&mut out, &[v]);
            let at = 1 + at.index(out.len() - 1);
            prop_assert!(decode_all(&out[..at]).is_err());
        }
    }

    // limits-and-faults 6.
    #[test]
    fn deep_wide_and_long_values_are_refused_without_recursion() {
        let deep: Vec<u8> = [0x03, 0, 1, b'a'].repeat(10_000);
        assert_eq!(decode_all(&deep), Err(Amf0Error::Depth));
        let arrays: Vec<u8> = [0x0a, 0, 0, 0, 1].repeat(10_000);
        assert_eq!(decode_all(&arrays), Err(Amf0Error::Depth));
        assert_eq!(decode_all(&[0x0a, 0xff, 0xff, 0xff, 0xff]), Err(Amf0Error::Properties));
        assert_eq!(decode_all(&[0x0c, 0xff, 0xff, 0xff, 0xff]), Err(Amf0Error::String));
        assert_eq!(decode_all(&[0x02, 0xff, 0xff, b'x']), Err(Amf0Error::Truncated));
        assert_eq!(decode_all(&vec![0x05; MAX_PROPERTIES + 1]), Err(Amf0Error::Properties));
        assert_eq!(decode_all(&[0x11]), Err(Amf0Error::Marker));
        let mut nested = Value::Null;
        for _ in 0..MAX_DEPTH {
            nested = Value::Array(vec![nested]);
        }
        let mut out = Vec::new();
        encode(&mut out, &[nested.clone()]);
        assert!(decode_all(&out).is_ok());
        out.clear();
        encode(&mut out, &[Value::Array(vec![nested])]);
        assert_eq!(decode_all(&out), Err(Amf0Error::Depth));
    }

    #[test]
    fn an_ecma_array_may_end_with_the_message() {
        let mut data = vec![0x08, 0, 0, 0, 9];
        data.extend([0, 1, b'w', 0x01, 1]);
        let expect = vec![Value::Object(vec![("w".into(), Value::Boolean(true))])];
        assert_eq!(decode_all(&data), Ok(expect.clone()));
        data.extend([0, 0, 9]);
        assert_eq!(decode_all(&data), Ok(expect));
    }

    #[test]
    fn strings_that_are_not_utf8_never_pass_as_a_name() {
        let v = decode_all(&[0x02, 0, 2, 0xc0, 0xae]).unwrap();
        assert_eq!(v, [Value::String("\u{fffd}\u{fffd}".into())]);
    }
}
