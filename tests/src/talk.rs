use std::{
    io::{ErrorKind, Read, Write},
    thread,
    time::{Duration, Instant},
};

use socket2::Socket;

/// How long all of them may take together.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long nobody is looked at after nobody had anything to say or to hear.
const PAUSE: Duration = Duration::from_millis(1);

/// Has each of these clients say its bytes and hear so many, all at the same time, on connections that may
/// still be on their way to the hub. Gives what each heard.
#[must_use]
pub fn talk(
    sockets: &[Socket],
    say: impl Fn(usize) -> Vec<u8>,
    hear: impl Fn(usize) -> usize,
) -> Vec<Vec<u8>> {
    let mut heard: Vec<_> = (0..sockets.len()).map(|of| Vec::with_capacity(hear(of))).collect();
    let mut said: Vec<_> = (0..sockets.len()).map(say).collect();
    let mut left: Vec<usize> = (0..sockets.len()).collect();
    let begun = Instant::now();
    while !left.is_empty() {
        let (before, mut moved) = (left.len(), false);
        left.retain(|&of| {
            moved |= say_some(&sockets[of], &mut said[of]);
            moved |= hear_some(&sockets[of], &mut heard[of], hear(of));
            !said[of].is_empty() || heard[of].len() < hear(of)
        });
        assert!(begun.elapsed() < PATIENCE, "{} of {} wait", left.len(), sockets.len());
        if !moved && left.len() == before {
            thread::sleep(PAUSE);
        }
    }
    heard
}

fn say_some(mut socket: &Socket, bytes: &mut Vec<u8>) -> bool {
    if bytes.is_empty() {
        return false;
    }
    match socket.write(bytes) {
        Ok(count) => {
            bytes.drain(..count);
            true
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
            false
        }
        Err(error) => panic!("the hub let nobody say a word: {error}"),
    }
}

fn hear_some(mut socket: &Socket, bytes: &mut Vec<u8>, enough: usize) -> bool {
    let (before, mut buffer) = (bytes.len(), [0; 4096]);
    let room = buffer.len().min(enough - before);
    if room == 0 {
        return false;
    }
    match socket.read(&mut buffer[..room]) {
        Ok(0) => panic!("the hub closed after {bytes:02x?}"),
        Ok(count) => {
            bytes.extend_from_slice(&buffer[..count]);
            true
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
            false
        }
        Err(error) => panic!("the hub ended it: {error}"),
    }
}
