//! Records of what was done, by whom, and what came of it.
//!
//! A record is one line of JSON with its members in a fixed order; its bytes are what the audit log
//! hashes, so they are kept as written. It names people by their number, never by what they are called:
//! a name can be erased, a log can't.

use std::fmt::Write;

use hedgerow_base::{TenantId, Timestamp};

use crate::Actor;

/// Bytes of one record.
pub const RECORD_BYTES_MAX: usize = 4096;

/// What came of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It was done.
    Done,
    /// It was refused.
    Denied,
}

/// One record, before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// In whose house.
    pub tenant: TenantId,
    /// Who: `person:3`, `token:7`, `device:…`, `hub:first-start`.
    pub actor: String,
    /// What: the name of the action.
    pub action: &'static str,
    /// To what: `device:…`, `claim:…`; empty when there is nothing.
    pub subject: String,
    /// What came of it.
    pub effect: Effect,
    /// More, as pairs; never anything personal or secret.
    pub detail: Vec<(&'static str, String)>,
}

/// The actor as records name it.
#[must_use]
pub fn actor_name(actor: &Actor) -> String {
    match actor {
        Actor::Hub(_, what) => format!("hub:{what}"),
        Actor::Claimant(_, head) => {
            head.iter().fold("claim:".into(), |text, byte| format!("{text}{byte:02x}"))
        }
        Actor::Lapsed(device) => format!("device:{}", device.device()),
        Actor::Peer(peer) => {
            if let Some(device) = peer.device() {
                return format!("device:{}", device.device);
            }
            if let Some((person, _)) = peer.person() {
                return format!("person:{}", person.0);
            }
            peer.application().map_or("tester".into(), |app| format!("token:{}", app.token))
        }
    }
}

impl Entry {
    /// The bytes of the record. Details beyond [`RECORD_BYTES_MAX`] are left out, and the record says so.
    #[must_use]
    pub fn to_json(&self) -> String {
        let whole = self.render(&self.detail);
        if whole.len() <= RECORD_BYTES_MAX {
            return whole;
        }
        self.render(&[("cut", "details were over the limit".into())])
    }

    fn render(&self, detail: &[(&'static str, String)]) -> String {
        let mut out = String::with_capacity(256);
        let effect = match self.effect {
            Effect::Done => "done",
            Effect::Denied => "denied",
        };
        let _ = write!(out, "{{\"at\":\"{}\",\"tenant\":{}", self.at, self.tenant);
        for (key, value) in [
            ("actor", self.actor.as_str()),
            ("action", self.action),
            ("subject", self.subject.as_str()),
            ("effect", effect),
        ] {
            let _ = write!(out, ",\"{key}\":");
            write_string(&mut out, value);
        }
        out.push_str(",\"detail\":{");
        for (at, (key, value)) in detail.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_string(&mut out, key);
            out.push(':');
            write_string(&mut out, value);
        }
        out.push_str("}}");
        out
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            c if c.is_control() => {
                let mut units = [0u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(detail: Vec<(&'static str, String)>) -> Entry {
        Entry {
            at: Timestamp::from_secs(0),
            tenant: TenantId::FIRST,
            actor: "person:1".into(),
            action: "device.retire",
            subject: "device:x".into(),
            effect: Effect::Done,
            detail,
        }
    }

    #[test]
    fn a_record_is_one_line_with_a_fixed_order() {
        assert_eq!(
            entry(vec![("why", "a \"b\"\n\\".into())]).to_json(),
            r#"{"at":"1970-01-01T00:00:00.000Z","tenant":1,"actor":"person:1","action":"device.retire","subject":"device:x","effect":"done","detail":{"why":"a \"b\"\u000a\\"}}"#
        );
    }

    #[test]
    fn details_one_byte_past_the_limit_are_cut_and_said_to_be() {
        let empty = entry(vec![("k", String::new())]).to_json().len();
        let fits = entry(vec![("k", "x".repeat(RECORD_BYTES_MAX - empty))]).to_json();
        assert_eq!(fits.len(), RECORD_BYTES_MAX);
        let cut = entry(vec![("k", "x".repeat(RECORD_BYTES_MAX - empty + 1))]).to_json();
        assert!(cut.contains("details were over the limit") && cut.len() < 300);
    }

    #[test]
    fn actors_are_named_by_number_not_by_name() {
        let hub = Actor::Hub(TenantId::FIRST, "first-start");
        assert_eq!(actor_name(&hub), "hub:first-start");
    }
}
