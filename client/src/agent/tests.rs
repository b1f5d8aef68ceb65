use std::sync::{Arc, Mutex};

use clap::{CommandFactory as _, Parser as _};
use tempfile::TempDir;

use super::*;
use crate::{
    client::tests::vendor::{Particulars, Server, problem},
    fetch::test_server::TestServer,
    format::{Action, Channel, Notice, Withheld},
};

/// An agent and a server on a socket; both read the real clock.
struct Case {
    folder: TempDir,
    server: Arc<Mutex<Server>>,
    http: TestServer,
}

impl Case {
    fn new() -> Self {
        let server = Arc::new(Mutex::new(Server::new(crate::clock::system()().wall)));
        let answering = Arc::clone(&server);
        let http = TestServer::start(move |request| answering.lock().unwrap().handle(request));
        Self { folder: tempfile::tempdir().unwrap(), server, http }
    }

    fn run(&self, words: &[&str]) -> (Document, Exit) {
        let folder = self.folder.path().to_str().unwrap();
        let words = [&["mainstay-agent", "--dir", folder], words].concat();
        Arguments::try_parse_from(words)
            .unwrap()
            .run()
            .unwrap_or_else(|error| (Document::of_error(&error), Exit::of_error(&error)))
    }

    fn enroll(&self, key: &str) -> (Document, Exit) {
        let url = self.http.url();
        let words = ["--server", &url, "--product", "acme-db", "--activation-key", key];
        self.run(&[&["enroll"], words.as_slice()].concat())
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    /// The document as JSON without what differs from run to run.
    fn json(&self, document: &Document) -> String {
        let text = serde_json::to_string_pretty(document).unwrap();
        text.replace(&self.http.url(), "[server]")
    }
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn a_machines_life_in_exit_codes() {
    let case = Case::new();
    assert_eq!(case.run(&["status"]).1, Exit::NotEnrolled);
    assert_eq!(case.enroll("wrong").1, Exit::Server);
    let (document, exit) = case.enroll("key-1");
    assert_eq!((document.outcome, exit), ("enrolled", Exit::Done));
    assert_eq!(case.run(&["check"]).1, Exit::UpToDate);
    assert_eq!(case.run(&["verify"]).1, Exit::Input, "nothing is installed");

    case.server().offer("2.4.0", &Particulars::default());
    assert_eq!(case.run(&["check"]).1, Exit::UpdateOffered);
    let (document, exit) = case.run(&["fetch"]);
    assert_eq!((document.outcome, exit), ("fetched", Exit::Done));
    assert_eq!(case.run(&["check"]).1, Exit::UpdateOffered, "nothing was installed");
    let (document, exit) = case.run(&["--json=stream", "update"]);
    assert_eq!((document.outcome, exit), ("committed", Exit::Done));
    assert_eq!(case.run(&["update"]).1, Exit::UpToDate);
    assert_eq!(case.run(&["fetch"]).1, Exit::UpToDate, "there is nothing to fetch");
    assert_eq!(case.run(&["verify"]).1, Exit::Done);
    assert_eq!(case.run(&["confirm"]).1, Exit::UpToDate);
    assert_eq!(case.run(&["rollback"]).1, Exit::Input);

    let probing = Particulars { confirm_within_seconds: Some(600), ..Particulars::default() };
    case.server().offer("2.4.1", &probing);
    assert_eq!(case.run(&["update"]).1, Exit::Probation);
    assert_eq!(case.run(&["update"]).1, Exit::Probation, "it still is");
    assert_eq!(case.run(&["confirm"]).1, Exit::Done);

    case.server().order_rollback(1, "2.4.0");
    assert_eq!(case.run(&["check"]).1, Exit::RollbackOrdered);
    assert_eq!(case.run(&["fetch"]).1, Exit::RollbackOrdered, "what it leads to is here");
    let (document, exit) = case.run(&["update"]);
    assert_eq!((document.outcome, exit), ("rolled_back", Exit::Done));

    let tree = case.folder.path().join("versions/2.4.0/bin/added");
    std::fs::write(tree, "by somebody").unwrap();
    assert_eq!(case.run(&["verify"]).1, Exit::Modified);
}

#[test]
fn what_is_withheld_is_told() {
    let case = Case::new();
    case.enroll("key-1");
    case.server().offer("2.4.0", &Particulars::default());
    case.run(&["update"]);
    {
        let mut server = case.server();
        server.set(Action::Stay);
        server.plan.withheld = vec![Withheld {
            version: "3.0.0".parse().unwrap(),
            channel: Channel::Major,
            code: "LINE_ABOVE_CAP".to_owned(),
            message: "The contract covers 2.x.\u{1b}[2J".to_owned(),
            alternative: Some("2.4.9".parse().unwrap()),
        }];
        server.plan.notices = vec![Notice {
            code: "CONTRACT_ENDS".to_owned(),
            message: "The contract ends on 2026-12-31.".to_owned(),
        }];
    }
    let (document, exit) = case.run(&["check"]);
    assert_eq!(exit, Exit::Withheld);
    insta::assert_snapshot!(case.json(&document));
    insta::assert_snapshot!(text::render(&document));
    assert_eq!(case.run(&["update"]).1, Exit::Withheld);
}

#[test]
fn an_update_and_its_undoing() {
    let case = Case::new();
    case.enroll("key-1");
    case.server().offer("2.4.0", &Particulars::default());
    let (document, _) = case.run(&["update"]);
    insta::assert_snapshot!(case.json(&document));
    insta::assert_snapshot!(text::render(&document));
    case.server().offer("2.4.1", &Particulars::default());
    case.run(&["update"]);
    let (document, exit) = case.run(&["rollback"]);
    assert_eq!(exit, Exit::Done);
    insta::assert_snapshot!(case.json(&document));
    let (document, exit) = case.run(&["update"]);
    assert_eq!(exit, Exit::Trust, "it is blocked now");
    insta::assert_snapshot!(case.json(&document));
    let (document, _) = case.run(&["status"]);
    let blocked = &document.status.as_ref().unwrap().blocked;
    assert_eq!(blocked.len(), 1);
}

#[test]
fn errors_are_documents_too() {
    let case = Case::new();
    case.enroll("key-1");
    case.server().meddle = Some(Box::new(|_, _| problem(403, "MACHINE_REVOKED")));
    let (document, exit) = case.run(&["check"]);
    assert_eq!(exit, Exit::Server);
    insta::assert_snapshot!(case.json(&document));
    let error = Arguments::try_parse_from(["mainstay-agent", "--json", "dance"]).unwrap_err();
    let document = Document::of_usage(&error.to_string());
    assert_eq!((document.outcome, document.code.as_deref()), ("error", Some("usage")));
}

#[test]
fn a_usage_error_has_its_exit_code() {
    assert_eq!(run(["mainstay-agent", "dance"]), Exit::Usage);
    assert_eq!(run(["mainstay-agent", "--version"]), Exit::Done);
}
