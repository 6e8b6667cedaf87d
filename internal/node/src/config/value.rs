//! The forms that values of settings take: durations, addresses, lists, secrets.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Ten years: added to any clock it overflows none.
const MAX_DURATION: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A value as it stands in a layer, before its key gives it a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Text, a number or a truth value, as written.
    Text(String),
    /// A TOML list of texts.
    List(Vec<String>),
}

impl Raw {
    fn one(&self) -> Result<&str, String> {
        match self {
            Self::Text(s) => Ok(s.trim()),
            Self::List(_) => Err("takes one value, not a list".into()),
        }
    }

    /// As text.
    pub(crate) fn text(&self) -> Result<String, String> {
        self.one().map(str::to_owned)
    }

    /// As text, where nothing means unset.
    pub(crate) fn optional(&self) -> Result<Option<String>, String> {
        Ok(Some(self.text()?).filter(|s| !s.is_empty()))
    }

    /// As a secret, where nothing means unset.
    pub(crate) fn secret(&self) -> Result<Option<Secret>, String> {
        Ok(self.optional()?.map(Secret))
    }

    /// As a whole number.
    pub(crate) fn integer<T: std::str::FromStr>(&self) -> Result<T, String> {
        self.one()?.parse().map_err(|_| "takes a whole number in range, such as 100".into())
    }

    /// As a whole number, where nothing means unset.
    pub(crate) fn optional_integer<T: std::str::FromStr>(&self) -> Result<Option<T>, String> {
        if self.optional()?.is_none() { Ok(None) } else { self.integer().map(Some) }
    }

    /// As a truth value.
    pub(crate) fn boolean(&self) -> Result<bool, String> {
        match self.one()? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("takes true or false".into()),
        }
    }

    /// As a duration.
    pub(crate) fn duration(&self) -> Result<Duration, String> {
        parse_duration(self.one()?)
    }

    /// As an address to listen on.
    pub(crate) fn addr(&self) -> Result<ListenAddr, String> {
        self.one()?.parse()
    }

    /// As an address to listen on, where nothing means unset.
    pub(crate) fn optional_addr(&self) -> Result<Option<ListenAddr>, String> {
        self.optional()?.map(|s| s.parse()).transpose()
    }

    /// As a list; text is split at commas.
    pub(crate) fn list(&self) -> Result<Vec<String>, String> {
        let items: Vec<String> = match self {
            Self::Text(s) => s.split(',').map(|p| p.trim().to_owned()).collect(),
            Self::List(l) => l.clone(),
        };
        Ok(items.into_iter().filter(|s| !s.is_empty()).collect())
    }

    /// As one of a few words.
    pub(crate) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        let given = self.one()?;
        words.iter().find(|(w, _)| *w == given).map(|(_, v)| *v).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
            format!("takes one of {}", known.join(", "))
        })
    }
}

/// Reads `2s`, `340ms`, `1h30m`, `1.5s`, `0`: numbers with a unit (h, m, s, ms), added up, ten years at most.
///
/// # Errors
/// A text that says what a duration looks like.
pub fn parse_duration(s: &str) -> Result<Duration, String> {
    let bad = || "takes a duration such as 2s, 340ms or 1h30m".to_owned();
    if s == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = s;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let seconds_a_unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return Err(bad()),
        };
        let number: f64 = number.parse().map_err(|_| bad())?;
        let step = Duration::try_from_secs_f64(number * seconds_a_unit).map_err(|_| bad())?;
        total = total.checked_add(step).ok_or_else(bad)?;
        rest = tail;
    }
    if total > MAX_DURATION {
        return Err("takes a duration of ten years at most".into());
    }
    if s.is_empty() { Err(bad()) } else { Ok(total) }
}

/// An address to listen on. Port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// `:port`: all interfaces, IPv4 and IPv6 alike.
    Any(u16),
    /// `host:port`, the host a name or an address (IPv6 in brackets).
    Host(String, u16),
}

impl Default for ListenAddr {
    fn default() -> Self {
        Self::Any(0)
    }
}

impl ListenAddr {
    /// The port as configured.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Any(port) | Self::Host(_, port) => *port,
        }
    }

    /// The address, if the host is an IP address or all interfaces.
    pub fn literal(&self) -> Option<SocketAddr> {
        match self {
            Self::Any(port) => Some(SocketAddr::from(([0u16; 8], *port))),
            Self::Host(host, port) => host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, *port)),
        }
    }
}

impl std::str::FromStr for ListenAddr {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || "takes an address such as 127.0.0.1:8080, [::1]:8080 or :8080".to_owned();
        let (host, port) = s.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        if host.is_empty() {
            return Ok(Self::Any(port));
        }
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                let ip = inner.strip_suffix(']').ok_or_else(bad)?;
                ip.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
                ip
            }
            None if host.contains(':') || host.contains(char::is_whitespace) => return Err(bad()),
            None => host,
        };
        Ok(Self::Host(host.to_owned(), port))
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(port) => write!(f, ":{port}"),
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// A text that never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(s: &str) -> Self {
        Self(s.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_the_contract_writes_them() {
        for (text, ms) in [
            ("2s", 2_000),
            ("340ms", 340),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("0", 0),
            ("0s", 0),
            ("1m0s", 60_000),
            ("24h0m0s", 86_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "2", "s", "2 s", "-2s", "2d", "1h30", "1..5s", "9999999999999999999999h", "2s,"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_duration("87600h"), Ok(MAX_DURATION));
        assert!(parse_duration("87600h1ms").unwrap_err().contains("ten years"));
    }

    #[test]
    fn addresses_read_as_the_contract_writes_them() {
        for ok in [":8080", ":0", "127.0.0.1:8080", "[::1]:1935", "localhost:80", "0.0.0.0:1"] {
            assert_eq!(ok.parse::<ListenAddr>().map(|a| a.to_string()), Ok(ok.to_owned()));
        }
        for bad in ["", "8080", "host:", ":65536", "::1:80", "[::1:80", "[x]:80", "a b:80"] {
            assert!(bad.parse::<ListenAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        assert!(!format!("{:?}", Secret::from("hunter2")).contains("hunter2"));
    }
}
