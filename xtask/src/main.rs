//! The house rules as a program.
//!
//! ```text
//! cargo xtask test     everything that has to hold, as CI runs it
//! cargo xtask setup    installs what the tests need from Debian, PyPI and npm
//! cargo xtask layers   the import law
//! cargo xtask tidy     lengths, words, dead files
//! cargo xtask bench NAME
//! cargo xtask soak [MINUTES]   mixed load while hub and clients are killed, half an hour if not said
//! ```

mod layers;
mod run;
mod setup;
mod suite;
mod tidy;

use std::process::ExitCode;

/// With the programs as they are shipped.
fn soak(minutes: &str) -> run::Outcome {
    run::cargo(&["build", "--release", "--bin", "hedgerow"])?;
    run::cargo(&["run", "--release", "-p", "hedgerow-scenarios", "--bin", "soak", "--", minutes])
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => suite::run(),
        ["setup"] => setup::install(),
        ["layers"] => layers::check(),
        ["tidy"] => tidy::check(),
        ["bench", rest @ ..] => {
            // The hub first: it is one of the servers under measurement.
            run::cargo(&["build", "--release"]).and_then(|()| {
                run::cargo(&[&["run", "--release", "-p", "hedgerow-bench", "--"], rest].concat())
            })
        }
        ["soak", rest @ ..] => soak(rest.first().copied().unwrap_or("30")),
        _ => Err("say test, setup, layers, tidy, bench NAME, or soak [MINUTES]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
