//! Telemetry into the whole hub, until it is stored.
//!
//! 1. Packs of 100 readings are encoded before the clock starts.
//! 2. `floor` and `plane` store them without a wire, in processes of their own.
//! 3. `driver` takes them over mutual TLS, acknowledges at once and stores nothing: what MQTT costs.
//! 4. `hedgerow` takes them from as many enrolled devices; a PUBACK means stored.
//! 5. The hub is stopped, its store opened and sealed: all readings have to be there, and its file's size is
//!    what they take on disk.
//!
//! CPU is read some seconds after the last acknowledgement, so that sealing in the background is in it.

mod load;
pub(crate) mod local;
mod packs;

use std::{error::Error, fs, thread, time::Duration};

use hedgerow_base::Timestamp;
use hedgerow_store::readings::system_clock;

use self::{
    load::{Fleet, Publisher, WINDOW},
    packs::{Format, READINGS_A_PACK, packs},
};
use crate::{
    Options,
    hub::{Device, Hub},
    pin,
    process::{Cpu, Server, free_address},
    start_other_tls,
    tls::Authority,
};

/// Time for the hub to seal what became full.
const SETTLE: Duration = Duration::from_secs(2);

/// Packs that everybody stores were of yesterday.
const DAY_MS: i64 = 86_400_000;

/// CPU seconds per million readings and readings a second, one a round.
#[derive(Default)]
struct Row(Vec<(f64, f64)>);

#[derive(Default)]
struct Table {
    floor: Row,
    plane: Row,
    driver: Row,
    hub: Row,
    beyond: Row,
    generator: Vec<f64>,
    disk: Vec<f64>,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    pin()?;
    let authority = Authority::new()?;
    for format in Format::ALL {
        if options.only.as_deref().is_some_and(|only| only != format.word()) {
            continue;
        }
        let mut table = Table::default();
        for _ in 0..options.rounds {
            table.round(format, options, &authority)?;
        }
        table.print(format, options);
    }
    Ok(())
}

impl Table {
    fn round(
        &mut self,
        format: Format,
        options: &Options,
        authority: &Authority,
    ) -> Result<(), Box<dyn Error>> {
        let start = Timestamp::from_ms((system_clock()().as_ms() - DAY_MS) / 1000 * 1000);
        let devices = options.devices;
        let packs = packs(format, devices, options.readings, start)?;
        let readings = packs.len() * READINGS_A_PACK;
        for (what, row) in [("floor", &mut self.floor), ("plane", &mut self.plane)] {
            let used = local::measure(what, format, devices, options.readings, start)?;
            row.add(used, readings);
        }
        #[expect(clippy::cast_precision_loss, reason = "a hundred")]
        let rate = options.rate.map(|rate| rate / READINGS_A_PACK as f64);
        let driver = driver(authority, devices, &packs, rate)?;
        self.driver.add(driver, readings);
        let own = Cpu::of("self")?;
        let (used, directory) = hub(devices, &packs, rate)?;
        self.generator.push(per_million(Cpu::of("self")?.since(own).total(), readings));
        self.hub.add(used, readings);
        self.beyond.add((used.0 - driver.0, used.1), readings);
        let (kept, bytes) = local::sealed(&directory)?;
        fs::remove_dir_all(&directory)?;
        if kept != readings as u64 {
            return Err(format!("{readings} readings acknowledged, {kept} kept").into());
        }
        self.disk.push(ratio(bytes, kept));
        Ok(())
    }

    fn print(&self, format: Format, options: &Options) {
        println!(
            "\nSenML in {}: {} readings of {} devices, {READINGS_A_PACK} a pack, {WINDOW} packs a device on \
             their way, {} rounds",
            format.word(),
            options.readings,
            options.devices,
            options.rounds
        );
        println!(
            "CPU seconds per million readings: lowest, median, highest; readings a second: median"
        );
        for (name, row) in [
            ("floor", &self.floor),
            ("plane", &self.plane),
            ("driver", &self.driver),
            ("hedgerow", &self.hub),
            ("hedgerow - driver", &self.beyond),
        ] {
            let [low, middle, high] = spread(row.0.iter().map(|(cpu, _)| *cpu));
            let [_, rate, _] = spread(row.0.iter().map(|(_, rate)| *rate));
            println!("{name:<18} {low:>6.3} {middle:>6.3} {high:>6.3}   {rate:>10.0}");
        }
        let [low, middle, high] = spread(self.generator.iter().copied());
        println!(
            "the generator beside the hub, enrolment included: {low:.3} {middle:.3} {high:.3}"
        );
        let [low, middle, high] = spread(self.disk.iter().copied());
        println!("bytes a reading on disk, sealed: {low:.3} {middle:.3} {high:.3}");
    }
}

impl Row {
    fn add(&mut self, (cpu, seconds): local::Used, readings: usize) {
        self.0.push((per_million(cpu, readings), ratio_of(readings, seconds)));
    }
}

/// What MQTT over mutual TLS costs: the same packets, acknowledged at once, stored nowhere.
fn driver(
    authority: &Authority,
    devices: usize,
    packs: &[Vec<u8>],
    rate: Option<f64>,
) -> Result<local::Used, Box<dyn Error>> {
    let address = free_address()?;
    let server = start_other_tls("driver", address, authority)?;
    let (identity, root) = (authority.client(), authority.root());
    let publishers: Vec<_> = (0..devices)
        .map(|number| Publisher { identity, root, topic: format!("things/{number:026}/telemetry") })
        .collect();
    let fleet = Fleet::connect(address, &publishers)?;
    publish(&server, fleet, packs, rate)
}

/// The whole hub; also its directory, after it was stopped.
fn hub(
    devices: usize,
    packs: &[Vec<u8>],
    rate: Option<f64>,
) -> Result<(local::Used, std::path::PathBuf), Box<dyn Error>> {
    let hub = Hub::start(None)?;
    let enrolled: Vec<Device> =
        (0..devices).map(|number| hub.enrol(number)).collect::<Result<_, _>>()?;
    let publishers: Vec<_> = enrolled
        .iter()
        .map(|device| Publisher {
            identity: &device.identity,
            root: &device.root,
            topic: format!("things/{}/telemetry", device.id),
        })
        .collect();
    let fleet = Fleet::connect(hub.mqtts, &publishers)?;
    let used = publish(&hub.server, fleet, packs, rate)?;
    Ok((used, hub.server.stop()?.ok_or("a hub without a directory")?))
}

fn publish(
    server: &Server,
    mut fleet: Fleet,
    packs: &[Vec<u8>],
    rate: Option<f64>,
) -> Result<local::Used, Box<dyn Error>> {
    let before = server.cpu()?;
    let seconds = fleet.publish(packs, rate)?;
    thread::sleep(SETTLE);
    Ok((server.cpu()?.since(before).total(), seconds))
}

#[expect(clippy::cast_precision_loss, reason = "counts of readings are far below 2^52")]
fn per_million(cpu: f64, readings: usize) -> f64 {
    cpu / readings as f64 * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts of readings are far below 2^52")]
fn ratio_of(readings: usize, seconds: f64) -> f64 {
    readings as f64 / seconds
}

#[expect(clippy::cast_precision_loss, reason = "counts of readings are far below 2^52")]
fn ratio(bytes: u64, readings: u64) -> f64 {
    bytes as f64 / readings as f64
}

/// Lowest, median and highest.
fn spread(figures: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    [at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1))]
}
