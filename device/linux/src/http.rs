//! As much of HTTP/1.1 (RFC 9112) as a device needs: one request, one answer, connection closed.

use std::io::{Read, Write};

use hedgerow_listen::client::Stream;

use crate::{AgentError, limits::ANSWER_BYTES_MAX};

/// A request.
pub(crate) struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub host: &'a str,
    pub authorization: Option<&'a str>,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// Sends it and reads the whole answer; anything but 200 is the hub's refusal in its own words.
pub(crate) fn ask(stream: &mut Stream, request: &Request<'_>) -> Result<Vec<u8>, AgentError> {
    let lost = |error: std::io::Error| AgentError::lost(&error);
    stream.write_all(&head(request)).and_then(|()| stream.write_all(request.body)).map_err(lost)?;
    stream.flush().map_err(lost)?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => answer.extend_from_slice(piece.get(..len).unwrap_or_default()),
            // Some servers close without a close_notify; the length tells whether all is there.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(lost(error)),
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(AgentError::Answer("it is too long"));
        }
    }
    read(&answer)
}

fn head(request: &Request<'_>) -> Vec<u8> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n",
        request.method,
        request.path,
        request.host,
        request.body.len()
    );
    for (name, value) in
        [("Authorization", request.authorization), ("Content-Type", request.content_type)]
    {
        if let Some(value) = value {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Takes an answer apart. The hub always says how long its body is; anything else is not understood.
fn read(answer: &[u8]) -> Result<Vec<u8>, AgentError> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or(AgentError::Answer("it has no end of its head"))?;
    let (head, body) = answer.split_at(end);
    let body = body.get(4..).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| AgentError::Answer("its head is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok());
    let status = status.ok_or(AgentError::Answer("it has no status"))?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let length = length.ok_or(AgentError::Answer("it does not say how long it is"))?;
    let body = body.get(..length).ok_or(AgentError::Answer("it was cut short"))?;
    if status == 200 {
        return Ok(body.to_vec());
    }
    Err(AgentError::Refused(status, String::from_utf8_lossy(body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd";
        assert_eq!(read(answer).unwrap(), b"abc");
        let refusal = read(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").unwrap_err();
        assert_eq!(refusal.to_string(), "the hub refused (403): no");
    }

    #[test]
    fn cut_and_odd_answers_are_refused() {
        for answer in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
            b"nonsense\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"\xff\r\n\r\n",
        ] {
            assert!(matches!(read(answer), Err(AgentError::Answer(_))));
        }
    }
}
