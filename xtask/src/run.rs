//! Running other programs, and finding the house.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

pub(crate) type Outcome = Result<(), String>;

/// The top of the workspace.
pub(crate) fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Runs cargo at the top; its words and time are shown.
pub(crate) fn cargo(words: &[&str]) -> Outcome {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    program(&cargo, words)
}

/// Runs a program at the top; fails when it does.
pub(crate) fn program(name: &str, words: &[&str]) -> Outcome {
    let short = Path::new(name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    eprintln!("==> {short} {}", words.join(" "));
    let begun = Instant::now();
    let status = Command::new(name)
        .args(words)
        .current_dir(top())
        .status()
        .map_err(|error| format!("{short} can't be started: {error}"))?;
    eprintln!("    {:.0} s", begun.elapsed().as_secs_f32());
    if status.success() { Ok(()) } else { Err(format!("{short} {} failed", words.join(" "))) }
}

/// What a program prints; `None` when it is missing or fails.
pub(crate) fn output(name: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(name).args(words).current_dir(top()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}
