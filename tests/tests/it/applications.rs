//! Tokens with grants, as the API makes them. What their programs do over MQTT is in `tests/mqtt.sh`.

use std::{fs, process::Command};

use hedgerow_scenarios::RunningHub;
use serde_json::{Value, json};

fn asked(hub: &RunningHub, body: &Value) -> (u16, Value) {
    hub.ask("POST", "/api/v1/tokens", body)
}

#[test]
fn a_token_is_made_with_grants_within_the_limits_and_shown_with_them() {
    let hub = RunningHub::start(&[]);
    let many = |count: usize| -> Vec<String> {
        (0..count).map(|number| format!("publish lab/{number}")).collect()
    };
    let (status, made) = asked(&hub, &json!({"name": "most", "allow": many(64)}));
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["token"]["allow"], json!(many(64)));
    assert_eq!(made["token"]["scopes"], json!([]));
    let (status, answer) = asked(&hub, &json!({"name": "too many", "allow": many(65)}));
    assert_eq!(status, 429, "{answer}");
    let long = |bytes: usize| json!([format!("publish {}", "a".repeat(bytes))]);
    assert_eq!(asked(&hub, &json!({"name": "long", "allow": long(512)})).0, 201);
    for (allow, words) in [
        (long(513), "512 bytes"),
        (json!(["things/#"]), "begins with publish or subscribe"),
        (json!(["publish a", "subscribe a/#/b"]), "subscribe a/#/b"),
        (json!([]), "give it scopes"),
    ] {
        let (status, answer) = asked(&hub, &json!({"name": "x", "allow": allow}));
        assert_eq!(status, 422, "{allow}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
    }
    let listed = hub.get("/api/v1/tokens");
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(names, ["this machine", "most", "long"], "what was refused is not there");
    let audit = hub.get("/api/v1/audit?action=token.create");
    assert!(audit.to_string().contains("publish lab/63"), "the record says what was granted");
}

#[test]
fn a_token_with_grants_alone_has_no_right_in_the_api() {
    let hub = RunningHub::start(&[]);
    let made = hub.post("/api/v1/tokens", &json!({"name": "bridge", "allow": ["subscribe #"]}));
    let secret = made["secret"].as_str().unwrap();
    for path in ["/api/v1/devices", "/api/v1/tokens", "/api/v1/status", "/api/v1/audit"] {
        let (status, answer) = hub.ask_as(Some(secret), "GET", path, &Value::Null);
        assert_eq!(status, 403, "{path}: {answer}");
    }
    let more = json!({"name": "more", "scopes": ["admin"]});
    assert_eq!(hub.ask_as(Some(secret), "POST", "/api/v1/tokens", &more).0, 403);
}

#[test]
fn the_command_line_makes_and_lists_tokens_with_grants() {
    let hub = RunningHub::start(&[]);
    let create = ["token", "create", "--name", "board", "--allow", "subscribe things/+/events/#"];
    let (code, secret) = hub.command(&create);
    assert_eq!((code, secret.trim().len()), (0, 43), "{secret}");
    let (code, list) = hub.command(&["token", "list"]);
    assert!(code == 0 && list.contains("subscribe things/+/events/#"), "{list}");
    assert_eq!(hub.command(&["token", "create", "--name", "nothing"]).0, 2, "wrong usage");
    assert_eq!(hub.command(&["token", "create", "--name", "x", "--allow", "a"]).0, 1);
}

/// How mosquitto's publisher with this certificate ended, and what it said.
fn publish(hub: &RunningHub, certificate: &str, topic: &str) -> (bool, String) {
    let file = |name: &str| hub.folder().join(name).to_str().unwrap().to_owned();
    fs::write(file("program.pem"), certificate).unwrap();
    let done = Command::new("mosquitto_pub")
        .args(["-h", "localhost", "-p", &hub.mqtts_port().to_string()])
        .args(["--cafile", &file("ca.pem"), "--cert", &file("program.pem")])
        .args(["--key", &file("program.key"), "-V", "5", "-q", "1", "-t", topic, "-m", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr) + String::from_utf8_lossy(&done.stdout);
    (done.status.success(), said.to_lowercase())
}

#[test]
fn a_program_with_a_certificate_of_its_own_has_its_grants_until_its_token_is_removed() {
    let hub = RunningHub::start(&[]);
    let file = |name: &str| hub.folder().join(name).to_str().unwrap().to_owned();
    fs::write(file("ca.pem"), hub.command(&["ca", "show", "--pem"]).1).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-subj", "/CN=anything", "-keyout", &file("program.key")])
        .args(["-out", &file("program.csr")])
        .output()
        .unwrap();
    assert!(made.status.success());
    let create = ["token", "create", "--name", "node", "--allow", "publish lab/#"];
    let (code, certificate) =
        hub.command(&[&create[..], &["--csr", &file("program.csr")]].concat());
    assert!(code == 0 && certificate.matches("BEGIN CERTIFICATE").count() == 2, "{certificate}");
    let (ok, said) = publish(&hub, &certificate, "lab/x");
    assert!(ok && !said.contains("not authorized"), "{said}");
    let (_, said) = publish(&hub, &certificate, "other/x");
    assert!(said.contains("not authorized"), "{said}");

    let listed = hub.get("/api/v1/tokens");
    let token = listed["items"].as_array().unwrap().iter().find(|t| t["name"] == "node").unwrap();
    let fingerprint = token["certificate"].as_str().unwrap();
    // What is public proves nothing.
    let (status, _) = hub.ask_as(Some(fingerprint), "GET", "/api/v1/status", &Value::Null);
    assert_eq!(status, 401);
    assert_eq!(hub.ask("DELETE", &format!("/api/v1/tokens/{}", token["id"]), &Value::Null).0, 204);
    assert!(!publish(&hub, &certificate, "lab/x").0, "its token was removed");
    for csr in ["", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"]
    {
        let body = json!({"name": "x", "allow": ["publish a"], "csr": csr});
        let (status, answer) = asked(&hub, &body);
        assert!(status == 422 && answer.to_string().contains("PKCS#10"), "{answer}");
    }
}
