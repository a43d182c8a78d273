use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Done,
    hub::Hub,
    show::{self, out},
};

/// The audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Records, newest first
    ///
    /// Example: hedgerow audit show --action device. --limit 50
    Show {
        /// Who did it: person:3, token:7, device:…, hub:…
        #[arg(long)]
        actor: Option<String>,
        /// What was done, or how it begins
        #[arg(long)]
        action: Option<String>,
        /// To what: device:…, claim:…
        #[arg(long)]
        subject: Option<String>,
        /// `next` of the page before
        #[arg(long)]
        before: Option<u64>,
        /// Records in the page
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Read the whole log again and check that nothing was changed, lost, reordered or cut off
    ///
    /// Example: hedgerow audit verify
    Verify,
}

pub(crate) fn run(hub: &Hub, json: bool, audit: Audit) -> Done {
    match audit {
        Audit::Show { actor, action, subject, before, limit } => {
            let named = [
                ("actor", actor),
                ("action", action),
                ("subject", subject),
                ("before", before.map(|before| before.to_string())),
                ("limit", limit.map(|limit| limit.to_string())),
            ];
            let query: Vec<_> = named.into_iter().filter_map(|(n, v)| Some((n, v?))).collect();
            let found = hub.get("/audit", &query)?;
            if json {
                show::json(&found);
                return Ok(());
            }
            let columns = [
                ("#", "index"),
                ("AT", "record.at"),
                ("WHO", "record.actor"),
                ("WHAT", "record.action"),
                ("TO WHAT", "record.subject"),
                ("", "record.effect"),
            ];
            show::table(&found, &columns);
            Ok(())
        }
        Audit::Verify => verify(&hub.post("/audit/verify", &json!({}))?, json),
    }
}

fn verify(found: &Value, json: bool) -> Done {
    if json {
        show::json(found);
    } else {
        let (records, checkpoints) =
            (show::text(found, "records"), show::text(found, "checkpoints"));
        out!("{records} records read, {checkpoints} signed checkpoints found again");
        for problem in found.get("problems").and_then(Value::as_array).into_iter().flatten() {
            out!("  {}", problem.as_str().unwrap_or_default());
        }
    }
    if found.get("sound") == Some(&Value::Bool(true)) {
        if !json {
            out!("the log is sound");
        }
        return Ok(());
    }
    Err("the log is not sound".into())
}
