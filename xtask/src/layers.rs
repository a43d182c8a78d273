//! The import law, from `cargo metadata`: which room may know which. Any edge that is not allowed fails.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::{
    run::{Outcome, output, top},
    tidy::rust_files,
};

/// Crates from outside that pure storeys do without.
const IMPURE: [&str; 9] =
    ["axum", "hyper", "hyper-util", "reqwest", "rustls", "sqlx", "tokio", "tokio-rustls", "ureq"];

/// What services take from `proto`: vocabulary, never a wire.
const VOCABULARY: [&str; 5] = ["base", "model", "firmware", "onboarding", "tlog"];

/// Where a peer may be declared proven.
const WITNESSES: [&str; 3] = ["domain/policy/src/", "io/listen/src/", "io/api/src/door.rs"];

/// Whether the room `from` may import the room `to`; rooms are `storey/room`.
fn is_allowed(from: (&str, &str), to: (&str, &str)) -> bool {
    match (from, to) {
        (("apps" | "bench" | "tests" | "fuzz" | "xtask", _), _) => true,
        (("proto", _), ("proto", "base")) => true,
        (("proto", "oscore" | "lwm2m"), ("proto", "coap")) => true,
        (("proto", "lwm2m"), ("proto", "model")) => true,
        (("domain", "policy"), ("proto", room)) => matches!(room, "base" | "model"),
        (("domain", _), ("proto", room)) => {
            matches!(room, "base" | "model" | "firmware" | "onboarding")
        }
        (("domain", room), ("domain", "policy")) => room != "policy",
        (("service", _), ("proto", room)) => VOCABULARY.contains(&room),
        (("service", _), ("domain", _)) => true,
        (("service", "control"), ("service", "plane")) => true,
        (("io", _), ("proto" | "domain" | "service", _)) => true,
        (("io", "api" | "wire"), ("io", "listen")) => true,
        (("device", _), ("proto", _)) => true,
        (("device", "linux"), ("io", room)) => matches!(room, "keys" | "listen"),
        (("device", "linux"), ("device", "client")) => true,
        _ => false,
    }
}

/// Storey and room of a crate by where it stands.
fn room<'a>(top: &Path, manifest: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = Path::new(manifest).parent()?.strip_prefix(top).ok()?.to_str()?;
    let rest = manifest.find(rest).and_then(|at| manifest.get(at..at + rest.len()))?;
    Some(rest.split_once('/').unwrap_or((rest, rest)))
}

pub(crate) fn check() -> Outcome {
    let top = top();
    let text = output("cargo", &["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .or_else(|| output("cargo", &["metadata", "--format-version", "1", "--no-deps"]))
        .ok_or("cargo metadata failed")?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .ok_or("cargo metadata has no packages")?;
    let rooms: BTreeMap<&str, (&str, &str)> = packages
        .iter()
        .filter_map(|package| {
            let name = package.get("name")?.as_str()?;
            Some((name, room(&top, package.get("manifest_path")?.as_str()?)?))
        })
        .collect();
    let mut broken = Vec::new();
    for package in packages {
        let Some(name) = package.get("name").and_then(Value::as_str) else { continue };
        let Some(from) = rooms.get(name) else { continue };
        for dependency in
            package.get("dependencies").and_then(Value::as_array).into_iter().flatten()
        {
            let Some(to) = dependency.get("name").and_then(Value::as_str) else { continue };
            if let Some(why) = judge(*from, to, rooms.get(to).copied()) {
                broken.push(format!("{}/{} imports {to}: {why}", from.0, from.1));
            }
        }
    }
    broken.extend(unproven(&top));
    if broken.is_empty() {
        eprintln!("layers: {} rooms keep the import law", rooms.len());
        return Ok(());
    }
    Err(format!("the import law is broken:\n  {}", broken.join("\n  ")))
}

fn judge(from: (&str, &str), to: &str, room: Option<(&str, &str)>) -> Option<&'static str> {
    match room {
        Some(room) if is_allowed(from, room) => None,
        Some(_) => Some("the table in ARCHITECTURE.md has no such edge"),
        None if matches!(from.0, "proto" | "domain" | "service") && IMPURE.contains(&to) => {
            Some("pure storeys take no runtime, no TLS, no database and no HTTP")
        }
        None => None,
    }
}

/// Places that declare a peer proven and must not.
fn unproven(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in rust_files(top) {
        let shown = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().into_owned();
        let is_test =
            shown.contains("tests") || shown.starts_with("xtask") || shown.starts_with("bench");
        if is_test || WITNESSES.iter().any(|place| shown.starts_with(place)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        // Unit tests stand at the end of a file.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if code.contains("Witness::of_a_proof") {
            found.push(format!(
                "{shown} declares a peer proven; only io/listen and the sign-in may"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_house_forbids_is_refused() {
        for (from, to) in [
            (("proto", "mqtt"), ("proto", "model")),
            (("domain", "registry"), ("domain", "identity")),
            (("domain", "policy"), ("domain", "registry")),
            (("service", "plane"), ("service", "control")),
            (("service", "control"), ("io", "store")),
            (("io", "api"), ("io", "store")),
            (("io", "listen"), ("io", "wire")),
            (("device", "linux"), ("domain", "policy")),
            (("device", "client"), ("io", "keys")),
        ] {
            assert!(!is_allowed(from, to), "{from:?} → {to:?}");
        }
        assert!(judge(("domain", "x"), "tokio", None).is_some());
        assert!(judge(("io", "x"), "tokio", None).is_none());
    }

    #[test]
    fn what_the_house_needs_is_allowed() {
        for (from, to) in [
            (("proto", "mqtt"), ("proto", "base")),
            (("domain", "registry"), ("domain", "policy")),
            (("service", "control"), ("service", "plane")),
            (("io", "wire"), ("io", "listen")),
            (("device", "linux"), ("io", "keys")),
            (("apps", "hedgerow"), ("io", "store")),
        ] {
            assert!(is_allowed(from, to), "{from:?} → {to:?}");
        }
    }
}
