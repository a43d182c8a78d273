use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    Done,
    hub::Hub,
    show::{self, out},
};

/// People with an account.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// People, and what they may do
    ///
    /// Example: hedgerow user list
    List,
    /// Add a person; prints the link by which they sign in the first time
    ///
    /// Example: hedgerow user add olga --role operator
    Add {
        /// What they sign in with
        name: String,
        /// What they may do
        #[arg(long, default_value = "viewer")]
        role: Role,
    },
    /// Change what a person may do
    ///
    /// Example: hedgerow user role olga owner
    Role {
        /// What they sign in with
        name: String,
        /// What they may do from now on
        role: Role,
    },
    /// Take a person out; they are signed out everywhere
    ///
    /// Example: hedgerow user remove olga
    Remove {
        /// What they sign in with
        name: String,
    },
}

/// What a person may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// Everything, people and tokens included
    Owner,
    /// Devices: claim, quarantine, release, retire
    Operator,
    /// Look, change nothing
    Viewer,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }
}

pub(crate) fn run(hub: &Hub, json: bool, user: User) -> Done {
    match user {
        User::List => {
            let found = hub.get("/people", &[])?;
            if json {
                show::json(&found);
            } else {
                let columns = [
                    ("ID", "id"),
                    ("NAME", "name"),
                    ("ROLE", "role"),
                    ("PASSWORD", "has_password"),
                    ("LOCKED UNTIL", "locked_until"),
                ];
                show::table(&found, &columns);
            }
        }
        User::Add { name, role } => {
            let made = hub.post("/people", &json!({"name": name, "role": role.word()}))?;
            if json {
                show::json(&made);
            } else {
                out!("{}{}", hub.base(), show::text(&made, "link"));
                let minutes = made.get("expires_in").and_then(Value::as_i64).unwrap_or(0) / 60;
                eprintln!(
                    "it signs {name} in once, within {minutes} minutes, and is not shown again"
                );
            }
        }
        User::Role { name, role } => {
            let path = path(hub, &name)?;
            hub.set("PATCH", &path, &json!({"role": role.word()}))?;
        }
        User::Remove { name } => hub.delete(&path(hub, &name)?)?,
    }
    Ok(())
}

/// A person's place in the API.
fn path(hub: &Hub, name: &str) -> Result<String, Box<dyn std::error::Error>> {
    let people = hub.get("/people", &[])?;
    let is_named = |person: &&Value| show::text(person, "name").eq_ignore_ascii_case(name);
    match show::items(&people).find(is_named) {
        Some(person) => Ok(format!("/people/{}", show::text(person, "id"))),
        None => Err(format!("nobody is called {name}; see `hedgerow user list`").into()),
    }
}
