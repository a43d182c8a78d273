use clap::Subcommand;
use serde_json::json;

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

pub(crate) fn run(hub: &Hub, json: bool, token: Token) -> Done {
    match token {
        Token::Create { name, scopes, allow, days } => {
            let seconds = u64::from(days) * 86_400;
            let body =
                json!({"name": name, "scopes": scopes, "allow": allow, "expires_in": seconds});
            let made = hub.post("/tokens", &body)?;
            if json {
                show::json(&made);
            } else {
                out!("{}", show::text(&made, "secret"));
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
