//! Stands between a program and its TPM, and makes trouble.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use hedgerow_keys::TpmAddress;

use crate::swtpm::Swtpm;

/// What happens to a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// It gets through.
    None,
    /// The TPM loses its power before it hears it, and has it again at once.
    Restart,
    /// It is answered with a response code, and does not get through.
    Refused(u32),
}

/// Listens in the TPM's place; counts commands from 0.
pub(crate) struct Meddler {
    at: SocketAddr,
    heard: Arc<AtomicUsize>,
}

impl Meddler {
    /// In front of `tpm`, for as long as somebody else has it; `choose` is asked about each command.
    pub(crate) fn new(
        tpm: &Arc<Mutex<Swtpm>>,
        choose: impl Fn(usize) -> Trouble + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (at, heard) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (counter, tpm) = (Arc::clone(&heard), Arc::downgrade(tpm));
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A connection that ends is no trouble of ours.
                let _ = relay(stream.unwrap(), &tpm, &counter, &choose);
            }
        });
        Self { at, heard }
    }

    pub(crate) fn address(&self) -> TpmAddress {
        TpmAddress::Swtpm(self.at)
    }

    /// Commands so far.
    pub(crate) fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

fn relay(
    mut client: TcpStream,
    tpm: &Weak<Mutex<Swtpm>>,
    counter: &AtomicUsize,
    choose: &impl Fn(usize) -> Trouble,
) -> io::Result<()> {
    let tpm = || tpm.upgrade().ok_or(io::ErrorKind::NotConnected);
    let at = tpm()?.lock().unwrap().at();
    let mut server = TcpStream::connect(at)?;
    loop {
        let command = message(&mut client)?;
        match choose(counter.fetch_add(1, Ordering::SeqCst)) {
            Trouble::None => {
                server.write_all(&command)?;
                client.write_all(&message(&mut server)?)?;
            }
            Trouble::Restart => {
                let tpm = tpm()?;
                let mut tpm = tpm.lock().unwrap();
                tpm.stop();
                tpm.start();
                return Ok(());
            }
            Trouble::Refused(code) => {
                let head = [0x80, 1, 0, 0, 0, 10];
                client.write_all(&[&head[..], &code.to_be_bytes()].concat())?;
            }
        }
    }
}

/// A whole command or response.
pub(crate) fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; 6];
    stream.read_exact(&mut message)?;
    let size = u32::from_be_bytes(message[2..].try_into().unwrap());
    message.resize(size as usize, 0);
    stream.read_exact(&mut message[6..])?;
    Ok(message)
}
