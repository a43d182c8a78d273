//! What a device can say: its profile, typed values, units, and readings on the wire.
//!
//! A [`Profile`] is a W3C Thing Model (Thing Description 1.1, section 10) with the `hedgerow:`
//! vocabulary of `docs/guide/profile.md`. Readings travel as SenML packs (RFC 8428, JSON and CBOR) or
//! as single values; [`senml::Pack`] reads them without allocating for each record.
//!
//! `no_std` with `alloc`. Pure: `now` is an argument. Exceptions to the standards: of TD 1.1 only the
//! data schemas `boolean`, `integer`, `number` and `string` are taken; `tm:extends` and `tm:ref` must be
//! resolved before; SenML XML and EXI are not read, and CBOR strings in pieces are refused.
//!
//! ```
//! use hedgerow_base::Timestamp;
//! use hedgerow_model::{Profile, ValueRef, senml::{Measured, Pack}};
//!
//! let profile = Profile::parse(hedgerow_model::LINUX_HOST.as_bytes())?;
//! let now = Timestamp::from_secs(1_800_000_000);
//! let mut pack = Pack::json(br#"[{"n":"cpuPercent","t":-1,"v":21.54}]"#, now)?;
//! let record = pack.next_record()?.expect("one record");
//! assert_eq!(record.time, now.plus_ms(-1000));
//! let Measured::Value(value) = record.measured else { panic!("a value") };
//! let property = profile.property(record.name).expect("declared");
//! assert_eq!(property.fit(value), Ok(ValueRef::Number(21.5)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod json;
pub mod limits;
pub mod mapping;
pub mod profile;
pub mod senml;
pub mod single;
pub mod sparkplug;
mod tree;
pub mod unit;
mod value;

pub use json::NotJson;
pub use profile::{
    ESPHOME_SENSOR_SWITCH, LINUX_HOST, Misfit, Profile, ProfileError, Property, SHELLY_PLUS_1PM,
    SPARKPLUG_B_NODE, Shape, TASMOTA_PLUG, ZIGBEE2MQTT_BRIDGE, ZIGBEE2MQTT_SENSOR,
};
pub use value::{Kind, Value, ValueRef, double, whole};
