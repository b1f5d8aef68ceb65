//! The access log, as whoever reads it finds it.

use std::fs;

use serde_json::{Value, json};

use crate::{
    checks::known,
    conversation::{Conversation, bearer, request},
    harness::{PRODUCT, Ran, Server, eventually},
    publish::opened,
    repository::target_paths,
    sending::with_large_artifact,
};

/// What tells the requests of a test from those that prepare it.
const AGENT: (&str, &str) = ("User-Agent", "test/1");

/// The lines of requests that name [`AGENT`].
fn lines(server: &Server) -> Vec<Value> {
    let text = fs::read_to_string(server.path("server/access.log")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["user_agent"] == AGENT.1).collect()
}

#[test]
fn every_request_has_a_line_whichever_way_it_is_answered() {
    let mut server = opened();
    let (machine, check) = known(&server);
    let [_, artifact] = target_paths(&server, "1.0.0");
    let artifact = format!("/repo/{PRODUCT}/{artifact}");
    let own = bearer(&machine.0.token);
    let own = [("Authorization", own.as_str()), AGENT];
    let admin = bearer(&server.admin_token());
    let admin = [("Authorization", admin.as_str()), AGENT];
    let check = check.replace("Host:", &format!("{}: {}\r\nHost:", AGENT.0, AGENT.1));
    let name = Some(machine.0.machine.to_string());
    let mut said = Vec::new();
    for mut conversation in [Conversation::with(&server), Conversation::with_http_service(&server)]
    {
        let requests = [
            ("POST /v1/check", check.clone(), name.clone()),
            ("GET", request(&format!("GET {artifact}"), &own), name.clone()),
            (
                "GET",
                request(&format!("GET {artifact}"), &[own[0], own[1], ("Range", "bytes=1-5")]),
                name.clone(),
            ),
            ("HEAD", request(&format!("HEAD {artifact}"), &own), name.clone()),
            ("GET", request(&format!("GET {artifact}?a=b"), &[AGENT]), None),
            ("HEAD", request(&format!("HEAD {artifact}"), &[AGENT]), None),
            ("GET", request("GET /v1/products", &own), name.clone()),
            ("GET", request("GET /v1/products", &admin), None),
            ("GET", request("GET /nowhere", &admin), None),
        ];
        for (method, text, who) in requests {
            conversation.say(&text);
            let method = method.split(' ').next().unwrap();
            let answer = conversation.answer(method);
            said.push((
                text.split(" HTTP/").next().unwrap().to_owned(),
                answer.status,
                answer.body.len(),
                who,
            ));
        }
    }
    assert!(server.stop().success());
    let written = lines(&server);
    assert_eq!(written.len(), said.len(), "{written:?}");
    let statuses: Vec<_> = said.iter().map(|(_, status, ..)| *status).collect();
    assert_eq!(statuses[..9], [200, 200, 206, 200, 401, 401, 403, 200, 404]);
    for (line, (request, status, bytes, who)) in written.iter().zip(said) {
        let asked =
            format!("{} {}", line["method"].as_str().unwrap(), line["path"].as_str().unwrap());
        assert_eq!(asked, request, "{line}");
        assert_eq!([&line["status"], &line["bytes"]], [&json!(status), &json!(bytes)], "{line}");
        assert_eq!(line["address"], "127.0.0.1", "{line}");
        assert_eq!(line["broken_off"], Value::Null, "{line}");
        assert!(line["microseconds"].is_u64(), "{line}");
        if let Some(who) = who {
            assert_eq!(line["who"], who, "{line}");
        } else {
            let staff = line["who"].as_str().map(|who| who.starts_with("tok-"));
            assert_eq!(staff, (request == "GET /v1/products").then_some(true), "{line}");
        }
    }
}

#[test]
fn a_download_that_breaks_off_is_told() {
    let (server, line, artifact, _) = with_large_artifact();
    let bearer = bearer(&server.admin_token());
    let text = request(&line, &[("Authorization", &bearer), AGENT]);
    for (count, mut conversation) in
        [Conversation::with(&server), Conversation::with_http_service(&server)]
            .into_iter()
            .enumerate()
    {
        conversation.say(&text);
        conversation.head().has_status(200);
        drop(conversation);
        let line = eventually("the line", || lines(&server).get(count).cloned());
        assert_eq!(line["broken_off"], true, "{line}");
        assert!(line["bytes"].as_u64().unwrap() < artifact.len() as u64, "{line}");
    }
}

#[test]
fn there_is_none_where_none_is_wanted_and_no_server_where_none_can_be() {
    let mut server = Server::with_config("[access_log]\nenabled = false");
    server.get("/v1/products").has_status(200);
    assert!(server.stop().success());
    assert!(!server.path("server/access.log").exists());

    fs::write(server.path("server/mainstay.toml"), "[access_log]\nfile = \"absent/log\"").unwrap();
    let dir = server.path("server");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--dir"];
    let refused = Ran::run(server.command(&serve).arg(&dir)).exits(1).stderr();
    assert!(refused.contains("absent/log"), "{refused}");
}
