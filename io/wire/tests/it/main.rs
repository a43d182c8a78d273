//! The driver over real loopback sockets, with a gate that does what topics and names ask of it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod census;
mod defaults;
mod delivery;
mod faults;
mod gate;
mod grants;
mod kept;
mod limits;
mod long_topics;
mod moves;
mod peer;
mod sessions;
mod shards;
mod sign_in;
mod standing;
mod whole;
mod wills;
