//! A server on a loopback socket that answers as a test tells it to, well or badly.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What is sent back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// Announces `length` bytes, sends these and hangs up.
    Cut {
        length: usize,
        bytes: Vec<u8>,
    },
    /// Chunks without an end.
    Endless,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Whole(body.into()) }
    }

    pub(crate) fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, ..Self::ok(body) }
    }

    /// `file` from where the request wants it, as an obedient server sends it.
    pub(crate) fn file(request: &Received, file: &[u8]) -> Self {
        let start = request
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        match start {
            Some(start) if start < file.len() => Self {
                status: 206,
                headers: vec![(
                    "content-range",
                    format!("bytes {start}-{}/{}", file.len() - 1, file.len()),
                )],
                body: Body::Whole(file[start..].to_vec()),
            },
            Some(_) => Self::status(416, ""),
            None => Self::ok(file),
        }
    }

    /// The same, hanging up after `bytes` bytes of the body.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        if let Body::Whole(whole) = self.body {
            self.body = Body::Cut { length: whole.len(), bytes: whole[..bytes].to_vec() };
        }
        self
    }
}

type Handler = dyn Fn(&Received) -> Reply + Send + Sync;

/// The server. It stops when it is dropped.
pub(crate) struct TestServer {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

impl TestServer {
    pub(crate) fn start(handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            connections: Arc::default(),
            stopping: Arc::default(),
        };
        let handler: Arc<Handler> = Arc::new(handler);
        let (received, connections, stopping) = (
            Arc::clone(&server.received),
            Arc::clone(&server.connections),
            Arc::clone(&server.stopping),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let (handler, received) = (Arc::clone(&handler), Arc::clone(&received));
                thread::spawn(move || serve(&stream.unwrap(), &*handler, &received));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers requests on one connection until it ends. A client that hangs up is no failure here.
fn serve(stream: &TcpStream, handler: &Handler, received: &Mutex<Vec<Received>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let reply = handler(&request);
        received.lock().unwrap().push(request);
        if write_reply(stream, &reply).is_none() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { method, path, headers, body })
}

/// Writes the reply; nothing where the connection cannot go on.
fn write_reply(mut stream: &TcpStream, reply: &Reply) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} Test\r\n", reply.status);
    for (name, value) in &reply.headers {
        head = head + name + ": " + value + "\r\n";
    }
    let framing = match &reply.body {
        Body::Whole(bytes) => format!("content-length: {}", bytes.len()),
        Body::Cut { length, .. } => format!("content-length: {length}"),
        Body::Endless => "transfer-encoding: chunked".to_owned(),
    };
    head = head + &framing + "\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    match &reply.body {
        Body::Whole(bytes) => stream.write_all(bytes).ok(),
        Body::Cut { bytes, .. } => {
            stream.write_all(bytes).ok()?;
            None
        }
        Body::Endless => loop {
            stream.write_all(b"8\r\nendless.\r\n").ok()?;
        },
    }
}
