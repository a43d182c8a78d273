//! Devices as the hub knows them: the record, the one table of lifecycle transitions, names and labels,
//! and the filter by which people find them.
//!
//! It decides nothing about certificates (that is `identity`) and keeps nothing (that is `io/store`).

mod device;
mod filter;
mod lifecycle;
pub mod limits;
mod name;

pub use device::{Certificate, Device, KeyStorage};
pub use filter::{Filter, FilterProblem, Page};
pub use hedgerow_base::DeviceKey;
pub use lifecycle::{State, Step, WrongStep};
pub use name::{Label, NameProblem, check_name};
