//! Metadata that travels compressed to whoever takes that, and as it is to everybody else.

use mainstay_client::{
    fetch::Coding,
    format::{
        Digest, Platform,
        wire::{CheckRequest, KnownMetadata},
    },
};

use crate::{
    by_hand::BareMachine,
    fleet::customer,
    harness::{PRODUCT, Server},
    http::Answer,
    publish::opened,
};

const ZSTD: (&str, &str) = ("Accept-Encoding", "gzip, zstd");

/// A server with a product, and a machine that may have all of it.
fn opened_for_a_machine() -> (Server, BareMachine) {
    let server = opened();
    let machine = server.enroll(&customer(&server, "premium"));
    (server, machine)
}

fn asked(server: &Server, token: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [&[("Authorization", bearer.as_str())], headers].concat();
    server.request_with("GET", path, &headers, b"")
}

/// Asks for a file of the repository.
fn file(server: &Server, machine: &BareMachine, name: &str, headers: &[(&str, &str)]) -> Answer {
    asked(server, &machine.0.token, &format!("/repo/{PRODUCT}/{name}"), headers)
}

fn checked(server: &Server, machine: &BareMachine, headers: &[(&str, &str)]) -> Answer {
    let request = CheckRequest {
        product: PRODUCT.parse().unwrap(),
        platform: Platform::of_this_program(),
        running: None,
        known: KnownMetadata::default(),
        agent: "by hand".to_owned(),
        facts: None,
        waits: None,
    };
    let bearer = format!("Bearer {}", machine.0.token);
    let headers = [&[("Authorization", bearer.as_str())], headers].concat();
    let body = serde_json::to_vec(&request).unwrap();
    server.request_with("POST", "/v1/check", &headers, &body).has_status(200)
}

#[track_caller]
fn decompressed(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.header("Content-Encoding"), Some("zstd"));
    let length = answer.body.len();
    let document = Coding::Zstd.decode(answer.body.clone(), 1 << 20).unwrap();
    assert!(length < document.len(), "{length} is not less than {}", document.len());
    document
}

#[test]
fn answers_with_metadata_are_compressed_for_whoever_takes_that() {
    let (server, machine) = opened_for_a_machine();
    let admin = server.admin_token();
    let publishing = format!("/v1/products/{PRODUCT}/publishing");
    let ask = |headers: &[(&str, &str)]| {
        let metadata = file(&server, &machine, "1.targets.json", headers).has_status(200);
        let state = asked(&server, &admin, &publishing, headers).has_status(200);
        [metadata, checked(&server, &machine, headers), state]
    };
    // The state tells the time.
    let without_time = |document: &[u8]| {
        let mut document: serde_json::Value = serde_json::from_slice(document).unwrap();
        document.as_object_mut().unwrap().remove("now");
        document
    };
    let plain = ask(&[]);
    for (plain, compressed) in plain.iter().zip(ask(&[ZSTD])) {
        assert_eq!(
            (plain.header("Content-Encoding"), plain.header("Vary")),
            (None, Some("Accept-Encoding"))
        );
        assert_eq!(compressed.header("Vary"), Some("Accept-Encoding"));
        assert_eq!(without_time(&decompressed(&compressed)), without_time(&plain.body));
    }
    for others in ["gzip, deflate", "identity", "*", "zstd;q=0"] {
        for (plain, other) in plain.iter().zip(ask(&[("Accept-Encoding", others)])) {
            assert_eq!(other.header("Content-Encoding"), None, "{others}");
            assert_eq!(without_time(&other.body), without_time(&plain.body), "{others}");
        }
    }
}

/// RFC 9110 §8.8.3.3: a strong tag is one form's only. The compressed form has a weak one, which is
/// that of the file whoever compressed it.
#[test]
fn each_form_of_a_document_has_an_entity_tag_of_its_own() {
    let (server, machine) = opened_for_a_machine();
    let plain = file(&server, &machine, "1.targets.json", &[]).has_status(200);
    let strong = format!("\"{}\"", Digest::of(&plain.body));
    let weak = format!("W/{strong}");
    assert_eq!(plain.header("ETag"), Some(strong.as_str()));
    assert_eq!(plain.header("Accept-Ranges"), Some("bytes"));
    let compressed = file(&server, &machine, "1.targets.json", &[ZSTD]).has_status(200);
    assert_eq!(compressed.header("ETag"), Some(weak.as_str()));
    assert_eq!(compressed.header("Accept-Ranges"), None);
    for known in [&strong, &weak] {
        for (headers, tag) in [(&[][..], &strong), (&[ZSTD], &weak)] {
            let headers = [&[("If-None-Match", known.as_str())], headers].concat();
            let answer = file(&server, &machine, "1.targets.json", &headers).has_status(304);
            assert_eq!(answer.header("ETag"), Some(tag.as_str()));
            assert_eq!(answer.header("Vary"), Some("Accept-Encoding"));
            assert_eq!((answer.header("Content-Encoding"), &*answer.body), (None, &b""[..]));
        }
    }
    let changed = [("If-None-Match", "\"other\""), ZSTD];
    let answer = file(&server, &machine, "1.targets.json", &changed).has_status(200);
    assert_eq!(answer.body, compressed.body);

    let url = format!("/repo/{PRODUCT}/1.targets.json");
    let bearer = format!("Bearer {}", machine.0.token);
    let head = server.request_with("HEAD", &url, &[("Authorization", &bearer), ZSTD], b"");
    assert_eq!(head.body, b"");
    for name in ["Content-Length", "Content-Encoding", "ETag", "Vary"] {
        assert_eq!(head.header(name), compressed.header(name), "{name}");
    }
}

/// Where a part is asked for, it is one of the document as it is: nobody can put parts of two
/// compressed forms together.
#[test]
fn a_range_is_one_of_the_bytes_as_they_are() {
    let (server, machine) = opened_for_a_machine();
    let plain = file(&server, &machine, "1.targets.json", &[]).has_status(200);
    let strong = format!("\"{}\"", Digest::of(&plain.body));
    let range = ("Range", "bytes=10-19");
    for headers in [&[ZSTD, range][..], &[ZSTD, range, ("If-Range", &strong)]] {
        let part = file(&server, &machine, "1.targets.json", headers).has_status(206);
        assert_eq!((part.header("Content-Encoding"), &*part.body), (None, &plain.body[10..20]));
        assert_eq!(part.header("ETag"), Some(strong.as_str()));
    }
    let weak = format!("W/{strong}");
    let of_another_form = [ZSTD, range, ("If-Range", weak.as_str())];
    let whole = file(&server, &machine, "1.targets.json", &of_another_form).has_status(200);
    assert_eq!((whole.header("Content-Encoding"), &whole.body), (None, &plain.body));
}

/// Targets are stored as they are to travel, and what is short is not worth it.
#[test]
fn what_is_a_target_or_short_is_sent_as_it_is() {
    let (server, machine) = opened_for_a_machine();
    let visible = server.visible();
    let manifest = visible.releases[0]["manifest"]["sha256"].as_str().unwrap();
    let manifest = format!("targets/major/1.0.0/{manifest}.release.json");
    for name in [manifest.as_str(), "timestamp.json"] {
        let plain = file(&server, &machine, name, &[]).has_status(200);
        let same = file(&server, &machine, name, &[ZSTD]).has_status(200);
        for header in ["ETag", "Content-Encoding", "Vary"] {
            assert_eq!(same.header(header), plain.header(header), "{name}");
        }
        assert_eq!((same.header("Content-Encoding"), &same.body), (None, &plain.body), "{name}");
    }
}
