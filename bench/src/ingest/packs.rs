//! What 100 Linux hosts would say: packs of ten seconds, ten properties each, rounded as the profile's
//! precision asks, times to the second.

use std::error::Error;

use hedgerow_base::Timestamp;
use hedgerow_model::{
    LINUX_HOST, Profile, ValueRef,
    senml::{Entry, encode_cbor, encode_json},
};

/// Seconds that one pack covers; the profile has ten properties.
const SECONDS_A_PACK: usize = 10;
/// Readings in one pack.
pub(crate) const READINGS_A_PACK: usize = 100;

/// How packs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Cbor,
}

impl Format {
    pub(crate) const ALL: [Self; 2] = [Self::Json, Self::Cbor];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cbor => "cbor",
        }
    }
}

/// Packs of `devices` devices: all of the first round, then all of the second.
pub(crate) fn packs(
    format: Format,
    devices: usize,
    readings: usize,
    start: Timestamp,
) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let profile = Profile::parse(LINUX_HOST.as_bytes())?;
    if profile.properties().len() * SECONDS_A_PACK != READINGS_A_PACK {
        return Err("the profile has no longer ten properties".into());
    }
    let mut hosts: Vec<Host> = (1u64..).take(devices).map(Host::new).collect();
    let rounds = readings / (devices * READINGS_A_PACK).max(1);
    let mut packs = Vec::with_capacity(rounds * devices);
    for round in 0..rounds {
        for host in &mut hosts {
            let mut entries = Vec::with_capacity(READINGS_A_PACK);
            for second in 0..SECONDS_A_PACK {
                let elapsed = i64::try_from(round * SECONDS_A_PACK + second)?;
                let time = start.plus_ms(elapsed * 1000);
                let properties = profile.properties().iter();
                entries.extend(properties.map(|property| {
                    let value = host.measure(&property.name, elapsed);
                    Entry { name: &property.name, unit: None, time, value }
                }));
            }
            packs.push(encode(format, &entries));
        }
    }
    Ok(packs)
}

fn encode(format: Format, entries: &[Entry<'_>]) -> Vec<u8> {
    match format {
        Format::Json => {
            let mut text = String::new();
            encode_json("", entries, &mut text);
            text.into_bytes()
        }
        Format::Cbor => {
            let mut bytes = Vec::new();
            encode_cbor("", entries, &mut bytes);
            bytes
        }
    }
}

/// A machine that idles along: walks with noise.
struct Host {
    random: u64,
    cpu: f64,
    load: f64,
    memory_pages: f64,
    temperature: f64,
}

impl Host {
    fn new(number: u64) -> Self {
        let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { random, cpu: 20.0, load: 0.4, memory_pages: 900_000.0, temperature: 45.0 }
    }

    /// From 0 to 1, xorshift.
    fn uniform(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for noise")]
        let share = (self.random >> 11) as f64 / (1u64 << 53) as f64;
        share
    }

    /// From -1 to 1.
    fn noise(&mut self) -> f64 {
        self.uniform() * 2.0 - 1.0
    }

    fn measure(&mut self, name: &str, elapsed: i64) -> ValueRef<'static> {
        const PAGES: f64 = 2_097_152.0;
        let number = |value: f64, parts: f64| ValueRef::Number((value * parts).round() / parts);
        match name {
            "cpuPercent" => {
                self.cpu = (self.cpu * 0.9 + 2.0 + self.noise() * 3.0).clamp(0.0, 100.0);
                number(self.cpu, 10.0)
            }
            "load1" => {
                self.load = (self.load + (0.4 - self.load) * 0.016 + self.noise() * 0.02).max(0.0);
                number(self.load, 100.0)
            }
            "memoryUsedPercent" => {
                let towards = (900_000.0 - self.memory_pages) * 0.01;
                self.memory_pages = (self.memory_pages + towards + self.noise() * 250.0).max(0.0);
                number(self.memory_pages / PAGES * 100.0, 10.0)
            }
            #[expect(clippy::cast_possible_truncation, reason = "below two million")]
            "memoryUsedBytes" => ValueRef::Integer(self.memory_pages as i64 * 4096),
            "memoryTotalBytes" => ValueRef::Integer(8 << 30),
            "diskUsedPercent" => number(61.3, 10.0),
            "networkReceivedBytesPerSecond" | "networkSentBytesPerSecond" => {
                // Bursts: most seconds are quiet, a few are loud.
                number(-2_000.0 * (1.0 - self.uniform()).ln(), 1.0)
            }
            "temperatureCelsius" => {
                self.temperature += (45.0 - self.temperature) * 0.05 + self.noise() * 0.3;
                number(self.temperature, 10.0)
            }
            _ => ValueRef::Integer(86_400 + elapsed),
        }
    }
}
