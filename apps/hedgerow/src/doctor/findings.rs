//! What a number or a word means: each a plain sentence, and what to do. Pure.

use hedgerow_base::Timestamp;
use hedgerow_identity::limits::DEVICE_LIFE_MS;
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;
const MIB: u64 = 1 << 20;
/// How far what was written down may lie ahead of the clock.
const CLOCK_BEHIND_MS_MAX: i64 = 2 * 60_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Well,
    /// Works, and should not stay so.
    Watch,
    /// Does not work, or will not for long.
    Wrong,
    /// Could not be looked at.
    Skipped,
}

impl State {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Watch => "watch",
            Self::Wrong => "wrong",
            Self::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: String,
    pub(super) state: State,
    pub(super) says: String,
    /// What to do; empty when there is nothing.
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn new(
        check: impl Into<String>,
        state: State,
        says: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { check: check.into(), state, says: says.into(), advice: advice.into() }
    }

    pub(super) fn json(&self) -> Value {
        json!({"check": self.check, "state": self.state.word(), "says": self.says, "advice": self.advice})
    }
}

/// Who may look into the data directory: its mode, and whether it is ours.
pub(super) fn directory(path: &str, mode: u32, is_ours: bool) -> Finding {
    let check = "data directory";
    if !is_ours {
        let says = format!("{path} belongs to another user");
        return Finding::new(check, State::Wrong, says, "run this as the user that runs the hub");
    }
    if mode & 0o077 != 0 {
        let says = format!("others can look into {path} (mode {:03o})", mode & 0o777);
        return Finding::new(check, State::Wrong, says, format!("chmod 700 {path}"));
    }
    Finding::new(check, State::Well, format!("{path} is open to its owner alone"), "")
}

/// Bytes that are free, and all.
pub(super) fn disk(free: u64, all: u64) -> Finding {
    let percent = (free.saturating_mul(100)).checked_div(all).unwrap_or(0);
    let says = format!("{} MiB are free where the data is, {percent} %", free / MIB);
    let advice = "free some space, or shorten how long readings are kept";
    let state = match (free / MIB, percent) {
        (0..200, _) | (_, 0..1) => State::Wrong,
        (0..2048, 0..10) => State::Watch,
        _ => State::Well,
    };
    Finding::new("disk", state, says, if state == State::Well { "" } else { advice })
}

/// Whether the clock can be right, by what was written down before.
pub(super) fn clock(now: Timestamp, newest: Option<Timestamp>) -> Finding {
    let advice = "set the clock, best by a time service; certificates and readings depend on it";
    match newest {
        Some(newest) if newest.since_ms(now) > CLOCK_BEHIND_MS_MAX => {
            let says = format!("the clock says {now}, and something was written down at {newest}");
            Finding::new("clock", State::Wrong, says, advice)
        }
        Some(_) | None => Finding::new("clock", State::Well, format!("it says {now}"), ""),
    }
}

/// A certificate of the hub's own.
pub(super) fn certificate(kind: &str, until: Timestamp, now: Timestamp) -> Finding {
    let days = until.since_ms(now).div_euclid(DAY_MS);
    let check = format!("{kind} certificate");
    // The server's is renewed by the hub itself, a month before.
    let (watch, advice) = match kind {
        "server" => {
            (25, "start the hub, or look into its log: it renews this certificate by itself")
        }
        "issuing" => (365, "make a new one with `hedgerow ca rotate`"),
        _ => (365, "plan a new certificate authority: devices must get certificates of it before"),
    };
    if until <= now {
        return Finding::new(check, State::Wrong, format!("it ended at {until}"), advice);
    }
    let says = format!("it ends in {days} days, at {until}");
    if days < watch {
        return Finding::new(check, State::Watch, says, advice);
    }
    Finding::new(check, State::Well, says, "")
}

/// Earlier issuing CAs that are still trusted, and since when there is a newer one.
pub(super) fn overlap(earlier: usize, since: Timestamp, now: Timestamp) -> Option<Finding> {
    if earlier == 0 {
        return None;
    }
    let check = "earlier issuing CAs";
    let says = format!("{earlier} still trusted, superseded {}", days_ago(now.since_ms(since)));
    // By then every device has renewed that will.
    if now.since_ms(since) < DEVICE_LIFE_MS {
        return Some(Finding::new(check, State::Well, says, ""));
    }
    let advice = "`hedgerow ca distrust` ends the trust in them; it says first whom that cuts off";
    Some(Finding::new(check, State::Watch, says, advice))
}

fn days_ago(ms: i64) -> String {
    match ms.div_euclid(DAY_MS) {
        ..=0 => "today".into(),
        1 => "a day ago".into(),
        days => format!("{days} days ago"),
    }
}

/// What SQLite found in a file.
pub(super) fn database(file: &str, problems: &[String]) -> Finding {
    let check = format!("database {file}");
    match problems.first() {
        None => Finding::new(check, State::Well, "it is sound", ""),
        Some(first) => {
            let says = format!("{first} ({} problems)", problems.len());
            let advice = "stop the hub, keep a copy of the data directory, restore a backup";
            Finding::new(check, State::Wrong, says, advice)
        }
    }
}

/// What a verification of the audit log said.
pub(super) fn audit(answer: &Value) -> Finding {
    let records = answer.get("records").and_then(Value::as_u64).unwrap_or(0);
    if answer.get("sound") == Some(&Value::Bool(true)) {
        let says = format!("{records} records are as they were signed");
        return Finding::new("audit log", State::Well, says, "");
    }
    let first = answer.pointer("/problems/0").and_then(Value::as_str).unwrap_or("it is not sound");
    let advice = "somebody changed the database: keep a copy, and see `hedgerow audit verify`";
    Finding::new("audit log", State::Wrong, first, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_directory_that_others_can_read_is_wrong() {
        assert_eq!(directory("/d", 0o40_700, true).state, State::Well);
        for mode in [0o40_701, 0o40_710, 0o40_750] {
            let found = directory("/d", mode, true);
            assert_eq!((found.state, found.advice.as_str()), (State::Wrong, "chmod 700 /d"));
        }
        assert_eq!(directory("/d", 0o40_700, false).state, State::Wrong);
    }

    #[test]
    fn a_disk_is_judged_by_bytes_and_share() {
        let of = |free: u64, all: u64| disk(free * MIB, all * MIB).state;
        assert_eq!(of(199, 400), State::Wrong);
        assert_eq!(of(200, 400), State::Well);
        assert_eq!(of(2047, 20_480), State::Watch);
        assert_eq!(of(2048, 20_481), State::Well);
        assert_eq!(of(2048, 204_801), State::Wrong, "less than one in a hundred");
        assert_eq!(disk(0, 0).state, State::Wrong);
    }

    #[test]
    fn a_clock_behind_what_was_written_is_wrong() {
        let state = |ms| clock(NOW, Some(NOW.plus_ms(ms))).state;
        assert_eq!(state(CLOCK_BEHIND_MS_MAX), State::Well);
        assert_eq!(state(CLOCK_BEHIND_MS_MAX + 1), State::Wrong);
        assert_eq!(clock(NOW, None).state, State::Well);
    }

    #[test]
    fn certificates_are_watched_before_they_end() {
        let state = |kind, ms| certificate(kind, NOW.plus_ms(ms), NOW).state;
        assert_eq!(state("server", 25 * DAY_MS), State::Well);
        assert_eq!(state("server", 25 * DAY_MS - 1), State::Watch);
        assert_eq!(state("root", 365 * DAY_MS - 1), State::Watch);
        assert_eq!(state("root", 1), State::Watch);
        assert_eq!(state("root", 0), State::Wrong);
    }

    #[test]
    fn an_earlier_issuing_ca_is_watched_once_every_device_can_have_renewed() {
        let state = |ms| overlap(1, NOW, NOW.plus_ms(ms)).map(|found| found.state);
        assert_eq!(state(DEVICE_LIFE_MS - 1), Some(State::Well));
        assert_eq!(state(DEVICE_LIFE_MS), Some(State::Watch));
        assert_eq!(overlap(0, NOW, NOW.plus_ms(DEVICE_LIFE_MS)), None);
    }

    #[test]
    fn problems_of_files_and_log_are_told_with_what_to_do() {
        assert_eq!(database("hub.db", &[]).state, State::Well);
        let found = database("hub.db", &["row 1 missing".into(), "x".into()]);
        assert!(
            found.state == State::Wrong && found.says.contains("row 1") && !found.advice.is_empty()
        );
        assert_eq!(audit(&json!({"sound": true, "records": 3})).state, State::Well);
        let found = audit(&json!({"sound": false, "problems": ["record 4 was changed"]}));
        assert_eq!((found.state, found.says.as_str()), (State::Wrong, "record 4 was changed"));
        assert_eq!(audit(&json!({})).state, State::Wrong, "unknown means no");
    }
}
