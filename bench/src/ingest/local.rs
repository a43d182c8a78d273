//! What stands beneath the wire, each in a process of its own: the floor, the data plane with its store,
//! and what the store takes on disk.

use std::{
    collections::VecDeque,
    env,
    error::Error,
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    sync::Arc,
    task::{Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use hedgerow_base::{DeviceId, Incarnation, Secret, TenantId, Timestamp};
use hedgerow_keys::{KeyFile, SealingKey};
use hedgerow_model::{
    LINUX_HOST, Profile, ValueRef,
    mapping::Names,
    senml::{Measured, Pack},
};
use hedgerow_plane::{
    Admitted, DeviceAdmission, Durability, LocalBus, Message, NoNotices, Outcome, Plane, Ticket,
    ValidCertificate,
};
use hedgerow_policy::{CertificateId, DirectDevice, Overlay, Standing, Witness};
use hedgerow_store::{MasterKey, ReadingsStore, readings::system_clock};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use super::{
    SETTLE,
    load::WINDOW,
    packs::{Format, packs},
};
use crate::process::{Cpu, SERVER_CORE};

/// CPU and wall-clock seconds.
pub(crate) type Used = (f64, f64);

/// Runs [`store`] in a process on the server's core.
pub(crate) fn measure(
    what: &str,
    format: Format,
    devices: usize,
    readings: usize,
    start: Timestamp,
) -> Result<Used, Box<dyn Error>> {
    let numbers = [devices.to_string(), readings.to_string(), start.as_ms().to_string()];
    let output = Command::new("taskset")
        .args(["-c", SERVER_CORE])
        .arg(env::current_exe()?)
        .args(["store-packs", what, format.word()])
        .args(numbers)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (cpu, seconds) = text.trim().split_once(' ').ok_or("no figures")?;
    Ok((cpu.parse()?, seconds.parse()?))
}

/// Stores packs in this process and prints what that took: `floor` or `plane`.
pub(crate) fn store(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [what, format, devices, readings, start] = arguments else {
        return Err("for the harness itself".into());
    };
    let format = Format::ALL.into_iter().find(|known| known.word() == format).ok_or("format")?;
    let (devices, start) = (devices.parse()?, Timestamp::from_ms(start.parse()?));
    let packs = packs(format, devices, readings.parse()?, start)?;
    let directory = env::temp_dir().join(format!("hedgerow-bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let used = match what.as_str() {
        "floor" => floor(&packs, devices, &directory),
        _ => plane(&packs, devices, &directory),
    };
    fs::remove_dir_all(&directory)?;
    let (cpu, seconds) = used?;
    println!("{cpu} {seconds}");
    Ok(())
}

/// The least that durable intake must do: read every record, find its property, and write 20 bytes of it to
/// a file that is synced as often as the window asks. No checks, no encryption, no columns, no index.
fn floor(packs: &[Vec<u8>], devices: usize, directory: &Path) -> Result<Used, Box<dyn Error>> {
    let profile = Profile::parse(LINUX_HOST.as_bytes())?;
    let now = system_clock()();
    let mut file = File::create(directory.join("journal"))?;
    let mut block = Vec::new();
    let (before, begun) = (Cpu::of("self")?, Instant::now());
    for group in packs.chunks(devices * WINDOW) {
        block.clear();
        for payload in group {
            let mut pack = Pack::open(payload, now)?;
            while let Some(record) = pack.next_record()? {
                let index = profile.property_index(record.name).ok_or("undeclared")?;
                let bits = match record.measured {
                    Measured::Value(ValueRef::Integer(whole)) => whole.to_le_bytes(),
                    Measured::Value(ValueRef::Number(number)) => number.to_le_bytes(),
                    _ => return Err("not a number".into()),
                };
                block.extend_from_slice(&u32::try_from(index)?.to_le_bytes());
                block.extend_from_slice(&record.time.as_ms().to_le_bytes());
                block.extend_from_slice(&bits);
            }
        }
        file.write_all(&block)?;
        file.sync_data()?;
    }
    Ok((Cpu::of("self")?.since(before).total(), begun.elapsed().as_secs_f64()))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The hub's data plane and store without the wire: grants, intake, journal, sealing.
fn plane(packs: &[Vec<u8>], devices: usize, directory: &Path) -> Result<Used, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let master = MasterKey::new(&Secret::new([1; 32]))?;
    let opened = runtime.block_on(ReadingsStore::open(directory, master, system_clock()));
    let store = opened?;
    let bus = Arc::new(LocalBus::default());
    let plane = Plane::new(Arc::new(store.clone()), bus, Arc::new(NoNotices));
    let sessions = admit(&plane, devices)?;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut waiting: VecDeque<Ticket> = VecDeque::new();
    let (before, begun) = (Cpu::of("self")?, Instant::now());
    for round in packs.chunks(devices) {
        let now = system_clock()();
        for (payload, (topic, session)) in round.iter().zip(&sessions) {
            if waiting.len() >= devices * WINDOW
                && let Some(first) = waiting.pop_front()
            {
                await_commit(&plane, first, &waker)?;
            }
            let message = Message { topic, payload, needs_ack: true, retain: false };
            match plane.publish(session, message, now).outcome {
                Outcome::Pending(ticket) => waiting.push_back(ticket),
                other => return Err(format!("not taken: {other:?}").into()),
            }
        }
    }
    for ticket in waiting {
        await_commit(&plane, ticket, &waker)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    thread::sleep(SETTLE);
    let used = Cpu::of("self")?.since(before).total();
    runtime.block_on(store.close())?;
    Ok((used, seconds))
}

fn await_commit(plane: &Plane, ticket: Ticket, waker: &Waker) -> Result<(), Box<dyn Error>> {
    loop {
        match plane.commits().state(ticket) {
            Durability::Stored => return Ok(()),
            Durability::Failed => return Err("a commit failed".into()),
            Durability::Waiting => {}
        }
        plane.commits().wake_on_next(waker);
        if plane.commits().state(ticket) == Durability::Waiting {
            thread::park();
        }
    }
}

/// Devices with the built-in profile and all rights, and their topics.
fn admit(plane: &Plane, devices: usize) -> Result<Vec<(String, Admitted)>, Box<dyn Error>> {
    let profile = Arc::new(Profile::parse(LINUX_HOST.as_bytes())?);
    let (overlay, name) = (Arc::new(Overlay::default()), Arc::from("linux-host"));
    let mut sessions = Vec::with_capacity(devices);
    for number in (0u128..).take(devices) {
        let device = DeviceId::from_bytes(number.to_be_bytes());
        let (tenant, certificate) = (TenantId::FIRST, CertificateId([1; 32]));
        let expires = Timestamp::from_ms(i64::MAX);
        plane.directory().apply(DeviceAdmission {
            names: Names::default(),
            carrier: None,
            tenant,
            device,
            incarnation: Incarnation::FIRST,
            standing: Standing::Full,
            certificates: vec![ValidCertificate { id: certificate, expires }],
            password: None,
            profile_name: Arc::clone(&name),
            profile: Arc::clone(&profile),
            overlay: Arc::clone(&overlay),
        });
        let peer = Witness::of_a_proof().device(DirectDevice { tenant, device, certificate });
        let session = plane.admit(peer, system_clock()()).map_err(|why| format!("{why:?}"))?;
        sessions.push((format!("things/{device}/telemetry"), session));
    }
    Ok(sessions)
}

/// What a stopped hub's readings take when all are sealed: how many they are, and the bytes of the file.
/// The store is opened with the hub's own key, and told to seal.
pub(crate) fn sealed(hub: &Path) -> Result<(u64, u64), Box<dyn Error>> {
    let data = hub.join("data");
    let sealing = SealingKey::from_file(&hub.join("seal"))?;
    let key = KeyFile::new(&data.join("keys"), "telemetry").read(&sealing)?;
    let key: [u8; 32] = key.ok_or("the hub has no key for telemetry")?.as_slice().try_into()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let master = MasterKey::new(&Secret::new(key))?;
        let store = ReadingsStore::open(&data, master, system_clock()).await?;
        store.seal().await?;
        store.close().await?;
        let file = data.join("telemetry.db");
        let mut database = SqliteConnectOptions::new().filename(&file).connect().await?;
        let count = "SELECT coalesce(sum(readings), 0) FROM chunk";
        let readings: i64 = sqlx::query_scalar(count).fetch_one(&mut database).await?;
        drop(database);
        Ok((u64::try_from(readings)?, fs::metadata(&file)?.len()))
    })
}
