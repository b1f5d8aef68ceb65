//! A receiver of webhooks that does what it is told, or what it should not.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::hmac;

/// What a receiver does with whatever it gets.
#[derive(Clone)]
pub(super) enum Behaviour {
    /// It answers with this status.
    Answer(u16),
    /// It takes everything and says nothing.
    Hang,
    /// It answers with 200 and a body without end.
    Endless,
    /// It says that somebody else is to get it.
    Redirect(String),
}

/// What a receiver got.
#[derive(Clone)]
pub(super) struct Got {
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Clone)]
pub(super) struct Receiver {
    url: String,
    behaviour: Arc<Mutex<Behaviour>>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    pub(super) fn new(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            url: format!("http://{}/", listener.local_addr().unwrap()),
            behaviour: Arc::new(Mutex::new(behaviour)),
            got: Arc::default(),
        };
        let serving = receiver.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (serving, connection) = (serving.clone(), connection.unwrap());
                thread::spawn(move || serving.serve(connection));
            }
        });
        receiver
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// What it got until now.
    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn serve(&self, connection: TcpStream) {
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let mut headers = Vec::new();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut got = Got { headers, body: Vec::new() };
        let length: usize = got.header("content-length").unwrap().parse().unwrap();
        got.body = vec![0; length];
        reader.read_exact(&mut got.body).unwrap();
        self.got.lock().unwrap().push(got);
        let behaviour = self.behaviour.lock().unwrap().clone();
        // Whoever asked may have gone.
        let _gone = answer(connection, &behaviour);
    }
}

fn answer(mut connection: TcpStream, behaviour: &Behaviour) -> std::io::Result<()> {
    match behaviour {
        Behaviour::Answer(status) => {
            let no_body = if *status == 204 { "" } else { "Content-Length: 0\r\n" };
            write!(connection, "HTTP/1.1 {status} Whatever\r\n{no_body}\r\n")
        }
        Behaviour::Hang => connection.read(&mut [0]).map(drop),
        Behaviour::Endless => {
            connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                connection.write_all(b"4\r\nlies\r\n")?;
            }
        }
        Behaviour::Redirect(url) => {
            write!(connection, "HTTP/1.1 307 Moved\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n")
        }
    }
}

/// Expects what was got to be signed with `secret`, as a receiver would check it.
#[track_caller]
pub(super) fn verify(secret: &str, got: &Got) {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, at) = (got.header("webhook-id").unwrap(), got.header("webhook-timestamp").unwrap());
    assert!(at.parse::<i64>().unwrap() > 1_700_000_000, "{at}");
    let signed = [format!("{id}.{at}.").as_bytes(), &got.body].concat();
    let expected = format!("v1,{}", BASE64_STANDARD.encode(hmac(&key, &signed)));
    let signatures = got.header("webhook-signature").unwrap();
    assert!(signatures.split(' ').any(|it| it == expected), "{signatures}: no {expected}");
}
