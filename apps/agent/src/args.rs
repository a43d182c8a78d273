use std::{
    env,
    path::{Path, PathBuf},
};

use hedgerow_device_linux::{HubUrl, KeyChoice};
use hedgerow_onboarding::ClaimCode;

/// What `--help` says.
pub(crate) const USAGE: &str = "\
hedgerow-agent: enrols this machine at a Hedgerow hub and keeps it there

  hedgerow-agent enroll --hub URL --claim CODE [--key auto|file|tpm:/dev/tpmrm0]
  hedgerow-agent run [--every SECONDS]
  hedgerow-agent status [--json]

  --state DIR   where key, certificate and waiting readings are kept
  --seal FILE   the file that seals the key, outside DIR
                (the systemd credential hedgerow-agent-seal comes first)
  --key WHERE   where a new key is made: auto (the TPM of this machine if there is one,
                else a sealed file), file, or a TPM; a key that is there stays in use

Example: hedgerow-agent enroll --hub https://hub.local:8444 --claim HR1-7K2QX-…";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Say how it is used.
    Help,
    /// Enrol at a hub.
    Enroll {
        /// Where.
        hub: HubUrl,
        /// With what.
        claim: ClaimCode,
    },
    /// Connect and stay.
    Run {
        /// Time between two samples.
        sample_ms: i64,
    },
    /// Say who and where this device is.
    Status,
}

/// The command line, understood.
#[derive(Debug)]
pub(crate) struct Args {
    /// What to do.
    pub(crate) command: Command,
    /// Where the state is.
    pub(crate) state: PathBuf,
    /// The file that seals the key.
    pub(crate) seal: PathBuf,
    /// Where a new key is made.
    pub(crate) key: KeyChoice,
    /// As JSON.
    pub(crate) json: bool,
}

impl Args {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    /// What is wrong, and how it is used.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let wrong = |what: String| format!("{what}\n\n{USAGE}");
        let (mut hub, mut claim, mut state, mut seal) = (None, None, None, None);
        let mut key = KeyChoice::default();
        let (mut json, mut verb, mut sample_ms) = (false, None, 5_000);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| wrong(format!("{word} needs a value")));
            match word.as_str() {
                "--hub" => {
                    hub = Some(value()?.parse::<HubUrl>().map_err(|e| wrong(e.to_string()))?);
                }
                "--claim" => {
                    claim = Some(value()?.parse::<ClaimCode>().map_err(|e| wrong(e.to_string()))?);
                }
                "--state" => state = Some(PathBuf::from(value()?)),
                "--seal" => seal = Some(PathBuf::from(value()?)),
                "--key" => key = value()?.parse().map_err(|e: String| wrong(e))?,
                "--every" => {
                    let seconds: i64 = value()?
                        .parse()
                        .ok()
                        .filter(|seconds| (1..=86_400).contains(seconds))
                        .ok_or_else(|| wrong("--every takes 1 to 86400 seconds".into()))?;
                    sample_ms = seconds * 1000;
                }
                "--json" => json = true,
                "--help" | "-h" | "help" => verb = Some("help".to_owned()),
                "enroll" | "run" | "status" if verb.is_none() => verb = Some(word),
                _ => return Err(wrong(format!("{word} is not understood here"))),
            }
        }
        let command = match verb.as_deref() {
            Some("help") => Command::Help,
            Some("enroll") => Command::Enroll {
                hub: hub.ok_or_else(|| wrong("enroll needs --hub".into()))?,
                claim: claim.ok_or_else(|| wrong("enroll needs --claim".into()))?,
            },
            Some("run") => Command::Run { sample_ms },
            Some("status") => Command::Status,
            _ => return Err(USAGE.into()),
        };
        let (default_state, default_seal) = defaults();
        let state = state.unwrap_or(default_state);
        Ok(Self { command, state, seal: seal.unwrap_or(default_seal), key, json })
    }
}

/// systemd's state directory, else root's, else the user's; the sealing key always apart.
fn defaults() -> (PathBuf, PathBuf) {
    let home = env::var_os("HOME").map(PathBuf::from);
    let of = |variable: &str, below: &str| {
        env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| home.as_ref().map(|home| home.join(below)))
            .unwrap_or_else(|| PathBuf::from("."))
    };
    let seal = of("XDG_CONFIG_HOME", ".config").join("hedgerow/agent-seal.key");
    match env::var_os("STATE_DIRECTORY") {
        Some(directory) => (directory.into(), Path::new("/etc/hedgerow/agent-seal.key").into()),
        None => (of("XDG_DATA_HOME", ".local/share").join("hedgerow-agent"), seal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_ascii_whitespace().map(str::to_owned))
    }

    #[test]
    fn commands_are_understood() {
        assert!(matches!(
            parse("run --every 2").unwrap().command,
            Command::Run { sample_ms: 2000 }
        ));
        let args = parse("status --json --state /s --seal /k").unwrap();
        assert!(args.json && args.state == Path::new("/s") && args.seal == Path::new("/k"));
        let local = KeyChoice::Tpm("tpm:/dev/tpm0".parse().unwrap());
        for (line, key) in [
            ("status", KeyChoice::default()),
            ("status --key auto", KeyChoice::default()),
            ("run --key file", KeyChoice::File),
            ("run --key tpm:/dev/tpm0", local),
        ] {
            assert_eq!(parse(line).unwrap().key, key, "{line}");
        }
        assert!(matches!(parse("--help").unwrap().command, Command::Help));
    }

    #[test]
    fn what_is_missing_or_odd_is_said() {
        for (line, says) in [
            ("enroll", "needs --hub"),
            ("enroll --hub hub", "needs --claim"),
            ("enroll --hub http://x --claim y", "not a hub's address"),
            ("enroll --claim HR1-1", "a claim code is"),
            ("status --key token", "not auto, file or tpm:"),
            ("run --every 0", "1 to 86400"),
            ("run --every 86401", "1 to 86400"),
            ("run --state", "needs a value"),
            ("dance", "not understood"),
        ] {
            assert!(parse(line).unwrap_err().contains(says), "{line}");
        }
    }
}
