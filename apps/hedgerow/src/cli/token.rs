use std::{fs, path::PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Done,
    hub::Hub,
    show::{self, out},
};

/// Tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token; its secret is shown once
    ///
    /// Example: hedgerow token create --name backup --scope read
    ///
    /// Example: hedgerow token create --name dashboard --allow 'subscribe things/+/properties/#'
    Create {
        /// What people will call it
        #[arg(long)]
        name: String,
        /// What it may do: read, devices, admin; may be repeated
        #[arg(long = "scope", required_unless_present = "allow")]
        scopes: Vec<String>,
        /// What it may say and hear over MQTT, instead of what its scopes say there: `subscribe FILTER` or `publish
        /// FILTER`; may be repeated
        #[arg(long = "allow", value_name = "GRANT")]
        allow: Vec<String>,
        /// A certification request (PKCS#10, PEM) of the program, for a P-256 key: it then shows the
        /// certificate that is printed, and there is no secret
        #[arg(long, value_name = "FILE")]
        csr: Option<PathBuf>,
        /// How many days it works
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// Tokens, without their secrets
    ///
    /// Example: hedgerow token list
    List,
    /// Take a token away
    ///
    /// Example: hedgerow token remove 42
    Remove {
        /// The token's number
        id: u64,
    },
}

fn csr_was_sent(made: &Value) -> bool {
    made.get("certificate").is_some_and(Value::is_string)
}

pub(crate) fn run(hub: &Hub, json: bool, token: Token) -> Done {
    match token {
        Token::Create { name, scopes, allow, csr, days } => {
            let seconds = u64::from(days) * 86_400;
            let csr = match csr {
                Some(file) => Some(
                    fs::read_to_string(&file)
                        .map_err(|error| format!("{} can't be read: {error}", file.display()))?,
                ),
                None => None,
            };
            let body = json!({"name": name, "scopes": scopes, "allow": allow, "expires_in": seconds, "csr": csr});
            let made = hub.post("/tokens", &body)?;
            if json {
                show::json(&made);
            } else {
                let what = if csr_was_sent(&made) { "certificate" } else { "secret" };
                out!("{}", show::text(&made, what).trim_end());
                eprintln!(
                    "it works until {} and is not shown again",
                    show::text(&made, "token.expires")
                );
            }
        }
        Token::List => {
            let found = hub.get("/tokens", &[])?;
            if json {
                show::json(&found);
            } else {
                let columns = [
                    ("ID", "id"),
                    ("NAME", "name"),
                    ("SCOPES", "scopes"),
                    ("ALLOW", "allow"),
                    ("UNTIL", "expires"),
                ];
                show::table(&found, &columns);
            }
        }
        Token::Remove { id } => hub.delete(&format!("/tokens/{id}"))?,
    }
    Ok(())
}
