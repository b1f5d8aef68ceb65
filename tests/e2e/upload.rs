//! Blobs arrive whole, in pieces, cut, wrong and twice.

use std::{
    io::Write as _,
    net::Shutdown,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use mainstay_client::format::{Digest, wire::UploadState};

use crate::{
    by_hand::upload_path,
    cut::{Passage, proxy},
    harness::{Ran, Server, eventually},
    http::Answer,
    publish::opened,
};

/// Some bytes that are not all alike.
fn blob(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index * index % 251).unwrap()).collect()
}

impl Server {
    fn upload_state(&self, digest: &Digest) -> UploadState {
        self.get(&format!("/v1/uploads/{digest}")).has_status(200).json()
    }

    /// Sends `bytes` as those from `offset` on of a blob of `length`.
    fn patch(&self, digest: &Digest, offset: usize, length: usize, bytes: &[u8]) -> Answer {
        let path = upload_path(digest, offset, length);
        self.request("PATCH", &path, &self.admin_token(), bytes)
    }

    /// Opens the same request and sends `bytes`, and no end.
    fn open_patch(
        &self,
        digest: &Digest,
        offset: usize,
        length: usize,
        bytes: &[u8],
    ) -> std::net::TcpStream {
        let line = format!("PATCH {}", upload_path(digest, offset, length));
        let bearer = format!("Bearer {}", self.admin_token());
        let announced = (length - offset).to_string();
        let headers = [("Authorization", bearer.as_str()), ("Content-Length", &announced)];
        let mut connection = self.begin(&line, &headers);
        connection.write_all(b"\r\n").unwrap();
        connection.write_all(bytes).unwrap();
        connection
    }

    fn await_received(&self, digest: &Digest, received: u64) {
        eventually("the sent bytes' arrival", || {
            (self.upload_state(digest).received == received).then_some(())
        });
    }
}

const NOTHING: UploadState = UploadState { received: 0, complete: false };

#[test]
fn a_blob_may_come_in_pieces() {
    let server = Server::empty();
    let bytes = blob(100_000);
    let digest = Digest::of(&bytes);
    assert_eq!(server.upload_state(&digest), NOTHING);
    let answer = server.patch(&digest, 0, bytes.len(), &bytes[..50_000]).has_status(200);
    let half = UploadState { received: 50_000, complete: false };
    assert_eq!(answer.json::<UploadState>(), half);
    assert_eq!(server.upload_state(&digest), half);
    let answer = server.patch(&digest, 50_000, bytes.len(), &bytes[50_000..]).has_status(200);
    let whole = UploadState { received: 100_000, complete: true };
    assert_eq!(answer.json::<UploadState>(), whole);
    assert_eq!(server.upload_state(&digest), whole);
}

#[test]
fn a_cut_keeps_what_has_arrived() {
    let server = Server::empty();
    let bytes = blob(300_000);
    let digest = Digest::of(&bytes);
    let mut received = 0;
    for end in [100_000, 200_000] {
        let sent = &bytes[received..end];
        let connection = server.open_patch(&digest, received, bytes.len(), sent);
        server.await_received(&digest, end as u64);
        connection.shutdown(Shutdown::Both).unwrap();
        received = end;
        // Until it has noticed the cut, the server holds the upload for whoever was cut off.
        let answer = eventually("the cut's being noticed", || {
            let answer = server.patch(&digest, received, bytes.len(), b"");
            (answer.status != 409).then_some(answer)
        });
        let state: UploadState = answer.has_status(200).json();
        assert_eq!(state, UploadState { received: end as u64, complete: false });
    }
    let answer = server.patch(&digest, received, bytes.len(), &bytes[received..]);
    let state: UploadState = answer.has_status(200).json();
    assert_eq!(state, UploadState { received: 300_000, complete: true });
}

#[test]
fn a_wrong_offset_is_told_the_right_one() {
    let server = Server::empty();
    let bytes = blob(1000);
    let digest = Digest::of(&bytes);
    server.patch(&digest, 0, 1000, &bytes[..400]).has_status(200);
    for offset in [0, 399, 401, 1000] {
        let problem =
            server.patch(&digest, offset, 1000, &bytes[offset..]).refuses(409, "UPLOAD_OFFSET");
        assert!(problem.detail.contains("stands at byte 400"), "{}", problem.detail);
    }
    assert_eq!(server.upload_state(&digest).received, 400);
}

#[test]
fn bytes_that_do_not_match_their_name_are_thrown_away() {
    let server = Server::empty();
    let bytes = blob(1000);
    let digest = Digest::of(&bytes);
    let mut wrong = bytes.clone();
    wrong[700] ^= 1;
    server.patch(&digest, 0, 1000, &wrong[..600]).has_status(200);
    server.patch(&digest, 600, 1000, &wrong[600..]).refuses(422, "BLOB_MISMATCH");
    assert_eq!(server.upload_state(&digest), NOTHING);

    let answer = server.patch(&digest, 0, 1000, &bytes).has_status(200);
    assert!(answer.json::<UploadState>().complete);
}

#[test]
fn more_bytes_than_announced_are_refused_and_leave_no_trace() {
    let server = Server::empty();
    let bytes = blob(1000);
    let digest = Digest::of(&bytes);
    server.patch(&digest, 0, 500, &bytes).refuses(400, "INVALID_REQUEST");
    assert_eq!(server.upload_state(&digest), NOTHING);
    server.patch(&digest, 0, 1000, &bytes[..400]).has_status(200);
    server.patch(&digest, 400, 900, &bytes[400..]).refuses(400, "INVALID_REQUEST");
    assert_eq!(server.upload_state(&digest).received, 400);
}

#[test]
fn an_offset_beyond_the_announced_length_is_refused_and_keeps_what_has_arrived() {
    let server = Server::empty();
    let bytes = blob(1000);
    let digest = Digest::of(&bytes);
    server.patch(&digest, 0, 1000, &bytes[..400]).has_status(200);
    server.patch(&digest, 400, 399, b"").refuses(400, "INVALID_REQUEST");
    assert_eq!(server.upload_state(&digest).received, 400);
}

#[test]
fn a_blob_above_the_limit_is_refused_before_it_is_sent() {
    let server = Server::empty();
    let digest = Digest::of(b"");
    server.patch(&digest, 0, 65 << 30, b"").refuses(413, "BLOB_TOO_LARGE");
}

#[test]
fn a_blob_that_is_there_may_be_sent_again() {
    let server = Server::empty();
    let bytes = blob(1000);
    let digest = Digest::of(&bytes);
    for _ in 0..2 {
        let answer = server.patch(&digest, 0, 1000, &bytes).has_status(200);
        assert!(answer.json::<UploadState>().complete);
    }
    // Whatever is sent for it now, what is there stays.
    let answer = server.patch(&digest, 0, 1000, &[0; 1000]).has_status(200);
    assert!(answer.json::<UploadState>().complete);
    assert!(server.upload_state(&digest).complete);
}

#[test]
fn the_empty_blob_is_a_blob() {
    let server = Server::empty();
    let digest = Digest::of(b"");
    let answer = server.patch(&digest, 0, 0, b"").has_status(200);
    assert!(answer.json::<UploadState>().complete);
}

#[test]
fn two_writers_do_not_mix_their_bytes() {
    let server = Server::empty();
    let bytes = blob(1000);
    let digest = Digest::of(&bytes);
    let mut first = server.open_patch(&digest, 0, 1000, &bytes[..400]);
    server.await_received(&digest, 400);
    for offset in [0, 400] {
        server.patch(&digest, offset, 1000, &bytes[offset..]).refuses(409, "UPLOAD_BUSY");
    }
    first.write_all(&bytes[400..]).unwrap();
    let state: UploadState = Answer::read(&mut first).has_status(200).json();
    assert!(state.complete);
}

#[test]
fn an_upload_outlives_the_server() {
    let mut server = Server::empty();
    let bytes = blob(4000);
    let digest = Digest::of(&bytes);
    for received in [0, 1000, 2000, 3000] {
        server.patch(&digest, received, 4000, &bytes[received..received + 1000]).has_status(200);
        server.kill_and_restart();
        let state = server.upload_state(&digest);
        let received = received as u64 + 1000;
        assert_eq!(state, UploadState { received, complete: received == 4000 });
    }
}

#[test]
fn a_name_that_is_no_digest_is_refused() {
    let server = Server::empty();
    for name in ["x", &"A".repeat(64), "..%2f..%2fadmin.token"] {
        server.get(&format!("/v1/uploads/{name}")).refuses(400, "INVALID_REQUEST");
    }
}

#[test]
fn a_publisher_takes_an_upload_up_again_that_is_cut_more_than_once() {
    const CUTS: u32 = 2;
    let server = opened();
    let cuts_left = AtomicU32::new(CUTS);
    // The upload itself, and then the question of how far it came.
    let flaky = proxy(&server, move |piece| {
        let has_begun = cuts_left.load(Relaxed) < CUTS;
        let is_of_upload = piece.starts_with(b"PATCH /v1/uploads/")
            || has_begun && piece.starts_with(b"GET /v1/uploads/");
        if is_of_upload && cuts_left.load(Relaxed) > 0 {
            cuts_left.fetch_sub(1, Relaxed);
            return Passage::Cut;
        }
        Passage::Forward
    });
    let tree = server.tree("1.0.1");
    let mut command = server.publish_command("1.0.1", "bugfix", &tree, &[]);
    Ran::run(command.env("MAINSTAY_SERVER", flaky)).succeeds();
    assert_eq!(server.visible().versions(), ["1.0.0", "1.0.1"]);
}

#[test]
fn a_full_disk_gets_back_what_had_arrived_and_the_publisher_is_told() {
    let server = Server::empty();
    let bytes = blob(100_000);
    let digest = Digest::of(&bytes);
    let part = server.path(&format!("server/uploads/{digest}.part"));
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    server.patch(&digest, 0, bytes.len(), &bytes).refuses(503, "STORAGE_FULL");
    assert!(std::fs::symlink_metadata(&part).is_err(), "the room is free again");
    assert_eq!(server.upload_state(&digest), NOTHING);
}
