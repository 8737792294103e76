//! One HTTP/1.1 connection that is kept alive: one request, one answer, as little work as can be.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest answer that is read, headers included.
const LONGEST_ANSWER: usize = 64 * 1024;

/// An answer, in the connection's own buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// The server closed the connection before its answer was complete.
    #[error("the server closed the connection")]
    Closed,
    /// Not HTTP/1.1 with a content length, or longer than this client reads.
    #[error("the answer cannot be read: {0}")]
    Unreadable(&'static str),
}

/// A connection and its two buffers.
pub struct Connection {
    stream: TcpStream,
    /// The next request; see [`Connection::exchange`].
    pub request: Vec<u8>,
    answer: Box<[u8]>,
}

/// How far an answer has come in.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Where the body begins.
    body_at: usize,
    body_len: usize,
}

impl Connection {
    /// Connects; small packets are not held back.
    ///
    /// # Errors
    /// The server does not take it.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), answer: vec![0; LONGEST_ANSWER].into() })
    }

    /// Sends what is in `request` and reads the answer to its last byte.
    ///
    /// # Errors
    /// See [`ExchangeError`]; the connection is of no use after one.
    pub async fn exchange(&mut self) -> Result<Answer<'_>, ExchangeError> {
        self.stream.write_all(&self.request).await?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(head) = head(&self.answer[..filled])? {
                break head;
            }
        };
        let end = head.body_at + head.body_len;
        if end > self.answer.len() {
            return Err(ExchangeError::Unreadable("longer than 64 KiB"));
        }
        while filled < end {
            filled += self.read(filled).await?;
        }
        if filled > end {
            return Err(ExchangeError::Unreadable("more than its content length"));
        }
        Ok(Answer { status: head.status, body: &self.answer[head.body_at..end] })
    }

    async fn read(&mut self, filled: usize) -> Result<usize, ExchangeError> {
        if filled == self.answer.len() {
            return Err(ExchangeError::Unreadable("longer than 64 KiB"));
        }
        match self.stream.read(&mut self.answer[filled..]).await? {
            0 => Err(ExchangeError::Closed),
            count => Ok(count),
        }
    }
}

/// Reads the status line and the one header that matters; `None` if more has to come in first.
fn head(bytes: &[u8]) -> Result<Option<Head>, ExchangeError> {
    let Some(body_at) = end_of_head(bytes) else { return Ok(None) };
    let status = bytes
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| number(rest.get(..3)?))
        .and_then(|status| u16::try_from(status).ok())
        .ok_or(ExchangeError::Unreadable("no HTTP/1.1 status line"))?;
    let body_len = match content_length(&bytes[..body_at]) {
        Some(length) => length,
        None if matches!(status, 204 | 304) => 0,
        None => return Err(ExchangeError::Unreadable("no content length")),
    };
    Ok(Some(Head { status, body_at, body_len }))
}

/// Where the body begins: after the first empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let line_end = from + bytes.get(from..)?.iter().position(|&byte| byte == b'\n')?;
        if line_end == from + 1 && bytes[from] == b'\r' {
            return Some(line_end + 1);
        }
        from = line_end + 1;
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let name = line.get(..NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then(|| number(line[NAME.len()..].trim_ascii()))?
    })
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\nx: y\r\n\r\nhello";
        for cut in 0..whole.len() - 5 {
            assert!(head(&whole[..cut]).unwrap().is_none(), "{cut}");
        }
        let read = head(whole).unwrap();
        assert_eq!(read, Some(Head { status: 201, body_at: whole.len() - 5, body_len: 12 }));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for foreign in [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/2 200\r\ncontent-length: 1\r\n\r\n",
            "SSH-2.0\r\n\r\n",
        ] {
            assert!(matches!(head(foreign.as_bytes()), Err(ExchangeError::Unreadable(_))));
        }
        let empty = head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        assert_eq!(empty, Some(Head { status: 204, body_at: 27, body_len: 0 }));
    }

    #[tokio::test]
    async fn an_answer_may_come_in_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            for _ in 0..2 {
                let mut request = [0; 4];
                stream.read_exact(&mut request).await.unwrap();
                for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" {
                    stream.write_all(&[*byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        for _ in 0..2 {
            connection.request = b"ping".to_vec();
            let answer = connection.exchange().await.unwrap();
            assert_eq!(answer, Answer { status: 200, body: b"ok" });
        }
        server.await.unwrap();
        connection.request = b"ping".to_vec();
        let gone = connection.exchange().await;
        assert!(matches!(gone, Err(ExchangeError::Closed | ExchangeError::Io(_))));
    }
}
