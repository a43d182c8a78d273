//! Measures the hub in CPU seconds per million operations, against a peer and a floor in the same run.
//!
//! `hedgerow-bench mqtt [--seconds S] [--rounds R] [--only WORD]`: QoS 0, 100 publishers to one
//! subscriber, 64-byte payload, 3.1.1; one message a write, and sixteen. The server runs on core 0, the
//! generator on core 1; needs `taskset`, and `mosquitto` as the peer.

mod generator;
mod process;

use std::{
    env,
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use generator::{Generator, Load, Seen};
use process::{Cpu, GENERATOR_CORE, Server, free_address};

const WARM_UP: Duration = Duration::from_secs(1);

const SCENARIOS: [(&str, Load); 2] = [
    ("one message a write", Load { publishers: 100, batch: 1, window: 16 }),
    ("16 messages a write", Load { publishers: 100, batch: 16, window: 32 }),
];

struct Options {
    seconds: u64,
    rounds: u64,
    only: Option<String>,
}

/// One server in one scenario, over all rounds.
#[derive(Clone, Copy, Default)]
struct Row {
    cpu: f64,
    user: f64,
    generator_cpu: f64,
    seconds: f64,
    seen: Seen,
}

impl Row {
    fn per_million(&self, cpu: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
        let delivered = self.seen.delivered as f64;
        cpu / delivered * 1e6
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        Some("mqtt") => mqtt(&options(arguments)?),
        _ => Err("usage: hedgerow-bench mqtt [--seconds S] [--rounds R] [--only WORD]".into()),
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options { seconds: 4, rounds: 3, only: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--seconds" => options.seconds = value.parse()?,
            "--rounds" => options.rounds = value.parse()?,
            "--only" => options.only = Some(value),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(options)
}

/// Where the programs of this crate were built.
fn beside(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    Ok(env::current_exe()?.with_file_name(name))
}

fn start(name: &str, address: SocketAddr) -> Result<Server, Box<dyn Error>> {
    let at = address.to_string();
    match name {
        "hedgerow" => Server::start(&beside("mqtt-hub")?, &[&at], address),
        "floor" => Server::start(&beside("mqtt-floor")?, &[&at], address),
        _ => {
            let file = env::temp_dir().join(format!("hedgerow-bench-{}.conf", address.port()));
            // The peer drops messages beyond its queue; without a limit it delivers all of them.
            let text = format!(
                "listener {} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nlog_type none\n",
                address.port()
            );
            fs::write(&file, text)?;
            let path = file.to_string_lossy();
            let server = Server::start(Path::new("/usr/sbin/mosquitto"), &["-c", &path], address);
            fs::remove_file(&file)?;
            server
        }
    }
}

fn mqtt(options: &Options) -> Result<(), Box<dyn Error>> {
    let pinned = Command::new("taskset")
        .args(["-cp", GENERATOR_CORE, &std::process::id().to_string()])
        .output()?;
    if !pinned.status.success() {
        return Err("taskset can't pin the generator to its core".into());
    }
    for (title, load) in SCENARIOS {
        println!("\nQoS 0, {} publishers to 1 subscriber, {title}", load.publishers);
        println!("CPU seconds per million delivered; window {} a publisher", load.window);
        println!("{HEADING}");
        let names = ["mosquitto", "hedgerow", "floor"];
        let mut rows = [Row::default(); 3];
        for _ in 0..options.rounds {
            for (name, row) in names.iter().zip(&mut rows) {
                if options.only.as_deref().is_none_or(|only| only == *name) {
                    measure(name, load, options.seconds, row)?;
                }
            }
        }
        print(&names, &rows);
    }
    Ok(())
}

const HEADING: &str =
    "server        total    user  system | of peer | generator   delivered/s    lost  duplicated";

fn measure(name: &str, load: Load, seconds: u64, row: &mut Row) -> Result<(), Box<dyn Error>> {
    let address = free_address()?;
    let server = start(name, address)?;
    let mut generator = Generator::open(address, load)?;
    generator.run(WARM_UP)?;
    let (server_before, own_before) = (server.cpu()?, Cpu::of("self")?);
    let seen = generator.run(Duration::from_secs(seconds))?;
    let (used, own) = (server.cpu()?.since(server_before), Cpu::of("self")?.since(own_before));
    row.cpu += used.total();
    row.user += used.user;
    row.generator_cpu += own.total();
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    let seconds = seconds as f64;
    row.seconds += seconds;
    row.seen.delivered += seen.delivered;
    row.seen.lost += seen.lost;
    row.seen.duplicated += seen.duplicated;
    Ok(())
}

fn print(names: &[&str], rows: &[Row]) {
    let peer =
        rows.first().filter(|row| row.seen.delivered > 0).map(|row| row.per_million(row.cpu));
    for (name, row) in names.iter().zip(rows).filter(|(_, row)| row.seen.delivered > 0) {
        let (total, user) = (row.per_million(row.cpu), row.per_million(row.user));
        let of_peer = peer.map_or(f64::NAN, |peer| total / peer);
        #[expect(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
        let rate = row.seen.delivered as f64 / row.seconds;
        println!(
            "{name:<12} {total:>6.3}  {user:>6.3}  {:>6.3} |  {of_peer:>5.3}  |  {:>6.3}   {rate:>12.0}  {:>6}  {:>10}",
            total - user,
            row.per_million(row.generator_cpu),
            row.seen.lost,
            row.seen.duplicated,
        );
    }
}
