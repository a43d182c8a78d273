//! `hedgerow-agent`: enrols this machine at a hub and keeps it there.
//!
//! ```text
//! hedgerow-agent enroll --hub URL --claim CODE
//! hedgerow-agent run | status
//! ```

mod args;

use std::{path::Path, process::ExitCode, sync::atomic::AtomicBool};

use args::{Args, Command};
use hedgerow_device_linux::{Agent, AgentError, Options, State, enrol};
use hedgerow_keys::{KeyError, SealingKey};

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
    if matches!(args.command, Command::Help) {
        println!("{}", args::USAGE);
        return Ok(());
    }
    let state = State::open_with(&args.state, &args.key, || sealing_key(&args.seal))?;
    match &args.command {
        Command::Help => {}
        Command::Enroll { hub, claim } => {
            let enrolment = enrol(&state, hub, claim)?;
            println!("enrolled at {} as {}", enrolment.hub, state.id());
            println!("the key is in {}", state.key_place());
            if let Some(why) = state.passed_over() {
                println!("a TPM is here and was not taken: {why}");
            }
        }
        Command::Run { sample_ms } => {
            let options = Options { sample_ms: *sample_ms, ..Options::default() };
            let mut agent = Agent::new(state, options, |line| eprintln!("{line}"))?;
            eprintln!("{}", agent.confine()?);
            agent.run(&STOP)?;
        }
        Command::Status => status(&state, args.json)?,
    }
    Ok(())
}

fn status(state: &State, json: bool) -> Result<(), AgentError> {
    let enrolment = state.enrolment()?;
    let hub = enrolment.map(|enrolment| enrolment.hub.to_string());
    let (id, place) = (state.id(), state.key_place());
    match (json, hub) {
        (true, hub) => {
            let hub = hub.map_or_else(|| "null".into(), |hub| format!("\"{hub}\""));
            let storage = place.storage().word();
            println!("{{\"id\":\"{id}\",\"hub\":{hub},\"keyStorage\":\"{storage}\"}}");
        }
        (false, Some(hub)) => println!("{id} enrolled at {hub}, key in {place}"),
        (false, None) => println!("{id} not enrolled, key in {place}"),
    }
    Ok(())
}

fn sealing_key(file: &Path) -> Result<SealingKey, KeyError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    match SealingKey::from_credential(credentials.as_deref().map(Path::new), CREDENTIAL)? {
        Some(key) => Ok(key),
        None => SealingKey::from_file(file),
    }
}
