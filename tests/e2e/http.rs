//! Requests to a server as bytes on a connection, and what comes back.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use mainstay_client::format::wire::Problem;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{harness::Server, openapi::expect_as_described};

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads the one answer of a connection that ends with it.
    pub(crate) fn read(connection: &mut TcpStream) -> Self {
        let mut received = Vec::new();
        let mut piece = vec![0; 64 << 10];
        // A server that refuses a body half-way may reset the connection behind its answer, or
        // keep it open for the rest.
        while let Ok(length @ 1..) = connection.read(&mut piece) {
            received.extend(&piece[..length]);
            if Self::parse(&received).is_some_and(|answer| answer.is_whole()) {
                break;
            }
        }
        Self::parse(&received).unwrap_or_else(|| panic!("no answer: {}", received.escape_ascii()))
    }

    /// The answer in what was received, once its head is whole.
    pub(crate) fn parse(received: &[u8]) -> Option<Self> {
        let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Self { status, head, body: received[end + 4..].to_vec() })
    }

    fn is_whole(&self) -> bool {
        self.header("Content-Length") == Some(self.body.len().to_string().as_str())
    }

    /// The header called `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Expects a status.
    #[track_caller]
    pub(crate) fn has_status(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{}\n{body}", self.head);
        self
    }

    /// The body as the document that it is.
    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        let body = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}\n{body}", self.head))
    }

    /// Expects a refusal as RFC 9457 has it, and says what it says.
    #[track_caller]
    pub(crate) fn refuses(self, status: u16, code: &str) -> Problem {
        let answer = self.has_status(status);
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
        let problem: Problem = answer.json();
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{problem:?}");
        problem
    }
}

impl Server {
    /// A connection to the server.
    pub(crate) fn connection(&self) -> TcpStream {
        let connection = TcpStream::connect(self.host()).unwrap();
        connection.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        connection
    }

    /// The server's host and port.
    pub(crate) fn host(&self) -> &str {
        self.url().trim_start_matches("http://")
    }

    /// Opens a request and sends its head, but for what is said of the body.
    pub(crate) fn begin(&self, line: &str, headers: &[(&str, &str)]) -> TcpStream {
        let mut connection = self.connection();
        let mut head = format!("{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.host());
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        connection.write_all(head.as_bytes()).unwrap();
        connection
    }

    /// Asks with headers, and expects the answer to be as the interface is described.
    #[track_caller]
    pub(crate) fn request_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut connection = self.begin(&format!("{method} {path}"), headers);
        let head = format!("Content-Length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).unwrap();
        // A server that has refused already may close before it has read everything.
        let _refused = connection.write_all(body);
        let answer = Answer::read(&mut connection);
        expect_as_described(method, path, &answer);
        answer
    }

    /// Asks as the bearer of `token`.
    pub(crate) fn request(&self, method: &str, path: &str, token: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {token}");
        self.request_with(method, path, &[("Authorization", &bearer)], body)
    }

    /// Asks for a document as the administrator.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &self.admin_token(), b"")
    }

    /// Sends a document as the administrator.
    pub(crate) fn post(&self, path: &str, document: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(document).unwrap();
        self.request("POST", path, &self.admin_token(), &body)
    }

    /// Makes a token with `role`, also its label, and says its secret.
    pub(crate) fn token(&self, role: &str) -> String {
        let request = serde_json::json!({ "role": role, "label": role });
        let issued: Value = self.post("/v1/tokens", &request).has_status(201).json();
        issued["token"].as_str().unwrap().to_owned()
    }
}
