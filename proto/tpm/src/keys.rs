//! Keys: made, loaded, shown, flushed.
//!
//! 1. [`CreatePrimary`] gives the parent; the same template gives the same key for as long as the
//!    owner's seed lives.
//! 2. [`Create`] makes a key below it and gives it wrapped: the parent alone can load it.
//! 3. [`Load`] takes it in again; what was loaded is flushed ([`FlushContext`]) after use, for a TPM has
//!    as few as three slots.

use crate::{
    Auth, Command, Handle, Private, Problem, Public, Reader, Use, Writer,
    limits::{MESSAGE_BYTES_MAX, PRIVATE_BYTES_MAX},
};

/// Bytes of a name: an algorithm and the largest digest.
const NAME_BYTES_MAX: usize = 66;

/// TPM2_CreatePrimary in the owner's hierarchy.
#[derive(Clone, Copy, Debug)]
pub struct CreatePrimary<'a> {
    /// The owner's authValue; empty on most machines.
    pub owner: &'a Auth,
    /// What for.
    pub purpose: Use,
}

impl Command for CreatePrimary<'_> {
    const CODE: u32 = 0x131;
    const IS_AUTHORIZED: bool = true;
    const LOADS: bool = true;
    type Answer = (Handle, Public);

    fn handle(&self) -> Option<Handle> {
        Some(Handle::OWNER)
    }

    fn auth(&self) -> &Auth {
        self.owner
    }

    fn write(&self, parameters: &mut Writer) {
        write_creation(parameters, &Auth::EMPTY, self.purpose);
    }

    fn read(loaded: Handle, parameters: &mut Reader<'_>) -> Result<(Handle, Public), Problem> {
        let public = Public::read(parameters)?;
        skip_creation(parameters)?;
        parameters.sized(NAME_BYTES_MAX)?;
        Ok((loaded, public))
    }
}

/// TPM2_Create: a key below a parent.
#[derive(Clone, Copy, Debug)]
pub struct Create<'a> {
    /// A loaded storage key whose authValue is empty.
    pub parent: Handle,
    /// The new key's authValue.
    pub auth: &'a Auth,
    /// What for.
    pub purpose: Use,
}

/// A key that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The wrapped private part.
    pub private: Private,
    /// The public part.
    pub public: Public,
}

impl Command for Create<'_> {
    const CODE: u32 = 0x153;
    const IS_AUTHORIZED: bool = true;
    type Answer = Created;

    fn handle(&self) -> Option<Handle> {
        Some(self.parent)
    }

    fn write(&self, parameters: &mut Writer) {
        write_creation(parameters, self.auth, self.purpose);
    }

    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<Created, Problem> {
        let private = Private::from_bytes(parameters.sized(PRIVATE_BYTES_MAX)?)?;
        let public = Public::read(parameters)?;
        skip_creation(parameters)?;
        Ok(Created { private, public })
    }
}

/// TPM2B_SENSITIVE_CREATE, the template, no outside information, no PCRs.
fn write_creation(parameters: &mut Writer, auth: &Auth, purpose: Use) {
    let sensitive = Writer::default().sized(auth.bytes()).sized(&[]).finish();
    parameters.sized(&sensitive);
    Public::template(purpose).write(parameters);
    parameters.sized(&[]).u32(0);
}

/// Creation data, its hash, and the ticket: they prove to a TPM what we saw happen.
fn skip_creation(parameters: &mut Reader<'_>) -> Result<(), Problem> {
    parameters.sized(MESSAGE_BYTES_MAX)?;
    parameters.sized(NAME_BYTES_MAX)?;
    parameters.u16()?;
    parameters.u32()?;
    parameters.sized(NAME_BYTES_MAX).map(drop)
}

/// TPM2_Load: takes a wrapped key in.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// The parent that wrapped it; its authValue is empty.
    pub parent: Handle,
    /// The wrapped private part.
    pub private: &'a Private,
    /// The public part.
    pub public: &'a Public,
}

impl Command for Load<'_> {
    const CODE: u32 = 0x157;
    const IS_AUTHORIZED: bool = true;
    const LOADS: bool = true;
    type Answer = Handle;

    fn handle(&self) -> Option<Handle> {
        Some(self.parent)
    }

    fn write(&self, parameters: &mut Writer) {
        parameters.sized(self.private.bytes());
        self.public.write(parameters);
    }

    fn read(loaded: Handle, parameters: &mut Reader<'_>) -> Result<Handle, Problem> {
        parameters.sized(NAME_BYTES_MAX).map(|_| loaded)
    }
}

/// TPM2_ReadPublic: the public part of what is loaded.
#[derive(Clone, Copy, Debug)]
pub struct ReadPublic(pub Handle);

impl Command for ReadPublic {
    const CODE: u32 = 0x173;
    type Answer = Public;

    fn handle(&self) -> Option<Handle> {
        Some(self.0)
    }

    fn write(&self, _: &mut Writer) {}

    fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<Public, Problem> {
        let public = Public::read(parameters)?;
        parameters.sized(NAME_BYTES_MAX)?;
        parameters.sized(NAME_BYTES_MAX)?;
        Ok(public)
    }
}

/// TPM2_FlushContext: forgets what is loaded.
#[derive(Clone, Copy, Debug)]
pub struct FlushContext(pub Handle);

impl Command for FlushContext {
    const CODE: u32 = 0x165;
    type Answer = ();

    fn write(&self, parameters: &mut Writer) {
        // Of all commands the one whose handle is a parameter.
        parameters.u32(self.0.number());
    }

    fn read(_: Handle, _: &mut Reader<'_>) -> Result<(), Problem> {
        Ok(())
    }
}
