//! `hedgerow`: the hub and the operator's command line.

mod args;
mod cli;
mod doctor;
mod manual;
mod paths;
mod this_device;
mod up;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command {
        Command::Up(up) => up::run(args.data, up),
        Command::Ask(ask) => cli::run(args.data, &args.remote, ask),
        Command::Doctor(doctor) => doctor::run(args.data, &args.remote, &doctor),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { directory } => manual::pages(directory.as_deref()),
        Command::ThisDevice(options) => this_device::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hedgerow: {error}");
            ExitCode::FAILURE
        }
    }
}
