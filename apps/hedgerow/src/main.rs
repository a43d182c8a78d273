//! `hedgerow`: the hub and the operator's command line.

mod args;
mod cli;
mod config;
mod doctor;
mod manual;
mod paths;
mod this_device;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, parser::ValueSource};

use args::{Args, Command};

fn main() -> ExitCode {
    let matches = Args::command().get_matches();
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let is_said = |name: &str| {
        let up = matches.subcommand_matches("up");
        up.and_then(|up| up.value_source(name)) == Some(ValueSource::CommandLine)
    };
    let done = match args.command {
        Command::Up(up) => up::run(args.data, up, is_said),
        Command::Config(command) => config::run(args.data, &command),
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
