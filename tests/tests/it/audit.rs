//! The audit log is changed, shortened and reordered behind the hub's back; verification finds it.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

use hedgerow_scenarios::{RunningHub, TestDevice};
use serde_json::{Value, json};

fn sql(hub: &RunningHub, statement: &str) {
    let done = std::process::Command::new("python3")
        .args(["-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()"])
        .arg(hub.data().join("hub.db"))
        .arg(statement)
        .status()
        .unwrap();
    assert!(done.success());
}

fn verify(hub: &RunningHub) -> (bool, String) {
    let found = hub.post("/api/v1/audit/verify", &Value::Null);
    (found["sound"] == true, found["problems"].to_string())
}

#[test]
fn a_changed_missing_reordered_or_truncated_record_is_found() {
    for (damage, says) in [
        ("UPDATE audit SET record = replace(record, 'lamp', 'lump') || ' ' WHERE idx = 4", "changed"),
        ("DELETE FROM audit WHERE idx = 4", "missing"),
        (
            "CREATE TEMP TABLE t AS SELECT * FROM audit WHERE idx IN (3, 4);
             UPDATE audit SET record = (SELECT record FROM t WHERE idx = 4), leaf = (SELECT leaf FROM t WHERE idx = 4) WHERE idx = 3;
             UPDATE audit SET record = (SELECT record FROM t WHERE idx = 3), leaf = (SELECT leaf FROM t WHERE idx = 3) WHERE idx = 4",
            "not the ones that were signed",
        ),
        ("DELETE FROM audit WHERE idx >= 5", "cut"),
        (
            "DELETE FROM audit WHERE idx >= 5; DELETE FROM checkpoints WHERE size > 4",
            "no checkpoint covers",
        ),
    ] {
        let hub = RunningHub::start(&[]);
        let _device = TestDevice::enrolled(&hub, "lamp");
        assert!(verify(&hub).0, "sound before");
        sql(&hub, damage);
        let (sound, problems) = verify(&hub);
        assert!(!sound && problems.contains(says), "{damage}: {problems}");
    }
}

#[test]
fn a_log_that_grows_while_it_is_verified_is_sound() {
    const ROUNDS: usize = 60;
    let hub = RunningHub::start(&[]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let grow = |name: &'static str| {
            let (hub, is_over) = (&hub, &is_over);
            move || {
                while !is_over.load(SeqCst) {
                    hub.post("/api/v1/claims", &json!({"name": name, "expires_in": 60}));
                }
            }
        };
        scope.spawn(grow("one"));
        scope.spawn(grow("other"));
        let verified: Vec<_> = (0..ROUNDS).map(|_| verify(&hub)).collect();
        is_over.store(true, SeqCst);
        let accused: Vec<_> = verified.iter().filter(|(sound, _)| !sound).collect();
        assert!(accused.is_empty(), "{} of {ROUNDS}: {accused:?}", accused.len());
    });
}
