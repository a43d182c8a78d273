//! Devices that can do no better than TLS 1.2 and a password: mosquitto's clients stand in for them, because
//! they speak as such devices do.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use hedgerow_mqtt::{Connect, Packet, Properties, Version};
use hedgerow_scenarios::RunningHub;
use serde_json::{Value, json};

struct Plug {
    id: String,
    password: String,
}

/// A hub with a door for weak devices, its port, and the file with its CA.
fn hub() -> (RunningHub, String, PathBuf) {
    let hub = RunningHub::start(&["--mqtts-weak", "127.0.0.1:0"]);
    let log = hub.log();
    let line = log.lines().find(|line| line.contains("WEAK")).unwrap();
    let port: String = line.split("127.0.0.1:").nth(1).unwrap().chars().take(5).collect();
    let (code, pem) = hub.command(&["ca", "show", "--pem"]);
    assert_eq!(code, 0);
    let ca = hub.folder().join("ca.pem");
    fs::write(&ca, pem).unwrap();
    (hub, port.trim().to_owned(), ca)
}

fn admit(hub: &RunningHub) -> Plug {
    let body = json!({"name": "plug", "profile": "linux-host"});
    let made = hub.post("/api/v1/weak-devices", &body);
    assert_eq!(made["device"]["weak"], true);
    assert_eq!(made["device"]["because"], "password");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    Plug { id: text("username"), password: text("password") }
}

/// How mosquitto's publisher ended, and what it said.
fn publish(
    (port, ca): (&str, &PathBuf),
    (user, password): (&str, &str),
    topic: &str,
    more: &[&str],
) -> (bool, String) {
    let done = Command::new("mosquitto_pub")
        .args(["-h", "localhost", "-p", port, "--cafile", ca.to_str().unwrap()])
        .args(["-u", user, "-P", password, "-t", topic, "-m", "1.5", "-q", "1"])
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr) + String::from_utf8_lossy(&done.stdout);
    (done.status.success(), said.into_owned())
}

fn values(hub: &RunningHub, id: &str) -> String {
    hub.get(&format!("/api/v1/devices/{id}/values")).to_string()
}

#[test]
fn a_device_with_a_password_publishes_over_tls_1_2_and_is_shown_as_weak() {
    let (hub, port, ca) = hub();
    let plug = admit(&hub);
    let door = (&*port, &ca);
    let proof = (&*plug.id, &*plug.password);
    let own = |rest: &str| format!("things/{}/{rest}", plug.id);
    let (ok, said) = publish(door, proof, &own("properties/load1"), &[]);
    assert!(ok, "{said}");
    let begun = Instant::now();
    while !values(&hub, &plug.id).contains("1.5") {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is not stored");
        thread::sleep(Duration::from_millis(20));
    }
    // Its grants are narrower, and another's topics are refused as ever.
    for topic in [own("telemetry"), own("reported"), "things/other/properties/load1".into()] {
        let (ok, said) = publish(door, proof, &topic, &["-V", "5"]);
        assert!(ok && said.to_lowercase().contains("not authorized"), "{topic}: {said}");
    }
    let refusals = hub.get("/api/v1/status")["refusals"].clone();
    assert_eq!(refusals["weak"], 2, "{refusals}");
    let page = hub.get(&format!("/api/v1/devices/{}", plug.id));
    assert_eq!((&page["weak"], &page["certificate"]), (&json!(true), &Value::Null));
}

#[test]
fn only_its_own_password_at_its_own_door_lets_it_in() {
    let (hub, port, ca) = hub();
    let (plug, other) = (admit(&hub), admit(&hub));
    let door = (&*port, &ca);
    let topic = format!("things/{}/properties/load1", plug.id);
    let token = hub.post("/api/v1/tokens", &json!({"name": "t", "allow": ["publish #"]}));
    let token = token["secret"].as_str().unwrap();
    for (user, password) in [
        (&*plug.id, "wrong"),
        (&*plug.id, &*other.password),
        (&*other.id, &*plug.password),
        ("plug", &*plug.password),
        (&*plug.id, token),
    ] {
        assert!(!publish(door, (user, password), &topic, &[]).0, "{user}");
    }
    let main = hub.mqtts_port().to_string();
    let (ok, _) = publish((&main, &ca), (&plug.id, &plug.password), &topic, &[]);
    assert!(!ok, "the door of certificates takes no device's password");
}

/// What the hub answers to the device's CONNECT over `openssl s_client` with these options; nothing when
/// there is no connection.
fn connack(port: &str, ca: &Path, plug: &Plug, options: &[&str]) -> Vec<u8> {
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &format!("localhost:{port}"), "-quiet"])
        .args(["-verify_return_error", "-CAfile", ca.to_str().unwrap()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let connect = Connect {
        version: Version::V311,
        clean_start: true,
        keep_alive_s: 60,
        client_id: "plug",
        will: None,
        username: Some(&plug.id),
        password: Some(plug.password.as_bytes()),
        properties: Properties::NONE,
    };
    let mut bytes = vec![];
    Packet::Connect(connect).encode(Version::V311, &mut bytes).unwrap();
    let mut stdin = client.stdin.take().unwrap();
    // It may have ended already, without a connection.
    let _ = stdin.write_all(&bytes);
    let mut answer = [0; 4];
    let read = client.stdout.as_mut().unwrap().read(&mut answer).unwrap_or_default();
    let _ = client.kill();
    client.wait().unwrap();
    answer[..read].to_vec()
}

#[test]
fn tls_1_2_is_spoken_with_authenticated_encryption_only_and_only_here() {
    let (hub, port, ca) = hub();
    let plug = admit(&hub);
    let is_in = [0x20, 2, 0, 0];
    for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
        assert_eq!(connack(&port, &ca, &plug, &["-tls1_2", "-cipher", suite]), is_in, "{suite}");
    }
    assert_eq!(connack(&port, &ca, &plug, &["-tls1_3"]), is_in);
    for options in [
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"][..],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
    ] {
        assert_eq!(connack(&port, &ca, &plug, options), [0; 0], "{options:?}");
    }
    let main = hub.mqtts_port().to_string();
    assert_eq!(connack(&main, &ca, &plug, &["-tls1_2"]), [0; 0], "the other doors speak 1.3");
    assert_eq!(connack(&main, &ca, &plug, &["-tls1_3"]), [0x20, 2, 0, 4], "and take no password");
}

#[test]
fn a_new_password_or_retirement_ends_its_session() {
    let (hub, port, ca) = hub();
    let plug = admit(&hub);
    let listen = |password: &str| {
        Command::new("mosquitto_sub")
            .args(["-h", "localhost", "-p", &port, "--cafile", ca.to_str().unwrap(), "-V", "5"])
            .args(["-u", &plug.id, "-P", password, "-i", "plug"])
            .args(["-t", &format!("things/{}/actions/#", plug.id)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let connected = |wanted: bool| {
        let begun = Instant::now();
        while hub.get(&format!("/api/v1/devices/{}", plug.id))["connected"] != wanted {
            assert!(begun.elapsed() < Duration::from_secs(10), "connected is not {wanted}");
            thread::sleep(Duration::from_millis(20));
        }
    };
    let mut first = listen(&plug.password);
    connected(true);
    let (code, said) = hub.command(&["device", "password", &plug.id, "--json"]);
    assert_eq!(code, 0, "{said}");
    let fresh: Value = serde_json::from_str(&said).unwrap();
    // It comes back by itself, with the old one, and is refused.
    connected(false);
    first.kill().unwrap();
    first.wait().unwrap();
    let mut second = listen(fresh["password"].as_str().unwrap());
    connected(true);
    let retire = format!("/api/v1/devices/{}/retire", plug.id);
    hub.post(&retire, &json!({}));
    connected(false);
    second.kill().unwrap();
    second.wait().unwrap();
    let path = format!("/api/v1/devices/{}/password", plug.id);
    assert_eq!(hub.ask("POST", &path, &json!({})).0, 409, "a retired one gets no other");
    let device = hub.get("/api/v1/audit?action=device.admit-weak");
    assert!(device.to_string().contains(&plug.id), "{device}");
}
