//! A server that answers as a scenario tells it to, over HTTP/1.1 on loopback.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::json;

use super::world::{Edition, World};
use crate::{
    harness::PRODUCT,
    proxy::{header, read_message},
};

/// What a client asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) route: String,
    head: String,
}

impl Asked {
    /// The header called `name`.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        header(&self.head, name)
    }
}

/// What comes back.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Whole(u16, Vec<u8>),
    /// A status, and bytes without an end.
    Endless(u16),
    /// One byte at a time, with a pause before each.
    Trickle(Vec<u8>),
    /// A head without an end, as fast as it is taken.
    EndlessHead,
    /// A head without an end, one byte at a time, with a pause before each.
    TrickleHead,
    /// So many bytes announced, these sent, and the connection closed.
    Cut(usize, Vec<u8>),
    /// So many bytes announced, these sent, and nothing more for as long as somebody waits.
    Stall(usize, Vec<u8>),
    /// Bytes that are said to come in this content coding.
    Coded(&'static str, Vec<u8>),
    /// Ask there instead.
    Elsewhere(String),
}

type Meddle = dyn Fn(&Asked, Reply) -> Reply + Send;

#[derive(Default)]
struct State {
    edition: Edition,
    meddle: Option<Box<Meddle>>,
    asked: Vec<Asked>,
}

/// The server. It takes one request from each connection.
pub(crate) struct HostileServer {
    url: String,
    state: Arc<Mutex<State>>,
}

impl HostileServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&serving);
                // A client that has had enough hangs up.
                thread::spawn(move || drop(answer(&state, connection)));
            }
        });
        Self { url, state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Serves `edition` from now on, as it is.
    pub(crate) fn serve(&self, edition: Edition) {
        let mut state = self.state.lock().unwrap();
        state.edition = edition;
        state.meddle = None;
    }

    /// Changes answers on their way from now on.
    pub(crate) fn meddle(&self, meddle: impl Fn(&Asked, Reply) -> Reply + Send + 'static) {
        self.state.lock().unwrap().meddle = Some(Box::new(meddle));
    }

    /// Answers what is asked on `route` like this from now on.
    pub(crate) fn answer(&self, route: &str, reply: Reply) {
        let route = route.to_owned();
        self.meddle(move |asked, honest| if asked.route == route { reply.clone() } else { honest });
    }

    /// What was asked for so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }
}

fn answer(state: &Mutex<State>, mut connection: TcpStream) -> io::Result<()> {
    let Some((head, _)) = read_message(&mut connection)? else { return Ok(()) };
    let route = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let asked = Asked { route, head };
    let reply = {
        let mut state = state.lock().unwrap();
        let honest = honest_reply(&state.edition, &asked);
        state.asked.push(asked.clone());
        match &state.meddle {
            Some(meddle) => meddle(&asked, honest),
            None => honest,
        }
    };
    send(&mut connection, &reply)
}

fn honest_reply(edition: &Edition, asked: &Asked) -> Reply {
    match asked.route.as_str() {
        "/v1/enroll" => {
            let answer = json!({
                "machine": World::MACHINE,
                "customer": World::CUSTOMER,
                "contract": "initech-2026",
                "token": "mst_token",
                "root": edition.metadata["1.root.json"],
            });
            Reply::Whole(201, answer.to_string().into_bytes())
        }
        "/v1/check" => {
            let answer = json!({ "plan": edition.plan, "metadata": edition.metadata });
            Reply::Whole(200, answer.to_string().into_bytes())
        }
        "/v1/report" => Reply::Whole(204, Vec::new()),
        file => {
            let file = file.strip_prefix(&format!("/repo/{PRODUCT}/")).unwrap_or_default();
            let bytes = edition.files.get(file).cloned();
            bytes.map_or_else(not_found, |bytes| Reply::Whole(200, bytes))
        }
    }
}

fn not_found() -> Reply {
    let problem = json!({
        "type": "urn:mainstay:problem:NOT_FOUND", "title": "Not found", "status": 404,
        "code": "NOT_FOUND", "detail": "there is no such file",
    });
    Reply::Whole(404, problem.to_string().into_bytes())
}

fn send(connection: &mut TcpStream, reply: &Reply) -> io::Result<()> {
    let (status, framing) = match reply {
        Reply::Whole(status, bytes) => (*status, format!("content-length: {}", bytes.len())),
        Reply::Endless(status) => (*status, "transfer-encoding: chunked".to_owned()),
        Reply::Trickle(bytes) => (200, format!("content-length: {}", bytes.len())),
        Reply::Coded(name, bytes) => {
            (200, format!("content-encoding: {name}\r\ncontent-length: {}", bytes.len()))
        }
        Reply::EndlessHead | Reply::TrickleHead => (200, "x-patience: ".to_owned()),
        Reply::Cut(length, _) | Reply::Stall(length, _) => {
            (200, format!("content-length: {length}"))
        }
        Reply::Elsewhere(url) => (302, format!("location: {url}\r\ncontent-length: 0")),
    };
    let head = format!("HTTP/1.1 {status} Test\r\n{framing}\r\nconnection: close\r\n\r\n");
    match reply {
        Reply::TrickleHead => {
            let endless = head.trim_end().bytes().chain(std::iter::repeat(b'.'));
            return trickle(connection, endless);
        }
        Reply::EndlessHead => {
            connection.write_all(format!("HTTP/1.1 {status} Test\r\n").as_bytes())?;
            loop {
                connection.write_all(b"x-more: of the same, and then again\r\n")?;
            }
        }
        _ => connection.write_all(head.as_bytes())?,
    }
    match reply {
        Reply::Whole(_, bytes) | Reply::Cut(_, bytes) | Reply::Coded(_, bytes) => {
            connection.write_all(bytes)
        }
        Reply::Stall(_, bytes) => {
            connection.write_all(bytes)?;
            connection.read(&mut [0]).map(drop)
        }
        Reply::Elsewhere(_) | Reply::EndlessHead | Reply::TrickleHead => Ok(()),
        Reply::Endless(_) => {
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            loop {
                connection.write_all(chunk.as_bytes())?;
            }
        }
        Reply::Trickle(bytes) => trickle(connection, bytes.iter().copied()),
    }
}

fn trickle(connection: &mut TcpStream, bytes: impl Iterator<Item = u8>) -> io::Result<()> {
    for byte in bytes {
        thread::sleep(Duration::from_millis(50));
        connection.write_all(&[byte])?;
    }
    Ok(())
}
