//! The house rules as a program.
//!
//! ```text
//! cargo xtask test     everything that has to hold, as CI runs it
//! cargo xtask setup    installs what the tests need from Debian, PyPI and npm
//! cargo xtask layers   the import law
//! cargo xtask tidy     lengths, words, dead files
//! cargo xtask bench NAME
//! ```

mod layers;
mod run;
mod setup;
mod suite;
mod tidy;

use std::process::ExitCode;

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
        _ => Err("say test, setup, layers, tidy, or bench NAME".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
