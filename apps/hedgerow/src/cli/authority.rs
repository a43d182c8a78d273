use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Done,
    hub::Hub,
    show::{self, out},
};

/// The hub's certificate authority.
#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Root and issuing certificates, and that of the server: fingerprints, when they end, which signs
    ///
    /// Example: hedgerow ca show --pem > hedgerow-ca.pem
    Show {
        /// Print the root certificate, for those who shall trust it
        #[arg(long)]
        pem: bool,
    },
    /// Certificates that are revoked, and where the signed list is
    ///
    /// Example: hedgerow ca crl
    Crl,
    /// Make a new issuing CA, which signs from now on; what earlier ones signed is still trusted
    ///
    /// Example: hedgerow ca rotate
    Rotate,
    /// End the trust in every issuing CA but the current: revoke what they signed, end its sessions
    ///
    /// Without --yes it only says whom that would cut off. Example: hedgerow ca distrust --reason
    /// superseded --yes
    Distrust {
        /// Why: superseded, or cACompromise when a key is in other hands
        #[arg(long, value_name = "REASON", default_value = "superseded")]
        #[arg(value_parser = ["superseded", "cACompromise"])]
        reason: String,
        /// Do it, and cut off whoever has not renewed yet
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) fn run(hub: &Hub, json: bool, ca: &Ca) -> Done {
    match ca {
        Ca::Show { pem } => {
            let found = hub.get("/authority", &[])?;
            if json {
                show::json(&found);
            } else if *pem {
                let root = show::items(&found).find(|one| show::text(one, "kind") == "root");
                out!("{}", show::text(root.ok_or("the hub has no root yet")?, "pem").trim_end());
            } else {
                show::items(&found).for_each(certificate);
            }
        }
        Ca::Crl => {
            let found = hub.get("/authority/revoked", &[])?;
            if json {
                show::json(&found);
            } else if show::items(&found).next().is_none() {
                out!("nothing is revoked; the signed list is at {}", show::text(&found, "url"));
            } else {
                let columns = [
                    ("SERIAL", "serial"),
                    ("REVOKED", "at"),
                    ("REASON", "reason"),
                    ("ON THE LIST UNTIL", "not_after"),
                    ("LIST", "url"),
                ];
                show::table(&found, &columns);
                out!("the list of the current issuing CA is at {}", show::text(&found, "url"));
            }
        }
        Ca::Rotate => {
            let found = hub.post("/authority/rotate", &json!({}))?;
            if json {
                show::json(&found);
            } else {
                show::items(&found).filter(|one| is_issuing(one)).for_each(certificate);
                let (devices, programs) = cut_off(&found);
                out!(
                    "{devices} devices and {programs} programs have yet to get certificates of it"
                );
            }
        }
        Ca::Distrust { reason, yes } => distrust(hub, json, reason, *yes)?,
    }
    Ok(())
}

fn is_issuing(one: &Value) -> bool {
    show::text(one, "kind") == "issuing"
}

/// How many devices and programs have only certificates of earlier issuing CAs.
fn cut_off(answer: &Value) -> (u64, u64) {
    let count = |name: &str| answer.pointer(&format!("/cut_off/{name}")).and_then(Value::as_u64);
    (count("devices").unwrap_or(0), count("programs").unwrap_or(0))
}

fn distrust(hub: &Hub, json: bool, reason: &str, yes: bool) -> Done {
    let found = hub.get("/authority", &[])?;
    let (devices, programs) = cut_off(&found);
    if !yes {
        return Err(format!(
            "{devices} devices and {programs} programs have only certificates of earlier issuing CAs and would be \
             cut off for good; say --yes to do it"
        )
        .into());
    }
    let request = json!({"reason": reason, "cut_off": devices.saturating_add(programs)});
    let done = hub.post("/authority/distrust", &request)?;
    if json {
        show::json(&done);
        return Ok(());
    }
    let (devices, programs) = cut_off(&done);
    let count = done.get("authorities").and_then(Value::as_u64).unwrap_or(0);
    out!("{count} earlier issuing CAs are not trusted any more");
    out!("{devices} devices and {programs} programs were cut off");
    Ok(())
}

fn certificate(one: &Value) {
    let trust = match (is_issuing(one), show::text(one, "trust")) {
        (true, trust) => format!(", {trust}"),
        (false, _) => String::new(),
    };
    out!("{}{trust}", show::text(one, "kind"));
    for (label, name) in [
        ("valid from", "not_before"),
        ("valid until", "not_after"),
        ("serial", "serial"),
        ("SHA-256", "fingerprint"),
        ("of its key", "key_fingerprint"),
    ] {
        out!("  {label:12} {}", show::text(one, name));
    }
}
