//! `hedgerow-agent`: enrols this machine at a hub and keeps it there.
//!
//! ```text
//! hedgerow-agent enroll --hub URL --claim CODE
//! hedgerow-agent run | status
//! ```

mod args;

use std::{path::Path, process::ExitCode, sync::atomic::AtomicBool};

use args::{Args, Command};
use hedgerow_device_linux::{Agent, AgentError, Options, State, confine, enrol};
use hedgerow_keys::SealingKey;

/// The systemd credential that seals the device's key.
const CREDENTIAL: &str = "hedgerow-agent-seal";

static STOP: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hedgerow-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), AgentError> {
    let sealing = sealing_key(&args.seal)?;
    let state = State::open(&args.state, &sealing)?;
    match &args.command {
        Command::Help => println!("{}", args::USAGE),
        Command::Enroll { hub, claim } => {
            let enrolment = enrol(&state, hub, claim)?;
            println!("enrolled at {} as {}", enrolment.hub, state.id());
            println!("the key is in a file sealed with {}", sealing.source());
        }
        Command::Run { sample_ms } => {
            let options = Options { sample_ms: *sample_ms, ..Options::default() };
            let mut agent = Agent::new(state, options, |line| eprintln!("{line}"))?;
            eprintln!("{}", confine(&args.state)?);
            agent.run(&STOP)?;
        }
        Command::Status => status(&state, args.json)?,
    }
    Ok(())
}

fn status(state: &State, json: bool) -> Result<(), AgentError> {
    let enrolment = state.enrolment()?;
    let hub = enrolment.map(|enrolment| enrolment.hub.to_string());
    let id = state.id();
    match (json, hub) {
        (true, Some(hub)) => println!("{{\"id\":\"{id}\",\"hub\":\"{hub}\"}}"),
        (true, None) => println!("{{\"id\":\"{id}\",\"hub\":null}}"),
        (false, Some(hub)) => println!("{id} enrolled at {hub}"),
        (false, None) => println!("{id} not enrolled"),
    }
    Ok(())
}

fn sealing_key(file: &Path) -> Result<SealingKey, AgentError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    match SealingKey::from_credential(credentials.as_deref().map(Path::new), CREDENTIAL)? {
        Some(key) => Ok(key),
        None => Ok(SealingKey::from_file(file)?),
    }
}
