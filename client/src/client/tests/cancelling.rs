//! A caller who wants no more of it, while something is being fetched.

use std::{sync::mpsc::channel, thread};

use super::{
    vendor::{Particulars, version},
    *,
};
use crate::{error::ErrorKind, fetch::test_server::TestServer};

/// A machine whose server hangs up after ten bytes of an artifact, the first time.
struct Case {
    machine: Machine,
    http: TestServer,
}

impl Case {
    /// How much of the artifact arrives at first.
    const CUT: usize = 10;

    fn new() -> Self {
        let machine = Machine::new();
        let server = Arc::clone(&machine.server);
        let is_cut = Mutex::new(false);
        let http = TestServer::start(move |request| {
            let reply = server.lock().unwrap().handle(request);
            let mut is_cut = is_cut.lock().unwrap();
            if *is_cut || !request.path.ends_with(".tar.zst") {
                return reply;
            }
            *is_cut = true;
            reply.cut_after(Self::CUT)
        });
        let case = Self { machine, http };
        let options = EnrollOptions { server_url: case.http.url(), ..case.machine.options() };
        Client::enroll_within(&options, case.surroundings(Cancellation::default())).unwrap();
        case.machine.server().offer("2.4.0", &Particulars::default());
        case
    }

    fn surroundings(&self, cancellation: Cancellation) -> Surroundings {
        let clock = self.machine.surroundings().clock;
        Surroundings { retry: Retry::AT_ONCE, clock, cancellation, ..Surroundings::default() }
    }

    fn client(&self, cancellation: Cancellation) -> Client {
        let surroundings = self.surroundings(cancellation);
        Client::open_within(self.machine.folder.path(), surroundings).unwrap()
    }

    /// Updates in a new client, which must go on where the one before was ended.
    #[track_caller]
    fn expect_resumed(&self) {
        let update = self.client(Cancellation::default()).update(&mut |_| {}).unwrap();
        let expected = Outcome::Committed { from: None, to: version("2.4.0") };
        assert_eq!(update.outcome, Some(expected));
        let received = self.http.received();
        let last = received.iter().rfind(|it| it.path.ends_with(".tar.zst")).unwrap();
        assert_eq!(last.header("range"), Some("bytes=10-"));
    }
}

#[test]
fn another_thread_ends_a_download_and_the_next_update_goes_on_with_it() {
    let case = Case::new();
    let cancellation = Cancellation::default();
    let (begun, beginning) = channel();
    let (asked, asking) = channel();
    let other = thread::spawn({
        let cancellation = cancellation.clone();
        move || {
            beginning.recv().unwrap();
            cancellation.request();
            asked.send(()).unwrap();
        }
    });
    let mut client = case.client(cancellation);
    let refused = client.update(&mut |progress| {
        if matches!(progress, Progress::Downloading { received: 10, .. }) {
            begun.send(()).unwrap();
            asking.recv().unwrap();
        }
    });
    other.join().unwrap();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(client.check().unwrap_err().kind(), ErrorKind::Cancelled, "it is not taken back");
    drop(client);
    assert_eq!(case.machine.runs(), None, "nothing was changed");
    case.expect_resumed();
}

#[test]
fn an_end_between_two_tries_keeps_what_has_arrived() {
    let case = Case::new();
    let cancellation = Cancellation::default();
    let mut tries = 0;
    let refused = case.client(cancellation.clone()).update(&mut |progress| {
        // Once at the beginning, once for what arrived, and once as it is tried again.
        if matches!(progress, Progress::Downloading { received: 10, .. }) {
            tries += 1;
            if tries == 2 {
                cancellation.request();
            }
        }
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Cancelled);
    case.expect_resumed();
}

#[test]
fn what_needs_no_server_is_not_ended() {
    let machine = Machine::running("2.4.0");
    machine.server().offer("2.4.1", &Particulars::default());
    machine.update().unwrap();
    let cancellation = Cancellation::default();
    cancellation.request();
    let surroundings = Surroundings { cancellation, ..machine.surroundings() };
    let mut client = Client::open_within(machine.folder.path(), surroundings).unwrap();
    assert!(client.verify().unwrap().is_intact());
    let outcome = client.roll_back(None, &mut |_| {}).unwrap();
    let expected = Outcome::RolledBack { from: version("2.4.1"), to: version("2.4.0") };
    assert_eq!(outcome, expected);
}
