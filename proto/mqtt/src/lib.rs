//! MQTT 3.1.1 and 5.0 for both ends: packets, topics, and the machines of a session.
//!
//! * [`split`] cuts a stream into frames, [`Packet::decode`] reads a frame into borrowed views and
//!   [`Packet::encode`] writes one. Neither allocates.
//! * [`topic`] checks and matches, [`TopicTree`] finds the subscriptions of a topic.
//! * [`Server`] is one connection as a server sees it, with the [`Session`] that outlives it;
//!   [`Client`] is the other end. They do no I/O and read no clock: frames and `now` go in, bytes,
//!   events and the next deadline come out.
//!
//! What it is not: it opens no socket, knows no certificate and decides nobody's permission; `io/wire`
//! drives it. Standards: OASIS MQTT 3.1.1 and 5.0, whole but for enhanced authentication, which the server
//! refuses. Retained messages and shared subscriptions are the driver's.
//!
//! `no_std`. Without the feature `alloc` there are packets, topics and the client.
//!
//! ```
//! use hedgerow_mqtt::{Packet, Publish, Split, Version, split};
//!
//! let mut wire = Vec::new();
//! Publish::at_most_once("field/7/moisture", b"31.5").encode(Version::V5, &mut wire)?;
//! let Split::Whole(frame, rest) = split(&wire, 1024)? else { panic!("cut short") };
//! let Packet::Publish(message) = Packet::decode(frame, Version::V5)? else { panic!("another kind") };
//! assert_eq!((message.topic, message.payload, rest.len()), ("field/7/moisture", &b"31.5"[..], 0));
//! # Ok::<(), hedgerow_mqtt::Error>(())
//! ```
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod acks;
mod bytes;
mod client;
mod connect;
#[cfg(feature = "alloc")]
mod delivery;
mod error;
mod frame;
pub mod limits;
mod packet;
mod property;
mod publish;
mod reason;
#[cfg(feature = "alloc")]
mod server;
#[cfg(feature = "alloc")]
mod session;
mod subscribe;
pub mod topic;
#[cfg(feature = "alloc")]
mod tree;

pub use acks::{Ack, Auth, Disconnect};
pub use bytes::{Buffer, Fixed};
pub use client::{Client, ClientEvent};
pub use connect::{ConnAck, Connect, Will};
#[cfg(feature = "alloc")]
pub use delivery::DeliveryOptions;
pub use error::Error;
pub use frame::{Frame, Split, split};
pub use packet::{Packet, PacketId, PacketKind, QoS, Version};
pub use property::{Place, Properties, PropertyId, PropertyWriter, Value};
pub use publish::Publish;
pub use reason::ReasonCode;
#[cfg(feature = "alloc")]
pub use server::{Aliased, Closed, Delivery, Event, KeptWill, Later, Server, Settings};
#[cfg(feature = "alloc")]
pub use session::{Kept, QueueBounds, QueuePolicy, Session};
pub use subscribe::{
    Filters, Names, SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe,
};
#[cfg(feature = "alloc")]
pub use tree::TopicTree;
