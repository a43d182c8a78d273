//! The listeners.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use hedgerow_api::{
    Doorstep, Onlookers, People, TakeMqtt, Transport,
    devices::{self, Devices},
    people::router,
    serve_local, serve_tls,
};
use hedgerow_base::TenantId;
use hedgerow_keys::SystemRandom;
use hedgerow_listen::{
    Caller, Proved, Shown, SignIn,
    server::{ClientCertificates, Door, Handshakes, config, config_for_weak_devices, tester},
};
use hedgerow_onboarding::est;
use hedgerow_plane::{Flows, Plane};
use hedgerow_policy::PasswordId;
use hedgerow_tlog::Note;
use hedgerow_wire::{Came, Counters, Settings, TlsDoor, Wire, limits::SHARDS_MAX};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    Problem,
    broker::feel_the_pulse,
    hub::Hub,
    meters::Gauges,
    socket::{self, Socket},
    sys,
    trust::Trust,
};
use crate::{args::Up, config::Config};

/// What listens.
pub(super) struct Doors {
    https: SocketAddr,
    pub(super) devices: SocketAddr,
    pub(super) mqtts: SocketAddr,
    pub(super) local: SocketAddr,
    name: String,
    mqtt: Mqtt,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
}

pub(super) async fn open(hub: &Hub, up: &Up, file: &Config) -> Result<Doors, Problem> {
    let (stop, _) = watch::channel(false);
    let slot = Arc::clone(&hub.trust.slot);
    tokio::spawn(Arc::clone(&hub.renewal).keep(Arc::clone(&slot)));
    let welcome = ClientCertificates::Welcome(Arc::clone(&hub.trust.anchors));
    let mut serving = Vec::new();

    let limits = &file.limits;
    let mqtt = open_mqtt(hub, up, file, welcome).await?;
    let (wire, mqtts) = (&mqtt.wire, mqtt.address);

    if !up.addresses.local.ip().is_loopback() {
        return Err(format!("--local is for loopback only, not {}", up.addresses.local).into());
    }
    let (for_devices, for_people, for_here) = (
        listen(up.addresses.devices, limits.https_connections).await?,
        listen(up.addresses.https, limits.https_connections).await?,
        listen(up.addresses.local, limits.https_connections).await?,
    );
    let (devices, https, local) =
        (for_devices.address()?, for_people.address()?, for_here.address()?);
    let open = vec![
        ("devices", for_devices.occupancy()),
        ("people", for_people.occupancy()),
        ("local", for_here.occupancy()),
    ];
    let gauges = Gauges::new(hub, wire, open, limits.clone());

    let lapsed_too = ClientCertificates::WelcomeLapsed(Arc::clone(&hub.trust.anchors));
    let tls = config(Arc::clone(&slot), lapsed_too, &[b"http/1.1"])?;
    let routes = devices::router(Arc::new(Devices {
        control: Arc::clone(&hub.control),
        authorities: authorities(&hub.trust),
        revocation: Arc::clone(&hub.revocation),
        size_of,
        log_key: *hub.notary.public_key(),
        url: format!("https://{}:{}", hub.names.outer(), devices.port()),
        mqtts_port: mqtts.port(),
    }));
    let stopped = told(&stop);
    serving.push(tokio::spawn(serve_tls(
        for_devices,
        Handshakes::new(tls),
        routes,
        TenantId::FIRST,
        stopped,
    )));

    let name = hub.names.outer().to_owned();
    let take_mqtt = over_websocket(wire, Arc::clone(&mqtt.sign_in));
    let sensors = (gauges, Arc::clone(&mqtt.flows));
    let ports = (devices, mqtts, mqtt.weak);
    let people = Arc::new(people(hub, up, &name, ports, sensors, (wire, take_mqtt)));
    let tls = config(slot, ClientCertificates::Never, &[b"h2", b"http/1.1"])?;
    serving.push(tokio::spawn(serve_tls(
        for_people,
        Handshakes::new(tls),
        router(&people, Transport::Https),
        TenantId::FIRST,
        told(&stop),
    )));
    let routes = router(&people, Transport::Local);
    serving.push(tokio::spawn(serve_local(for_here, routes, told(&stop))));
    Ok(Doors { https, devices, mqtts, local, name, mqtt, stop, serving })
}

/// Root and newest issuing CA, for devices that ask.
fn authorities(trust: &Arc<Trust>) -> Box<dyn Fn() -> [Vec<u8>; 2] + Send + Sync> {
    let trust = Arc::clone(trust);
    Box::new(move || {
        let authority = trust.authority();
        [authority.root.clone(), authority.issuing.first().cloned().unwrap_or_default()]
    })
}

/// What takes MQTT.
struct Mqtt {
    wire: Wire<Plane>,
    flows: Arc<Flows>,
    address: SocketAddr,
    weak: Option<SocketAddr>,
    sign_in: Arc<SignIn>,
    _socket: Option<Socket>,
}

async fn open_mqtt(
    hub: &Hub,
    up: &Up,
    file: &Config,
    welcome: ClientCertificates,
) -> Result<Mqtt, Problem> {
    let limits = &file.limits;
    let settings = Settings { shards: shards(), ..limits.wire.clone() };
    let (wire, flows) = start_wire(hub, settings)?;
    let tls = config(Arc::clone(&hub.trust.slot), welcome, &[b"mqtt"])?;
    let plane = hub.plane.clone();
    let find = move |shown: Shown<'_>, now| {
        let found = match shown {
            Shown::Secret { hash, .. } => plane.directory().application(hash, now),
            Shown::Certificate(id) => plane.directory().certified_application(id, now),
        };
        found.map(Proved::Application)
    };
    let sign_in = SignIn::with_failures_max(limits.failed_sign_ins, find);
    let door =
        TlsDoor::new(Handshakes::new(tls), TenantId::FIRST).with_sign_in(Arc::clone(&sign_in));
    let address = listen_mqtt(&wire, up.addresses.mqtts, door)?;
    let weak = match up.mqtts_weak {
        Some(address) => Some(listen_to_weak_devices(hub, &wire, address, limits.failed_sign_ins)?),
        None => None,
    };
    if let Some(insecure) = up.insecure_mqtt {
        listen_insecurely(&wire, insecure)?;
    }
    let socket = match &file.mqtt_socket {
        None => None,
        Some(path) => {
            let opened = socket::open(path, wire.entrance(), Arc::clone(&sign_in)).await;
            Some(
                opened
                    .map_err(|error| format!("{} can't be listened on: {error}", path.display()))?,
            )
        }
    };
    Ok(Mqtt { wire, flows, address, weak, sign_in, _socket: socket })
}

/// The broker, and what notes how much goes through it.
fn start_wire(hub: &Hub, settings: Settings) -> Result<(Wire<Plane>, Arc<Flows>), Problem> {
    let wire = Wire::start_with(hub.plane.clone(), settings, hub.take_sessions())?;
    hub.voice.through(hub.plane.clone(), &wire);
    tokio::spawn(sys::publish(wire.voice(), wire.meter()));
    let (flows, plane) = (Arc::new(Flows::default()), hub.plane.clone());
    let pulse = feel_the_pulse(plane, hub.readings.clone(), wire.meter(), Arc::clone(&flows));
    tokio::spawn(pulse);
    Ok((wire, flows))
}

/// MQTT that comes over WebSocket goes where that over TLS does; who is there has to sign in.
fn over_websocket(wire: &Wire<Plane>, sign_in: Arc<SignIn>) -> Box<TakeMqtt> {
    let entrance = wire.entrance();
    Box::new(move |stream, from| {
        let came = Came { over: Some("websocket"), from: Some(from) };
        entrance.enter(stream, Caller::Unproven(sign_in.caller(from)), came);
    })
}

fn people(
    hub: &Hub,
    up: &Up,
    name: &str,
    (devices, mqtts, weak): (SocketAddr, SocketAddr, Option<SocketAddr>),
    (gauges, flows): (Gauges, Arc<Flows>),
    (wire, take_mqtt): (&Wire<Plane>, Box<TakeMqtt>),
) -> People {
    let (meter, entrance) = (wire.meter(), wire.entrance());
    let notary = Arc::clone(&hub.notary);
    People {
        control: Arc::clone(&hub.control),
        plane: hub.plane.clone(),
        bus: Arc::clone(&hub.bus),
        take_mqtt,
        broker: Arc::new(wire.census()),
        flows,
        onlookers: Onlookers::new(move |stream, peer| {
            let came = Came { over: Some("inside"), from: None };
            entrance.enter(stream, Caller::Proven(peer), came);
        }),
        doorstep: Box::new(move || {
            let Counters { connections, half_open, ends, .. } = meter.read();
            Doorstep { connections, half_open, ends }
        }),
        open_note: Box::new(move |tenant, note| notary.open(tenant, note)),
        log_key: *hub.notary.public_key(),
        bounds: Box::new({
            let profiles = Arc::clone(&hub.profiles);
            move |tenant, name| profiles.named(tenant, name)
        }),
        meters: Box::new(move || gauges.read()),
        random: Arc::new(SystemRandom),
        ca_pem: est::to_pem(&hub.trust.authority().root),
        fingerprint: hub.fingerprint.clone(),
        devices_url: format!("https://{name}:{}", devices.port()),
        mqtts: format!("{name}:{}", mqtts.port()),
        mqtts_weak: weak.map(|weak| format!("{name}:{}", weak.port())),
        hosts: hub.names.hosts.clone(),
        passkeys: hedgerow_api::Passkeys::default(),
        warning: up.insecure_mqtt.map(|address| {
            format!("Plain MQTT without sign-in is open at {address}. It is for tests only.")
        }),
    }
}

/// One shard a core.
fn shards() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.min(SHARDS_MAX)
}

/// For devices that can do no better: TLS 1.2 and a password. Nobody else is let in here.
fn listen_to_weak_devices(
    hub: &Hub,
    wire: &Wire<Plane>,
    address: SocketAddr,
    failures_max: u32,
) -> Result<SocketAddr, Problem> {
    let tls = config_for_weak_devices(Arc::clone(&hub.trust.slot))?;
    let plane = hub.plane.clone();
    let sign_in = SignIn::with_failures_max(failures_max, move |shown, _| {
        let Shown::Secret { user, hash } = shown else { return None };
        let (device, password) = (user.parse().ok()?, PasswordId(*hash));
        plane.directory().weak_device(TenantId::FIRST, device, password).map(Proved::Device)
    });
    let door = TlsDoor::new(Handshakes::new(tls), TenantId::FIRST).with_sign_in(sign_in);
    let address = listen_mqtt(wire, address, door)?;
    tracing::warn!(
        "WEAK: devices with a password are let in at {address}, over TLS 1.2 too; close this door \
         when the last of them is replaced"
    );
    Ok(address)
}

/// For tests and measurements; it shouts.
fn listen_insecurely(wire: &Wire<Plane>, address: SocketAddr) -> Result<(), Problem> {
    let tester = tester(&address)
        .ok_or_else(|| format!("--insecure-mqtt is for loopback only, not {address}"))?;
    let address = wire.listen_insecure(address, tester)?;
    tracing::warn!(
        "INSECURE: plain MQTT without sign-in at {address}, for tests and measurements only"
    );
    Ok(())
}

fn listen_mqtt(
    wire: &Wire<Plane>,
    address: SocketAddr,
    door: TlsDoor,
) -> Result<SocketAddr, hedgerow_wire::Error> {
    match wire.listen(address, door.clone()) {
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            wire.listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()), door)
        }
        listened => listened,
    }
}

/// Listens; where the system has no IPv6, `[::]` means every IPv4 address.
async fn listen(address: SocketAddr, connections_max: usize) -> Result<Door, Problem> {
    match Door::open(address, connections_max).await {
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            Door::open(v4, connections_max).await
        }
        opened => opened,
    }
    .map_err(|error| format!("{address} can't be listened on: {error}").into())
}

fn told(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + use<> {
    let mut stop = stop.subscribe();
    async move {
        let _ = stop.wait_for(|is_told| *is_told).await;
    }
}

/// The size that a checkpoint of ours speaks of: its second line.
fn size_of(note: &Note) -> Option<u64> {
    note.as_str().lines().nth(1)?.parse().ok()
}

impl Doors {
    /// Where devices of other machines reach the hub.
    pub(super) fn announce(&self) {
        println!("hedgerow is up");
        println!("  people and programs  https://{}:{}", self.name, self.https.port());
        println!("  devices enrol at     https://{}:{}", self.name, self.devices.port());
        println!("  devices publish to   mqtts://{}:{}", self.name, self.mqtts.port());
    }

    pub(super) async fn close(self) {
        let _ = self.stop.send(true);
        let _ = tokio::task::spawn_blocking(move || self.mqtt.wire.stop()).await;
        for serving in self.serving {
            let _ = serving.await;
        }
    }
}
