//! A server that takes mail (RFC 5321), or does not.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

#[derive(Clone)]
pub(super) struct MailServer {
    port: u16,
    refusals: Arc<AtomicUsize>,
    got: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, refusals: Arc::default(), got: Arc::default() };
        let serving = server.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (serving, connection) = (serving.clone(), connection.unwrap());
                thread::spawn(move || serving.serve(connection));
            }
        });
        server
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Takes none of the next `count` messages.
    pub(super) fn refuse(&self, count: usize) {
        self.refusals.store(count, Ordering::SeqCst);
    }

    /// What was said to it, message by message.
    pub(super) fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }

    fn serve(&self, mut connection: TcpStream) {
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
        let mut said = String::new();
        let mut is_message = false;
        connection.write_all(b"220 mail.example.com\r\n").unwrap();
        while let Some(Ok(line)) = lines.next() {
            said.push_str(&line);
            said.push('\n');
            let answer = if is_message {
                if line != "." {
                    continue;
                }
                is_message = false;
                self.got.lock().unwrap().push(said.clone());
                "250 taken"
            } else if line == "DATA" {
                is_message = true;
                "354 go on"
            } else if line.starts_with("RCPT") && self.refuses() {
                "450 not now"
            } else if line == "QUIT" {
                "221 bye"
            } else {
                "250 yes"
            };
            if write!(connection, "{answer}\r\n").is_err() {
                return;
            }
        }
    }

    fn refuses(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    }
}
