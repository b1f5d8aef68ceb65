//! Agents that are killed again and again, full and read-only disks, checks that are killed.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    disk::Mounted,
    fleet::{
        assert_runs, at_the_first_release, beside, contents, customer, data, enroll, noise,
        publish, publish_checked, tree, write_data,
    },
    harness::{Machine, PRODUCT, Server, write},
};

/// How often an agent is killed.
const KILLS: u32 = 300;

/// Numbers that look like any, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// A machine that goes up and down between two versions, each with data of its own.
struct Victim {
    server: Server,
    machine: Machine,
    key: String,
    trees: [Tree; 2],
}

impl Victim {
    fn new() -> Self {
        let server = Server::with_product();
        server.publish("1.0.0", "major", &[]);
        let key = customer(&server, "standard");
        let machine = server.machine(&key);
        machine.agent(&["update"]).succeeds();
        write_data(&machine, "old");
        let check = "printf new > \"$MAINSTAY_DATA/notes\"";
        let tree = tree(&server, "1.0.1", check, "");
        fs::write(tree.join("large"), noise(2 << 20)).unwrap();
        for number in 0..60 {
            write(&tree.join(format!("many/{number}")), 0o644, "one of many");
        }
        publish(&server, "1.0.1", "bugfix", &tree, &["--level", "1"]);
        let trees = ["1.0.0", "1.0.1"].map(|version| contents(&server.path("trees").join(version)));
        Self { server, machine, key, trees }
    }

    /// Which of the two versions is seen, whole.
    fn seen(&self, case: &str) -> &'static str {
        let found = contents(&self.machine.root().join("current/"));
        let version = ["1.0.0", "1.0.1"].into_iter().zip(&self.trees);
        let version = version.into_iter().find(|(_, tree)| **tree == found);
        version.unwrap_or_else(|| panic!("{case}: neither version is whole")).0
    }

    /// Expects what is seen, what the agent says and the data to belong together.
    fn expect_whole(&self, case: &str) -> &'static str {
        self.seen(case);
        let (exit, recovered) = self.machine.agent_json(&["--lock-wait", "60", "recover"]);
        assert_eq!(exit, 0, "{case}: {recovered}");
        let seen = self.seen(case);
        assert_eq!(recovered["version_from"], seen, "{case}");
        let expected = if seen == "1.0.0" { "old" } else { "new" };
        assert_eq!(data(&self.machine).as_deref(), Some(expected), "{case}: {seen}");
        seen
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.machine.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Lets the server and the machine forget what they hold against 1.0.1.
    fn forgive(&self) {
        let status = self.machine.agent_json(&["status"]).1;
        if status["status"]["blocked"] != serde_json::json!([]) {
            self.machine.agent(&["unblock", "1.0.1"]).succeeds();
        }
    }

    /// The words that enrol the machine again.
    fn enrolling(&self) -> Vec<&str> {
        let words = ["enroll", "--server", self.server.url(), "--product", PRODUCT];
        let key = ["--activation-key", self.key.as_str(), "--host", "test-host"];
        [&words[..], &key].concat()
    }
}

/// Kills commands of an agent at random instants of what they take, until so many were killed.
fn kill_again_and_again(kills: u32, seed: u64) {
    let victim = Victim::new();
    let enroll = victim.enrolling();
    let mut dice = Dice(seed);
    let begun = Instant::now();
    victim.machine.agent(&["update"]).succeeds();
    // How long each command is given at the most. It adapts itself, so that most are killed.
    let mut usual = BTreeMap::from(
        ["update", "rollback", "check", "recover", "enroll"].map(|word| (word, begun.elapsed())),
    );
    let mut ended = BTreeMap::<_, u32>::new();
    let mut killed = 0;
    while killed < kills {
        victim.forgive();
        let before = victim.seen("before");
        let words: &[&str] = match dice.below(10) {
            0 => &["check"],
            1 => &["recover"],
            2 => &enroll,
            _ if before == "1.0.0" => &["update"],
            _ => &["rollback"],
        };
        let most = usual.get_mut(words[0]).unwrap();
        let time = *most * u32::try_from(dice.below(1000)).unwrap() / 1000;
        let case = format!(
            "after {killed} kills of {kills} (seed {seed}): {words:?} from {before}, {time:?}"
        );
        let mut agent = victim.command(words).spawn().unwrap();
        std::thread::sleep(time);
        agent.kill().unwrap();
        let was_killed = agent.wait().unwrap().code().is_none();
        *most = if was_killed { *most * 21 / 20 } else { *most * 4 / 5 };
        killed += u32::from(was_killed);
        let after = victim.expect_whole(&case);
        *ended.entry((words[0].to_owned(), was_killed, before != after)).or_default() += 1;
        if words[0] == "enroll" {
            // The server may have made another token that never arrived.
            victim.machine.agent(&enroll).succeeds();
        }
    }
    victim.forgive();
    println!("command, whether it was killed, whether the version changed: {ended:?}");
    let killed_in_update = ended.get(&("update".to_owned(), true, false)).copied().unwrap_or(0);
    assert!(killed_in_update > 0, "none was killed during an update: {ended:?}");
    // After all that, it does what it did at first.
    if victim.seen("at the end") == "1.0.1" {
        victim.machine.agent(&["rollback"]).succeeds();
        victim.forgive();
    }
    victim.machine.agent(&["update"]).succeeds();
    assert_runs(&victim.server, &victim.machine, "1.0.1");
    victim.machine.agent(&["verify"]).succeeds();
}

#[test]
fn an_agent_that_is_killed_hundreds_of_times_leaves_one_version_whole() {
    kill_again_and_again(KILLS, 0x6d61_696e);
}

#[test]
fn a_check_that_somebody_kills_is_a_failure() {
    let (server, machine) = at_the_first_release("standard");
    publish_checked(&server, "1.0.1", "kill -KILL $$");
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!(exit, 14);
    assert!(update["message"].as_str().unwrap().contains("SIGKILL"), "{update}");
    assert_runs(&server, &machine, "1.0.0");
}

/// A machine on a disk of its own that runs 1.0.0, and 1.0.1 to be had.
fn on_a_small_disk() -> Option<(Server, Machine, Mounted)> {
    let machine = Machine::bare();
    let disk = Mounted::at(machine.root(), 64 << 20)?;
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    enroll(&machine, server.url(), &customer(&server, "standard"), &[]).succeeds();
    machine.agent(&["update"]).succeeds();
    write_data(&machine, "old");
    fs::write(machine.root().join("data/rows"), noise(1 << 20)).unwrap();
    let tree = tree(&server, "1.0.1", "printf new > \"$MAINSTAY_DATA/notes\"", "");
    fs::write(tree.join("large"), noise(4 << 20)).unwrap();
    publish(&server, "1.0.1", "bugfix", &tree, &["--level", "1"]);
    Some((server, machine, disk))
}

#[test]
fn a_full_disk_stops_an_update_wherever_it_becomes_full_and_leaves_what_runs() {
    let Some((server, machine, disk)) = on_a_small_disk() else { return };
    disk.fill(16 << 10);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["missing"][0]["what"]), (18, &"space".into()), "{update}");
    disk.empty();

    // What is there before the update is looked at first, so here the disk fills after that look.
    let settings = machine.root().join(".mainstay/agent.toml");
    let unfilled = fs::read_to_string(&settings).unwrap();
    let script = beside(&machine, "fill");
    write(
        &script,
        0o755,
        "#!/bin/sh\n\
         free=$(df --output=avail -B1 \"$2\" | tail -n 1)\n\
         head -c $((free - $1)) /dev/zero > \"$2/filler\" || exit 0\n",
    );
    for kib in [0, 4, 16, 64, 512, 3 << 10, 5 << 10, 12 << 10, 19 << 10] {
        let command = [script.display().to_string(), (kib << 10).to_string()];
        let command = [&command[..], &[machine.root().display().to_string()]].concat();
        fs::write(&settings, format!("{unfilled}\n[preflight]\ncommand = {command:?}\n")).unwrap();
        let (exit, update) = machine.agent_json(&["update"]);
        let case = format!("{kib} KiB free: {update}");
        assert_eq!(exit, 35, "{case}");
        assert_runs(&server, &machine, "1.0.0");
        assert_eq!(data(&machine).as_deref(), Some("old"), "{case}");
        machine.agent(&["status"]).succeeds();
        disk.empty();
        // The space that it had taken by then is not lost.
        machine.agent(&["recover"]).succeeds();
    }
    fs::write(&settings, unfilled).unwrap();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(data(&machine).as_deref(), Some("new"));
}

#[test]
fn a_release_that_fills_the_disk_is_undone_once_there_is_space() {
    let Some((server, machine, disk)) = on_a_small_disk() else { return };
    let fills = "echo spoiled > \"$MAINSTAY_DATA/notes\"\n\
                 cat /dev/zero > \"$MAINSTAY_ROOT/filler\" 2> /dev/null\n\
                 exit 1";
    publish_checked(&server, "1.0.2", fills);
    for command in ["update", "recover", "recover"] {
        let (exit, document) = machine.agent_json(&[command]);
        assert_eq!(exit, 35, "{command}: {document}");
        assert!(document["message"].as_str().unwrap().contains("space"), "{document}");
        machine.agent(&["status"]).succeeds();
    }
    disk.empty();
    machine.agent(&["recover"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("old"));
}

#[test]
fn a_disk_that_became_read_only_changes_nothing_and_can_be_looked_at() {
    let Some((server, machine, disk)) = on_a_small_disk() else { return };
    disk.remount("ro");
    for command in ["update", "recover", "rollback"] {
        let (exit, document) = machine.agent_json(&[command]);
        assert_eq!(exit, 35, "{command}: {document}");
    }
    let (exit, status) = machine.agent_json(&["status"]);
    assert_eq!((exit, &status["status"]["running"]), (0, &"1.0.0".into()));
    assert_runs(&server, &machine, "1.0.0");
    disk.remount("rw");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}
