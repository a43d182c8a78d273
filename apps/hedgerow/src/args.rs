//! The command line as typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::cli::{Ask, Remote};

/// Connected devices, from the first key to the last erased byte.
#[derive(Debug, Parser)]
#[command(name = "hedgerow", version, propagate_version = true)]
pub(crate) struct Args {
    /// Where the hub keeps its data [default: the user's data directory]
    #[arg(long, global = true, value_name = "DIR", env = "HEDGEROW_DATA")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) remote: Remote,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the hub
    ///
    /// Example: hedgerow up --with-agent
    Up(Up),
    /// The configuration file: what holds, and whether it is understood
    ///
    /// Example: hedgerow config show > hedgerow.toml
    #[command(subcommand)]
    Config(ConfigCommand),
    #[command(flatten)]
    Ask(Ask),
    /// Look whether all is well with the hub of the data directory, running or not
    ///
    /// Ends with 1 when something is wrong. Example: hedgerow doctor
    Doctor(Doctor),
    /// Print what makes a shell complete this program's commands
    ///
    /// Example: hedgerow completions bash > /etc/bash_completion.d/hedgerow
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Print the manual page, or write one for each command
    ///
    /// Example: hedgerow man --to /usr/local/share/man/man1
    Man {
        /// Write a page for each command into this directory
        #[arg(long = "to", value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Run this machine's own device (started by `up --with-agent`)
    #[command(hide = true)]
    ThisDevice(ThisDevice),
}

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print what holds, as a file with every limit and what it bounds
    ///
    /// Example: hedgerow config show > hedgerow.toml
    Show {
        /// The file [default: hedgerow.toml in the data directory]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Say whether the file is understood
    ///
    /// Example: hedgerow config check hedgerow.toml
    Check {
        /// The file [default: hedgerow.toml in the data directory]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// How the hub starts.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Up {
    /// Enrol this machine as the first device and run its agent
    #[arg(long)]
    pub(crate) with_agent: bool,
    #[command(flatten)]
    pub(crate) addresses: Addresses,
    /// A file with addresses and limits; see `hedgerow config show` [default: hedgerow.toml in the data
    /// directory]
    #[arg(long, value_name = "FILE", env = "HEDGEROW_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// A Unix socket with MQTT for programs on this machine, which sign in with a token
    #[arg(long, value_name = "PATH")]
    pub(crate) mqtt_socket: Option<PathBuf>,
    /// Another name or address by which devices and people reach this hub; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) seal: Seal,
    /// Seconds of silence that an MQTT 5.0 client may promise at most; one that asks for more is told this
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(default_value = "1200")]
    pub(crate) mqtt_keep_alive_max: u16,
    /// Tell Home Assistant of all devices: its MQTT discovery, retained below homeassistant/
    #[arg(long)]
    pub(crate) home_assistant: bool,
    /// WEAK: a door for devices that can do no better than TLS 1.2 and a password, and that were taken in
    /// with `hedgerow device admit-weak`
    #[arg(long, value_name = "ADDR")]
    pub(crate) mqtts_weak: Option<SocketAddr>,
    /// INSECURE, for tests and measurements: plain MQTT without sign-in, on loopback only
    #[arg(long, value_name = "ADDR")]
    pub(crate) insecure_mqtt: Option<SocketAddr>,
}

/// Where the hub listens.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Addresses {
    /// For people and applications: UI and API over HTTPS
    #[arg(long, value_name = "ADDR", default_value = "[::]:8443")]
    pub(crate) https: SocketAddr,
    /// For devices: EST, revocation list, checkpoints over HTTPS
    #[arg(long, value_name = "ADDR", default_value = "[::]:8444")]
    pub(crate) devices: SocketAddr,
    /// For devices: MQTT over TLS
    #[arg(long, value_name = "ADDR", default_value = "[::]:8883")]
    pub(crate) mqtts: SocketAddr,
    /// For the first sign-in: the same UI over HTTP, on loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) local: SocketAddr,
}

/// What seals the hub's keys, unless a systemd credential does.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Seal {
    /// The file that seals the hub's keys, outside the data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) seal_file: Option<PathBuf>,
    /// A file with the passphrase that seals the hub's keys
    #[arg(long, value_name = "FILE", conflicts_with = "seal_file")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// What to look at.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) addresses: Addresses,
    #[command(flatten)]
    pub(crate) seal: Seal,
}

/// How this machine's own device runs. The claim code comes by standard input.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ThisDevice {
    /// The hub
    #[arg(long = "at")]
    pub(crate) hub: String,
    /// Where the device's state is
    #[arg(long)]
    pub(crate) state: PathBuf,
    /// The file that seals the device's key
    #[arg(long)]
    pub(crate) seal: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_keep_alive_of_none_is_refused_and_what_is_said_is_what_the_library_says() {
        let max = |arguments: &[&str]| {
            let all = ["hedgerow", "up"].iter().chain(arguments);
            Args::try_parse_from(all).map(|args| match args.command {
                Command::Up(up) => up.mqtt_keep_alive_max,
                other => panic!("{other:?}"),
            })
        };
        let library = hedgerow_wire::Settings::default().mqtt.keep_alive_s_max;
        assert_eq!(max(&[]).unwrap(), library);
        assert_eq!(max(&["--mqtt-keep-alive-max", "1"]).unwrap(), 1);
        for wrong in ["0", "65536"] {
            assert!(max(&["--mqtt-keep-alive-max", wrong]).is_err());
        }
    }

    fn without_example(command: &clap::Command, found: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            let help = inner.get_long_about().map(ToString::to_string).unwrap_or_default();
            if !help.contains("Example: hedgerow ") {
                found.push(format!("{} {}", command.get_name(), inner.get_name()));
            }
            without_example(inner, found);
        }
    }

    #[test]
    fn every_help_has_an_example() {
        let mut found = Vec::new();
        without_example(&Args::command(), &mut found);
        assert_eq!(found, [""; 0]);
    }
}
