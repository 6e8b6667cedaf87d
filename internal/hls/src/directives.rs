//! Delivery directives (RFC 8216bis §6.2.5): `_HLS_msn`, `_HLS_part`, `_HLS_skip`.

use std::fmt;

use media::Msn;
use thiserror::Error;

/// What a playlist request asks for. `Display` gives the canonical query, which is the cache key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Directives {
    /// Answer once this segment (or its `part`) is there.
    pub msn: Option<Msn>,
    /// Answer once this part of `msn` is there.
    pub part: Option<u32>,
    /// A delta update will do (`YES` and `v2` are alike here: there are no date ranges to skip).
    pub skip: bool,
}

/// Why directives are answered 400. The text never repeats the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DirectiveError {
    /// The same directive twice.
    #[error("a delivery directive is given twice")]
    Duplicate,
    /// Not a non-negative decimal integer in range.
    #[error("_HLS_msn and _HLS_part must be non-negative decimal integers")]
    Number,
    /// §6.2.5.2: `_HLS_part` needs `_HLS_msn`.
    #[error("_HLS_part needs _HLS_msn")]
    PartWithoutMsn,
    /// §6.2.5.1 knows `YES` and `v2`.
    #[error("_HLS_skip must be YES or v2")]
    Skip,
}

impl Directives {
    /// Reads a query string, without its `?`. Other parameters are ignored.
    ///
    /// # Errors
    /// [`DirectiveError`] for duplicates, for what is not a number, for a part without a segment.
    pub fn parse(query: &str) -> Result<Self, DirectiveError> {
        let mut found = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "_HLS_msn" => set(&mut found.msn, number(value)?)?,
                "_HLS_part" => {
                    let part = u32::try_from(number(value)?).map_err(|_| DirectiveError::Number)?;
                    set(&mut found.part, part)?;
                }
                "_HLS_skip" if found.skip => return Err(DirectiveError::Duplicate),
                "_HLS_skip" if matches!(value, "YES" | "v2") => found.skip = true,
                "_HLS_skip" => return Err(DirectiveError::Skip),
                _ => {}
            }
        }
        if found.part.is_some() && found.msn.is_none() {
            return Err(DirectiveError::PartWithoutMsn);
        }
        Ok(found)
    }

    /// Whether the answer depends on what the request waits for.
    pub const fn blocks(&self) -> bool {
        self.msn.is_some()
    }
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), DirectiveError> {
    if slot.replace(value).is_some() { Err(DirectiveError::Duplicate) } else { Ok(()) }
}

fn number(s: &str) -> Result<u64, DirectiveError> {
    // `parse` alone would take a sign.
    if s.is_empty() || !s.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DirectiveError::Number);
    }
    s.parse().map_err(|_| DirectiveError::Number)
}

impl fmt::Display for Directives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lead = "";
        if let Some(msn) = self.msn {
            write!(f, "_HLS_msn={msn}")?;
            lead = "&";
        }
        if let Some(part) = self.part {
            write!(f, "{lead}_HLS_part={part}")?;
            lead = "&";
        }
        if self.skip {
            write!(f, "{lead}_HLS_skip=YES")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_in_any_order_and_others_ignored() {
        let want = Directives { msn: Some(7), part: Some(2), skip: true };
        for q in
            ["_HLS_msn=7&_HLS_part=2&_HLS_skip=v2", "a=b&_HLS_skip=YES&_HLS_part=2&x&_HLS_msn=007&_HLS_foo=1"]
        {
            assert_eq!(Directives::parse(q), Ok(want), "{q}");
        }
        assert_eq!(Directives::parse(""), Ok(Directives::default()));
        assert_eq!(Directives::parse("CMCD=sid%3D%22x%22"), Ok(Directives::default()));
    }

    #[test]
    fn clause_21_what_is_no_number_is_refused() {
        for q in [
            "_HLS_msn=",
            "_HLS_msn",
            "_HLS_msn=-1",
            "_HLS_msn=+1",
            "_HLS_msn=1.5",
            "_HLS_msn=x",
            "_HLS_msn=18446744073709551616",
            "_HLS_msn=1&_HLS_part=4294967296",
            "_HLS_msn=1&_HLS_part=-1",
            "_HLS_msn=%31",
        ] {
            assert_eq!(Directives::parse(q), Err(DirectiveError::Number), "{q}");
        }
        assert_eq!(Directives::parse("_HLS_part=1"), Err(DirectiveError::PartWithoutMsn));
        assert_eq!(Directives::parse("_HLS_skip=no"), Err(DirectiveError::Skip));
    }

    #[test]
    fn clause_50_duplicates_are_refused_and_the_key_is_canonical() {
        for q in ["_HLS_msn=1&_HLS_msn=1", "_HLS_msn=1&_HLS_part=1&_HLS_part=2", "_HLS_skip=YES&_HLS_skip=v2"]
        {
            assert_eq!(Directives::parse(q), Err(DirectiveError::Duplicate), "{q}");
        }
        let d = Directives::parse("z=1&_HLS_skip=v2&_HLS_part=03&_HLS_msn=4").unwrap();
        assert_eq!(d.to_string(), "_HLS_msn=4&_HLS_part=3&_HLS_skip=YES");
        assert_eq!(Directives::parse(&d.to_string()), Ok(d));
        assert_eq!(Directives::default().to_string(), "");
    }
}
