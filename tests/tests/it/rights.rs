//! Every entry is tried without rights. A route that is new and missing here fails the test.

use std::collections::BTreeSet;

use hedgerow_scenarios::{RunningHub, TestDevice};
use serde_json::{Value, json};

/// What needs no sign-in, each with its reason.
const OPEN: [(&str, &str, &str); 3] = [
    ("GET", "/api/v1/health", "says only that the hub is up"),
    ("GET", "/api/v1/openapi.json", "describes the API"),
    ("POST", "/api/v1/session", "is the sign-in"),
];

/// Every operation, with what a token that may only read gets: 2xx or 404 for reading, 403 for the rest.
const OPERATIONS: [(&str, &str, bool); 60] = [
    ("GET", "/api/v1/status", true),
    ("GET", "/api/v1/limits", true),
    ("GET", "/metrics", true),
    ("GET", "/things", true),
    ("GET", "/things/{id}", true),
    ("GET", "/things/{id}/properties/{name}", true),
    ("GET", "/api/v1/fleet/keys", true),
    ("GET", "/api/v1/devices", true),
    ("POST", "/api/v1/devices", false),
    ("GET", "/api/v1/devices/{id}", true),
    ("PATCH", "/api/v1/devices/{id}", false),
    ("POST", "/api/v1/devices/{id}/quarantine", false),
    ("POST", "/api/v1/devices/{id}/release", false),
    ("POST", "/api/v1/devices/{id}/retire", false),
    ("POST", "/api/v1/devices/{id}/revoke", false),
    ("POST", "/api/v1/devices/{id}/password", false),
    ("POST", "/api/v1/weak-devices", false),
    ("POST", "/api/v1/devices/{id}/actions/identify", false),
    ("PUT", "/api/v1/devices/{id}/properties/{name}", false),
    ("GET", "/api/v1/devices/{id}/timeline", true),
    ("GET", "/api/v1/devices/{id}/certificates", true),
    ("GET", "/api/v1/devices/{id}/values", true),
    ("GET", "/api/v1/devices/{id}/readings", true),
    ("GET", "/api/v1/devices/{id}/buckets", true),
    ("GET", "/api/v1/devices/{id}/live", true),
    ("GET", "/api/v1/broker", true),
    ("GET", "/api/v1/broker/sessions", true),
    ("GET", "/api/v1/broker/sessions/{name}", true),
    ("DELETE", "/api/v1/broker/sessions/{name}", false),
    ("GET", "/api/v1/broker/retained", true),
    ("GET", "/api/v1/broker/messages", true),
    ("GET", "/api/v1/profiles", true),
    ("GET", "/api/v1/profiles/{name}", true),
    ("GET", "/api/v1/profiles/{name}/document", true),
    ("PUT", "/api/v1/profiles/{name}", false),
    ("DELETE", "/api/v1/profiles/{name}", false),
    ("PUT", "/api/v1/profiles/{name}/overlay", false),
    ("POST", "/api/v1/profiles/{name}/accept", false),
    ("GET", "/api/v1/claims", true),
    ("POST", "/api/v1/claims", false),
    ("DELETE", "/api/v1/claims/{id}", false),
    ("GET", "/api/v1/audit", true),
    ("POST", "/api/v1/audit/verify", true),
    ("GET", "/api/v1/audit/checkpoint", true),
    ("GET", "/api/v1/authority", true),
    ("GET", "/api/v1/authority/revoked", true),
    ("POST", "/api/v1/authority/rotate", false),
    ("POST", "/api/v1/authority/distrust", false),
    ("GET", "/api/v1/people", false),
    ("POST", "/api/v1/people", false),
    ("PATCH", "/api/v1/people/{id}", false),
    ("DELETE", "/api/v1/people/{id}", false),
    ("GET", "/api/v1/tokens", false),
    ("POST", "/api/v1/tokens", false),
    ("DELETE", "/api/v1/tokens/{id}", false),
    ("GET", "/api/v1/session", true),
    ("DELETE", "/api/v1/session", false),
    ("POST", "/api/v1/session/password", false),
    ("GET", "/api/v1/openapi.json", true),
    ("GET", "/api/v1/health", true),
];

fn body(method: &str, path: &str) -> Value {
    match (method, path) {
        ("POST", "/api/v1/claims") => json!({"name": "x"}),
        ("POST", "/api/v1/devices") => {
            json!({"name": "x", "profile": "tasmota-plug", "carrier": "00000000000000000000000000"})
        }
        ("POST", "/api/v1/weak-devices") => json!({"name": "x", "profile": "linux-host"}),
        ("POST", "/api/v1/people") => json!({"name": "x", "role": "viewer"}),
        ("PATCH", "/api/v1/people/{id}") => json!({"role": "viewer"}),
        ("POST", "/api/v1/authority/distrust") => json!({"reason": "superseded"}),
        ("POST", "/api/v1/tokens") => json!({"name": "x", "scopes": ["read"]}),
        ("POST", "/api/v1/session/password") => json!({"password": "a long enough one"}),
        ("POST" | "PATCH" | "PUT", _) => json!({}),
        _ => Value::Null,
    }
}

#[test]
fn every_operation_of_the_description_is_tried_here() {
    let hub = RunningHub::start(&[]);
    let document = hub.get("/api/v1/openapi.json");
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let named = |path: &str| path.replace("/actions/identify", "/actions/{action}");
    let tried: BTreeSet<_> =
        OPERATIONS.iter().map(|(method, path, _)| ((*method).to_owned(), named(path))).collect();
    let open: BTreeSet<_> =
        OPEN.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let missing: Vec<_> =
        described.iter().filter(|one| !tried.contains(*one) && !open.contains(*one)).collect();
    assert!(missing.is_empty(), "add these to the list: {missing:?}");
}

#[test]
fn nothing_works_without_a_sign_in_and_little_with_a_reading_token() {
    let hub = RunningHub::start(&[]);
    let device = TestDevice::enrolled(&hub, "lamp");
    let made = hub.post("/api/v1/tokens", &json!({"name": "reader", "scopes": ["read"]}));
    let reader = made["secret"].as_str().unwrap().to_owned();
    for (method, path, reads) in OPERATIONS {
        if path.ends_with("/live") {
            continue;
        }
        let place = match path.contains("/devices/") {
            true => path.replace("{id}", device.id()),
            false => path.replace("{id}", "0"),
        };
        let place = place.replace("{name}", "linux-host");
        let place = if path.ends_with("/messages") { place + "?seconds=1" } else { place };
        let place = if path.ends_with("/buckets") { place + "?property=load1" } else { place };
        let is_open = OPEN.iter().any(|(m, p, _)| (*m, *p) == (method, path));
        for token in [None, Some("wrong")] {
            let (status, answer) = hub.ask_as(token, method, &place, &body(method, path));
            assert_eq!(status, if is_open { 200 } else { 401 }, "{method} {place}: {answer}");
        }
        let (status, answer) = hub.ask_as(Some(&reader), method, &place, &body(method, path));
        if reads {
            assert!(matches!(status, 200 | 404), "{method} {place}: {status} {answer}");
        } else {
            assert!(matches!(status, 403 | 409), "{method} {place}: {status} {answer}");
        }
    }
    let state = hub.get(&format!("/api/v1/devices/{}", device.id()))["state"].clone();
    assert_eq!(state, "enrolled", "nothing of all that had an effect");
}

#[test]
fn a_removed_token_stops_working_at_once() {
    let hub = RunningHub::start(&[]);
    let made = hub.post("/api/v1/tokens", &json!({"name": "t", "scopes": ["read"]}));
    let (secret, id) = (made["secret"].as_str().unwrap().to_owned(), made["token"]["id"].clone());
    assert_eq!(hub.ask_as(Some(&secret), "GET", "/api/v1/devices", &Value::Null).0, 200);
    assert_eq!(hub.ask("DELETE", &format!("/api/v1/tokens/{id}"), &Value::Null).0, 204);
    assert_eq!(hub.ask_as(Some(&secret), "GET", "/api/v1/devices", &Value::Null).0, 401);
}

#[test]
fn a_lost_answer_does_not_strand_a_device_and_a_replayed_code_helps_nobody_else() {
    let hub = RunningHub::start(&[]);
    let made = hub.post("/api/v1/claims", &json!({"name": "lamp"}));
    let code: hedgerow_onboarding::ClaimCode = made["code"].as_str().unwrap().parse().unwrap();
    let url = format!("https://localhost:{}", hub.devices_port()).parse().unwrap();
    let fresh = || {
        let folder = tempfile::tempdir().unwrap();
        let sealing =
            hedgerow_keys::SealingKey::from_file(&folder.path().join("elsewhere/seal")).unwrap();
        let state = hedgerow_device_linux::State::open(folder.path(), &sealing).unwrap();
        (folder, state)
    };
    let (folder, state) = fresh();
    hedgerow_device_linux::enrol(&state, &url, &code).unwrap();
    // As if the answer had never arrived.
    std::fs::remove_file(folder.path().join("certificate.der")).unwrap();
    hedgerow_device_linux::enrol(&state, &url, &code).unwrap();
    let (_thief_folder, thief) = fresh();
    let refused = hedgerow_device_linux::enrol(&thief, &url, &code).unwrap_err().to_string();
    assert!(refused.contains("used by another device"), "{refused}");
}

#[test]
fn a_person_is_added_by_a_link_and_the_last_owner_stays() {
    let hub = RunningHub::start(&[]);
    let add =
        |name: &str, role: &str| hub.post("/api/v1/people", &json!({"name": name, "role": role}));
    let owner = add("olga", "owner");
    let link = owner["link"].as_str().unwrap();
    assert!(link.starts_with("/sign-in#") && link.len() > 40, "{link}");
    let path = |person: &Value| format!("/api/v1/people/{}", person["person"]["id"]);
    let (status, answer) = hub.ask("PATCH", &path(&owner), &json!({"role": "viewer"}));
    assert_eq!(status, 409, "the last owner: {answer}");
    assert_eq!(hub.ask("DELETE", &path(&owner), &Value::Null).0, 409);
    let other = add("otto", "viewer");
    assert_eq!(
        hub.ask("POST", "/api/v1/people", &json!({"name": "otto", "role": "viewer"})).0,
        409
    );
    assert_eq!(hub.ask("PATCH", &path(&other), &json!({"role": "owner"})).0, 204);
    assert_eq!(hub.ask("DELETE", &path(&owner), &Value::Null).0, 204);
    let people = hub.get("/api/v1/people");
    assert_eq!(people["items"].as_array().unwrap().len(), 1);
    assert_eq!(people["items"][0]["role"], "owner");
}
