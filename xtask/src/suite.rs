//! Everything that has to hold, in the order of what fails soonest.

use std::time::Instant;

use crate::{
    layers,
    run::{Outcome, cargo, program, top},
    setup, tidy,
};

pub(crate) fn run() -> Outcome {
    let begun = Instant::now();
    if !setup::is_complete() {
        setup::install()?;
    }
    layers::check()?;
    tidy::check()?;
    cargo(&["fmt", "--check"])?;
    cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    // The programs first: whole-product tests start them.
    cargo(&["build", "--quiet", "--workspace", "--bins"])?;
    cargo(&["build", "--quiet", "-p", "hedgerow-losing-power"])?;
    cargo(&["test", "--quiet", "--workspace"])?;
    program("bash", &["tests/guide.sh"])?;
    program("bash", &["tests/agent.sh"])?;
    program("bash", &["tests/tpm.sh"])?;
    program("bash", &["tests/interop.sh"])?;
    applications()?;
    schemathesis()?;
    browser()?;
    eprintln!("everything holds, after {:.0} s", begun.elapsed().as_secs_f32());
    Ok(())
}

/// Other people's MQTT clients with a token.
fn applications() -> Outcome {
    let python = setup::python("python").ok_or("the Python environment is missing")?;
    let node = setup::node().ok_or("there is no Node")?;
    program("bash", &["tests/mqtt.sh", &python, &node])
}

/// The API against its own description.
fn schemathesis() -> Outcome {
    let schemathesis = setup::python("schemathesis").ok_or("schemathesis is missing")?;
    program("bash", &["tests/api.sh", &schemathesis])
}

/// The pages in a real browser.
fn browser() -> Outcome {
    if !top().join("tests/browser/run.mjs").exists() {
        return Ok(());
    }
    let node = setup::node().ok_or("there is no Node")?;
    program("bash", &["tests/browser.sh", &node])
}
