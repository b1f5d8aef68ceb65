//! Writes a repository as Mainstay lays one out, with many releases in one channel, and what a
//! server would say of it to a machine. `tests/bench/trust` measures what verifying it costs.
//!
//! ```text
//! trust_repository DIR TARGETS
//! ```
//!
//! | written below DIR | what it is |
//! |---|---|
//! | `before/`, `after/` | the repository without and with one more release, which is two targets |
//! | `enroll.json` | the answer to `/v1/enroll` |
//! | `first.json`, `unchanged.json`, `one-more.json` | the answers to `/v1/check` of a machine that knows nothing, everything, everything but the one more release |
//! | `target` | the path of the manifest of the newest release in `before/` |
//! | `….json.zst` | metadata and answers as a server of Mainstay's sends them to whoever takes zstd |
//! | `sizes.json` | bytes that a machine needs for the one more release, as they are and as they travel |

use std::{
    collections::BTreeMap, env, error::Error, fs, num::NonZeroU64, path::Path, process::ExitCode,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    clock,
    fetch::Coding,
    format::{
        Action, Channel, ChannelName, Digest, Lines, PLAN_FORMAT, Plan, PlanTarget, Platform,
        ProductName, RELEASE_FORMAT, TargetFile, TargetPath, Version,
        wire::{CheckResponse, EnrollResponse},
    },
    tuf::{
        self, DIRECTOR, DelegatedRole, Delegations, FileMeta, Header, Metadata, PathPattern,
        RoleKeys, Root, RootRoles, SigningKey, Snapshot, Target, TargetKind, Targets,
        TargetsCustom,
    },
};
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The shortest document that the server compresses, in bytes.
const COMPRESS_BYTES_MIN: usize = 1024;

fn main() -> ExitCode {
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Outcome<()> {
    let [dir, targets] = arguments else { return Err("expected DIR TARGETS".into()) };
    let (dir, releases) = (Path::new(dir), targets.parse::<u64>()? / 2);
    // Whole seconds, as documents have them: `tough` writes fractions in another way.
    let now = Timestamp::from_second(clock::system()().wall.as_second())?;
    let vendor = Vendor::new(PRODUCT.parse()?, now);
    let before = vendor.repository(releases, 1)?;
    let after = vendor.repository(releases + 1, 2)?;
    before.write(&dir.join("before"))?;
    let written = after.write(&dir.join("after"))?;

    let metadata = before.answered()?;
    let news =
        after.answered()?.into_iter().filter(|(name, text)| metadata.get(name) != Some(text));
    let news: BTreeMap<_, _> = news.filter(|(name, _)| name != "targets.json").collect();
    let update = Action::Update { target: before.newest.clone() };
    let first = CheckResponse { plan: vendor.plan(update, 1)?, metadata };
    let unchanged =
        CheckResponse { plan: vendor.plan(Action::Stay, 2)?, metadata: BTreeMap::new() };
    let update = Action::Update { target: after.newest.clone() };
    let one_more = CheckResponse { plan: vendor.plan(update, 3)?, metadata: news };
    let root = before.text("1.root.json")?;
    let enrolment = EnrollResponse {
        machine: MACHINE.parse()?,
        customer: CUSTOMER.parse()?,
        contract: "acme-1".parse()?,
        token: "token".to_owned(),
        root,
    };
    fs::write(dir.join("enroll.json"), serde_json::to_vec(&enrolment)?)?;
    let mut answers = [("first.json", &first), ("unchanged.json", &unchanged)].into_iter();
    answers.try_for_each(|(name, answer)| write_answer(dir, name, answer).map(drop))?;
    fs::write(dir.join("target"), before.newest.manifest.path.as_str())?;

    let mut sizes = BTreeMap::from([(
        "the answer to /v1/check".to_owned(),
        write_answer(dir, "one-more.json", &one_more)?,
    )]);
    let mut three_files = [0; 2];
    for name in one_more.metadata.keys() {
        let [plain, travelling] = written[after.names[name].as_str()];
        three_files = [three_files[0] + plain, three_files[1] + travelling];
        sizes.insert(name.clone(), [plain, travelling]);
    }
    sizes.insert("the three files".to_owned(), three_files);
    fs::write(dir.join("sizes.json"), serde_json::to_vec(&sizes)?)?;
    Ok(())
}

fn write_answer(dir: &Path, name: &str, answer: &CheckResponse) -> Outcome<[usize; 2]> {
    Ok(write_both(&dir.join(name), &serde_json::to_vec(answer)?)?)
}

/// Writes `bytes`, and beside them how they travel where that is another way. Says how many bytes
/// both are.
fn write_both(path: &Path, bytes: &[u8]) -> std::io::Result<[usize; 2]> {
    fs::write(path, bytes)?;
    if bytes.len() < COMPRESS_BYTES_MIN {
        return Ok([bytes.len(); 2]);
    }
    let compressed = Coding::compress(bytes)?;
    fs::write(path.with_added_extension("zst"), &compressed)?;
    Ok([bytes.len(), compressed.len()])
}

const PRODUCT: &str = "acme-db";
const CUSTOMER: &str = "acme";
const MACHINE: &str = "m-0000000000000001";

/// The vendor and the server, with keys that everybody can have.
struct Vendor {
    product: ProductName,
    now: Timestamp,
    root: SigningKey,
    targets: SigningKey,
    release: SigningKey,
    timestamp: SigningKey,
    snapshot: SigningKey,
    director: SigningKey,
}

/// A repository's files by name, and its newest release in the large channel.
struct Repository {
    files: BTreeMap<String, Vec<u8>>,
    /// The targets whose bytes are served too.
    targets: BTreeMap<String, Vec<u8>>,
    /// The name under which a check brings a file, and the name under which it is served.
    names: BTreeMap<String, String>,
    newest: PlanTarget,
}

impl Repository {
    fn text(&self, name: &str) -> Outcome<String> {
        let bytes = self.files.get(name).ok_or("a file that was not written")?;
        Ok(String::from_utf8(bytes.clone())?)
    }

    /// The metadata as a check brings it to a machine that has the root.
    fn answered(&self) -> Outcome<BTreeMap<String, String>> {
        self.names.iter().map(|(name, file)| Ok((name.clone(), self.text(file)?))).collect()
    }

    /// Writes the files, and says how many bytes each metadata file is and travels as.
    fn write(&self, dir: &Path) -> Outcome<BTreeMap<&str, [usize; 2]>> {
        for (name, bytes) in &self.targets {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap_or(dir))?;
            fs::write(path, bytes)?;
        }
        let written = self
            .files
            .iter()
            .map(|(name, bytes)| Ok((name.as_str(), write_both(&dir.join(name), bytes)?)));
        written.collect()
    }
}

impl Vendor {
    fn new(product: ProductName, now: Timestamp) -> Self {
        let key = |seed| SigningKey::from_seed(&[seed; 32]);
        let [root, targets, release] = [key(1), key(2), key(3)];
        let [timestamp, snapshot, director] = [key(4), key(5), key(6)];
        Self { product, now, root, targets, release, timestamp, snapshot, director }
    }

    fn header<M: Metadata>(&self, version: NonZeroU64, days: i64) -> Header {
        let expires = self.now + SignedDuration::from_hours(24 * days);
        Header::of::<M>(self.product.clone(), version, expires)
    }

    /// The repository at its `revision`-th publish, with `releases` patch releases.
    fn repository(&self, releases: u64, revision: u64) -> Outcome<Repository> {
        let revision = NonZeroU64::new(revision).ok_or("a revision is 1 or more")?;
        let first = NonZeroU64::MIN;
        let mut files = BTreeMap::new();
        let mut names = BTreeMap::new();
        let mut meta = BTreeMap::new();
        let mut put = |role: &str, version: NonZeroU64, bytes: Vec<u8>| {
            let file = format!("{version}.{role}.json");
            meta.insert(format!("{role}.json"), FileMeta::of(version, &bytes));
            names.insert(format!("{role}.json"), file.clone());
            files.insert(file, bytes);
        };
        put("targets", first, tuf::sign(&self.top_level(), &[&self.targets])?);
        let mut targets = BTreeMap::new();
        let mut newest = None;
        for channel in Channel::ALL {
            let is_large = channel == Channel::Bugfix;
            let (count, version) = if is_large { (releases, revision) } else { (1, first) };
            let mut listed = BTreeMap::new();
            for number in 1..=count {
                let release = add_release(channel, number, &mut listed, &mut targets)?;
                newest = if is_large { Some(release) } else { newest };
            }
            let header = self.header::<Targets>(version, 90);
            let role =
                Targets { header, targets: listed, delegations: None, lines: Lines::default() };
            put(&channel.to_string(), version, tuf::sign(&role, &[&self.release])?);
        }
        let header = self.header::<Targets>(revision, 7);
        let director = Targets {
            header,
            targets: BTreeMap::new(),
            delegations: None,
            lines: Lines::default(),
        };
        put(DIRECTOR, revision, tuf::sign(&director, &[&self.director])?);
        // A check does not bring it.
        names.remove(&format!("{DIRECTOR}.json"));

        let snapshot = Snapshot { header: self.header::<Snapshot>(revision, 7), meta };
        let snapshot = tuf::sign(&snapshot, &[&self.snapshot])?;
        let timestamp = tuf::Timestamp {
            header: self.header::<tuf::Timestamp>(revision, 1),
            meta: BTreeMap::from([(
                tuf::Timestamp::SNAPSHOT.to_owned(),
                FileMeta::of(revision, &snapshot),
            )]),
        };
        names.insert("snapshot.json".to_owned(), format!("{revision}.snapshot.json"));
        names.insert("timestamp.json".to_owned(), "timestamp.json".to_owned());
        files.insert(format!("{revision}.snapshot.json"), snapshot);
        files.insert("timestamp.json".to_owned(), tuf::sign(&timestamp, &[&self.timestamp])?);
        files.insert("1.root.json".to_owned(), tuf::sign(&self.first_root(), &[&self.root])?);
        Ok(Repository { files, targets, names, newest: newest.ok_or("no release")? })
    }

    fn first_root(&self) -> Root {
        let keys = [&self.root, &self.targets, &self.timestamp, &self.snapshot];
        let [root, targets, timestamp, snapshot] =
            keys.map(|key| RoleKeys::any_of([&key.public()]));
        Root {
            header: self.header::<Root>(NonZeroU64::MIN, 365),
            consistent_snapshot: true,
            keys: keys.map(SigningKey::public).map(|key| (key.id(), key)).into(),
            roles: RootRoles { root, timestamp, snapshot, targets },
        }
    }

    fn top_level(&self) -> Targets {
        let keys = [self.release.public(), self.director.public()];
        let role = |name: String, key, path: String| DelegatedRole {
            name,
            keys: RoleKeys::any_of([key]),
            terminating: true,
            paths: PathPattern::try_from(path).into_iter().collect::<Vec<_>>().into(),
        };
        let [release, director] = &keys;
        let mut roles: Vec<_> = Channel::ALL
            .iter()
            .map(|channel| role(channel.to_string(), release, format!("{channel}/*/*")))
            .collect();
        roles.push(role(DIRECTOR.to_owned(), director, DIRECTOR.to_owned()));
        Targets {
            header: self.header::<Targets>(NonZeroU64::MIN, 365),
            targets: BTreeMap::new(),
            delegations: Some(Delegations {
                keys: keys.map(|key| (key.id(), key)).into(),
                roles,
                succinct_roles: None,
            }),
            lines: Lines::default(),
        }
    }

    fn plan(&self, action: Action, version: u64) -> Outcome<String> {
        let plan = Plan {
            kind: Plan::KIND.to_owned(),
            format: PLAN_FORMAT,
            version,
            product: self.product.clone(),
            customer: CUSTOMER.parse()?,
            machine: MACHINE.parse()?,
            issued: self.now,
            expires: self.now + SignedDuration::from_hours(24 * 7),
            action,
            withheld: Vec::new(),
            notices: Vec::new(),
            retry: None,
            collect: None,
            poll_seconds: 900,
        };
        Ok(String::from_utf8(tuf::sign(&plan, &[&self.director])?)?)
    }
}

/// Lists manifest and artifact of the `number`-th release of a channel. The manifests' bytes go into
/// `served`; nobody fetches the artifacts.
fn add_release(
    channel: Channel,
    number: u64,
    listed: &mut BTreeMap<String, Target>,
    served: &mut BTreeMap<String, Vec<u8>>,
) -> Outcome<PlanTarget> {
    let version: Version = match channel {
        Channel::Major => "1.0.0".parse()?,
        Channel::Feature => "1.1.0".parse()?,
        Channel::Security => "1.1.1".parse()?,
        Channel::Bugfix => format!("1.0.{number}").parse()?,
    };
    let name = ChannelName::from(channel);
    let platform = Platform::of_this_program();
    let packed = TargetPath::artifact(&name, &version, &platform);
    let (length, digest) = (5_000_000 + number * 7919, Digest::of(packed.as_str().as_bytes()));
    let manifest = serde_json::to_vec(&json!({
        "format": RELEASE_FORMAT, "product": PRODUCT, "version": version, "channel": channel,
        "severity": "minor", "published_at": "2026-01-01T00:00:00Z",
        "effective_at": "2026-01-01T00:00:00Z", "advisories": [], "notes": "What is new.",
        "artifacts": { (platform.to_string()): {
            "length": length, "sha256": digest, "window_log": 21,
            "payload_length": 3 * length, "payload_sha256": digest,
        } },
    }))?;
    let mut list = |path: TargetPath, length: u64, sha256: Digest, kind: TargetKind| {
        let custom = TargetsCustom { kind, version: version.clone() };
        listed.insert(path.as_str().to_owned(), Target::new(length, sha256, &custom)?);
        Ok::<_, serde_json::Error>(TargetFile { path, length, sha256 })
    };
    let path = format!("{name}/{version}/release.json").parse()?;
    let sha256 = Digest::of(&manifest);
    let kind = TargetKind::Release { floor: None };
    let described = list(path, manifest.len() as u64, sha256, kind)?;
    served.insert(format!("targets/{}", described.path.consistent(&sha256)), manifest);
    let artifact = list(packed, length, digest, TargetKind::Artifact { platform })?;
    Ok(PlanTarget { version, channel: name, manifest: described, artifact, deltas: Vec::new() })
}
