use clap::Subcommand;
use serde_json::Value;

use super::{
    Done,
    hub::Hub,
    show::{self, out},
};

/// The hub's certificate authority.
#[derive(Debug, Subcommand)]
pub(crate) enum Ca {
    /// Root and issuing certificate, and that of the server: fingerprints and when they end
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
                ];
                show::table(&found, &columns);
                out!("the signed list is at {}", show::text(&found, "url"));
            }
        }
    }
    Ok(())
}

fn certificate(one: &Value) {
    out!("{}", show::text(one, "kind"));
    for (label, name) in [
        ("valid from", "not_before"),
        ("valid until", "not_after"),
        ("SHA-256", "fingerprint"),
        ("of its key", "key_fingerprint"),
    ] {
        out!("  {label:12} {}", show::text(one, name));
    }
}
