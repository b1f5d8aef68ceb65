//! A way to the server on which requests can be held and cut.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use crate::harness::Server;

/// What becomes of what a client sends.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Passage {
    Forward,
    Cut,
}

/// Opens a way to `server` and says its address. `inspect` sees everything that clients send,
/// piece by piece; a piece that begins a request begins with its method.
pub(crate) fn proxy(
    server: &Server,
    inspect: impl Fn(&[u8]) -> Passage + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let host = server.host().to_owned();
    let inspect = Arc::new(inspect);
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(&host).unwrap();
            let (back_from, back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let inspect = Arc::clone(&inspect);
            thread::spawn(move || forward(client, server, |piece| inspect(piece)));
            thread::spawn(move || forward(back_from, back_to, |_| Passage::Forward));
        }
    });
    url
}

fn forward(mut from: TcpStream, mut to: TcpStream, inspect: impl Fn(&[u8]) -> Passage) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let piece = &buffer[..length];
        if inspect(piece) == Passage::Cut {
            let _closed = from.shutdown(Shutdown::Both);
            let _closed = to.shutdown(Shutdown::Both);
            return;
        }
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _closed = to.shutdown(Shutdown::Write);
}
