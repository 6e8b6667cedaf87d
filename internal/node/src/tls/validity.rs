//! From when to when a certificate is valid: the one thing in it that the TLS library does not tell.

use std::time::{Duration, SystemTime};

use time::{Date, Month, PrimitiveDateTime, Time};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT Version`, which X.509 v1 certificates lack.
const VERSION: u8 = 0xa0;

/// The two ends of a certificate's validity (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
}

impl Validity {
    /// Reads the DER of a certificate; `None` when it is none.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(certificate, SEQUENCE)?;
        let (mut body, _) = expect(certificate, SEQUENCE)?;
        if body.first() == Some(&VERSION) {
            body = skip(body)?;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            body = skip(body)?;
        }
        let (validity, _) = expect(body, SEQUENCE)?;
        let (from, rest) = instant(validity)?;
        let (until, _) = instant(rest)?;
        Some(Self { from, until })
    }
}

/// An element's tag and content, and what follows it. Lengths of up to 4 bytes (X.690 §8.1.3).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|e| e.0 == tag).map(|(_, content, rest)| (content, rest))
}

fn skip(der: &[u8]) -> Option<&[u8]> {
    element(der).map(|e| e.2)
}

/// `YYMMDDHHMMSSZ`, the year in 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn instant(der: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (tag, text, rest) = element(der)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, text) = match tag {
        UTC_TIME => {
            let (year, text) = text.split_at_checked(2)?;
            let year = number(year)?;
            (i32::from(year) + if year < 50 { 2000 } else { 1900 }, text)
        }
        GENERALIZED_TIME => {
            let (year, text) = text.split_at_checked(4)?;
            (i32::from(number(year)?), text)
        }
        _ => return None,
    };
    if text.len() != 10 {
        return None;
    }
    let two = |at: usize| number(text.get(at..at + 2)?).and_then(|n| u8::try_from(n).ok());
    let date = Date::from_calendar_date(year, Month::try_from(two(0)?).ok()?, two(2)?).ok()?;
    let time = Time::from_hms(two(4)?, two(6)?, two(8)?).ok()?;
    let seconds = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
    // A time before 1970 is as good as 1970: long over, or long begun.
    let seconds = u64::try_from(seconds).unwrap_or(0);
    Some((SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), rest))
}

fn number(digits: &str) -> Option<u16> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn made(from: time::OffsetDateTime, until: time::OffsetDateTime) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        (params.not_before, params.not_after) = (from, until);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (from, until) in [
            (datetime!(2026-01-02 03:04:05 UTC), datetime!(2027-11-30 23:59:59 UTC)),
            (datetime!(1999-12-31 00:00:00 UTC), datetime!(2049-12-31 23:59:59 UTC)),
            (datetime!(2049-12-31 00:00:00 UTC), datetime!(2050-01-01 00:00:00 UTC)),
            (datetime!(2051-01-01 00:00:00 UTC), datetime!(9999-12-31 23:59:59 UTC)),
        ] {
            let expected = Validity { from: from.into(), until: until.into() };
            assert_eq!(Validity::of(&made(from, until)), Some(expected));
        }
    }

    #[test]
    fn no_input_panics_and_a_cut_certificate_is_none() {
        let good = made(datetime!(2026-01-02 03:04:05 UTC), datetime!(2027-01-02 03:04:05 UTC));
        for end in 0..good.len() {
            assert_eq!(Validity::of(&good[..end]), None, "cut at {end}");
        }
        for at in 0..good.len().min(200) {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                let _ = Validity::of(&bad);
            }
        }
    }
}
