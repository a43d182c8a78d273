//! Shell completions and manual pages, made from the command line itself.

use std::{
    error::Error,
    io::{self, ErrorKind, Write},
    path::Path,
};

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use clap_mangen::{Man, generate_to};

use crate::args::Args;

type Done = Result<(), Box<dyn Error>>;

/// Prints the completions for a shell.
pub(crate) fn completions(shell: Shell) -> Done {
    let mut text = Vec::new();
    generate(shell, &mut Args::command(), "hedgerow", &mut text);
    print(&text)
}

/// Prints the manual page, or writes one for each command.
pub(crate) fn pages(directory: Option<&Path>) -> Done {
    if let Some(directory) = directory {
        return Ok(generate_to(Args::command(), directory)?);
    }
    let mut text = Vec::new();
    Man::new(Args::command()).render(&mut text)?;
    print(&text)
}

fn print(text: &[u8]) -> Done {
    match io::stdout().lock().write_all(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_manual_page() {
        let folder = tempfile::tempdir().unwrap();
        pages(Some(folder.path())).unwrap();
        for name in ["hedgerow.1", "hedgerow-up.1", "hedgerow-device-claim.1"] {
            let page = std::fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(page.contains(".SH NAME"), "{name}");
        }
        let hidden = folder.path().join("hedgerow-this-device.1");
        assert!(!hidden.exists(), "what is hidden has none");
    }

    #[test]
    fn shells_complete_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = Vec::new();
            generate(shell, &mut Args::command(), "hedgerow", &mut text);
            let text = String::from_utf8(text).unwrap();
            for word in ["profile", "quarantine", "doctor"] {
                assert!(text.contains(word), "{shell} {word}");
            }
        }
    }
}
