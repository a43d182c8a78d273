use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// Begins so many TCP connections to a port of this machine at once, without waiting for any of them, and
/// holds them. None says a word.
#[must_use]
pub fn burst(port: u16, count: usize) -> Vec<Socket> {
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
    (0..count).map(begin).collect()
}
