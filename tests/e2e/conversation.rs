//! Connections on which one request follows another.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::{harness::Server, http::Answer};

/// What begins a connection that the HTTP service is to have.
pub(crate) const OTHER_REQUEST: &str = "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n";

/// A connection on which one request follows another.
pub(crate) struct Conversation {
    pub(crate) connection: TcpStream,
    received: Vec<u8>,
}

impl Conversation {
    pub(crate) fn with(server: &Server) -> Self {
        Self { connection: server.connection(), received: Vec::new() }
    }

    /// One that the HTTP service has.
    pub(crate) fn with_http_service(server: &Server) -> Self {
        let mut conversation = Self::with(server);
        conversation.say(OTHER_REQUEST);
        conversation.answer("GET").has_status(200);
        conversation
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.connection.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn receive(&mut self) -> usize {
        let mut piece = vec![0; 64 << 10];
        let length = self.connection.read(&mut piece).unwrap();
        self.received.extend(&piece[..length]);
        length
    }

    /// The head of the next answer, with what came behind it.
    pub(crate) fn head(&mut self) -> Answer {
        loop {
            if let Some(answer) = Answer::parse(&self.received) {
                return answer;
            }
            assert_ne!(self.receive(), 0, "ended: {}", self.received.escape_ascii());
        }
    }

    /// The next answer.
    pub(crate) fn answer(&mut self, method: &str) -> Answer {
        let mut answer = self.head();
        let length = answer.header("Content-Length").map_or(0, |text| text.parse().unwrap());
        let length = if method == "HEAD" || answer.status == 304 { 0 } else { length };
        let head = self.received.len() - answer.body.len();
        while self.received.len() < head + length {
            assert_ne!(self.receive(), 0, "{} of {length} bytes", self.received.len() - head);
        }
        answer.body = self.received[head..head + length].to_vec();
        self.received.drain(..head + length);
        answer
    }

    /// The beginning of the last answer, if there is one, once the connection has ended.
    pub(crate) fn last(&mut self) -> Option<Answer> {
        while self.receive() > 0 {}
        Answer::parse(&self.received)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.received.is_empty() && self.receive() == 0
    }
}

/// A request without a body.
pub(crate) fn request(line: &str, headers: &[(&str, &str)]) -> String {
    let (line, version) = line.split_once(" HTTP/").unwrap_or((line, "1.1"));
    let headers: String =
        headers.iter().flat_map(|&(name, value)| [name, ": ", value, "\r\n"]).collect();
    format!("{line} HTTP/{version}\r\nHost: test\r\n{headers}\r\n")
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// What an answer says, but for the time and the order of its headers.
pub(crate) fn told(answer: &Answer) -> (BTreeSet<&str>, &[u8]) {
    let lines = answer.head.lines().filter(|line| !line.to_lowercase().starts_with("date:"));
    (lines.collect(), &answer.body)
}
