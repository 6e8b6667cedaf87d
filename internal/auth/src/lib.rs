//! Is this action on this path allowed for these credentials?
//!
//! [`Tokens`] mints and checks publish tokens, [`Policy`] decides on publishing and reading, [`AdminRule`] on admin
//! calls (contract "Tokens", "Admin"). Whether a right token was already used is the registry's to say. No text
//! made here repeats anything that a client sent.

mod admin;
mod policy;
mod secret;
mod tokens;

pub use admin::{AdminDenied, AdminRequest, AdminRule, bearer};
pub use policy::{Policy, Publish};
pub use secret::{Secret, load_secret};
pub use tokens::{Denied, Grant, Minted, Tokens};
