//! The few words of TPM 2.0 that a device's key needs: commands to bytes, responses from bytes.
//!
//! After the TCG's TPM 2.0 Library, parts 2 (structures) and 3 (commands), revision 1.59; names are
//! theirs. A [`Command`] is written with [`command`] and its answer read with [`answer`]; what carries
//! the bytes is the caller's. It needs `alloc`, no `std`, and trusts no response: each length has a
//! limit, and nothing may be left over.
//!
//! What it is not: a software stack. There are password authorizations and none by HMAC or policy, no
//! encrypted sessions, keys on P-256 alone, and no words for NV memory, sealing or clearing. Decision 22
//! says why.
//!
//! ```
//! use hedgerow_tpm::{GetRandom, Random, answer, command};
//!
//! let question = command(&GetRandom::of(4)?)?;
//! assert_eq!(question, [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 4]);
//! let Random(bytes) = answer::<GetRandom>(&[0x80, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4])?;
//! assert_eq!(bytes, [1, 2, 3, 4]);
//! # Ok::<(), hedgerow_tpm::Problem>(())
//! ```
#![no_std]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "test data is small"))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod capability;
mod code;
mod command;
mod error;
mod keys;
pub mod limits;
mod object;
mod quote;
mod registers;
mod sign;
mod wire;

pub use capability::{
    Curves, GetCurves, GetEcdsa, GetManufacturer, GetRandom, Manufacturer, Random,
};
pub use code::{Meaning, ResponseCode};
pub use command::{Auth, Command, Handle, answer, command};
pub use error::Problem;
pub use keys::{Create, CreatePrimary, Created, FlushContext, Load, ReadPublic};
pub use object::{Point, Private, Public, Use};
pub use quote::{Attest, Quote, Quoted};
pub use registers::{PcrRead, PcrValues, Pcrs};
pub use sign::{Sign, Signature};
pub use wire::{Reader, Writer};
