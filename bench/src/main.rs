//! Measures the hub in CPU seconds per million operations, against a peer and a floor in the same run.
//!
//! `hedgerow-bench mqtt [--seconds S] [--rounds R] [--only WORD] [--scenario N] [--peer COMMAND]`: six
//! loads of 64-byte messages, 3.1.1. The command of another broker has `{port}` where its port belongs;
//! `--subscriptions N` lets other clients have so many that match nothing.
//! `hedgerow-bench idle [--connections N]`: memory of an idle connection with mutual TLS.
//! `hedgerow-bench grants`: time of a check.
//! `hedgerow-bench connect [--seconds S] [--rounds R]`: CPU of a connect with mutual TLS.
//! `hedgerow-bench ingest [--devices N] [--readings N] [--rate N] [--rounds R] [--only json|cbor]`: SenML
//! packs at QoS 1 with mutual TLS, until they are stored, as fast as it goes or so many readings a second;
//! and what they take on disk when they are sealed.
//!
//! `hedgerow` is the whole hub, where it was built beside this program, `durable` the hub with subscribers
//! whose sessions last, so that what it acknowledges is on disk; `driver` is its MQTT driver behind
//! a gate that lets everybody do everything. The server runs on core 0, the generator on core 1; needs `taskset`, and `mosquitto` as the peer.

mod driver;
mod floor;
mod generator;
mod grants;
mod hub;
mod ingest;
mod process;
mod routes;
mod tls;

use std::{
    env,
    error::Error,
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use generator::{Generator, Load, Seen, Takes};
use hedgerow_mqtt::QoS;
use hub::Hub;
use process::{Cpu, GENERATOR_CORE, Server, free_address};
use tls::{Authority, Clients};

const WARM_UP: Duration = Duration::from_secs(1);

const FAN_IN: Load = Load {
    publishers: 100,
    topics: 100,
    subscribers: 1,
    takes: Takes::All,
    qos: QoS::AtMostOnce,
    batch: 1,
    window: 16,
    is_lasting: false,
    payload_bytes: 64,
};

const TEN: Load =
    Load { topics: 10, subscribers: 10, takes: Takes::Own, qos: QoS::AtLeastOnce, ..FAN_IN };

const FAN_OUT: Load = Load { publishers: 1, topics: 1, subscribers: 1000, window: 32, ..FAN_IN };

/// The title, the load, whether over TLS, and the servers that it is for.
const SCENARIOS: [(&str, Load, bool, &[&str]); 6] = [
    ("QoS 0, 100 publishers to 1 subscriber, one message a write", FAN_IN, false, &SERVERS),
    (
        "QoS 0, 100 publishers to 1 subscriber, 16 messages a write",
        Load { batch: 16, window: 32, ..FAN_IN },
        false,
        &SERVERS,
    ),
    ("QoS 1, 100 publishers on 10 topics to 10 subscribers, each of one", TEN, false, &QOS_1),
    (
        "QoS 1, 100 publishers on 10 topics to 10 subscribers, each of all",
        Load { takes: Takes::All, window: 4, ..TEN },
        false,
        &QOS_1,
    ),
    ("QoS 0, 1 publisher to 1000 subscribers", FAN_OUT, false, &SERVERS),
    // The hub's devices publish under things/ only, so its driver stands for it.
    ("QoS 0, 100 to 1, one message a write, mutual TLS 1.3", FAN_IN, true, &OVER_TLS),
];

struct Options {
    seconds: u64,
    rounds: u64,
    connections: u32,
    devices: usize,
    readings: usize,
    rate: Option<f64>,
    only: Option<String>,
    scenario: Option<usize>,
    subscriptions: u32,
    payload: usize,
    peer: Option<String>,
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
        // The servers under measurement, in processes of their own.
        Some("serve-driver") => {
            driver::serve(&arguments.next().ok_or(USAGE)?, arguments.next().as_deref())
        }
        Some("serve-floor") => {
            let (address, gathers_us) = (arguments.next(), arguments.next());
            floor::serve(&address.ok_or(USAGE)?, gathers_us.ok_or(USAGE)?.parse()?)
        }
        Some("store-packs") => ingest::local::store(&arguments.collect::<Vec<_>>()),
        Some("mqtt") => mqtt(&options(arguments)?),
        Some("idle") => idle(&options(arguments)?),
        Some("connect") => connect(&options(arguments)?),
        Some("ingest") => ingest::run(&options(arguments)?),
        Some("grants") => grants::run(),
        Some("routes") => routes::run(),
        _ => Err(USAGE.into()),
    }
}

const USAGE: &str = "usage: hedgerow-bench mqtt|idle|connect|ingest|grants|routes [--seconds S] [--rounds R] \
    [--connections N] [--devices N] [--readings N] [--rate N] [--only SERVER|FORMAT] \
    [--scenario N] [--peer COMMAND] [--subscriptions N] [--payload BYTES]";

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        seconds: 4,
        rounds: 3,
        connections: 5_000,
        devices: 100,
        readings: 4_100_000,
        rate: None,
        only: None,
        scenario: None,
        subscriptions: 0,
        payload: FAN_IN.payload_bytes,
        peer: None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--seconds" => options.seconds = value.parse()?,
            "--rounds" => options.rounds = value.parse()?,
            "--connections" => options.connections = value.parse()?,
            "--devices" => options.devices = value.parse()?,
            "--readings" => options.readings = value.parse()?,
            "--rate" => options.rate = Some(value.parse()?),
            "--only" => options.only = Some(value),
            "--subscriptions" => options.subscriptions = value.parse()?,
            "--payload" => options.payload = value.parse()?,
            "--scenario" => options.scenario = Some(value.parse()?),
            "--peer" => options.peer = Some(value),
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(options)
}

fn start(name: &str, address: SocketAddr) -> Result<Server, Box<dyn Error>> {
    let at = address.to_string();
    let own = env::current_exe()?;
    match name {
        "hedgerow" | "durable" => Ok(Hub::start(Some(address))?.server),
        "driver" => Server::start(&own, &["serve-driver", &at], address),
        "floor" => Server::start(&own, &["serve-floor", &at, "0"], address),
        "gathers" => Server::start(&own, &["serve-floor", &at, FLOOR_GATHERS_US], address),
        _ => mosquitto(address, "allow_anonymous true\nmax_queued_messages 0\n"),
    }
}

/// As [`start`], with mutual TLS, and the clients that it takes: the hub one device under many client ids.
fn start_tls(
    name: &str,
    authority: &Authority,
) -> Result<(Server, SocketAddr, Clients), Box<dyn Error>> {
    if name == "hedgerow" {
        let hub = Hub::start(None)?;
        let device = hub.enrol(0)?;
        return Ok((hub.server, hub.mqtts, Clients::of(device.root, &device.identity)?));
    }
    let address = free_address()?;
    Ok((start_other_tls(name, address, authority)?, address, authority.clients()?))
}

fn start_other_tls(
    name: &str,
    address: SocketAddr,
    authority: &Authority,
) -> Result<Server, Box<dyn Error>> {
    let directory = authority.directory().to_string_lossy();
    if name == "driver" {
        let arguments = ["serve-driver", &address.to_string(), &directory];
        return Server::start(&env::current_exe()?, &arguments, address);
    }
    let text = format!(
        "allow_anonymous true\nrequire_certificate true\ntls_version tlsv1.3\n\
         cafile {directory}/root.pem\ncertfile {directory}/server.pem\n\
         keyfile {directory}/server.key.pem\n"
    );
    mosquitto(address, &text)
}

/// The peer. Without a limit on its queue it delivers all messages instead of dropping some.
fn mosquitto(address: SocketAddr, settings: &str) -> Result<Server, Box<dyn Error>> {
    let file = env::temp_dir().join(format!("hedgerow-bench-{}.conf", address.port()));
    let port = address.port();
    // Started by root it would give up the right to read its key.
    let text = format!(
        "listener {port} 127.0.0.1\n{settings}log_type none\nset_tcp_nodelay true\nuser root\n"
    );
    fs::write(&file, text)?;
    let path = file.to_string_lossy();
    let server = Server::start(Path::new("/usr/sbin/mosquitto"), &["-c", &path], address);
    fs::remove_file(&file)?;
    server
}

/// Another broker, by a command with `{port}` in it.
fn start_peer(command: &str, address: SocketAddr) -> Result<Server, Box<dyn Error>> {
    let command = command.replace("{port}", &address.port().to_string());
    let mut words = command.split_whitespace();
    let program = words.next().ok_or("--peer needs a command")?;
    Server::start(Path::new(program), &words.collect::<Vec<_>>(), address)
}

fn pin() -> Result<(), Box<dyn Error>> {
    let own = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-cp", GENERATOR_CORE, &own]).output()?;
    if pinned.status.success() {
        Ok(())
    } else {
        Err("taskset can't pin the generator to its core".into())
    }
}

/// `gathers` is the floor, which lets messages gather as a busy shard does.
const SERVERS: [&str; 6] = ["mosquitto", "peer", "hedgerow", "driver", "floor", "gathers"];

/// As long as a shard waits at most.
const FLOOR_GATHERS_US: &str = "1000";

/// `durable` is the hub with subscribers whose sessions last: each message is on disk before its
/// acknowledgement, which no peer does.
const QOS_1: [&str; 7] = ["mosquitto", "peer", "hedgerow", "durable", "driver", "floor", "gathers"];

const OVER_TLS: [&str; 2] = ["mosquitto", "driver"];

const TLS_SERVERS: [&str; 3] = ["mosquitto", "hedgerow", "driver"];

fn chosen<'a>(names: &'a [&'a str], options: &'a Options) -> impl Iterator<Item = &'a str> {
    let only = options.only.as_deref();
    names.iter().copied().filter(move |name| only.is_none_or(|only| only == *name))
}

fn idle(options: &Options) -> Result<(), Box<dyn Error>> {
    pin()?;
    let authority = Authority::new()?;
    println!("resident memory of {} idle connections with mutual TLS 1.3", options.connections);
    println!("server        KiB each    KiB before    KiB after");
    for name in chosen(&TLS_SERVERS, options) {
        let (server, address, clients) = start_tls(name, &authority)?;
        let before = server.resident_kib()?;
        let open = (0..options.connections)
            .map(|number| clients.open(address, number))
            .collect::<Result<Vec<_>, _>>()?;
        thread::sleep(Duration::from_secs(3));
        let after = server.resident_kib()?;
        #[expect(clippy::cast_precision_loss, reason = "kibibytes of one machine")]
        let each = after.saturating_sub(before) as f64 / f64::from(options.connections);
        println!("{name:<12} {each:>9.2}  {before:>12}  {after:>11}");
        drop(open);
    }
    Ok(())
}

fn connect(options: &Options) -> Result<(), Box<dyn Error>> {
    pin()?;
    let authority = Authority::new()?;
    println!("CPU of a connect with mutual TLS 1.3, CONNACK and DISCONNECT included");
    println!("server       µs each    user  system    generator µs    connects");
    for name in chosen(&TLS_SERVERS, options) {
        let (mut used, mut own, mut count) = ((0.0, 0.0), 0.0, 0u32);
        for _ in 0..options.rounds {
            let (server, address, clients) = start_tls(name, &authority)?;
            let (before, own_before) = (server.cpu()?, Cpu::of("self")?);
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(options.seconds) {
                Clients::close(clients.open(address, count)?)?;
                count += 1;
            }
            let cpu = server.cpu()?.since(before);
            used = (used.0 + cpu.user, used.1 + cpu.system);
            own += Cpu::of("self")?.since(own_before).total();
        }
        let us = |seconds: f64| seconds * 1e6 / f64::from(count);
        let (user, system) = (us(used.0), us(used.1));
        let total = user + system;
        println!(
            "{name:<12} {total:>6.0}  {user:>6.0}  {system:>6.0}  {:>14.0}  {count:>10}",
            us(own)
        );
    }
    Ok(())
}

fn mqtt(options: &Options) -> Result<(), Box<dyn Error>> {
    pin()?;
    let is_built = env::current_exe()?.with_file_name("hedgerow").exists();
    if !is_built {
        println!("the hub was not built beside this program: `cargo build --release` first");
    }
    for (number, (title, load, is_tls, servers)) in SCENARIOS.into_iter().enumerate() {
        if options.scenario.is_some_and(|only| only != number + 1) {
            continue;
        }
        println!("\n{}. {title}", number + 1);
        println!("CPU seconds per million delivered; window {} a publisher", load.window);
        println!("{HEADING}");
        let mut rows = vec![Row::default(); servers.len()];
        for _ in 0..options.rounds {
            for (name, row) in servers.iter().zip(&mut rows) {
                let is_chosen = options.only.as_deref().is_none_or(|only| only == *name);
                let is_there = match *name {
                    "hedgerow" | "durable" => is_built,
                    "peer" => options.peer.is_some(),
                    _ => true,
                };
                let is_lasting = *name == "durable";
                let load = Load { is_lasting, payload_bytes: options.payload, ..load };
                if is_chosen && is_there {
                    measure(name, load, is_tls, options, row)?;
                }
            }
        }
        print(servers, &rows);
    }
    Ok(())
}

const HEADING: &str =
    "server        total    user  system | of peer | generator   delivered/s    lost  duplicated";

fn measure(
    name: &str,
    load: Load,
    is_tls: bool,
    options: &Options,
    row: &mut Row,
) -> Result<(), Box<dyn Error>> {
    let address = free_address()?;
    let authority = is_tls.then(Authority::new).transpose()?;
    let clients = authority.as_ref().map(Authority::clients).transpose()?;
    let server = match (&authority, &options.peer) {
        (Some(authority), _) => start_other_tls(name, address, authority)?,
        (None, Some(peer)) if name == "peer" => start_peer(peer, address)?,
        (None, _) => start(name, address)?,
    };
    let _others = generator::others(address, options.subscriptions)?;
    let mut generator = Generator::open(address, load, clients.as_ref())?;
    generator.run(WARM_UP)?;
    let (server_before, own_before) = (server.cpu()?, Cpu::of("self")?);
    let seen = generator.run(Duration::from_secs(options.seconds))?;
    let (used, own) = (server.cpu()?.since(server_before), Cpu::of("self")?.since(own_before));
    row.cpu += used.total();
    row.user += used.user;
    row.generator_cpu += own.total();
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    let seconds = options.seconds as f64;
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
