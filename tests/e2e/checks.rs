//! Checks are answered in three ways: as the one before, from where a connection is looked at; by the
//! application, from there; and by the HTTP service. Nobody can tell them apart by what they are told.

use std::{collections::BTreeSet, io::Write as _, net::Shutdown};

use serde_json::json;

use crate::{
    by_hand::BareMachine,
    conversation::{Conversation, OTHER_REQUEST, bearer, request, told},
    harness::{PRODUCT, Server, platform},
    http::Answer,
    measures::{measures, value},
    publish::opened,
    repository::paying,
};

/// More checks than a machine may send at once.
const FLOOD: usize = 1000;

/// What a machine asks that knows all metadata.
fn question() -> String {
    let newest = 1 << 30;
    let channels =
        json!({ "bugfix": newest, "security": newest, "feature": newest, "major": newest });
    let known = json!({
        "root": 1, "timestamp": newest, "snapshot": newest, "targets": newest, "channels": channels,
    });
    json!({
        "product": PRODUCT, "platform": platform(), "running": "1.0.0", "known": known,
        "agent": "by hand",
    })
    .to_string()
}

/// A check with these headers and its length.
fn check(headers: &[(&str, &str)], body: &str) -> String {
    let length = body.len().to_string();
    request("POST /v1/check", &[headers, &[("Content-Length", &length)]].concat()) + body
}

/// A machine that has been given an answer that holds: its check.
pub(crate) fn known(server: &Server) -> (BareMachine, String) {
    let machine = paying(server);
    let check = check(&[("Authorization", &bearer(&machine.0.token))], &question());
    let mut conversation = Conversation::with(server);
    // The first one changes the machine's record.
    for _ in 0..2 {
        conversation.say(&check);
        conversation.answer("POST").has_status(200);
    }
    (machine, check)
}

/// What an answer says, but for whether the connection ends with it where somebody is refused: the HTTP service
/// ends one on which a body is under way that nobody reads.
fn said(answer: &Answer) -> (BTreeSet<&str>, &[u8]) {
    let (mut lines, body) = told(answer);
    lines.retain(|line| answer.status < 400 || *line != "connection: close");
    (lines, body)
}

#[test]
fn every_way_answers_alike() {
    let server = opened();
    let (machine, plain) = known(&server);
    let bearer = bearer(&machine.0.token);
    let own = ("Authorization", bearer.as_str());
    let body = question();
    let length = body.len().to_string();
    let plus = format!("+{length}");
    let with = |headers: &[(&str, &str)]| check(&[&[own], headers].concat(), &body);
    let twice = |header| request("POST /v1/check", &[own, header, header]) + &body;
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let rows = [
        (200, plain.clone()),
        (200, plain.replace("Host", "hOST")),
        (200, with(&[("Accept-Encoding", "zstd")])),
        (200, with(&[("Accept-Encoding", "gzip"), ("Accept-Encoding", "zstd")])),
        (200, with(&[("Connection", "keep-alive")])),
        (200, with(&[("Connection", "close")])),
        (200, with(&[("X-Other", "é")])),
        (200, plain.replace(" HTTP/1.1", " HTTP/1.0")),
        (200, plain.replace("/v1/check", "/v1/check?a=b")),
        (200, request("POST /v1/check", &[own, ("Transfer-Encoding", "chunked")]) + &chunked),
        (400, check(&[own], "{}")),
        (400, check(&[own], "{")),
        (400, check(&[own], &body.replace("agent", "angle"))),
        (400, request("POST /v1/check", &[own])),
        (400, plain.replace("Host: test\r\n", "")),
        (400, with(&[("Host", "other")])),
        (400, twice(("Content-Length", &length))),
        (400, request("POST /v1/check", &[own, ("Content-Length", &plus)]) + &body),
        (401, check(&[], &body)),
        (401, check(&[("Authorization", "Bearer mmt_wrong")], &body)),
        (401, plain.replace("Bearer", "bearer")),
        (404, plain.replace("/v1/check", "/v1/check/")),
    ];
    let answer_of = |mut conversation: Conversation, text: &str| {
        conversation.say(text);
        conversation.answer("POST")
    };
    for (status, text) in rows {
        let line = text.split("\r\n\r\n").next().unwrap();
        let by_http_service =
            answer_of(Conversation::with_http_service(&server), &text).has_status(status);
        let from_connection = answer_of(Conversation::with(&server), &text);
        assert_eq!(said(&from_connection), said(&by_http_service), "{line}");
        // It was given by whichever way, and is now given again.
        let again = answer_of(Conversation::with(&server), &text);
        assert_eq!(said(&again), said(&by_http_service), "{line}");
    }
}

#[test]
fn a_connection_serves_checks_and_whatever_else_comes() {
    let server = opened();
    let (machine, check) = known(&server);
    let bearer = bearer(&machine.0.token);
    let own = ("Authorization", bearer.as_str());
    let file = request(&format!("GET /repo/{PRODUCT}/timestamp.json"), &[own]);
    let wrong = check.replace(&machine.0.token, "mmt_wrong");
    let report = json!({ "product": PRODUCT, "running": "1.0.0", "events": [] }).to_string();
    let length = report.len().to_string();
    let report = request("POST /v1/report", &[own, ("Content-Length", &length)]) + &report;
    let mut conversation = Conversation::with(&server);
    // All at once: none waits for the answer to the one before.
    conversation.say(
        &[&*check, &check, &file, &wrong, &check, &report, &check, OTHER_REQUEST, &check].concat(),
    );
    let first = conversation.answer("POST").has_status(200);
    let again = || told(&first);
    assert_eq!(told(&conversation.answer("POST")), again());
    conversation.answer("GET").has_status(200);
    conversation.answer("POST").has_status(401);
    assert_eq!(told(&conversation.answer("POST")), again());
    conversation.answer("POST").has_status(204);
    assert_eq!(told(&conversation.answer("POST")), again());
    assert_eq!(conversation.answer("GET").has_status(200).body, b"ok\n");
    assert_eq!(told(&conversation.answer("POST")), again());
}

#[test]
fn a_check_may_come_in_pieces_and_be_the_last_thing_that_is_said() {
    let server = opened();
    let (_, check) = known(&server);
    let mut conversation = Conversation::with(&server);
    conversation.connection.set_nodelay(true).unwrap();
    conversation.say(&check);
    let whole = conversation.answer("POST").has_status(200);
    let middle = check.find("\r\n\r\n").unwrap() + 4;
    for piece_length in [1, 100, middle] {
        for piece in check.as_bytes().chunks(piece_length) {
            conversation.connection.write_all(piece).unwrap();
        }
        assert_eq!(told(&conversation.answer("POST")), told(&whole), "by {piece_length}");
    }
    // The next one begins before this one is answered.
    let (begin, rest) = check.split_at(middle + 10);
    conversation.say(&(check.clone() + begin));
    assert_eq!(told(&conversation.answer("POST")), told(&whole));
    conversation.say(rest);
    assert_eq!(told(&conversation.answer("POST")), told(&whole));
    conversation.say(&check);
    conversation.connection.shutdown(Shutdown::Write).unwrap();
    assert_eq!(told(&conversation.answer("POST")), told(&whole));
    assert!(conversation.has_ended());
    // What is not whole when nothing more comes is no check.
    let ends = [Conversation::with(&server), Conversation::with_http_service(&server)];
    let [from_connection, by_http_service] = ends.map(|mut conversation| {
        conversation.say(begin);
        conversation.connection.shutdown(Shutdown::Write).unwrap();
        conversation.last().map(|answer| answer.status)
    });
    assert_eq!(from_connection, by_http_service);
    assert_ne!(from_connection, Some(200));
}

#[test]
fn checks_that_are_answered_again_are_counted_and_too_many_refused() {
    let server = opened();
    let (machine, check) = known(&server);
    let counted = || {
        let told = measures(&server);
        ["2xx", "4xx"].map(|status| {
            let series = format!("mainstay_requests_total{{route=\"check\",status=\"{status}\"}}");
            value(&told, &series)
        })
    };
    let before = counted();
    let mut conversation = Conversation::with(&server);
    let (mut given, mut refused) = (0_u32, 0_u32);
    for _ in 0..FLOOD / 100 {
        conversation.say(&check.repeat(100));
        for _ in 0..100 {
            let answer = conversation.answer("POST");
            if answer.status == 200 {
                given += 1;
            } else {
                answer.refuses(429, "TOO_MANY_REQUESTS");
                refused += 1;
            }
        }
    }
    assert!(given >= 500 && refused > 0, "{given} given, {refused} refused");
    let after = counted();
    let more = [0, 1].map(|place: usize| (after[place] - before[place]).to_string());
    assert_eq!(more, [given.to_string(), refused.to_string()]);

    let name = machine.0.machine.as_str();
    server.mainstay(&["machine", "retire", name, "--reason", "scrapped"]).succeeds();
    let mut conversation = Conversation::with(&server);
    conversation.say(&check);
    let status = conversation.answer("POST").status;
    assert!([401, 403].contains(&status), "{status}");
}
