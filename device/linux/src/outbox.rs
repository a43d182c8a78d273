//! Readings that wait for a connection, in one bounded file.
//!
//! Records stand one after the other: length, check, payload. They are appended while offline and taken
//! from the front in order; a torn end (power cut) is cut off at the next start.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{AgentError, limits::PACK_BYTES_MAX};

const HEAD: usize = 8;

/// The file of readings that wait.
#[derive(Debug)]
pub(crate) struct Outbox {
    path: PathBuf,
    file: File,
    /// Where each record begins, and how long it is with its head.
    records: VecDeque<(u64, u64)>,
    end: u64,
    bytes_max: u64,
    dropped: u64,
}

impl Outbox {
    /// Opens the file and finds its records.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> Result<Self, AgentError> {
        let context = |error| AgentError::File(path.into(), error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(context)?;
        let mut records = VecDeque::new();
        let mut end = 0;
        while let Some(payload) = read_at(&mut file, end).map_err(context)? {
            let len = (HEAD + payload.len()) as u64;
            records.push_back((end, len));
            end += len;
        }
        file.set_len(end).map_err(context)?;
        Ok(Self { path: path.into(), file, records, end, bytes_max, dropped: 0 })
    }

    /// Records that wait.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Records that were dropped since the start because the file was full.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends one; the oldest make room.
    pub(crate) fn push(&mut self, payload: &[u8]) -> Result<(), AgentError> {
        let len = (HEAD + payload.len()) as u64;
        if payload.len() > PACK_BYTES_MAX || len > self.bytes_max {
            self.dropped += 1;
            return Ok(());
        }
        if self.end + len > self.bytes_max {
            self.make_room(len)?;
        }
        let mut record = Vec::with_capacity(HEAD + payload.len());
        record.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
        record.extend_from_slice(&check(payload).to_be_bytes());
        record.extend_from_slice(payload);
        let written = (|| {
            self.file.seek(SeekFrom::Start(self.end))?;
            self.file.write_all(&record)?;
            self.file.sync_data()
        })();
        written.map_err(|error| self.failed(error))?;
        self.records.push_back((self.end, len));
        self.end += len;
        Ok(())
    }

    /// The oldest one, which stays until [`Self::pop`].
    pub(crate) fn front(&mut self) -> Result<Option<Vec<u8>>, AgentError> {
        let Some((at, _)) = self.records.front().copied() else { return Ok(None) };
        read_at(&mut self.file, at).map_err(|error| self.failed(error))
    }

    /// Takes the oldest out. The file shrinks to nothing when it was the last.
    pub(crate) fn pop(&mut self) -> Result<(), AgentError> {
        self.records.pop_front();
        if self.records.is_empty() && self.end > 0 {
            self.file.set_len(0).map_err(|error| self.failed(error))?;
            self.end = 0;
        }
        Ok(())
    }

    /// Rewrites the file without what was taken and without the oldest, so that `len` more fit and some
    /// room is left: it must not be rewritten for each record.
    fn make_room(&mut self, len: u64) -> Result<(), AgentError> {
        let keep = (self.bytes_max - len).min(self.bytes_max / 4 * 3);
        let mut held: u64 = self.records.iter().map(|(_, len)| len).sum();
        while held > keep {
            let Some((_, len)) = self.records.pop_front() else { break };
            held -= len;
            self.dropped += 1;
        }
        let from = self.records.front().map_or(self.end, |(at, _)| *at);
        let moved = (|| {
            let mut kept = Vec::new();
            self.file.seek(SeekFrom::Start(from))?;
            self.file.read_to_end(&mut kept)?;
            hedgerow_keys::write_durably(&self.path, &kept)?;
            OpenOptions::new().read(true).write(true).open(&self.path)
        })();
        self.file = moved.map_err(|error| self.failed(error))?;
        self.records.iter_mut().for_each(|(at, _)| *at -= from);
        self.end -= from;
        Ok(())
    }

    fn failed(&self, error: io::Error) -> AgentError {
        AgentError::File(self.path.clone(), error)
    }
}

/// The record at `at`; `None` at the end or where the rest is torn.
fn read_at(file: &mut File, at: u64) -> io::Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(at))?;
    let (mut len, mut expected) = ([0; 4], [0; 4]);
    let whole = file.read_exact(&mut len).and_then(|()| file.read_exact(&mut expected));
    match whole {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let len = u32::from_be_bytes(len) as usize;
    if len > PACK_BYTES_MAX {
        return Ok(None);
    }
    let mut payload = vec![0; len];
    match file.read_exact(&mut payload) {
        Ok(()) => Ok((check(&payload) == u32::from_be_bytes(expected)).then_some(payload)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// FNV-1a, 32 bits: against torn writes, not against people.
fn check(payload: &[u8]) -> u32 {
    payload
        .iter()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(outbox: &mut Outbox) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(one) = outbox.front().unwrap() {
            all.push(one);
            outbox.pop().unwrap();
        }
        all
    }

    #[test]
    fn records_come_out_in_order_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox");
        let mut outbox = Outbox::open(&path, 1000).unwrap();
        for payload in [b"one".as_slice(), b"two", b""] {
            outbox.push(payload).unwrap();
        }
        let mut outbox = Outbox::open(&path, 1000).unwrap();
        assert_eq!(drain(&mut outbox), [b"one".to_vec(), b"two".to_vec(), Vec::new()]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_torn_end_is_cut_off_wherever_the_power_went() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox");
        let mut outbox = Outbox::open(&path, 1000).unwrap();
        outbox.push(b"whole").unwrap();
        outbox.push(b"torn").unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for len in 13..bytes.len() {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let mut outbox = Outbox::open(&path, 1000).unwrap();
            outbox.push(b"next").unwrap();
            assert_eq!(drain(&mut outbox), [b"whole".to_vec(), b"next".to_vec()], "cut at {len}");
        }
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox");
        let mut outbox = Outbox::open(&path, 200).unwrap();
        for n in 0..30u8 {
            outbox.push(&[n; 12]).unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() <= 200);
        }
        let left = drain(&mut outbox);
        assert_eq!(left.last(), Some(&vec![29; 12]));
        assert!(left.windows(2).all(|pair| pair[0][0] + 1 == pair[1][0]), "in order, no gaps");
        assert_eq!(outbox.dropped() + left.len() as u64, 30);
    }

    #[test]
    fn a_pack_one_byte_past_the_limit_is_dropped_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(&directory.path().join("outbox"), 1 << 20).unwrap();
        outbox.push(&vec![1; PACK_BYTES_MAX]).unwrap();
        outbox.push(&vec![1; PACK_BYTES_MAX + 1]).unwrap();
        assert_eq!((outbox.len(), outbox.dropped()), (1, 1));
    }
}
