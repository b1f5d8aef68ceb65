//! One stage of an installation, alone, by the functions that the client installs with: what
//! `tests/bench/install` holds a whole update against. Prints the seconds that it took.
//!
//! ```text
//! stages download SERVER PATH TOKEN-FILE             to nowhere
//! stages hash FILE                                   SHA-256
//! stages decompress ARTIFACT LENGTH                  to nowhere
//! stages payload ARTIFACT LENGTH SHA256             decompressed and hashed
//! stages unpack PAYLOAD FOLDER                       with nothing made durable
//! stages sync FOLDER                                 makes it durable
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::Path,
    time::Instant,
};

use mainstay_client::{
    fetch::{
        Accepted, CertificateAuthority, HttpTransport, Limits, Method, Request, Transport as _,
    },
    format::{Hasher, ReleaseManifest},
    pack::{self, Decompressed, Payload, PayloadIdentity},
};

/// How much is read at a time, as the client does.
const BUFFER_BYTES: usize = 128 << 10;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let started = Instant::now();
    match words[..] {
        ["download", server, path, token_file] => download(server, path, token_file),
        ["hash", file] => {
            let mut hasher = Hasher::new();
            read_all(File::open(file).unwrap(), |bytes| hasher.update(bytes));
            hasher.finish();
        }
        ["decompress", artifact, length] => {
            let artifact = BufReader::with_capacity(BUFFER_BYTES, File::open(artifact).unwrap());
            let (length, window_log) = (length.parse().unwrap(), ReleaseManifest::WINDOW_LOG_MAX);
            read_all(Decompressed::new(artifact, length, window_log).unwrap(), |_| {});
        }
        ["payload", artifact, length, sha256] => {
            let expected = PayloadIdentity {
                length: length.parse().unwrap(),
                sha256: sha256.parse().unwrap(),
            };
            let artifact = File::open(artifact).unwrap();
            let payload =
                Payload::new(artifact, expected, ReleaseManifest::WINDOW_LOG_MAX).unwrap();
            read_all(payload, |_| {});
        }
        ["unpack", payload, folder] => {
            let payload = File::open(payload).unwrap();
            pack::unpack_tree(payload, Path::new(folder), &pack::Limits::default()).unwrap();
        }
        ["sync", folder] => pack::sync_tree(Path::new(folder)).unwrap(),
        _ => std::process::exit(2),
    }
    println!("{:.6}", started.elapsed().as_secs_f64());
}

fn download(server: &str, path: &str, token_file: &str) {
    let authority = CertificateAuthority::PublicWeb;
    let transport = HttpTransport::new(server, &authority, None, Limits::DEFAULT).unwrap();
    let token = fs::read_to_string(token_file).unwrap().trim().to_owned().into();
    let request = Request {
        method: Method::Get,
        path,
        token: Some(&token),
        resume: None,
        accepted: Accepted::AsStored,
    };
    let answer = transport.send(&request).unwrap();
    assert_eq!(answer.status, 200, "{path}");
    read_all(answer.body, |_| {});
}

fn read_all(mut from: impl Read, mut see: impl FnMut(&[u8])) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).unwrap();
        if count == 0 {
            return;
        }
        see(&buffer[..count]);
    }
}
