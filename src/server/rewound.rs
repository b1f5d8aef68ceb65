use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection of which something was read already, which is read once more before what follows.
pub(super) struct Rewound<T> {
    begun: Bytes,
    rest: T,
}

impl<T> Rewound<T> {
    pub(super) fn new(begun: Bytes, rest: T) -> Self {
        Self { begun, rest }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewound<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.begun.is_empty() {
            return Pin::new(&mut this.rest).poll_read(context, buffer);
        }
        let length = this.begun.len().min(buffer.remaining());
        buffer.put_slice(&this.begun.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewound<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().rest).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().rest).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.rest.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().rest).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().rest).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_before_what_follows() {
        let mut whole = Rewound::new(Bytes::from_static(b"GET /he"), &b"althz"[..]);
        let mut first = [0; 3];
        whole.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"GET");
        let mut rest = Vec::new();
        whole.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b" /healthz");
    }
}
