//! `hedgerow up`: from an empty directory to a hub that takes devices.
//!
//! 1. Find the sealing key, and say which it is.
//! 2. Open keys, stores and control plane; make the CA at the first start.
//! 3. Open the doors.
//! 4. Say where they are, and how to sign in.
//! 5. With `--with-agent`: claim this machine and start its agent.
//! 6. Serve until told to stop.

mod broker;
mod doors;
mod first_device;
mod herald;
mod home_assistant;
mod hub;
pub(crate) mod meters;
mod names;
mod notices;
mod profiles;
mod renewal;
pub(crate) mod seal;
mod socket;
mod sys;
mod trust;
mod voice;

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::{args::Up, config::Config, paths};

type Problem = Box<dyn std::error::Error>;

/// Starts the hub and serves until SIGINT or SIGTERM.
/// `is_said` knows the flags that were given on the command line: these go before the file.
pub(crate) fn run(
    data: Option<PathBuf>,
    mut up: Up,
    is_said: impl Fn(&str) -> bool,
) -> Result<(), Problem> {
    let data = paths::data(data);
    let mut config = Config::read(up.config.as_deref(), &data)?;
    config.complete(&mut up, is_said);
    log();
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(data, up, config))
}

fn log() {
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_from_env("HEDGEROW_LOG").unwrap_or_else(|_| "info".into());
    fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

/// A connection is a descriptor, and systems hand out few unless asked: 1,024 is common. As many as this
/// process may have.
fn raise_descriptors() {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limits.maximum, ..limits };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the system's limit of open files stays; it limits connections");
    }
}

async fn serve(data: PathBuf, up: Up, config: Config) -> Result<(), Problem> {
    // Password hashes and readings are nobody else's.
    DirBuilder::new().recursive(true).mode(0o700).create(&data)?;
    let sealing = seal::find(&data, &up.seal)?;
    eprintln!("keys are sealed with {}", sealing.source());
    let hub = hub::Hub::open(&data, sealing, &up, &config).await?;
    let doors = doors::open(&hub, &up, &config).await?;
    if up.home_assistant {
        home_assistant::start(&hub)?;
    }
    doors.announce();
    hub.announce_sign_in(&data, &doors).await?;
    let mut device = None;
    if up.with_agent {
        device = Some(first_device::start(&hub, &data, &doors).await?);
    }
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("stopping");
    if let Some(device) = device {
        device.stop().await;
    }
    doors.close().await;
    hub.close().await;
    Ok(())
}
