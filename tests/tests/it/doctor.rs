//! `hedgerow doctor` on a hub that is well, and on one that is not.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
};

use hedgerow_scenarios::{RunningHub, TestDevice};
use serde_json::Value;

/// Bytes of a page of the readings' database.
const PAGE: u64 = 8192;

/// How it ended, and each check's state and sentence. Ports that nobody uses are named.
fn doctor(hub: &RunningHub) -> (i32, Vec<(String, String, String)>) {
    let ports = ["--https", "--devices", "--mqtts", "--local"];
    let free = ports.iter().flat_map(|port| [*port, "127.0.0.1:0"]);
    let arguments: Vec<&str> = ["doctor", "--json"].into_iter().chain(free).collect();
    let (code, text) = hub.command(&arguments);
    let answer: Value = serde_json::from_str(&text).unwrap();
    let word = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let items = answer["items"].as_array().unwrap().iter();
    (code, items.map(|one| (word(one, "check"), word(one, "state"), word(one, "says"))).collect())
}

fn wrong(found: &[(String, String, String)]) -> Vec<&str> {
    found.iter().filter(|one| one.1 == "wrong").map(|one| one.0.as_str()).collect()
}

#[test]
fn a_hub_that_is_well_is_said_to_be_running_or_not() {
    let mut hub = RunningHub::start(&[]);
    let _device = TestDevice::enrolled(&hub, "lamp");
    let (code, found) = doctor(&hub);
    assert_eq!((code, wrong(&found)), (0, vec![]), "{found:?}");
    for check in [
        "data directory",
        "sealing key",
        "disk",
        "database hub.db",
        "database telemetry.db",
        "database sessions.db",
        "clock",
        "root certificate",
        "issuing certificate",
        "server certificate",
        "hub",
        "audit log",
    ] {
        assert!(found.iter().any(|one| one.0 == check && one.1 != "skipped"), "{check}: {found:?}");
    }
    hub.kill();
    let (code, found) = doctor(&hub);
    assert_eq!((code, wrong(&found)), (0, vec![]), "{found:?}");
    assert!(
        found.iter().any(|one| (one.0.as_str(), one.1.as_str()) == ("hub", "watch")),
        "{found:?}"
    );
    hub.restart();
}

#[test]
fn an_open_directory_a_missing_key_and_a_damaged_database_are_found() {
    let mut hub = RunningHub::start(&[]);
    fs::set_permissions(hub.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let (code, found) = doctor(&hub);
    assert_eq!((code, wrong(&found)), (1, vec!["data directory"]));
    hub.kill();
    fs::set_permissions(hub.data(), fs::Permissions::from_mode(0o700)).unwrap();

    let (keys, away) = (hub.folder().join("config"), hub.folder().join("away"));
    fs::rename(&keys, &away).unwrap();
    let (code, found) = doctor(&hub);
    assert_eq!((code, wrong(&found)), (1, vec!["sealing key"]));
    assert!(!keys.exists(), "looking makes no key");
    fs::rename(&away, &keys).unwrap();

    hub.restart();
    assert!(hub.stop(), "{}", hub.log());
    // The first page stays: it says what the file is.
    let path = hub.data().join("telemetry.db");
    let length = fs::metadata(&path).unwrap().len();
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(PAGE)).unwrap();
    file.write_all(&vec![0xff; usize::try_from(length - PAGE).unwrap()]).unwrap();
    let (code, found) = doctor(&hub);
    assert_eq!(code, 1);
    assert!(wrong(&found).contains(&"database telemetry.db"), "{found:?}");
}
