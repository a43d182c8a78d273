//! A device whose certificate expired while it lay in a drawer comes back with it, and nobody else does. The
//! device is a foreign one: openssl, curl and mosquitto_pub.

use std::{
    fs,
    time::{Duration, Instant},
};

use hedgerow_scenarios::RunningHub;
use serde_json::{Value, json};

/// What the scripts below have in common. `ask CERTIFICATE KEY REQUEST` prints the answer and its status;
/// `took CERTIFICATE` keeps it as a certificate.
const WORDS: &str = r#"
request() { openssl req -new -key "$1" -subj /CN=x -outform DER | openssl base64 >"$2"; }
ask() {
  curl --silent --show-error --cacert root.pem --cert "$1" --key "$2" --data-binary "@$3" \
    --header 'Content-Type: application/pkcs10' --write-out '%{http_code}' \
    "https://$DEVICES/.well-known/est/simplereenroll" 2>&1
}
took() { grep -v '^200$' | sed 's/200$//' | openssl base64 -d | openssl pkcs7 -inform DER -print_certs -out "$1"; }
connects() {
  mosquitto_pub -h localhost -p "$PORT" --cafile root.pem --cert "$1" --key "$2" -V 5 -q 1 \
    -t "things/$ID/properties/load1" -m 1 2>&1
}
"#;

fn script(hub: &RunningHub, id: &str, script: &str) -> String {
    hub.script(&format!("ID={id}\nPORT=${{MQTTS#*:}}\n{WORDS}\n{script}"))
}

/// Enrols a foreign device, as `NAME.key` and `NAME.pem`; its id.
fn enrolled(hub: &RunningHub, name: &str) -> String {
    let claim = hub.post("/api/v1/claims", &json!({"name": name}));
    let password = claim["password"].as_str().unwrap();
    let said = script(
        hub,
        "",
        &format!(
            "openssl ecparam -name prime256v1 -genkey -noout -out {name}.key
             request {name}.key {name}.csr
             curl --silent --fail-with-body --cacert root.pem --user 'claim:{password}' \
               --header 'Content-Type: application/pkcs10' --data-binary @{name}.csr \
               https://$DEVICES/.well-known/est/simpleenroll | took {name}.pem
             openssl x509 -in {name}.pem -noout -ext subjectAltName | grep -o 'device:.*'"
        ),
    );
    said.trim().strip_prefix("device:").unwrap().to_owned()
}

/// How many words of a kind are in a device's timeline.
fn told(hub: &RunningHub, id: &str, kind: &str) -> usize {
    let timeline = hub.get(&format!("/api/v1/devices/{id}/timeline"));
    timeline["items"].as_array().unwrap().iter().filter(|entry| entry["kind"] == kind).count()
}

/// Waits until so many connections of a device are written down, which takes a moment.
fn connected(hub: &RunningHub, id: &str, times: usize) {
    let begun = Instant::now();
    while told(hub, id, "connected") < times {
        assert!(begun.elapsed() < Duration::from_secs(10), "a connection is not written down");
    }
}

fn audited(hub: &RunningHub, id: &str) -> Vec<Value> {
    let found = hub.get(&format!("/api/v1/audit?action=device.rescue&subject=device:{id}"));
    found["items"].as_array().unwrap().clone()
}

#[test]
fn a_device_from_the_drawer_comes_back_by_its_expired_certificate() {
    let mut hub = RunningHub::start(&[]);
    let id = enrolled(&hub, "lamp");
    script(&hub, &id, "connects lamp.pem lamp.key");
    connected(&hub, &id, 1);
    hub.restart_days_ahead(33);

    script(&hub, &id, "! connects lamp.pem lamp.key");
    let alert = "{ openssl s_client -connect localhost:$PORT -CAfile root.pem -cert lamp.pem \
                   -key lamp.key -ign_eof </dev/null 2>&1 || true; } | grep 'alert certificate expired'";
    script(&hub, &id, alert);
    let path = "https://$DEVICES/audit/checkpoint";
    let said = script(
        &hub,
        &id,
        &format!("curl --silent --cacert root.pem --cert lamp.pem --key lamp.key {path}"),
    );
    assert!(said.contains("show your certificate"), "it is good for nothing else: {said}");

    // The answer gets lost the first time: the device asks again and is not taken for a copy.
    let again = "request lamp.key lamp.csr; ask lamp.pem lamp.key lamp.csr";
    let said = script(&hub, &id, &format!("{again} >lost; tail -c 3 lost"));
    assert_eq!(said, "200");
    script(&hub, &id, &format!("{again} | took next.pem; connects next.pem lamp.key"));
    assert_eq!(told(&hub, &id, "rescued"), 2);
    let timeline = hub.get(&format!("/api/v1/devices/{id}/timeline")).to_string();
    assert!(timeline.contains("expired 3 days ago"), "{timeline}");
    let records = audited(&hub, &id);
    assert!(records.len() == 2 && records[0].to_string().contains("\"days\""), "{records:?}");

    connected(&hub, &id, 2);
    // Whoever comes with the old one now is a copy: the device has moved on.
    for _ in 0..2 {
        let said = script(&hub, &id, "ask lamp.pem lamp.key lamp.csr");
        assert!(said.contains("newer certificate since") && said.ends_with("403"), "{said}");
    }
    assert_eq!(told(&hub, &id, "copied"), 1, "told once");
    let denied =
        audited(&hub, &id).into_iter().filter(|one| one.to_string().contains("superseded"));
    assert_eq!(denied.count(), 1);
    script(&hub, &id, "connects next.pem lamp.key");
    assert_eq!(hub.post("/api/v1/audit/verify", &json!({}))["sound"], true);
}

#[test]
fn nobody_else_comes_back_by_an_expired_certificate() {
    let mut hub = RunningHub::start(&[]);
    let names = ["lamp", "gone", "cut", "other"];
    let ids = names.map(|name| enrolled(&hub, name));
    hub.post(&format!("/api/v1/devices/{}/retire", ids[1]), &json!({"reason": "test"}));
    hub.post(&format!("/api/v1/devices/{}/revoke", ids[2]), &json!({"reason": "test"}));
    let forge = "openssl ecparam -name prime256v1 -genkey -noout -out thief.key
        openssl req -new -x509 -key thief.key -subj /CN=x -days 1 -out thief.pem \
          -addext basicConstraints=CA:FALSE -addext subjectAltName=URI:urn:hedgerow:device:$ID
        request thief.key thief.csr";
    script(&hub, &ids[0], forge);
    hub.restart_days_ahead(31);

    let refused = |name: &str, request: &str| {
        let ask = format!("request {request}.key it.csr; ask {name}.pem {name}.key it.csr || true");
        script(&hub, &ids[0], &ask)
    };
    for (name, request, status, words) in [
        ("gone", "gone", "403", "retired"),
        ("cut", "cut", "403", "revoked"),
        ("lamp", "other", "400", "keeps the key"),
    ] {
        let said = refused(name, request);
        assert!(said.contains(words) && said.ends_with(status), "{name}: {said}");
    }
    for name in ["gone", "cut", "lamp"] {
        let said = script(
            &hub,
            &ids[0],
            &format!(
                "curl --silent --cacert root.pem --cert {name}.pem --key other.key \
                   https://$DEVICES/crl/issuing.crl -o out 2>&1 || echo without its key"
            ),
        );
        assert!(said.contains("without its key"), "{name}: {said}");
    }
    let said = refused("thief", "thief");
    assert!(said.contains("unknown ca") && said.ends_with("000"), "not of our CA: {said}");

    // An issuing CA that is given up takes the expired ones with it, in the handshake.
    hub.post("/api/v1/authority/rotate", &json!({}));
    let agreed = json!({"reason": "cACompromise", "cut_off": 9});
    hub.post("/api/v1/authority/distrust", &agreed);
    let said = refused("lamp", "lamp");
    assert!(said.contains("revoked") && said.ends_with("000"), "{said}");
    assert_eq!(told(&hub, &ids[0], "rescued"), 0);
}

#[test]
fn the_owner_says_for_how_long_a_certificate_is_taken_back() {
    let mut hub = RunningHub::start(&[]);
    let id = enrolled(&hub, "lamp");
    let file = hub.data().join("hedgerow.toml");
    let ask = "request lamp.key it.csr; ask lamp.pem lamp.key it.csr";
    fs::write(&file, "[limits]\nrescue-days = 2\n").unwrap();
    hub.restart_days_ahead(33);
    let said = script(&hub, &id, ask);
    assert!(said.contains("more than 2 days ago") && said.ends_with("403"), "{said}");
    fs::write(&file, "[limits]\nrescue-days = 0\n").unwrap();
    hub.restart_days_ahead(31);
    let said = script(&hub, &id, ask);
    assert!(said.contains("rescue-days is 0") && said.ends_with("403"), "{said}");
    fs::write(&file, "[limits]\nrescue-days = 2\n").unwrap();
    hub.restart_days_ahead(31);
    let said = script(&hub, &id, &format!("{ask} | took next.pem; connects next.pem lamp.key"));
    assert!(!said.contains("refused"), "{said}");
    let (code, said) = hub.command(&["config", "show"]);
    assert!(code == 0 && said.contains("rescue-days = 2"), "{said}");
    assert_eq!(told(&hub, &id, "rescued"), 1);
}

#[test]
fn an_expired_certificate_is_worth_no_more_than_none_at_any_other_route() {
    let mut hub = RunningHub::start(&[]);
    let id = enrolled(&hub, "lamp");
    hub.restart_days_ahead(31);
    for (method, path) in hedgerow_api::devices::ROUTES {
        if path.ends_with("/simplereenroll") {
            continue;
        }
        let path = path.replace("{name}", "other.crl").replace("{*request}", "x");
        let ask = |shown: &str| {
            let ask = format!(
                "curl --silent --cacert root.pem {shown} --request {method} --write-out '%{{http_code}}' \
                   https://$DEVICES{path} | od -c"
            );
            script(&hub, &id, &ask)
        };
        assert_eq!(ask("--cert lamp.pem --key lamp.key"), ask(""), "{method} {path}");
    }
}
