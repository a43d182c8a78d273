//! The whole hub, as its users start it: the program `hedgerow`, built beside this one, with a data
//! directory that goes when the run ends. Devices enrol with claim codes that its API makes.

use std::{
    env,
    error::Error,
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hedgerow_device_linux::{State, enrol};
use hedgerow_keys::{EcKey, KeyFile, SealingKey};
use hedgerow_listen::{HandshakeKey, Identity};
use serde_json::{Value, json};

use crate::process::{Server, free_address};

/// How long the first start may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Hub {
    pub(crate) server: Server,
    /// MQTT over TLS.
    pub(crate) mqtts: SocketAddr,
    devices: SocketAddr,
}

/// A device that has enrolled.
pub(crate) struct Device {
    pub(crate) id: String,
    /// The hub's root certificate.
    pub(crate) root: Vec<u8>,
    pub(crate) identity: Identity,
}

/// The hub's configuration: no rates for one client or source.
const UNLIMITED: &str = "[limits]\npublishes-per-second = 0\npublish-bytes-per-second = 0\n\
                         connects-per-second = 0\nconnects-per-source-per-second = 0\n";

impl Hub {
    /// Starts it in an empty directory, with plain MQTT where `insecure` says.
    pub(crate) fn start(insecure: Option<SocketAddr>) -> Result<Self, Box<dyn Error>> {
        let program = env::current_exe()?.with_file_name("hedgerow");
        let (mqtts, devices) = (free_address()?, free_address()?);
        let directory = env::temp_dir().join(format!("hedgerow-bench-hub-{}", mqtts.port()));
        fs::create_dir_all(&directory)?;
        let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
        // One generator sends what thousands of clients would; peers have no such limits set either.
        fs::write(directory.join("hedgerow.toml"), UNLIMITED)?;
        let any = "127.0.0.1:0".to_owned();
        let mut arguments = vec!["--data".to_owned(), path("data"), "up".into()];
        let options = [
            ("--seal-file", path("seal")),
            ("--https", any.clone()),
            ("--devices", devices.to_string()),
            ("--mqtts", mqtts.to_string()),
            ("--local", any),
            ("--config", path("hedgerow.toml")),
        ];
        let insecure = insecure.map(|address| ("--insecure-mqtt", address.to_string()));
        for (name, value) in options.into_iter().chain(insecure) {
            arguments.extend([name.to_owned(), value]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let server = Server::start(&program, &arguments, mqtts)?.with_directory(directory);
        let hub = Self { server, mqtts, devices };
        let begun = Instant::now();
        // The last thing that it writes when it is up.
        while !hub.data()?.join("local.url").exists() {
            if begun.elapsed() > PATIENCE {
                return Err("the hub did not come up".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(hub)
    }

    fn data(&self) -> Result<std::path::PathBuf, Box<dyn Error>> {
        Ok(self.server.directory().ok_or("a hub without a directory")?.join("data"))
    }

    /// Enrols one device, by EST with a claim code of its own.
    pub(crate) fn enrol(&self, number: usize) -> Result<Device, Box<dyn Error>> {
        let folder =
            self.server.directory().ok_or("no directory")?.join(format!("device-{number}"));
        fs::create_dir_all(&folder)?;
        let sealing = SealingKey::from_file(&folder.join("elsewhere/seal"))?;
        let state = State::open(&folder, &sealing)?;
        let at = format!("https://localhost:{}", self.devices.port()).parse()?;
        let code = self.claim(number)?.parse().map_err(|_| "the hub's claim code is broken")?;
        let enrolment = enrol(&state, &at, &code)?;
        let key = Arc::new(EcKey::open_or_make(&KeyFile::new(&folder, "device"), &sealing)?);
        let leaf = fs::read(folder.join("certificate.der"))?;
        let spki = key.spki().to_vec();
        let sign = move |m: &[u8]| key.sign(m).map_err(|error| error.to_string());
        let chain = vec![leaf, enrolment.issuing];
        let identity = Identity { chain, key: HandshakeKey::new(spki, sign) };
        Ok(Device { id: state.id().to_string(), root: enrolment.root, identity })
    }

    /// A claim code, from the hub's own API.
    fn claim(&self, number: usize) -> Result<String, Box<dyn Error>> {
        let read = |path: &Path| fs::read_to_string(path);
        let token = read(&self.data()?.join("admin.token"))?;
        let url = read(&self.data()?.join("local.url"))?;
        let mut answer = ureq::post(format!("{}/api/v1/claims", url.trim()))
            .header("authorization", format!("Bearer {}", token.trim()))
            .header("content-type", "application/json")
            .send(json!({"name": format!("bench-{number}")}).to_string())?;
        let made: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let code = made.get("code").and_then(Value::as_str);
        Ok(code.ok_or("the hub's answer has no claim code")?.to_owned())
    }
}
