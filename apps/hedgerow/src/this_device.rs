//! This machine as a device of its own hub: the agent, in a process of its own.
//!
//! It is started by `up --with-agent`, gets the claim code by standard input (arguments can be seen by
//! every user), and ends when the hub does: standard input is closed then.

use std::{
    io::{self, BufRead, Read},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use hedgerow_device_linux::{Agent, AgentError, HubUrl, KeyChoice, Options, State, enrol};
use hedgerow_keys::SealingKey;

use crate::args::ThisDevice;

static STOP: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(options: &ThisDevice) -> Result<(), Box<dyn std::error::Error>> {
    let sealing = || SealingKey::from_file(&options.seal);
    let state = State::open_with(&options.state, &KeyChoice::default(), sealing)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    if state.enrolment()?.is_none() {
        let hub: HubUrl = options.hub.parse()?;
        let code = line.trim().parse()?;
        enrol(&state, &hub, &code)?;
        eprintln!(
            "this machine is enrolled as {}, its key is in {}",
            state.id(),
            state.key_place()
        );
    }
    thread::spawn(|| {
        // The hub holds the other end for as long as it lives.
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        STOP.store(true, Ordering::Relaxed);
    });
    let mut agent =
        Agent::new(state, Options { sample_ms: 2_000, ..Options::default() }, |line| {
            eprintln!("this device: {line}");
        })?;
    eprintln!("this device: {}", agent.confine()?);
    match agent.run(&STOP) {
        Err(AgentError::Lost(_)) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
