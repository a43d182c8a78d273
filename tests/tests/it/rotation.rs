//! Another issuing CA takes over while devices are connected, and the earlier one is given up.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use hedgerow_scenarios::{Answer, RunningHub, TestDevice};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(1);

fn publish(device: &mut TestDevice) -> u8 {
    let topic = device.topic("properties/load1");
    let id = device.publish(&topic, b"1").unwrap();
    match device.hear(Duration::from_secs(5)) {
        Answer::Acknowledged(acknowledged, reason) if acknowledged == id => reason,
        other => panic!("no acknowledgement: {other:?}"),
    }
}

fn trust(hub: &RunningHub) -> Vec<String> {
    hub.own("issuing").iter().map(|one| one["trust"].as_str().unwrap().to_owned()).collect()
}

fn cut_off(answer: &Value) -> (u64, u64) {
    let count = |name: &str| answer["cut_off"][name].as_u64().unwrap();
    (count("devices"), count("programs"))
}

/// A list of revoked certificates as text; its signature is that of the CA that it names.
fn list(hub: &RunningHub, name: &str) -> String {
    let all: String = ["root", "issuing"]
        .into_iter()
        .flat_map(|kind| hub.own(kind))
        .map(|one| one["pem"].as_str().unwrap().to_owned())
        .collect();
    fs::write(hub.folder().join("all.pem"), all).unwrap();
    let fetch = "curl --silent --show-error --fail --cacert root.pem";
    let read = "openssl crl -inform DER -CAfile all.pem -noout -text";
    let text = hub.script(&format!("{fetch} https://$DEVICES/crl/{name} | {read}"));
    assert!(text.contains("verify OK"), "{name}: {text}");
    text
}

/// A program whose token has a certificate instead of a secret.
fn program(hub: &RunningHub, name: &str) {
    let new =
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x";
    hub.script(&format!("{new} -keyout {name}.key -out {name}.csr 2>/dev/null"));
    let csr = fs::read_to_string(hub.folder().join(format!("{name}.csr"))).unwrap();
    hub.post("/api/v1/tokens", &json!({"name": name, "allow": ["publish lab/#"], "csr": csr}));
}

#[test]
fn devices_of_the_old_and_the_new_ca_work_side_by_side() {
    let hub = RunningHub::start(&[]);
    let mut old = TestDevice::enrolled(&hub, "old");
    assert_eq!(old.connect("c", true).unwrap().0, 0);
    let server = hub.own("server")[0]["serial"].clone();
    let (code, said) = hub.command(&["ca", "rotate"]);
    assert!(code == 0 && said.contains("issuing, current") && said.contains("1 devices"), "{said}");
    assert_eq!(trust(&hub), ["current", "trusted"]);
    assert_eq!(cut_off(&hub.get("/api/v1/authority")), (1, 0));
    assert_ne!(hub.own("server")[0]["serial"], server);

    assert_eq!(publish(&mut old), 0, "a session that was open goes on");
    let mut again = old.again();
    assert_eq!(
        again.connect("d", true).unwrap().0,
        0,
        "and another begins with the old certificate"
    );
    let mut new = TestDevice::enrolled(&hub, "new");
    assert_eq!(new.connect("c", true).unwrap().0, 0);
    assert_eq!((publish(&mut new), publish(&mut again)), (0, 0));

    let keys = hub.get("/api/v1/fleet/keys");
    let left = json!({"ended": 0, "under_7": 0, "under_14": 0, "more": 2, "none": 0});
    assert_eq!(keys["days_left"], left);
    let numbers: Vec<_> = hub
        .own("issuing")
        .iter()
        .map(|one| json!({"number": one["number"], "devices": 1}))
        .collect();
    assert_eq!(keys["issuing"], json!(numbers), "one of each CA, the newest first");
    let (code, said) = hub.command(&["device", "keys"]);
    assert!(code == 0 && said.contains("14 days and more            2"), "{said}");
    let (code, said) =
        hub.command(&["device", "list", "--days-left", "31", "--key-storage", "unknown"]);
    assert!(code == 0 && said.contains("old") && said.contains("new"), "{said}");
    let (_, said) = hub.command(&["device", "list", "--days-left", "29"]);
    assert!(said.contains("no device fits"), "{said}");
    assert_ne!(hub.command(&["device", "list", "--key-storage", "safe"]).0, 0, "no such place");

    for port in ["DEVICES", "MQTTS"] {
        let show =
            format!("openssl s_client -connect ${port} -CAfile root.pem -verify_return_error");
        let shown = hub.script(&format!("{show} -showcerts </dev/null"));
        let issuing = hub.own("issuing")[0]["pem"].as_str().unwrap().to_owned();
        assert!(shown.contains(&issuing), "{port} shows the new issuing CA: {shown}");
    }
    let given = hub.script(
        "curl --silent --fail --cacert root.pem https://$DEVICES/.well-known/est/cacerts |
         openssl base64 -d | openssl pkcs7 -inform DER -print_certs -noout",
    );
    assert!(given.contains("issuing CA 2") && given.matches("subject").count() == 2, "{given}");
    assert!(list(&hub, "issuing.crl").contains("issuing CA 2"));
    let (code, said) = hub.command(&["doctor"]);
    assert!(code == 0 && said.contains("1 still trusted, superseded today"), "{said}");
    assert!(hub.get("/api/v1/audit?action=authority.rotate").to_string().contains("issuing CA 2"));
}

#[test]
fn what_the_earlier_ca_admitted_ends_within_a_second_and_the_rest_goes_on() {
    let mut hub = RunningHub::start(&[]);
    let mut old = TestDevice::enrolled(&hub, "old");
    program(&hub, "before");
    hub.post("/api/v1/authority/rotate", &json!({}));
    let mut new = TestDevice::enrolled(&hub, "new");
    program(&hub, "after");
    for device in [&mut old, &mut new] {
        assert_eq!(device.connect("c", true).unwrap().0, 0);
    }
    let earlier = hub.own("issuing")[1].clone();

    let agreed = |cut_off: u64| json!({"reason": "cACompromise", "cut_off": cut_off});
    let path = "/api/v1/authority/distrust";
    let (status, answer) = hub.ask("POST", path, &agreed(1));
    assert!(status == 409 && answer.to_string().contains("1 devices and 1 programs"), "{answer}");
    let (code, _) = hub.command(&["ca", "distrust"]);
    assert_eq!((code, publish(&mut old)), (1, 0), "nothing happened without a word");
    let begun = Instant::now();
    assert_eq!(cut_off(&hub.post(path, &agreed(2))), (1, 1));
    let Answer::Goodbye(reason, words) = old.hear(SOON) else { panic!("it was not told") };
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(reason == 0x87 && words.contains("revoked"), "{reason:#x} {words}");
    assert_eq!(publish(&mut new), 0, "the others go on");

    let names = |hub: &RunningHub| hub.get("/api/v1/tokens").to_string();
    assert!(!names(&hub).contains("before") && names(&hub).contains("after"));
    let key = earlier["key_fingerprint"].as_str().unwrap();
    let text = list(&hub, &format!("{key}.crl"));
    assert!(text.matches("CA Compromise").count() == 2, "a device's and a program's: {text}");
    assert!(list(&hub, "issuing.crl").contains("No Revoked Certificates"));
    let serial = earlier["serial"].as_str().unwrap().to_uppercase();
    assert!(list(&hub, "root.crl").contains(&serial), "the root takes the CA itself back");
    let most = 1_000_000_000;
    assert_eq!(hub.ask("POST", path, &agreed(most)).0, 409, "there is nothing left to distrust");
    assert_eq!(hub.ask("POST", path, &agreed(most + 1)).0, 400);

    for _ in 0..2 {
        old.vanish();
        let refused = old.connect("c", true).unwrap_err();
        assert!(
            refused.contains("CertificateRevoked") || refused.contains("before CONNACK"),
            "{refused}"
        );
        assert_eq!(new.again().connect("d", true).unwrap().0, 0);
        assert!(hub.stop(), "{}", hub.log());
        hub.restart();
        assert_eq!(trust(&hub), ["current", "distrusted"]);
    }
    let timeline = hub.get(&format!("/api/v1/devices/{}/timeline", old.id()));
    assert!(timeline.to_string().contains("claim it again"), "{timeline}");
    old.enrol_again(&hub);
    assert_eq!(old.connect("c", true).unwrap().0, 0, "the same device, claimed again");
    assert_eq!(publish(&mut old), 0);
}

#[test]
fn nobody_is_cut_off_when_all_have_renewed() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "lamp");
    hub.post("/api/v1/authority/rotate", &json!({}));
    device.enrol_again(&hub);
    assert_eq!(device.connect("c", true).unwrap().0, 0);
    assert_eq!(cut_off(&hub.get("/api/v1/authority")), (0, 0));
    let (code, said) = hub.command(&["ca", "distrust", "--yes"]);
    assert!(code == 0 && said.contains("0 devices and 0 programs were cut off"), "{said}");
    assert_eq!(publish(&mut device), 0);
    let (code, said) = hub.command(&["ca", "show"]);
    assert!(
        code == 0 && said.contains("issuing, current") && said.contains("issuing, distrusted"),
        "{said}"
    );
}

/// Asks for a new issuing CA and does not wait for the answer.
fn rotate_without_waiting(hub: &RunningHub) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", hub.local_port())).unwrap();
    let token = hub.token();
    write!(
        stream,
        "POST /api/v1/authority/rotate HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .unwrap();
    stream
}

#[test]
fn a_power_cut_while_the_new_ca_is_made_leaves_one_that_signs() {
    const ROUNDS: u64 = 12;
    let mut hub = RunningHub::start_on_disk_losing_power(&[]);
    let mut devices = Vec::new();
    for round in 0..ROUNDS {
        let asked = rotate_without_waiting(&hub);
        std::thread::sleep(Duration::from_millis(round * 2));
        hub.cut_power();
        drop(asked);
        hub.restart();
        let issuing = hub.own("issuing");
        let current = issuing.iter().filter(|one| one["trust"] == "current").count();
        assert_eq!(current, 1, "{issuing:?}");
        devices.push(TestDevice::enrolled(&hub, &format!("device {round}")));
        for device in &mut devices {
            device.vanish();
            assert_eq!(device.connect("c", true).unwrap().0, 0, "of whichever CA");
        }
    }
    println!("{} issuing CAs after {ROUNDS} cuts", hub.own("issuing").len());
    let found = hub.post("/api/v1/audit/verify", &Value::Null);
    assert_eq!(found["sound"], true, "{found}");
}
