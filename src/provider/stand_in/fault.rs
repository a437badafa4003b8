//! The ways in which a stand-in can break a rotate call, and the bytes that it then writes past HTTP's rules.

use std::time::Duration;

use tokio::net::TcpStream;

/// How a rotate call is broken. "Done" means that the secret has changed.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Closed before the body is read; not done.
    CloseUnread,
    /// Answered with this status and body; not done.
    Status(u16, String),
    /// Answered with these bytes, headers and all, then closed; not done.
    RawRefusal(Vec<u8>),
    /// Done, then closed without an answer.
    LoseAnswer,
    /// Done, but answered with this status and body.
    StatusAfter(u16, String),
    /// Done, then half of the true answer's body, then closed.
    HalfBody,
    /// Done, then nothing for ever.
    Stall,
    /// Done, then the true answer after this long.
    Late(Duration),
    /// Done, then these bytes in place of an answer, then closed.
    Raw(Vec<u8>),
    /// Done, then the first bytes, then the chunk again and again, for ever.
    Drip { head: Vec<u8>, chunk: Vec<u8>, every: Duration },
}

/// What is written in place of an HTTP answer.
pub(super) struct Tail {
    pub(super) head: Vec<u8>,
    pub(super) then: Then,
}

/// What follows the first bytes.
pub(super) enum Then {
    Close,
    Hold,
    Repeat {
        chunk: Vec<u8>,
        every: Duration,
    },
    /// These bytes after a while, then closed.
    Late {
        answer: Vec<u8>,
        after: Duration,
    },
}

impl Tail {
    /// Writes until it is done or nobody listens any more.
    pub(super) async fn write(self, stream: &TcpStream) {
        if write(stream, &self.head).await.is_err() {
            return;
        }
        match self.then {
            Then::Close => {}
            Then::Hold => std::future::pending().await,
            Then::Late { answer, after } => {
                tokio::time::sleep(after).await;
                // Whoever asked may have gone meanwhile.
                let _ = write(stream, &answer).await;
            }
            Then::Repeat { chunk, every } => {
                while write(stream, &chunk).await.is_ok() {
                    tokio::time::sleep(every).await;
                }
            }
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
