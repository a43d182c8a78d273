use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use hedgerow_tpm::limits::MESSAGE_BYTES_MAX;

use super::TpmAddress;
use crate::limits::{TPM_ANSWER_MS_MAX, TPM_CONNECT_MS_MAX};

/// Bytes up to the end of a response's size.
const SIZE_ENDS: usize = 6;

/// A TPM that is open: whole commands go in, whole responses come out.
pub(super) enum Line {
    /// A character device of the kernel's.
    Device(File),
    /// The data channel of swtpm.
    Socket(TcpStream),
}

impl Line {
    pub(super) fn open(address: &TpmAddress) -> io::Result<Self> {
        match address {
            TpmAddress::Device(path) => {
                OpenOptions::new().read(true).write(true).open(path).map(Self::Device)
            }
            TpmAddress::Swtpm(at) => {
                let patience = Duration::from_millis(TPM_CONNECT_MS_MAX);
                let stream = TcpStream::connect_timeout(at, patience)?;
                let patience = Some(Duration::from_millis(TPM_ANSWER_MS_MAX));
                stream.set_read_timeout(patience)?;
                stream.set_write_timeout(patience)?;
                stream.set_nodelay(true)?;
                Ok(Self::Socket(stream))
            }
        }
    }

    /// Sends a command and waits for its response.
    pub(super) fn exchange(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Device(file) => exchange(file, command),
            Self::Socket(stream) => exchange(stream, command),
        }
    }
}

fn exchange(line: &mut (impl Read + Write), command: &[u8]) -> io::Result<Vec<u8>> {
    // The kernel takes a command in one piece and gives the response in one.
    line.write_all(command)?;
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    let mut filled = 0;
    while wanted(buffer.get(..filled).unwrap_or_default())? > filled {
        match line.read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => filled += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(buffer.get(..filled).unwrap_or_default().to_vec())
}

/// How long a response gets of which this is the beginning.
fn wanted(begun: &[u8]) -> io::Result<usize> {
    let size = begun.get(2..SIZE_ENDS).and_then(|size| size.try_into().ok());
    let Some(size) = size.map(u32::from_be_bytes) else { return Ok(SIZE_ENDS) };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::InvalidData, "its answer is longer than allowed"));
    }
    Ok(size.max(SIZE_ENDS))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Gives its pieces one by one.
    struct Pieces(VecDeque<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let piece = self.0.pop_front().unwrap_or_default();
            out[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn response(len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        out[2..SIZE_ENDS].copy_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
        out
    }

    #[test]
    fn a_response_in_pieces_is_put_together() {
        let whole = response(20);
        for at in 1..20 {
            let pieces = VecDeque::from([whole[..at].to_vec(), whole[at..].to_vec()]);
            assert_eq!(exchange(&mut Pieces(pieces), b"").unwrap(), whole);
            let cut = VecDeque::from([whole[..at].to_vec()]);
            let error = exchange(&mut Pieces(cut), b"").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_response_has_a_limit() {
        let longest = response(MESSAGE_BYTES_MAX);
        let mut line = Pieces(VecDeque::from([longest.clone()]));
        assert_eq!(exchange(&mut line, b"").unwrap(), longest);
        let mut longer = Pieces(VecDeque::from([response(MESSAGE_BYTES_MAX + 1)[..10].to_vec()]));
        assert_eq!(exchange(&mut longer, b"").unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
