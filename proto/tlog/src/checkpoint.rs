use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::{Hash, limits::NOTE_BYTES_MAX};

/// Signature type of Ed25519 in C2SP signed-note.
const ED25519: u8 = 0x01;
const DASH: &str = "\u{2014} ";

/// What a log says of itself at one moment: its name, how many records it has, and their root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a name without a line break, unique to it.
    pub origin: String,
    /// Records.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed: three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty())?.to_string();
        let size_text = lines.next()?;
        let size: u64 = size_text.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        (size.to_string() == size_text).then_some(Self { origin, size, root })
    }
}

/// The id of an Ed25519 key in a signed note: four bytes over its name and public key.
#[must_use]
pub fn key_id(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::new_with_prefix(name)
        .chain_update([b'\n', ED25519])
        .chain_update(public_key)
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

/// A checkpoint with its signature, as text that fits on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note(String);

/// Why a note was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteProblem {
    /// It has not the shape of a signed checkpoint.
    Malformed,
    /// It speaks for another log.
    OtherLog,
    /// No signature by the expected key.
    Unsigned,
    /// The signature is wrong.
    Forged,
}

impl fmt::Display for NoteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the checkpoint has not the form of a signed note",
            Self::OtherLog => "the checkpoint is of another log",
            Self::Unsigned => "the checkpoint is not signed by the log's key",
            Self::Forged => "the signature of the checkpoint is wrong",
        })
    }
}

impl core::error::Error for NoteProblem {}

impl Note {
    /// Signs `checkpoint`; the key's name is the log's origin. `sign` gives the 64 bytes of Ed25519.
    pub fn sign<E>(
        checkpoint: &Checkpoint,
        public_key: &[u8; 32],
        sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
    ) -> Result<Self, E> {
        let text = checkpoint.text();
        let mut blob = Vec::from(key_id(&checkpoint.origin, public_key));
        blob.extend_from_slice(&sign(text.as_bytes())?);
        let signature = STANDARD.encode(blob);
        Ok(Self(format!("{text}\n{DASH}{} {signature}\n", checkpoint.origin)))
    }

    /// Takes a note as stored or received; it is believed only after [`Self::open`].
    #[must_use]
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The note as it is stored and sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks that the log `origin` with `public_key` signed this, and gives what it said. `verify`
    /// gets the message and the signature.
    ///
    /// # Errors
    /// [`NoteProblem`] says what is wrong with it.
    pub fn open(
        &self,
        origin: &str,
        public_key: &[u8; 32],
        verify: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Checkpoint, NoteProblem> {
        if self.0.len() > NOTE_BYTES_MAX {
            return Err(NoteProblem::Malformed);
        }
        let (text, signatures) = self.0.split_once("\n\n").ok_or(NoteProblem::Malformed)?;
        let text = format!("{text}\n");
        let checkpoint = Checkpoint::parse(&text).ok_or(NoteProblem::Malformed)?;
        if checkpoint.origin != origin {
            return Err(NoteProblem::OtherLog);
        }
        let wanted = key_id(origin, public_key);
        let signature = signatures
            .lines()
            .filter_map(|line| line.strip_prefix(DASH)?.strip_prefix(origin)?.strip_prefix(' '))
            .filter_map(|blob| STANDARD.decode(blob).ok())
            .find_map(|blob| blob.strip_prefix(&wanted).map(Vec::from))
            .ok_or(NoteProblem::Unsigned)?;
        if verify(text.as_bytes(), &signature) { Ok(checkpoint) } else { Err(NoteProblem::Forged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [5; 32];

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "hedgerow/hub/1".into(), size: 12, root: [9; 32] }
    }

    /// Stands in for Ed25519: the note only carries 64 bytes.
    fn seal(message: &[u8]) -> [u8; 64] {
        let digest: [u8; 32] = Sha256::digest(message).into();
        [digest, digest].concat().try_into().unwrap()
    }

    fn note() -> Note {
        Note::sign(&checkpoint(), &KEY, |m| Ok::<_, ()>(seal(m))).unwrap()
    }

    fn open(note: &Note) -> Result<Checkpoint, NoteProblem> {
        note.open("hedgerow/hub/1", &KEY, |m, s| s == seal(m))
    }

    #[test]
    fn a_note_says_what_was_signed() {
        assert_eq!(open(&note()), Ok(checkpoint()));
    }

    #[test]
    fn a_changed_size_a_foreign_log_and_a_missing_signature_are_refused() {
        let text = note().as_str().to_string();
        let grown = Note::from_text(text.replacen("\n12\n", "\n13\n", 1));
        assert_eq!(open(&grown), Err(NoteProblem::Forged));
        assert_eq!(note().open("other", &KEY, |_, _| true), Err(NoteProblem::OtherLog));
        assert_eq!(
            note().open("hedgerow/hub/1", &[6; 32], |_, _| true),
            Err(NoteProblem::Unsigned)
        );
        let bare = Note::from_text(checkpoint().text() + "\n");
        assert_eq!(open(&bare), Err(NoteProblem::Unsigned));
        for text in ["", "\n\n", "a\nb\nc\n\n", "a\n012\nAAAA\n\n"] {
            assert_eq!(open(&Note::from_text(text.into())), Err(NoteProblem::Malformed));
        }
    }

    #[test]
    fn a_note_one_byte_over_the_limit_is_refused_unread() {
        let mut text = note().as_str().to_string();
        text.push_str(&"\n".repeat(NOTE_BYTES_MAX - text.len()));
        assert!(open(&Note::from_text(text.clone())).is_ok());
        assert_eq!(open(&Note::from_text(text + "\n")), Err(NoteProblem::Malformed));
    }
}
