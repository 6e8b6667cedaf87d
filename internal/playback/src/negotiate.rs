//! Content coding and validators: which form of a representation, and whether the client holds it.

use http::{HeaderMap, header};

/// Whether the client takes gzip (RFC 9110 §12.5.3): named or by `*`, with a weight above zero.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut named, mut any) = (None, None);
    for item in list(headers, header::ACCEPT_ENCODING) {
        let mut params = item.split(';').map(str::trim);
        let coding = params.next().unwrap_or_default();
        let weight = params.find_map(quality).unwrap_or(1.0);
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            named = Some(weight);
        } else if coding == "*" {
            any = Some(weight);
        }
    }
    named.or(any).is_some_and(|q| q > 0.0)
}

/// Whether `If-None-Match` names `etag`, a strong tag with its quotes (RFC 9110 §13.1.2, weak comparison).
pub(crate) fn is_held(headers: &HeaderMap, etag: &str) -> bool {
    list(headers, header::IF_NONE_MATCH)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The items of a comma-separated header. Our own tags hold no comma, so a plain split is enough.
fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(str::trim)
        .filter(|v| !v.is_empty())
}

fn quality(param: &str) -> Option<f32> {
    let (name, value) = param.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    // A weight that cannot be read asks for nothing.
    Some(value.trim().parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for v in values {
            headers.append(name, HeaderValue::from_str(v).unwrap());
        }
        headers
    }

    /// Clause 45.
    #[test]
    fn gzip_follows_the_weights() {
        for (value, want) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("*", true),
            ("identity;q=0.5, *;q=0.1", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, *", false),
            ("gzip ; q=0", false),
            ("*;q=0", false),
            ("identity", false),
            ("br", false),
            ("", false),
            ("gzip;q=x", false),
        ] {
            assert_eq!(accepts_gzip(&with(&header::ACCEPT_ENCODING, &[value])), want, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
        assert!(accepts_gzip(&with(&header::ACCEPT_ENCODING, &["br", "gzip"])));
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for (value, want) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(is_held(&with(&header::IF_NONE_MATCH, &[value]), "\"a\""), want, "{value}");
        }
    }
}
