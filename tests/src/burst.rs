use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    ops::Deref,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// A process has so many files, and tests run beside each other: one burst at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Connections that are held.
pub struct Burst {
    sockets: Vec<Socket>,
    _alone: MutexGuard<'static, ()>,
}

impl Deref for Burst {
    type Target = [Socket];

    fn deref(&self) -> &[Socket] {
        &self.sockets
    }
}

/// Begins so many TCP connections to a port of this machine at once, without waiting for any of them, and
/// holds them. None says a word. Waits until no other burst is held in this process.
#[must_use]
pub fn burst(port: u16, count: usize) -> Burst {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into();
    let begin = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&to) {
            Ok(()) => {}
            // EINPROGRESS has no kind of its own.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                assert_eq!(
                    error.raw_os_error(),
                    Some(rustix::io::Errno::INPROGRESS.raw_os_error())
                );
            }
        }
        socket
    };
    Burst { sockets: (0..count).map(begin).collect(), _alone: alone }
}
