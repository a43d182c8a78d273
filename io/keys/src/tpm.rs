//! A TPM 2.0: asked in turn, one use after the other.
//!
//! 1. Each use opens the TPM, makes the storage root key anew (the same seed gives the same key), and loads
//!    the device's key below it.
//! 2. What it loaded it flushes, and closes the TPM: nothing of ours is in it between two uses, so that a
//!    restart of the TPM costs nothing and other programs have its slots.
//! 3. A use that is cut short (the TPM was restarted in the midst of it) is begun once more.

mod address;
mod key;
mod key_file;
mod transport;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

pub use address::TpmAddress;
use hedgerow_tpm::{
    Auth, Command, CreatePrimary, FlushContext, GetCurves, GetEcdsa, GetManufacturer, GetRandom,
    Handle, Meaning, Problem, Use, answer, command,
};
pub use key_file::TpmKeyFile;

use crate::{
    KeyError,
    limits::{TPM_RETRY_MS_MAX, TPM_RETRY_MS_MIN, TPM_TRIES_MAX},
};
use transport::Line;

/// A TPM 2.0, at an address.
#[derive(Debug)]
pub struct Tpm {
    address: TpmAddress,
    turn: Mutex<()>,
}

impl Tpm {
    /// The TPM at this address; it is looked for when it is used.
    #[must_use]
    pub const fn at(address: TpmAddress) -> Self {
        Self { address, turn: Mutex::new(()) }
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &TpmAddress {
        &self.address
    }

    /// Whether it answers and can do ECDSA on P-256; gives who made it.
    ///
    /// # Errors
    /// When it can't, or is not there.
    pub fn check(&self) -> Result<String, KeyError> {
        self.once_more(|session| {
            session.ask(&GetRandom::of(8).map_err(|problem| self.wrong(problem))?)?;
            if !session.ask(&GetCurves)?.has_p256() {
                return Err(KeyError::TpmUnfit(self.address.clone(), "knows no curve P-256"));
            }
            if !session.ask(&GetEcdsa)? {
                return Err(KeyError::TpmUnfit(self.address.clone(), "knows no ECDSA"));
            }
            session.ask(&GetManufacturer).map(|maker| maker.to_string())
        })
    }

    /// Uses it; a use that was cut short is begun once more.
    fn once_more<T>(
        &self,
        mut uses: impl FnMut(&mut Session<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let mut once = || uses(&mut Session::open(self)?);
        match once() {
            Err(error) if is_cut_short(&error) => once(),
            done => done,
        }
    }

    /// A lower error, with which TPM it was.
    fn wrong(&self, problem: Problem) -> KeyError {
        let address = self.address.clone();
        match problem {
            Problem::Refused(code) => match code.meaning() {
                Meaning::Lockout => KeyError::TpmLockedOut(address),
                // Our keys have no password: only the owner's hierarchy can have one.
                Meaning::WrongAuth => KeyError::TpmOwned(address),
                Meaning::TryAgain
                | Meaning::NotItsOwn
                | Meaning::NoSuchHandle
                | Meaning::NoRoom
                | Meaning::NotReady
                | Meaning::NotSupported
                | Meaning::Other => KeyError::Tpm(address, problem),
            },
            Problem::TooLong(_) | Problem::Malformed(_) | Problem::Unexpected(_) => {
                KeyError::Tpm(address, problem)
            }
        }
    }
}

/// Whether it can be the TPM's restart that a use failed for.
fn is_cut_short(error: &KeyError) -> bool {
    match error {
        KeyError::TpmGone(..) => true,
        KeyError::Tpm(_, Problem::Refused(code)) => {
            matches!(code.meaning(), Meaning::NoSuchHandle | Meaning::NotReady)
        }
        _ => false,
    }
}

/// One use of a TPM. What it loaded is flushed at its end, however it ends.
struct Session<'a> {
    tpm: &'a Tpm,
    line: Line,
    loaded: Vec<Handle>,
    is_broken: bool,
    _turn: MutexGuard<'a, ()>,
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("tpm", &self.tpm.address).finish_non_exhaustive()
    }
}

impl<'a> Session<'a> {
    fn open(tpm: &'a Tpm) -> Result<Self, KeyError> {
        let turn = tpm.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |error| KeyError::TpmGone(tpm.address.clone(), error);
        let line = Line::open(&tpm.address).map_err(gone)?;
        Ok(Self { tpm, line, loaded: Vec::new(), is_broken: false, _turn: turn })
    }

    /// Sends a command, again when the TPM asks for that.
    fn ask<C: Command>(&mut self, what: &C) -> Result<C::Answer, KeyError> {
        let bytes = command(what).map_err(|problem| self.tpm.wrong(problem))?;
        let mut wait = TPM_RETRY_MS_MIN;
        let mut tries = 1;
        loop {
            let said = self.line.exchange(&bytes).map_err(|error| {
                self.is_broken = true;
                KeyError::TpmGone(self.tpm.address.clone(), error)
            })?;
            match answer::<C>(&said) {
                Err(Problem::Refused(code))
                    if code.meaning() == Meaning::TryAgain && tries < TPM_TRIES_MAX =>
                {
                    thread::sleep(Duration::from_millis(wait));
                    wait = (wait * 2).min(TPM_RETRY_MS_MAX);
                    tries += 1;
                }
                answered => return answered.map_err(|problem| self.tpm.wrong(problem)),
            }
        }
    }

    /// The storage root key, made anew.
    fn storage_root(&mut self) -> Result<Handle, KeyError> {
        let owner = &Auth::EMPTY;
        let (handle, _) = self.ask(&CreatePrimary { owner, purpose: Use::Storage })?;
        self.loaded.push(handle);
        Ok(handle)
    }

    /// Forgets what is loaded, that last came first.
    fn flush(&mut self) {
        while let Some(handle) = self.loaded.pop() {
            // A TPM that can't has been restarted, or will be: then it is flushed too.
            if !self.is_broken {
                let _ = self.ask(&FlushContext(handle));
            }
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
