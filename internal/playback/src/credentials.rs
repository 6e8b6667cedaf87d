//! What a viewer shows to prove who it is: query parameters, or a Bearer value.

use http::{HeaderMap, header};
use media::Credentials;
use percent_encoding::percent_decode_str;

/// Reads `token`, `jwt`, `user` and `pass` of the query, and `Authorization: Bearer`. The query wins.
pub(crate) fn of(headers: &HeaderMap, query: &str) -> Credentials {
    let mut found = Credentials::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let slot = match name {
            "token" | "jwt" => &mut found.token,
            "user" => &mut found.user,
            "pass" => &mut found.pass,
            _ => continue,
        };
        // The first of several counts; what is no UTF-8 is nobody's credential.
        if slot.is_none() {
            *slot = percent_decode_str(value).decode_utf8().ok().map(Into::into);
        }
    }
    if found.token.is_none() {
        let sent = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        found.token = sent.and_then(auth::bearer).map(str::to_owned);
    }
    found
}
