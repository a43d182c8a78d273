//! What becomes of readings: taken or refused, kept in memory, sealed into chunks, asked for.
//!
//! [`Intake`] turns the payload of a message into a [`Batch`] of typed readings as the profile and the
//! grants allow; the batch is what the journal holds. [`Head`] keeps the newest points of each series,
//! [`seal`] makes chunks of them (pco), [`Buckets`] and [`Merged`] answer questions from chunks and head.
//!
//! Pure: no clock, no I/O, no encryption; `io/store` owns all three.

mod bytes;
mod chunk;
mod error;
mod foreign;
mod head;
mod intake;
pub mod journal;
pub mod limits;
mod points;
pub mod query;
mod retention;
mod series;

pub use chunk::{Summary, open, seal, summary};
pub use error::TelemetryError;
pub use head::{Head, Kept};
pub use hedgerow_base::DeviceKey;
pub use intake::{Intake, Reason, Refusals};
pub use journal::{Batch, Reading, Readings};
pub use points::Points;
pub use query::{Bucket, Buckets, Merged, Range};
pub use retention::expires_before;
pub use series::{SeriesId, SeriesSpec, layout, name_at, slot};
