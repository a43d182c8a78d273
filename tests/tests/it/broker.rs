//! Looking after the broker: its sessions, its numbers, and messages as they come by.

use std::{
    thread,
    time::{Duration, Instant},
};

use hedgerow_scenarios::{RunningHub, TestDevice, Tester};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

fn insecure() -> RunningHub {
    RunningHub::start(&["--insecure-mqtt", "127.0.0.1:0"])
}

fn token(hub: &RunningHub, body: &Value) -> (String, String) {
    let made = hub.post("/api/v1/tokens", body);
    (made["secret"].as_str().unwrap().into(), made["token"]["id"].to_string())
}

fn granted(hub: &RunningHub, grant: &str) -> (String, String) {
    token(hub, &json!({"name": "granted", "allow": [grant]}))
}

/// Looks on while `act` does something, and gives the events: their names and data.
fn watched(
    hub: &RunningHub,
    secret: &str,
    (filter, seconds): (&str, u32),
    act: impl FnOnce(),
) -> Vec<(String, Value)> {
    let filter = filter.replace('#', "%23").replace('+', "%2B");
    let path = format!("/api/v1/broker/messages?filter={filter}&seconds={seconds}&shown=true");
    let text = thread::scope(|scope| {
        let watch = scope.spawn(|| hub.ask_as(Some(secret), "GET", &path, &Value::Null));
        let begun = Instant::now();
        while sessions(hub, "looking-on").first().is_none_or(|one| one["subscriptions"] != 1) {
            assert!(begun.elapsed() < PATIENCE && !watch.is_finished(), "nobody looks on");
            thread::sleep(Duration::from_millis(20));
        }
        act();
        let (status, answer) = watch.join().unwrap();
        assert_eq!(status, 200, "{answer}");
        answer.as_str().unwrap().to_owned()
    });
    let events = text.split("\n\n").filter_map(|event| {
        let name = event.lines().find_map(|line| line.strip_prefix("event: "))?;
        let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
        Some((name.to_owned(), serde_json::from_str(data).unwrap()))
    });
    events.collect()
}

fn messages(events: &[(String, Value)]) -> Vec<&Value> {
    events.iter().filter(|(name, _)| name == "message").map(|(_, data)| data).collect()
}

fn topics(events: &[(String, Value)]) -> Vec<&str> {
    messages(events).iter().map(|data| data["topic"].as_str().unwrap()).collect()
}

fn sessions(hub: &RunningHub, q: &str) -> Vec<Value> {
    hub.get(&format!("/api/v1/broker/sessions?q={q}"))["items"].as_array().unwrap().clone()
}

#[test]
fn who_looks_on_sees_what_scopes_or_grants_allow_and_nothing_else() {
    let hub = insecure();
    let mut device = TestDevice::enrolled(&hub, "lamp");
    device.connect("lamp", true).unwrap();
    let own = device.topic("properties/load1");
    let mut tester = Tester::connect(&hub, "tester");
    let (reader, _) = token(&hub, &json!({"name": "reader", "scopes": ["read"]}));
    let (lab, _) = granted(&hub, "subscribe lab/#");
    let (nothing, _) = granted(&hub, "publish lab/#");
    let mut both = || {
        device.publish(&own, b"0.5");
        tester.publish("lab/1", b"x", true);
        tester.publish("home/1", b"x", true);
    };
    assert_eq!(topics(&watched(&hub, &reader, ("things/#", 2), &mut both)), [own.as_str()]);
    assert_eq!(topics(&watched(&hub, &lab, ("lab/+", 2), &mut both)), ["lab/1"]);
    for (secret, filter) in [
        (&reader, "lab/%23"),
        (&reader, "%23"),
        (&lab, "%23"),
        (&lab, "things/%23"),
        (&nothing, "lab/1"),
    ] {
        for what in ["messages?seconds=1&filter=", "retained?filter="] {
            let path = format!("/api/v1/broker/{what}{filter}");
            let (status, answer) = hub.ask_as(Some(secret), "GET", &path, &Value::Null);
            assert_eq!(status, 403, "{filter}: {answer}");
        }
    }
    let (_, kept) =
        hub.ask_as(Some(&lab), "GET", "/api/v1/broker/retained?filter=lab/%23", &Value::Null);
    assert_eq!(kept["items"][0]["topic"], "lab/1", "{kept}");
    assert_eq!(kept["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_question_past_a_limit_is_refused() {
    let hub = RunningHub::start(&[]);
    let filter = |bytes: usize| format!("retained?filter=things/{}", "a".repeat(bytes - 7));
    let levels = |count: usize| format!("retained?filter=things{}", "/a".repeat(count - 1));
    for (question, status) in [
        ("sessions?limit=200", 200),
        ("sessions?limit=201", 400),
        ("sessions?limit=0", 400),
        ("sessions?after=nobody", 400),
        ("retained?limit=100", 200),
        ("retained?limit=101", 400),
        (filter(512).as_str(), 200),
        (filter(513).as_str(), 400),
        (levels(24).as_str(), 200),
        (levels(25).as_str(), 400),
        ("retained?filter=things/%23/b", 400),
        ("retained?filter=", 400),
        ("retained?filter=$share/group/things/%23", 400),
        ("messages?seconds=1&filter=$share/group/things/%23", 400),
        ("messages?seconds=601", 400),
        ("messages?seconds=0", 400),
    ] {
        let (found, answer) = hub.ask("GET", &format!("/api/v1/broker/{question}"), &Value::Null);
        assert_eq!(found, status, "{question}: {answer}");
    }
}

#[test]
fn hostile_topics_and_payloads_are_shown_for_what_they_are() {
    let hub = insecure();
    let mut tester = Tester::connect(&hub, "tester");
    let (secret, _) = granted(&hub, "subscribe lab/#");
    let large = vec![b'a'; 256 * 1024 - 64];
    let events = watched(&hub, &secret, ("lab/#", 2), || {
        tester.publish("lab/<script>alert(1)</script>", b"<script>alert(1)</script>", false);
        tester.publish("lab/nim\u{202e}da", "ad\u{202e}min".as_bytes(), true);
        tester.publish("lab/bytes", b"\xff\xfe\x00\x01", false);
        tester.publish("lab/json", br#"{"a":12345678901234567890123}"#, false);
        tester.publish("lab/large", &large, false);
    });
    let found = messages(&events);
    assert_eq!(found[0]["topic"], "lab/<script>alert(1)</script>");
    assert_eq!((&found[0]["form"], &found[0]["qos"]), (&json!("text"), &json!(1)));
    assert_eq!(found[1]["topic"], "lab/nim\u{202e}da");
    assert_eq!(
        found[1]["shown"],
        json!({"topic": "lab/nim⟨U+202E⟩da", "payload": "ad⟨U+202E⟩min"})
    );
    assert_eq!(found[1]["retain"], true, "{:?}", found[1]);
    assert_eq!((&found[2]["form"], &found[2]["payload"]), (&json!("hex"), &json!("fffe0001")));
    assert_eq!(found[3]["shown"]["payload"], "{\n  \"a\": 12345678901234567890123\n}");
    assert_eq!((&found[4]["bytes"], &found[4]["cut"]), (&json!(large.len()), &json!(true)));
    assert_eq!(found[4]["payload"].as_str().unwrap().len(), 4096);
    assert_eq!(found.len(), 5);
    assert_eq!(events.last().unwrap(), &("end".to_owned(), json!({"why": "time"})));
}

#[test]
fn a_flood_is_shown_in_part_and_the_rest_is_counted() {
    let hub = insecure();
    let mut tester = Tester::connect(&hub, "tester");
    let (secret, _) = granted(&hub, "subscribe lab/#");
    let events = watched(&hub, &secret, ("lab/#", 3), || {
        (0..500).for_each(|number: u32| tester.publish("lab/1", &number.to_be_bytes(), false));
    });
    let left_out: u64 = events
        .iter()
        .filter(|(name, _)| name == "left-out")
        .map(|(_, data)| data["count"].as_u64().unwrap())
        .sum();
    let shown = messages(&events).len() as u64;
    assert_eq!(shown + left_out, 500);
    assert!((25..=175).contains(&shown), "{shown} in three seconds");
}

#[test]
fn nobody_looks_on_with_a_token_that_was_removed() {
    let hub = insecure();
    let mut tester = Tester::connect(&hub, "tester");
    let (secret, number) = granted(&hub, "subscribe lab/#");
    let begun = Instant::now();
    let events = watched(&hub, &secret, ("lab/#", 60), || {
        tester.publish("lab/before", b"1", false);
        thread::sleep(Duration::from_millis(700));
        assert_eq!(hub.ask("DELETE", &format!("/api/v1/tokens/{number}"), &Value::Null).0, 204);
        thread::sleep(Duration::from_secs(1));
        tester.publish("lab/after", b"1", false);
    });
    assert_eq!(topics(&events), ["lab/before"]);
    assert_eq!(events.last().unwrap().0, "end");
    assert!(begun.elapsed() < PATIENCE, "it did not last its time");
}

#[test]
fn sessions_are_shown_and_ended_by_hand_with_a_record() {
    let hub = insecure();
    let mut device = TestDevice::enrolled(&hub, "lamp");
    device.connect("lamp/1", true).unwrap();
    device.subscribe(&device.topic("actions/#"));
    let _tester = Tester::connect(&hub, "tester");
    let numbers = hub.get("/api/v1/broker");
    assert!(numbers["limits"]["queued"].as_u64().unwrap() > 0, "{numbers}");
    assert_eq!((&numbers["doorstep"]["connections"], &numbers["slow"]), (&json!(2), &json!([])));
    let [session] = &sessions(&hub, device.id())[..] else { panic!("one session") };
    assert_eq!(session["name"], format!("device:{}:lamp/1", device.id()));
    assert_eq!((&session["transport"], &session["subscriptions"]), (&json!("tls"), &json!(1)));
    let path = format!("/api/v1/broker/sessions/device%3A{}%3Alamp%2F1", device.id());
    let whole = hub.get(&path);
    assert_eq!(whole["subscriptions"][0]["filter"], device.topic("actions/#"));
    let (reader, _) = token(&hub, &json!({"name": "reader", "scopes": ["read", "devices"]}));
    assert_eq!(hub.ask_as(Some(&reader), "DELETE", &path, &Value::Null).0, 403);
    assert_eq!(hub.ask("DELETE", &path, &Value::Null).0, 204);
    assert_eq!(hub.ask("DELETE", &path, &Value::Null).0, 404);
    let audit = hub.get("/api/v1/audit?action=session.end").to_string();
    assert!(audit.contains("lamp/1"), "{audit}");
    let timeline = hub.get(&format!("/api/v1/devices/{}/timeline", device.id())).to_string();
    assert!(timeline.contains("ended its session by hand"), "{timeline}");
    let metrics = hub.ask("GET", "/metrics", &Value::Null).1;
    let metrics = metrics.as_str().unwrap();
    for line in
        ["hedgerow_mqtt_slow_subscribers 0", "connection_ends_total{reason=\"ended-by-hand\"} 1"]
    {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let (code, list) = hub.command(&["broker", "sessions"]);
    assert!(code == 0 && list.contains("tester"), "{list}");
    let (code, shown) = hub.command(&["broker", "session", "tester::tester"]);
    assert!(code == 0 && shown.contains("plain"), "{shown}");
    assert_eq!(hub.command(&["broker", "kick", "tester::tester"]).0, 0);
    assert_eq!(hub.command(&["broker", "kick", "tester::tester"]).0, 1);
    let (code, status) = hub.command(&["status"]);
    assert!(code == 0 && status.contains("slow subscribers"), "{status}");
}

#[test]
fn the_command_line_watches_and_says_nothing_that_a_terminal_obeys() {
    let hub = RunningHub::start(&[]);
    let mut device = TestDevice::enrolled(&hub, "lamp");
    device.connect("lamp\u{202e}", true).unwrap();
    let topic = device.topic("properties/load1");
    let (code, heard) = thread::scope(|scope| {
        let watch = scope.spawn(|| hub.command(&["broker", "watch", "things/#", "--seconds", "3"]));
        while sessions(&hub, "looking-on").first().is_none_or(|one| one["subscriptions"] != 1) {
            thread::sleep(Duration::from_millis(20));
        }
        device.publish(&topic, b"0.5");
        watch.join().unwrap()
    });
    assert!(code == 0 && heard.contains(&topic) && heard.contains("0.5"), "{heard}");
    assert_eq!(hub.command(&["broker", "watch", "lab/#", "--seconds", "1"]).0, 1, "refused");
    let (code, list) = hub.command(&["broker", "sessions"]);
    assert!(code == 0 && list.contains("lamp\\u{202e}") && !list.contains('\u{202e}'), "{list}");
}
