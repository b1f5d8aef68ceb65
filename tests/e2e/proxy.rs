//! A way to the server that can be cut, slowed down or tampered with.

use std::{
    io::{self, Read, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

/// What happens to the artifacts that pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// They pass as they are.
    Whole,
    /// The connection is cut after so many bytes.
    CutAfter(usize),
    /// After so many bytes nothing more comes, and the connection stays.
    StallAfter(usize),
    /// One bit of the byte at this place is flipped.
    BitFlippedAt(usize),
    /// So many bytes are left out at the end, and the announced length says so.
    ShortBy(usize),
    /// Nobody is let through at all.
    Closed,
}

/// A request for an artifact, and what of it was let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetch {
    /// The header `Range`.
    pub(crate) range: Option<String>,
    /// The status of the answer.
    pub(crate) status: u16,
    /// How many bytes of the body were let through.
    pub(crate) bytes: usize,
}

/// A proxy on loopback. It takes one request from each connection.
pub(crate) struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Mutex<String>,
    passage: Mutex<Passage>,
    passage_changed: Condvar,
    fetches: Mutex<Vec<Fetch>>,
}

impl Proxy {
    /// A proxy to the server at `url`.
    pub(crate) fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(host(url)),
            passage: Mutex::new(Passage::Whole),
            passage_changed: Condvar::new(),
            fetches: Mutex::new(Vec::new()),
        });
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // Whoever is cut off sees it at the other end.
                thread::spawn(move || drop(shared.pass(connection)));
            }
        });
        Self { url, shared }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Leads to another server from now on.
    pub(crate) fn lead_to(&self, url: &str) {
        *self.shared.upstream.lock().unwrap() = host(url);
    }

    /// Lets artifacts pass like this from now on.
    pub(crate) fn set(&self, passage: Passage) {
        *self.shared.passage.lock().unwrap() = passage;
        self.shared.passage_changed.notify_all();
    }

    /// The requests for artifacts so far; those that have been answered.
    pub(crate) fn fetches(&self) -> Vec<Fetch> {
        self.shared.fetches.lock().unwrap().clone()
    }
}

impl Shared {
    fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let Some((head, body)) = read_message(&mut client)? else { return Ok(()) };
        let passage = *self.passage.lock().unwrap();
        if passage == Passage::Closed {
            return Ok(());
        }
        let mut server = TcpStream::connect(&*self.upstream.lock().unwrap())?;
        server.write_all(with_header(&head, "connection", "close").as_bytes())?;
        server.write_all(&body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        let (answer_head, answer_body) = split(&answer)?;
        let answer_head = with_header(&answer_head, "connection", "close");
        if !head.lines().next().is_some_and(|line| line.contains(".tar.zst ")) {
            client.write_all(answer_head.as_bytes())?;
            return client.write_all(answer_body);
        }
        let status = answer_head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let fetch = |bytes| Fetch {
            range: header(&head, "range"),
            status: status.unwrap_or_default(),
            bytes,
        };
        self.pass_artifact(&mut client, passage, answer_head, answer_body, fetch)
    }

    fn pass_artifact(
        &self,
        client: &mut TcpStream,
        passage: Passage,
        mut head: String,
        body: &[u8],
        fetch: impl Fn(usize) -> Fetch,
    ) -> io::Result<()> {
        let mut body = body.to_vec();
        let mut passing = body.len();
        match passage {
            Passage::Whole | Passage::Closed => {}
            Passage::CutAfter(bytes) | Passage::StallAfter(bytes) => passing = passing.min(bytes),
            Passage::BitFlippedAt(place) => body[place] ^= 1,
            Passage::ShortBy(bytes) => {
                passing -= bytes;
                head = with_header(&head, "content-length", &passing.to_string());
            }
        }
        client.write_all(head.as_bytes())?;
        client.write_all(&body[..passing])?;
        self.fetches.lock().unwrap().push(fetch(passing));
        if matches!(passage, Passage::StallAfter(_)) {
            let now = self.passage.lock().unwrap();
            drop(self.passage_changed.wait_while(now, |now| *now == passage));
        }
        Ok(())
    }
}

fn host(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

/// Reads a request: its head, and as much body as that announces.
pub(crate) fn read_message(stream: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8 << 10];
    loop {
        if let Ok((head, body)) = split(&bytes) {
            let length = header(&head, "content-length").and_then(|text| text.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(Some((head, body.to_vec())));
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// A message's head, with the empty line, and its body.
fn split(message: &[u8]) -> io::Result<(String, &[u8])> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = message.split_at(end.ok_or(io::ErrorKind::UnexpectedEof)? + 4);
    Ok((String::from_utf8_lossy(head).into_owned(), body))
}

/// The header called `name` of a message's head.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let field = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    Some(field.1.trim().to_owned())
}

/// The head with one header replaced or added.
fn with_header(head: &str, name: &str, value: &str) -> String {
    let is_other = |line: &&str| {
        !line.is_empty()
            && line.split_once(':').is_none_or(|(field, _)| !field.eq_ignore_ascii_case(name))
    };
    let field = format!("{name}: {value}");
    let fields: Vec<&str> = head.lines().filter(is_other).chain([field.as_str()]).collect();
    fields.join("\r\n") + "\r\n\r\n"
}
