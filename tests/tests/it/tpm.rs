//! A device whose key is in a TPM 2.0, from its claim to its readings.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hedgerow_device_linux::{Agent, KeyChoice, Options, State, enrol};
use hedgerow_keys::SealingKey;
use hedgerow_scenarios::{Answer, RunningHub, Swtpm, TestDevice};
use serde_json::json;

/// What the agent of this file's test said.
static SAID: Mutex<String> = Mutex::new(String::new());

fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_key_in_a_tpm_enrols_and_connects_and_without_its_tpm_nobody_does() {
    let hub = RunningHub::start(&[]);
    let mut tpm = Swtpm::new();
    let mut device = TestDevice::enrolled_in_tpm(&hub, "gate", &tpm);
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    let id = device.publish(&device.topic("properties/load1"), b"1.5").unwrap();
    assert_eq!(device.hear(Duration::from_secs(5)), Answer::Acknowledged(id, 0));
    let values = hub.get(&format!("/api/v1/devices/{}/values", device.id()));
    assert!(values.to_string().contains("load1"), "{values}");

    // All that is on disk is not enough to be this device.
    device.vanish();
    tpm.stop();
    assert!(device.connect("c", true).unwrap_err().contains("can't be reached"));
    let files = fs::read_dir(device.folder()).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name == "device.tpm"));
    assert!(names.iter().all(|name| name != "device.sealed" && name != "elsewhere"));
    let other = Swtpm::new();
    let at = KeyChoice::Tpm(other.address().parse().unwrap());
    let none = || panic!("a key in a TPM needs no sealing key");
    let error = State::open_with(device.folder(), &at, none).unwrap_err();
    assert!(error.to_string().contains("another TPM made it"), "{error}");
    tpm.start();
    assert_eq!(device.connect("c", true).unwrap().0, 0, "the same TPM, with power again");
}

#[test]
fn the_hub_knows_that_the_key_is_in_a_tpm_and_the_agent_outlives_its_restart() {
    let mut hub = RunningHub::start(&[]);
    let mut tpm = Swtpm::new();
    let folder = tempfile::tempdir().unwrap();
    let at = KeyChoice::Tpm(tpm.address().parse().unwrap());
    let sealing = || SealingKey::from_file(&folder.path().join("elsewhere/seal"));
    let store = folder.path().join("state");
    let state = State::open_with(&store, &at, sealing).unwrap();
    let made = hub.post("/api/v1/claims", &json!({"name": "gate"}));
    let url = format!("https://localhost:{}", hub.devices_port()).parse().unwrap();
    enrol(&state, &url, &made["code"].as_str().unwrap().parse().unwrap()).unwrap();
    let path = format!("/api/v1/devices/{}", state.id());
    assert_eq!(hub.get(&path)["key_storage"], "unknown", "it has not said yet");

    let options = Options { sample_ms: 1_000, ..Options::default() };
    let say = |line: &str| SAID.lock().unwrap().push_str(line);
    let mut agent = Agent::new(state, options, say).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let running = scope.spawn(|| agent.run(&stop));
        soon("the hub knows where the key is", || hub.get(&path)["key_storage"] == "tpm");
        let connected = |hub: &RunningHub| {
            hub.get(&format!("{path}/values")).to_string().contains("uptimeSeconds")
        };
        soon("readings arrive", || connected(&hub));
        // Both lose their power; the next handshake needs the TPM. A renewal had just begun.
        tpm.stop();
        hub.kill();
        let (current, next) = (store.join("certificate.der"), store.join("certificate.next.der"));
        fs::copy(current, &next).unwrap();
        hub.restart();
        let latest = |hub: &RunningHub| hub.get(&format!("{path}/values")).to_string();
        let before = latest(&hub);
        soon("it says what is wrong", || SAID.lock().unwrap().contains("can't be reached"));
        assert_eq!(latest(&hub), before, "nobody gets in without the key");
        assert!(next.exists(), "that nobody can sign says nothing about a certificate");
        tpm.start();
        soon("it is back", || latest(&hub) != before);
        assert!(!next.exists() && SAID.lock().unwrap().contains("the new certificate works"));
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap().unwrap();
    });
    assert!(!folder.path().join("elsewhere").exists(), "nothing was sealed");
}
