use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Subcommand};
use hedgerow_model::Profile as Model;
use serde_json::{Value, json};

use super::{
    Done,
    hub::{AskError, Hub, escaped},
    show::{self, out},
};

/// Device profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// Read a profile as the hub does, without a hub, and say everything that is wrong with it
    ///
    /// Example: hedgerow profile check greenhouse.tm.json
    Check {
        /// The Thing Model
        file: PathBuf,
    },
    /// Add a profile, or a new version of one; a wider one waits for the owner
    ///
    /// Example: hedgerow profile add greenhouse.tm.json --name greenhouse
    Add {
        /// The Thing Model
        file: PathBuf,
        /// What claims will name it by [default: its model, in lower case]
        #[arg(long)]
        name: Option<String>,
    },
    /// Profiles that devices can be held to
    ///
    /// Example: hedgerow profile list
    List,
    /// What one profile allows, what the owner takes away, what waits
    ///
    /// Example: hedgerow profile show greenhouse
    Show {
        /// The profile's name
        name: String,
        /// Print the Thing Model itself
        #[arg(long)]
        document: bool,
    },
    /// Agree to a wider version that waits; see it first with `show`
    ///
    /// Example: hedgerow profile accept greenhouse
    Accept {
        /// The profile's name
        name: String,
    },
    /// Take away from what devices of a profile may do here, at once
    ///
    /// Example: hedgerow profile narrow linux-host --without temperatureCelsius,agentStarted
    Narrow(Narrow),
    /// Take out a profile that no device needs
    ///
    /// Example: hedgerow profile remove greenhouse
    Remove {
        /// The profile's name
        name: String,
    },
}

/// What the owner changes about a profile. What is not named stays.
#[derive(Debug, clap::Args)]
#[command(group(
    ArgGroup::new("change").required(true).multiple(true)
        .args(["without", "allow", "essential", "keep_days"])
))]
pub(crate) struct Narrow {
    /// The profile's name
    name: String,
    /// Properties, events or actions that its devices may not use any more
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    without: Vec<String>,
    /// Withheld names to give back, up to what the profile allows
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    allow: Vec<String>,
    /// All the properties that a restricted device may still publish
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    essential: Option<Vec<String>>,
    /// The longest that readings are kept, in days; 0 for as long as the profile says
    #[arg(long, value_name = "DAYS")]
    keep_days: Option<u32>,
}

/// What can be answered without a hub; gives the rest back.
pub(crate) fn offline(json: bool, profile: Profile) -> Result<Done, Profile> {
    match profile {
        Profile::Check { file } => Ok(check(json, &file)),
        other => Err(other),
    }
}

pub(crate) fn run(hub: &Hub, json: bool, profile: Profile) -> Done {
    match profile {
        Profile::Check { file } => check(json, &file),
        Profile::Add { file, name } => add(hub, json, &file, name),
        Profile::List => list(&hub.get("/profiles", &[])?, json),
        Profile::Show { name, document: true } => {
            let text = hub.text(&format!("/profiles/{}/document", escaped(&name)))?;
            out!("{}", text.trim_end());
            Ok(())
        }
        Profile::Show { name, document: false } => {
            told(&hub.get(&path(&name), &[])?, json);
            Ok(())
        }
        Profile::Accept { name } => {
            let seen = hub.get(&path(&name), &[])?;
            if !json {
                widens(&seen);
            }
            let place = format!("{}/accept", path(&name));
            let now = hub.change("POST", &place, revision(&seen), b"{}")?;
            done(&now, json, "is in force as accepted");
            Ok(())
        }
        Profile::Narrow(narrow) => self::narrow(hub, json, &narrow),
        Profile::Remove { name } => {
            let seen = revision(&hub.get(&path(&name), &[])?);
            Ok(hub.delete_seen(&path(&name), seen)?)
        }
    }
}

fn path(name: &str) -> String {
    format!("/profiles/{}", escaped(name))
}

fn revision(profile: &Value) -> Option<i64> {
    profile.get("revision").and_then(Value::as_i64)
}

fn check(json: bool, file: &Path) -> Done {
    let (_, checked) = read(file)?;
    let errors = match checked {
        Ok(model) => {
            if json {
                show::json(&json!({"items": [], "next": null}));
            } else {
                out!("{}: {} of {} is a profile", file.display(), model.model, model.maker);
                let counts =
                    (model.properties().len(), model.events().len(), model.actions().len());
                out!("  {} properties, {} events, {} actions", counts.0, counts.1, counts.2);
            }
            return Ok(());
        }
        Err(errors) => errors,
    };
    if json {
        let item = |error: &hedgerow_model::ProfileError| json!({"pointer": error.pointer, "what": error.what});
        let items: Vec<Value> = errors.iter().map(item).collect();
        show::json(&json!({"items": items, "next": null}));
    } else {
        for error in &errors {
            out!("{}: {error}", file.display());
        }
    }
    Err(format!("{} is no device profile: {} errors", file.display(), errors.len()).into())
}

type Checked = Result<Model, Vec<hedgerow_model::ProfileError>>;

fn read(file: &Path) -> Result<(Vec<u8>, Checked), String> {
    let document = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let checked = Model::check(&document);
    Ok((document, checked))
}

fn add(hub: &Hub, json: bool, file: &Path, name: Option<String>) -> Done {
    let (document, checked) = read(file)?;
    let Ok(model) = checked else { return check(json, file) };
    let name = name.unwrap_or_else(|| short(&model.model));
    let seen = match hub.get(&path(&name), &[]) {
        Ok(known) => revision(&known),
        Err(AskError::Refused(404, _)) => None,
        Err(error) => return Err(error.into()),
    };
    let now = hub.change("PUT", &path(&name), seen, &document)?;
    if now.get("waiting").is_some_and(|waiting| !waiting.is_null()) && !json {
        widens(&now);
        out!(
            "it waits; the version in force stays until the owner says `hedgerow profile accept {name}`"
        );
        return Ok(());
    }
    done(&now, json, "is in force");
    Ok(())
}

/// A model's name as a profile's: lower case, and hyphens for what can't be in one.
fn short(model: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') => c,
        _ => '-',
    };
    model.chars().map(plain).collect::<String>().trim_matches(['-', '.', '_']).to_owned()
}

fn narrow(hub: &Hub, json: bool, narrow: &Narrow) -> Done {
    let seen = hub.get(&path(&narrow.name), &[])?;
    let words = |name: &str| -> Vec<String> {
        let list = seen.pointer(&format!("/overlay/{name}")).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let mut withheld = words("withheld");
    withheld.extend(narrow.without.iter().cloned());
    withheld.retain(|word| !narrow.allow.contains(word));
    let days = match narrow.keep_days {
        Some(0) => Value::Null,
        Some(days) => json!(days),
        None => seen.pointer("/overlay/retention_days_max").cloned().unwrap_or_default(),
    };
    let essential = narrow.essential.clone().unwrap_or_else(|| words("essential"));
    let body = json!({"withheld": withheld, "essential": essential, "retention_days_max": days});
    let place = format!("{}/overlay", path(&narrow.name));
    let now = hub.change("PUT", &place, revision(&seen), body.to_string().as_bytes())?;
    done(&now, json, "is narrowed; open sessions follow");
    Ok(())
}

fn list(found: &Value, json: bool) -> Done {
    if json {
        show::json(found);
        return Ok(());
    }
    let columns = [
        ("NAME", "name"),
        ("TITLE", "title"),
        ("MAKER", "maker"),
        ("VERSION", "version"),
        ("WAITS", "waiting.version"),
        ("BUILT IN", "built_in"),
    ];
    show::table(found, &columns);
    Ok(())
}

fn done(profile: &Value, json: bool, what: &str) {
    if json {
        show::json(profile);
    } else {
        out!("{} {} {what}", show::text(profile, "name"), show::text(profile, "version"));
    }
}

fn told(profile: &Value, json: bool) {
    if json {
        return show::json(profile);
    }
    for (label, name) in [
        ("name", "name"),
        ("title", "title"),
        ("maker", "maker"),
        ("model", "model"),
        ("version", "version"),
        ("built in", "built_in"),
        ("kept at most, days", "overlay.retention_days_max"),
        ("changed", "changed"),
    ] {
        out!("{label:18} {}", show::text(profile, name));
    }
    for (label, name) in [
        ("properties", "properties"),
        ("events", "events"),
        ("actions", "actions"),
        ("withheld", "overlay/withheld"),
        ("essential", "overlay/essential"),
    ] {
        let list = profile.pointer(&format!("/{name}")).and_then(Value::as_array);
        let words: Vec<_> = list.into_iter().flatten().filter_map(Value::as_str).collect();
        out!("{label:18} {}", if words.is_empty() { "-".into() } else { words.join(", ") });
    }
    widens(profile);
}

/// What the version that waits would widen.
fn widens(profile: &Value) {
    let list = profile.pointer("/waiting/widens").and_then(Value::as_array);
    let Some(list) = list else { return };
    out!("version {} would be wider:", show::text(profile, "waiting.version"));
    for one in list {
        out!("  {}: {}", show::text(one, "pointer"), show::text(one, "what"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_becomes_a_profiles_name() {
        assert_eq!(short("GH-2"), "gh-2");
        assert_eq!(short("Übersensor 5 (new)"), "bersensor-5--new");
    }
}
