//! A hub as a process, and devices that speak to it: what whole-product tests are made of.
//!
//! [`RunningHub`] starts the real program on free ports of loopback in a folder of its own and can be killed at any
//! moment; [`TestDevice`] enrols by EST and speaks MQTT over mutual TLS, one packet at a time; [`Courier`] keeps what QoS 2
//! wants a client to keep;
//! [`Tester`] says what it is told to, [`burst`] and [`talk`] are thousands of clients at once, and [`Swtpm`] is a TPM 2.0.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this crate is only for tests"
)]

mod burst;
mod courier;
mod device;
mod hub;
mod swtpm;
mod talk;
mod tester;

pub use burst::{Burst, burst};
pub use courier::Courier;
pub use device::{Answer, TestDevice};
pub use hub::RunningHub;
pub use swtpm::Swtpm;
pub use talk::talk;
pub use tester::{Tester, connect_311, packet_bytes, subscribe_bytes};
