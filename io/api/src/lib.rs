//! HTTP, on three doors (design: ports and their client-certificate rules).
//!
//! * [`devices`]: for devices, client certificates welcome: EST (RFC 7030), revocation list, checkpoints.
//! * [`people`]: for people and programs, over HTTPS, and over HTTP on loopback for the first sign-in.
//!
//! Every handler reads what came in, asks the control plane, and writes what came of it; decisions are
//! made further in.

pub mod devices;
mod door;
mod est;
pub mod limits;
mod meters;
mod ocsp;
mod onlooker;
mod open_api;
mod pages;
mod payload;
pub mod people;
mod problem;
mod rest;
mod revocation;
mod serve;
mod websocket;

pub use door::Transport;
pub use meters::{BrokerLimits, Limit, Meters};
pub use onlooker::{EnterWire, Onlookers};
pub use pages::Passkeys;
pub use people::{Bounds, Doorstep, People};
pub use revocation::RevocationLists;
pub use serve::{Caller, serve_local, serve_tls};
pub use websocket::{TakeMqtt, WebSocketStream};
