//! The configuration file: its limits hold, are shown and counted; its doors are open.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    time::Duration,
};

use hedgerow_mqtt::{Connect, Packet, Properties, Version};
use hedgerow_scenarios::{RunningHub, TestDevice};
use serde_json::{Value, json};

/// A hub with this file.
fn hub_with(text: &str) -> (tempfile::TempDir, RunningHub) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("limits.toml");
    fs::write(&file, text.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
    let hub = RunningHub::start(&["--config", file.to_str().unwrap()]);
    (folder, hub)
}

fn limit(hub: &RunningHub, name: &str) -> Value {
    let limits = hub.get("/api/v1/limits");
    let found = limits.as_array().unwrap().iter().find(|limit| limit["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {limits}")).clone()
}

/// The first bytes of the answer to this CONNECT; none when the connection ended.
fn connack(mut stream: impl Read + Write, password: Option<&str>) -> Vec<u8> {
    let connect = Connect {
        version: Version::V311,
        clean_start: true,
        keep_alive_s: 60,
        client_id: "c",
        will: None,
        username: password.map(|_| "token"),
        password: password.map(str::as_bytes),
        properties: Properties::NONE,
    };
    let mut bytes = vec![];
    Packet::Connect(connect).encode(Version::V311, &mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut answer = [0; 4];
    let read = stream.read(&mut answer).unwrap_or_default();
    answer[..read].to_vec()
}

#[test]
fn limits_of_the_file_hold_and_are_shown_and_counted() {
    let (_folder, hub) = hub_with(
        "[limits]\nconnections-per-source = 2\npublishes-per-second = 10\npublishes-burst = 5\n",
    );
    let mut first = TestDevice::enrolled(&hub, "first");
    assert_eq!(first.connect("first", true).unwrap().0, 0);
    let mut second = TestDevice::enrolled(&hub, "second");
    assert_eq!(second.connect("second", true).unwrap().0, 0);
    let mut third = TestDevice::enrolled(&hub, "third");
    assert!(third.connect("third", true).is_err(), "one more from the same source");
    assert_eq!(limit(&hub, "connections-per-source")["max"], 2);
    assert!(limit(&hub, "connections-per-source")["reached"].as_u64().unwrap() >= 1);
    assert_eq!(limit(&hub, "connections")["now"], 2);
    let topic = first.topic("properties/load1");
    for _ in 0..20 {
        first.publish(&topic, b"1");
        first.hear(Duration::from_secs(10));
    }
    assert!(limit(&hub, "publishes-per-second")["reached"].as_u64().unwrap() >= 1);
    let (code, said) = hub.command(&["status"]);
    assert_eq!(code, 0);
    assert!(said.contains("publishes-per-second") && !said.contains("topic-bytes"), "{said}");
    let (_, all) = hub.command(&["status", "--limits"]);
    let limits = hub.get("/api/v1/limits");
    for limit in limits.as_array().unwrap() {
        assert!(all.contains(limit["name"].as_str().unwrap()), "{limit}");
    }
    let metrics = hub.get("/metrics");
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("hedgerow_limit{limit=\"connections-per-source\"} 2"), "{metrics}");
}

#[test]
fn a_file_with_a_typing_error_is_told_and_no_hub_starts() {
    let hub = RunningHub::start(&[]);
    let file = hub.folder().join("wrong.toml");
    fs::write(&file, "[limits]\nconections = 5\n").unwrap();
    let (code, _) = hub.command(&["config", "check", file.to_str().unwrap()]);
    assert_eq!(code, 1);
    let (code, shown) = hub.command(&["config", "show"]);
    assert!(code == 0 && shown.contains("connections = 100000"), "{shown}");
    fs::write(&file, shown).unwrap();
    assert_eq!(hub.command(&["config", "check", file.to_str().unwrap()]).0, 0);
}

#[test]
fn a_program_comes_over_the_unix_socket_with_a_token_and_nobody_without() {
    let (folder, mut hub) = hub_with("[mqtt]\nsocket = \"FOLDER/mqtt\"\n");
    let path = folder.path().join("mqtt");
    let open = |path: &Path| {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    };
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let made = hub.post("/api/v1/tokens", &json!({"name": "board", "allow": ["subscribe #"]}));
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(connack(open(&path), Some(secret)), [0x20, 2, 0, 0]);
    assert_eq!(connack(open(&path), Some("guess")), [0x20, 2, 0, 4]);
    assert_eq!(connack(open(&path), None), [0x20, 2, 0, 5]);
    // A hub that died leaves the file; the next one takes its place.
    hub.kill();
    assert!(path.exists());
    hub.restart();
    assert_eq!(connack(open(&path), Some(secret)), [0x20, 2, 0, 0]);
    assert!(hub.stop());
    assert!(!path.exists(), "a hub that stops takes it away");
}

#[test]
fn behind_a_proxy_nobody_comes_in_without_its_header() {
    let (_folder, hub) = hub_with("[mqtt]\nproxies = [\"127.0.0.0/8\", \"::1\"]\n");
    let mut device = TestDevice::enrolled(&hub, "device");
    assert!(device.connect("device", true).is_err());
    assert!(hub.get("/api/v1/status")["mqtt"]["ends"]["no-proxy-header"].as_u64().unwrap() > 0);
}
