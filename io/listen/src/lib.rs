//! Connections and who is at their other end.
//!
//! The client half ([`client`]) is what a device needs: TLS 1.3 to a hub that is known by its root, or,
//! at the first contact, by the fingerprint in a claim code. The server half (feature `server`) is the
//! only maker of proven [`Peer`](hedgerow_policy::Peer)s: it takes connections with limits at the door,
//! verifies client certificates and says whose they are, and checks the secrets of programs' tokens.
//!
//! TLS is rustls with aws-lc-rs, 1.3 only but for the door of weak devices, X25519MLKEM768 first. Revocation of single
//! certificates is not judged here: a revoked one of ours passes TLS, so that it can be refused with a reason.
//! One of an issuing CA that is not trusted any more ends in TLS, with the alert certificate_revoked.

#[cfg(feature = "server")]
mod anchors;
#[cfg(feature = "server")]
mod caller;
pub mod client;
mod identity;
pub mod limits;
#[cfg(feature = "server")]
mod proxy;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
mod sources;
mod spki;
#[cfg(feature = "server")]
mod stream;

#[cfg(feature = "server")]
pub use anchors::Anchors;
#[cfg(feature = "server")]
pub use caller::{Caller, NotSignedIn, Proved, Shown, SignIn, Unproven};
pub use identity::{HandshakeKey, Identity};
#[cfg(feature = "server")]
pub use proxy::{Network, NotANetwork, client_address};
#[cfg(feature = "server")]
pub use sources::{SourceLimits, Sources, Visit};
pub use spki::certificate_key;
#[cfg(feature = "server")]
pub use stream::{TlsParcel, TlsStream};

use std::sync::Arc;

use rustls::{
    CipherSuite, SupportedCipherSuite,
    crypto::{CryptoProvider, aws_lc_rs},
};

/// The one cryptographic provider of the product. AES-128 comes first: its key schedule runs on SHA-256,
/// which processors have instructions for.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    let is_first =
        |suite: &SupportedCipherSuite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(|suite| !is_first(suite));
    Arc::new(provider)
}
