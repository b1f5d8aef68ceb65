//! The search through delegations, beside one by the book, over whatever graph the bytes describe.

use std::{collections::BTreeSet, sync::LazyLock};

use mainstay_client::{
    format::Digest,
    tuf::{DIRECTOR, Limits, Refusal, Search, TrustedRepository, TrustedRoot, TrustedSnapshot},
};
use serde_json::{Value, json};

use super::{
    Seeds,
    input::Input,
    names::stands_for,
    repository::{Signer, first_root, keys, now, only_version, role, signed, snapshot, timestamp},
};

/// What is searched for. Its SHA-256 begins with c14cddc0.
const PATH: &str = "a/b";
const PATH_DIGEST: &str = "c14cddc0";
const PATTERNS: [&str; 5] = ["a/*", "*/b", "?/?", "*", "b/*"];
const PREFIXES: [&str; 4] = ["c", "c14c", "d", "0"];
const SIGNERS: [Signer; 3] = [Signer::SecurityA, Signer::SecurityB, Signer::Director];

/// The names of the roles: that of the role that signs plans, one that a terminal would obey, two
/// that are alike, and enough others to pass the limit.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let special = [DIRECTOR, "\u{1b}[31m", "s-0", "s-1"].map(str::to_owned);
    special.into_iter().chain((0..36).map(|number| format!("r{number}"))).collect()
});

static KEYS: LazyLock<Value> = LazyLock::new(|| json!(keys(&SIGNERS)));

/// A targets role: what it says of [`PATH`] and to whom it delegates.
struct Role {
    /// The length of the target, which tells who has listed it.
    target: Option<u64>,
    signer: Signer,
    delegations: Drawn,
}

/// To whom a role delegates.
enum Drawn {
    Nobody,
    List(Vec<Edge>),
    /// The two that are alike.
    Alike(Edge),
}

/// A delegation to one role.
#[derive(Clone, Copy)]
struct Edge {
    role: usize,
    signer: Signer,
    terminating: bool,
    speaks_for: SpeaksFor,
}

#[derive(Clone, Copy)]
enum SpeaksFor {
    Pattern(&'static str),
    Prefix(&'static str),
}

/// How a search ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The target has the length by which its role is known.
    Found(u64),
    Absent,
    Refused,
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let top = draw(&mut input, NAMES.len());
    let roles: Vec<_> = (0..NAMES.len()).map(|index| draw(&mut input, index)).collect();
    let unlisted = usize::from(input.byte());
    let mut by_the_book = Walk { roles: &roles, unlisted, asked: BTreeSet::new() };
    let expected = match by_the_book.visit(&top, true) {
        Step::End(end) => end,
        Step::GoOn | Step::Stop => End::Absent,
    };
    assert_eq!(search(&top, &roles, unlisted), expected);
}

/// Draws a role. Those without choices left list nothing and delegate to nobody.
fn draw(input: &mut Input<'_>, index: usize) -> Role {
    let shape = input.byte();
    let delegations = match shape >> 4 {
        0 => Drawn::Nobody,
        1 => Drawn::Alike(draw_alike(input)),
        15 => Drawn::List(draw_all(input)),
        count => Drawn::List(draw_list(input, count)),
    };
    Role {
        target: (shape & 1 != 0).then_some(index as u64),
        signer: SIGNERS[usize::from(shape >> 1 & 7) % SIGNERS.len()],
        delegations,
    }
}

fn draw_list(input: &mut Input<'_>, count: u8) -> Vec<Edge> {
    let mut edges = Vec::<Edge>::new();
    for _ in 1..count {
        let role = usize::from(input.byte()) % NAMES.len();
        let shape = input.byte();
        let speaks_for = if shape & 0x80 == 0 {
            SpeaksFor::Pattern(input.one_of(&PATTERNS))
        } else {
            SpeaksFor::Prefix(input.one_of(&PREFIXES))
        };
        let signer = SIGNERS[usize::from(shape >> 1 & 7) % SIGNERS.len()];
        // A list in which a name stands twice is refused.
        if edges.iter().all(|edge| edge.role != role) {
            edges.push(Edge { role, signer, terminating: shape & 1 != 0, speaks_for });
        }
    }
    edges
}

/// Delegations to so many that the limit is reached.
fn draw_all(input: &mut Input<'_>) -> Vec<Edge> {
    let first = usize::from(input.byte()) % NAMES.len();
    let signer = input.one_of(&SIGNERS);
    let speaks_for = SpeaksFor::Pattern("a/*");
    let edge = |role| Edge { role, signer, terminating: false, speaks_for };
    (first..NAMES.len()).map(edge).collect()
}

fn draw_alike(input: &mut Input<'_>) -> Edge {
    // The first bit of the path's digest is 1.
    let role = NAMES.iter().position(|name| name == "s-1").unwrap();
    let speaks_for = SpeaksFor::Prefix(PATH_DIGEST);
    Edge { role, signer: input.one_of(&SIGNERS), terminating: true, speaks_for }
}

impl Role {
    fn edges(&self) -> &[Edge] {
        match &self.delegations {
            Drawn::Nobody => &[],
            Drawn::List(edges) => edges,
            Drawn::Alike(edge) => std::slice::from_ref(edge),
        }
    }

    fn document(&self) -> Value {
        let target = |length| json!({ "length": length, "hashes": { "sha256": Digest::of(b"") } });
        let mut document = json!({
            "_type": "targets",
            "spec_version": "1.0.34",
            "version": 1,
            "expires": "2026-07-01T00:00:00Z",
            "targets": self.target.map_or_else(|| json!({}), |length| json!({ PATH: target(length) })),
        });
        let delegations = match &self.delegations {
            Drawn::Nobody => return document,
            Drawn::List(edges) => {
                json!({ "keys": *KEYS, "roles": edges.iter().map(Edge::document).collect::<Vec<_>>() })
            }
            Drawn::Alike(Edge { signer, .. }) => {
                let mut alike = json!(role(&[*signer], 1));
                alike["bit_length"] = 1.into();
                alike["name_prefix"] = "s".into();
                json!({ "keys": *KEYS, "succinct_roles": alike })
            }
        };
        document["delegations"] = delegations;
        document
    }
}

impl Edge {
    fn document(&self) -> Value {
        let mut document = json!(role(&[self.signer], 1));
        document["name"] = NAMES[self.role].as_str().into();
        document["terminating"] = self.terminating.into();
        let (member, text) = match self.speaks_for {
            SpeaksFor::Pattern(pattern) => ("paths", pattern),
            SpeaksFor::Prefix(prefix) => ("path_hash_prefixes", prefix),
        };
        document[member] = json!([text]);
        document
    }

    fn covers(&self) -> bool {
        match self.speaks_for {
            SpeaksFor::Prefix(prefix) => PATH_DIGEST.starts_with(prefix),
            SpeaksFor::Pattern(pattern) => {
                let (patterns, segments) = (pattern.split('/'), PATH.split('/'));
                patterns.clone().count() == segments.clone().count()
                    && patterns.zip(segments).all(|(one, other)| stands_for(one, other))
            }
        }
    }
}

/// The search as TUF 1.0.34 §5.6.7 has it, as a recursion over the graph.
struct Walk<'a> {
    roles: &'a [Role],
    unlisted: usize,
    asked: BTreeSet<usize>,
}

enum Step {
    End(End),
    /// The role and its own do not list the path.
    GoOn,
    /// As [`Step::GoOn`], and nobody else is asked.
    Stop,
}

impl Walk<'_> {
    fn visit(&mut self, role: &Role, is_top: bool) -> Step {
        if let Some(length) = role.target {
            return Step::End(End::Found(length));
        }
        for edge in role.edges().iter().filter(|edge| edge.covers()) {
            // The server's key signs plans: it does not say what machines install.
            if is_top && NAMES[edge.role] == DIRECTOR {
                continue;
            }
            if self.asked.insert(edge.role) {
                let next = &self.roles[edge.role];
                if self.asked.len() > Limits::DEFAULT.delegations_max
                    || next.signer != edge.signer
                    || edge.role == self.unlisted
                {
                    return Step::End(End::Refused);
                }
                match self.visit(next, false) {
                    Step::GoOn => {}
                    end => return end,
                }
            }
            if edge.terminating {
                return Step::Stop;
            }
        }
        Step::GoOn
    }
}

/// The search as a client does it.
fn search(top: &Role, roles: &[Role], unlisted: usize) -> End {
    let mut repository = repository(&top.document(), unlisted);
    for _ in 0..=Limits::DEFAULT.delegations_max {
        let load = match repository.search(PATH) {
            Ok(Search::Found(target)) => return End::Found(target.length),
            Ok(Search::Absent) => return End::Absent,
            Ok(Search::Load(delegation)) => delegation,
            Err(refusal) => return refused(&refusal),
        };
        let index = NAMES.iter().position(|name| name == load.role()).unwrap();
        let bytes = signed(&roles[index].document(), &[roles[index].signer]);
        if let Err(refusal) = repository.accept(&load, &bytes) {
            return refused(&refusal);
        }
    }
    unreachable!("the search does not end");
}

fn refused(refusal: &Refusal) -> End {
    let message = refusal.to_string();
    assert!(!message.chars().any(char::is_control), "{message:?}");
    End::Refused
}

/// A repository whose snapshot lists every role but one.
fn repository(top: &Value, unlisted: usize) -> TrustedRepository {
    static AWAITING_TARGETS: LazyLock<Vec<TrustedSnapshot>> =
        LazyLock::new(|| (0..=NAMES.len()).map(awaiting_targets).collect());
    let trusted = AWAITING_TARGETS[unlisted.min(NAMES.len())].clone();
    trusted.accept(&signed(top, &[Signer::Targets])).unwrap()
}

fn awaiting_targets(unlisted: usize) -> TrustedSnapshot {
    let listed = NAMES.iter().enumerate().filter(|(index, _)| *index != unlisted);
    let listed = listed.map(|(_, name)| (name.as_str(), 1)).chain([("targets", 1)]);
    TrustedRoot::pin(&first_root(), Limits::DEFAULT)
        .and_then(|trust| trust.settle(now()))
        .and_then(|trust| trust.accept(&timestamp(1, only_version(1))))
        .and_then(|trust| trust.accept(&snapshot(1, &listed.collect::<Vec<_>>())))
        .unwrap()
}

pub(crate) fn seeds() -> Seeds {
    // Two delegations, then a role for each name; see `draw`.
    let cycle = [0x30, 5, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0x20, 6, 0, 0, 0x20, 5, 0, 0];
    let found = [0x20, 5, 1, 1, 0, 0, 0, 0, 0, 0x01];
    let succinct = [0x10, 0, 0, 0, 0, 0x01];
    let prefixes = [0x30, 4, 0x80, 0, 0, 5, 0x81, 0, 1, 0, 0, 0, 0, 0, 0x01];
    let director = [0x20, 0, 1, 0, 0x01];
    let last_word = [0x30, 5, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0x20, 7, 1, 0, 0x01];
    let terminal = [0x20, 1, 0, 0, 0, 0x02];
    vec![
        ("cycle", cycle.to_vec()),
        ("found", found.to_vec()),
        ("succinct", succinct.to_vec()),
        ("prefixes", prefixes.to_vec()),
        ("director", director.to_vec()),
        ("last-word", last_word.to_vec()),
        ("terminal", terminal.to_vec()),
        ("all", vec![0xf0, 0, 0]),
        ("all-but-few", vec![0xf0, 8, 0]),
    ]
}
