//! The frame of every command and response (part 1, sections 18.2 to 18.9).
//!
//! 1. A command is a tag, its size, its code, a handle if it has one, the authorization, parameters.
//! 2. A response is a tag, its size, a code; if that is success: a handle if it makes one, parameters,
//!    what the authorization answers.

use alloc::vec::Vec;

use crate::{
    Problem, Reader, ResponseCode, Writer,
    limits::{AUTH_BYTES_MAX, MESSAGE_BYTES_MAX},
};

/// TPM_ST_NO_SESSIONS.
const NO_SESSIONS: u16 = 0x8001;
/// TPM_ST_SESSIONS.
const SESSIONS: u16 = 0x8002;
/// TPM_RS_PW: the session of an authorization by password.
const PASSWORD: u32 = 0x4000_0009;
/// Bytes of tag, size and code.
const HEADER: usize = 10;

/// What a TPM calls a key that is loaded, or a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(u32);

impl Handle {
    /// TPM_RH_OWNER: the hierarchy of whoever owns the machine.
    pub const OWNER: Self = Self(0x4000_0001);
    /// TPM_RH_NULL: the hierarchy that begins anew at each start.
    pub const NULL: Self = Self(0x4000_0007);

    /// As a TPM gave it.
    #[must_use]
    pub const fn new(handle: u32) -> Self {
        Self(handle)
    }

    /// As it is sent.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// An authValue: what has to be said to use a key or a hierarchy. Often empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth(Vec<u8>);

impl core::fmt::Debug for Auth {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Auth(..)")
    }
}

impl Auth {
    /// The empty one.
    pub const EMPTY: Self = Self(Vec::new());

    /// These bytes; a TPM takes zeros at the end for none.
    ///
    /// # Errors
    /// When it has more than [`AUTH_BYTES_MAX`].
    pub fn new(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.len() > AUTH_BYTES_MAX {
            return Err(Problem::TooLong("an authValue"));
        }
        Ok(Self(bytes.to_vec()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

static NO_AUTH: Auth = Auth::EMPTY;

/// Something that a TPM is asked to do.
pub trait Command {
    /// TPM_CC.
    const CODE: u32;
    /// Whether the handle has to be authorized.
    const IS_AUTHORIZED: bool = false;
    /// Whether the response begins with the handle of what was loaded.
    const LOADS: bool = false;
    /// What comes back.
    type Answer;

    /// What it is done with.
    fn handle(&self) -> Option<Handle> {
        None
    }

    /// The authValue of the handle.
    fn auth(&self) -> &Auth {
        &NO_AUTH
    }

    /// Writes the parameters.
    fn write(&self, parameters: &mut Writer);

    /// Reads the answer: the handle of what was loaded ([`Handle::NULL`] where nothing is), and the
    /// parameters, which are read to their end.
    ///
    /// # Errors
    /// When the response is not what the specification says.
    fn read(loaded: Handle, parameters: &mut Reader<'_>) -> Result<Self::Answer, Problem>;
}

/// The bytes of a command.
///
/// # Errors
/// When it is over [`MESSAGE_BYTES_MAX`].
pub fn command<C: Command>(what: &C) -> Result<Vec<u8>, Problem> {
    let mut body = Writer::default();
    body.u32(C::CODE);
    if let Some(handle) = what.handle() {
        body.u32(handle.number());
    }
    if C::IS_AUTHORIZED {
        let mut session = Writer::default();
        // Handle, no nonce, no attributes, the authValue in the place of an HMAC.
        let session = session.u32(PASSWORD).sized(&[]).u8(0).sized(what.auth().bytes()).finish();
        body.u32(size(session.len())?).bytes(&session);
    }
    what.write(&mut body);
    let body = body.finish();
    let tag = if C::IS_AUTHORIZED { SESSIONS } else { NO_SESSIONS };
    let whole = size(body.len() + HEADER - size_of::<u32>())?;
    Ok(Writer::default().u16(tag).u32(whole).bytes(&body).finish())
}

fn size(len: usize) -> Result<u32, Problem> {
    let fits = len <= MESSAGE_BYTES_MAX;
    u32::try_from(len).ok().filter(|_| fits).ok_or(Problem::TooLong("a command"))
}

/// What a response to a command says.
///
/// # Errors
/// [`Problem::Refused`] when it says no, else when it is not what the specification says.
pub fn answer<C: Command>(response: &[u8]) -> Result<C::Answer, Problem> {
    if response.len() > MESSAGE_BYTES_MAX {
        return Err(Problem::Malformed("it is longer than allowed"));
    }
    let mut reader = Reader::new(response);
    let (tag, size, code) = (reader.u16()?, reader.u32()?, reader.u32()?);
    if usize::try_from(size).ok() != Some(response.len()) {
        return Err(Problem::Malformed("its size is another one"));
    }
    if let Some(code) = ResponseCode::new(code) {
        return Err(Problem::Refused(code));
    }
    let expected = if C::IS_AUTHORIZED { SESSIONS } else { NO_SESSIONS };
    if tag != expected {
        return Err(Problem::Malformed("its tag is another one"));
    }
    let loaded = if C::LOADS { Handle(reader.u32()?) } else { Handle::NULL };
    let mut parameters = reader;
    if C::IS_AUTHORIZED {
        let len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        parameters = Reader::new(reader.bytes(len)?);
        // Nonce, attributes, acknowledgement: of a password they say nothing.
        reader.sized(AUTH_BYTES_MAX)?;
        reader.u8()?;
        reader.sized(AUTH_BYTES_MAX)?;
        reader.end()?;
    }
    let answer = C::read(loaded, &mut parameters)?;
    parameters.end().map(|()| answer)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{FlushContext, Sign};

    #[test]
    fn an_auth_value_has_a_limit() {
        assert!(Auth::new(&[1; AUTH_BYTES_MAX]).is_ok());
        assert_eq!(Auth::new(&[1; AUTH_BYTES_MAX + 1]), Err(Problem::TooLong("an authValue")));
        assert_eq!(std::format!("{:?}", Auth::new(b"secret").unwrap()), "Auth(..)");
    }

    #[test]
    fn the_password_stands_in_the_authorization() {
        let auth = Auth::new(b"pw").unwrap();
        let sign = Sign { key: Handle(0x8000_0000), auth: &auth, digest: [7; 32] };
        let bytes = command(&sign).unwrap();
        let area = [0, 0, 0, 11, 0x40, 0, 0, 9, 0, 0, 0, 0, 2, b'p', b'w'];
        assert_eq!(bytes[..2], SESSIONS.to_be_bytes());
        assert_eq!(bytes[14..14 + area.len()], area);
    }

    /// A command as long as one likes.
    struct Long(usize);

    impl Command for Long {
        const CODE: u32 = 1;
        type Answer = usize;

        fn write(&self, parameters: &mut Writer) {
            parameters.bytes(&vec![0; self.0]);
        }

        fn read(_: Handle, parameters: &mut Reader<'_>) -> Result<usize, Problem> {
            let mut len = 0;
            while !parameters.is_empty() {
                parameters.u8()?;
                len += 1;
            }
            Ok(len)
        }
    }

    #[test]
    fn commands_and_responses_have_a_limit() {
        let most = MESSAGE_BYTES_MAX - HEADER;
        assert_eq!(command(&Long(most)).unwrap().len(), MESSAGE_BYTES_MAX);
        assert_eq!(command(&Long(most + 1)), Err(Problem::TooLong("a command")));
        let response = |len: usize| {
            let size = u32::try_from(len + HEADER).unwrap();
            Writer::default().u16(NO_SESSIONS).u32(size).u32(0).bytes(&vec![0; len]).finish()
        };
        assert_eq!(answer::<Long>(&response(most)), Ok(most));
        assert!(answer::<Long>(&response(most + 1)).is_err());
    }

    #[test]
    fn a_refusal_is_a_refusal_whatever_stands_around_it() {
        let refusal = [0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x21];
        let problem = answer::<FlushContext>(&refusal).unwrap_err();
        assert_eq!(problem, Problem::Refused(ResponseCode::new(0x921).unwrap()));
        // TPM 1.2 answers in its own tag: it does not know this one.
        let old = [0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x1e];
        assert!(matches!(answer::<FlushContext>(&old), Err(Problem::Refused(_))));
    }

    #[test]
    fn a_response_of_another_size_or_tag_is_refused() {
        let good = [0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0];
        assert_eq!(answer::<FlushContext>(&good), Ok(()));
        for (at, byte) in [(1, 2), (5, 9), (5, 11), (0, 0)] {
            let mut bad = good;
            bad[at] = byte;
            assert!(answer::<FlushContext>(&bad).is_err(), "{at}");
        }
    }
}
