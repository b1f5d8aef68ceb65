//! Lines on which a file is sent with as little work as each of them allows.

use std::{cell::RefCell, future::poll_fn, io, os::unix::fs::FileExt as _, pin::Pin, task::Poll};

use actix_http::Protocol;
use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::service::sending::FilePart;

/// How much of a file is read at a time where it has to be, in bytes: as much as rustls takes at once.
const PIECE_BYTES: usize = 64 << 10;

/// By what the application layer's protocol is named HTTP/2 (RFC 9113 §3.2).
pub(super) const HTTP2: &[u8] = b"h2";

/// A connection that files can be sent on.
pub(super) trait Line: AsyncRead + AsyncWrite + Unpin + Sized + 'static {
    /// What it takes to make one of a TCP connection.
    type Acceptor: Clone + Send + 'static;

    /// Makes one of a TCP connection, and says what is spoken on it.
    async fn accept(acceptor: &Self::Acceptor, stream: TcpStream) -> io::Result<(Self, Protocol)>;

    /// Sends `head`, and `part` of a file behind it. A file that ends too early is an error: whoever reads
    /// is told so by the end of the connection.
    async fn send(&mut self, head: BytesMut, part: FilePart) -> io::Result<()>;
}

impl Line for TcpStream {
    type Acceptor = ();

    async fn accept((): &(), stream: TcpStream) -> io::Result<(Self, Protocol)> {
        Ok((stream, Protocol::Http1))
    }

    #[cfg(target_os = "linux")]
    async fn send(&mut self, head: BytesMut, part: FilePart) -> io::Result<()> {
        kernel::send(self, head, part).await
    }

    #[cfg(not(target_os = "linux"))]
    async fn send(&mut self, head: BytesMut, part: FilePart) -> io::Result<()> {
        copy(self, head, part).await
    }
}

impl Line for TlsStream<TcpStream> {
    type Acceptor = TlsAcceptor;

    async fn accept(acceptor: &TlsAcceptor, stream: TcpStream) -> io::Result<(Self, Protocol)> {
        let stream = acceptor.accept(stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok((stream, if is_http2 { Protocol::Http2 } else { Protocol::Http1 }))
    }

    async fn send(&mut self, head: BytesMut, part: FilePart) -> io::Result<()> {
        copy(self, head, part).await
    }
}

/// The kernel sends the file from its own memory.
#[cfg(target_os = "linux")]
mod kernel {
    use rustix::net::SendFlags;
    use tokio::io::Interest;

    use super::{BytesMut, FilePart, TcpStream, ended_early, io};

    /// How much is sent in one go, in bytes, so that other connections have their turn.
    const TURN_BYTES: u64 = 1 << 20;

    pub(super) async fn send(
        stream: &TcpStream,
        mut head: BytesMut,
        mut part: FilePart,
    ) -> io::Result<()> {
        while !head.is_empty() {
            let sent = stream.async_io(Interest::WRITABLE, || {
                // More follows, and goes in the same packets.
                Ok(rustix::net::send(stream, &head, SendFlags::MORE | SendFlags::NOSIGNAL)?)
            });
            let sent = sent.await?;
            drop(head.split_to(sent));
        }
        drop(head);
        while !part.range().is_empty() {
            let range = part.range();
            let count = usize::try_from((range.end - range.start).min(TURN_BYTES));
            let count = count.map_err(io::Error::other)?;
            let sent = stream.async_io(Interest::WRITABLE, || {
                let mut offset = range.start;
                Ok(rustix::fs::sendfile(stream, part.file(), Some(&mut offset), count)?)
            });
            match sent.await? {
                0 => return Err(ended_early(range.start)),
                sent => part.note_sent(sent as u64),
            }
        }
        Ok(())
    }
}

/// Reads the file piece by piece. Each worker has one piece of memory for that: whoever takes nothing holds
/// none of it.
async fn copy<T: AsyncWrite + Unpin>(
    stream: &mut T,
    head: BytesMut,
    mut part: FilePart,
) -> io::Result<()> {
    thread_local! {
        static PIECE: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_BYTES]);
    }
    stream.write_all(&head).await?;
    drop(head);
    while !part.range().is_empty() {
        // What is read while there is no room for it would be read once more.
        stream.flush().await?;
        let written = poll_fn(|context| {
            PIECE.with_borrow_mut(|piece| {
                let range = part.range();
                let wanted = usize::try_from(range.end - range.start).unwrap_or(PIECE_BYTES);
                let piece = piece.get_mut(..wanted.min(PIECE_BYTES)).unwrap_or_default();
                match part.file().read_at(piece, range.start) {
                    Ok(0) => Poll::Ready(Err(ended_early(range.start))),
                    Ok(length) => {
                        let read = piece.get(..length).unwrap_or_default();
                        Pin::new(&mut *stream).poll_write(context, read)
                    }
                    Err(error) => Poll::Ready(Err(error)),
                }
            })
        });
        let written = written.await?;
        part.note_sent(written as u64);
    }
    stream.flush().await
}

fn ended_early(at: u64) -> io::Error {
    let problem = format!("the file ended at {at}, before all that was announced was sent");
    io::Error::new(io::ErrorKind::UnexpectedEof, problem)
}
