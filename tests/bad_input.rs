//! What people type wrongly, and storage that cannot do what is asked: each is told what is wrong
//! with what and what to do next, with the right exit code, and changes nothing.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]
#![expect(clippy::expect_used, reason = "a helper of tests may fail loudly")]
#![allow(dead_code, reason = "what tests share is not used whole by each of them")]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/skip.rs"]
mod skip;
#[path = "support/xml.rs"]
mod xml;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use machine::{HTTPS, Machine, err, out};
use xe::heartbeat::Key;
use xe::xhad::statefile;
use xml::Element;

/// Figures that hosts report by themselves while a test runs.
const REPORTED: [&str; 3] = ["last_updated", "live", "memory_free"];

fn without_reports(mut element: Element) -> Element {
    element.attributes.retain(|(name, _)| !REPORTED.contains(&name.as_str()));
    element.children = element.children.into_iter().map(without_reports).collect();
    element
}

/// The whole database, the number of its last record with it.
fn database(machine: &Machine) -> Element {
    let file = machine.dir.join("dump.xml");
    let _ = std::fs::remove_file(&file);
    machine.done(&["pool-dump-database", &format!("file-name={}", file.display())]);
    without_reports(xml::parse(&std::fs::read_to_string(&file).unwrap()))
}

/// Runs a command that must be refused: exit code 1, nothing on stdout, each of `told` on stderr,
/// and the same database as before.
#[track_caller]
fn refused(machine: &Machine, words: &[&str], told: &[&str]) -> String {
    let before = database(machine);
    let done = machine.xe(words);
    let text = err(&done).to_owned();
    assert_eq!((out(&done), done.status.code()), ("", Some(1)), "{words:?}: {text}");
    for part in told {
        assert!(text.contains(part), "{words:?}: {part:?} is not told: {text}");
    }
    assert_eq!(xml::differences(&before, &database(machine)), [""; 0], "{words:?}");
    text
}

fn xe(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
    command.env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
    command.args(words).output().unwrap()
}

#[test]
fn commands_and_parameters_that_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::new(dir.path(), "wrong", "127.0.40.101");
    let host = machine.done(&["host-list", "--minimal"]);
    let host_uuid = format!("uuid={host}");

    refused(&machine, &["fly"], &["Unknown command: fly\n", "xe help"]);
    let usage = ["Required parameter not found: uuid\n", "xe help"];
    refused(&machine, &["vm-param-set", "name-label=x"], &usage);
    refused(&machine, &["host-param-set", &host_uuid, "colour=red"], &["colour"]);
    let read_only = ["host-param-set", &host_uuid, "hostname=other"];
    refused(&machine, &read_only, &["hostname"]);
    refused(&machine, &["host-param-get", &host_uuid, "param-name=colour"], &["colour"]);
    refused(&machine, &["host-param-get", "uuid=nonsense", "param-name=name-label"], &["nonsense"]);
    refused(&machine, &["vm-param-list", "uuid=nonsense"], &["nonsense"]);
    refused(&machine, &["vm-start", "uuid=nonsense"], &["Error: No matching VMs found\n"]);
    refused(&machine, &["vm-start", "vm=nobody"], &["Error: No matching VMs found\n"]);
    refused(
        &machine,
        &["vm-install", "template=nobody", "new-name-label=x"],
        &["No templates matched"],
    );
    refused(&machine, &["pool-join", "master-address=127.0.40.101"], &["master-username"]);
    refused(&machine, &["pool-eject", "host-uuid=nonsense"], &["nonsense"]);
    refused(&machine, &["message-create", "name=x"], &["Required parameter not found: "]);
    refused(&machine, &["sr-create", "type=magic", "name-label=x"], &["magic"]);
    refused(&machine, &["pool-dump-database"], &["Required parameter not found: file-name\n"]);
    let nothing = ["pool-restore-database", "file-name=/nonexistent", "--force"];
    refused(&machine, &nothing, &["/nonexistent"]);
    refused(&machine, &["pool-ha-disable"], &["HA is not on."]);
    refused(&machine, &["pool-designate-new-master", "host-uuid=nonsense"], &["nonsense"]);
    refused(&machine, &["host-evacuate", "uuid=nonsense"], &["No matching hosts found"]);
    let many = ["vm-param-set", &host_uuid, "ha-restart-priority=always"];
    refused(&machine, &many, &[&host]);

    // A word that the command does not know is told; what it can do it does.
    let done = machine.xe(&["host-list", "--minimal", "colour=red"]);
    assert!(err(&done).contains("colour"), "{}", err(&done));
    let done = machine.xe(&["vm-list"]);
    assert_eq!((err(&done), done.status.code()), ("", Some(0)));

    let port = HTTPS.to_string();
    let remote = ["-s", "127.0.40.101", "-p", &port, "-u", "root", "-pw", "wrong", "vm-list"];
    let done = xe(&remote);
    assert_eq!(err(&done), "Authentication failed\nFor usage run: 'xe help'\n");
    assert_eq!((out(&done), done.status.code()), ("", Some(1)));

    let whole = machine.dir.join("dump.xml");
    let text = std::fs::read_to_string(&whole).unwrap();
    let half = machine.dir.join("half.xml");
    std::fs::write(&half, &text[..text.len() / 2]).unwrap();
    let file = format!("file-name={}", half.display());
    refused(&machine, &["pool-restore-database", &file, "dry-run=true"], &["line "]);
    refused(&machine, &["pool-restore-database", &file, "--force"], &["line "]);

    machine.kill();
    let done = machine.xe(&["vm-list"]);
    // The first line is the peer's; scripts read no more, people at a terminal do.
    assert_eq!(err(&done), "Error: Connection refused (calling connect )\n");
    assert_eq!((out(&done), done.status.code()), ("", Some(1)));
    on_a_terminal(&machine);
}

/// The same on a terminal, made by `script` where that is installed.
fn on_a_terminal(machine: &Machine) {
    let xe = env!("CARGO_BIN_EXE_xe");
    let line = format!("{xe} --state-dir {} vm-list", machine.dir.display());
    let mut command = Command::new("script");
    let script = command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output();
    let Ok(done) = script else {
        skip::skipped("there is no script(1)");
        return;
    };
    let lines: Vec<&str> = out(&done).lines().map(str::trim_end).collect();
    assert_eq!(lines[0], "Error: Connection refused (calling connect )");
    assert!(lines[1].contains("systemctl start xe-agent") && lines[1].contains("-s"), "{lines:?}");
}

#[test]
fn no_command_shows_the_usage() {
    let done = xe(&[]);
    assert!(err(&done).starts_with("Usage: xe <command>"), "{}", err(&done));
    assert_eq!((out(&done), done.status.code()), ("", Some(0)));
    let done = xe(&["--database", "/nonexistent/x.xml", "vm-list"]);
    assert_eq!((out(&done), done.status.code()), ("", Some(1)));
    assert!(err(&done).contains("/nonexistent/x.xml"));
}

/// Makes a `file` SR in a directory; gives its uuid.
fn make_sr(machine: &Machine, name: &str, directory: &Path, shared: bool) -> String {
    std::fs::create_dir_all(directory).unwrap();
    let host = machine.done(&["host-list", &format!("address={}", machine.address), "--minimal"]);
    machine.done(&[
        "sr-create",
        &format!("name-label={name}"),
        "type=file",
        &format!("shared={shared}"),
        &format!("host-uuid={host}"),
        &format!("device-config:location={}", directory.display()),
    ])
}

#[test]
fn storage_that_cannot_hold_a_statefile() {
    let dir = tempfile::tempdir().unwrap();
    let one = Machine::new(dir.path(), "anna", "127.0.40.102");
    let two = Machine::new(dir.path(), "bert", "127.0.40.103");
    two.join(&one);
    let enable = |sr: &str| format!("heartbeat-sr-uuids={sr}");

    refused(&one, &["pool-ha-enable", "heartbeat-sr-uuids=nonsense"], &["nonsense"]);
    refused(&one, &["pool-ha-enable"], &["xe sr-create"]);
    let local = make_sr(&one, "local", &dir.path().join("local"), false);
    let told = [local.as_str(), "local"];
    refused(&one, &["pool-ha-enable", &enable(&local)], &told);

    let shared = make_sr(&one, "shared", &dir.path().join("shared"), true);
    for timeout in ["1", "soon", "-5", ""] {
        let config = format!("ha-config:timeout={timeout}");
        refused(&one, &["pool-ha-enable", &enable(&shared), &config], &["timeout"]);
    }
    let bert = one.done(&["host-list", "name-label=bert", "--minimal"]);
    let words = [format!("sr-uuid={shared}"), format!("host-uuid={bert}")];
    let pbd = one.done(&["pbd-list", &words[0], &words[1], "--minimal"]);
    one.done(&["pbd-unplug", &format!("uuid={pbd}")]);
    let told = [shared.as_str(), bert.as_str(), "bert", "xe pbd-plug"];
    refused(&one, &["pool-ha-enable", &enable(&shared)], &told);
    one.done(&["pbd-plug", &format!("uuid={pbd}")]);

    let bert_uuid = format!("uuid={bert}");
    one.done(&["host-disable", &bert_uuid]);
    refused(&one, &["pool-ha-enable", &enable(&shared)], &[&bert, "bert"]);
    one.done(&["host-enable", &bert_uuid]);
    too_small(&one, &dir.path().join("small"));
}

/// A tmpfs of 16 MiB, taken away at the end.
struct Tmpfs<'a>(&'a Path);

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

fn too_small(machine: &Machine, place: &Path) {
    std::fs::create_dir_all(place).unwrap();
    let mount = ["-t", "tmpfs", "-o", "size=16m", "tmpfs"];
    let mounted = Command::new("mount").args(mount).arg(place).stderr(Stdio::null()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        skip::skipped("a tmpfs cannot be mounted here");
        return;
    }
    let _mounted = Tmpfs(place);
    let small = make_sr(machine, "small", place, true);
    let enable = format!("heartbeat-sr-uuids={small}");
    refused(machine, &["pool-ha-enable", &enable], &[&small, "small", "272629760"]);
}

#[test]
fn a_statefile_of_another_pool_is_left_alone_while_it_beats() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::new(dir.path(), "solo", "127.0.40.104");
    let place = dir.path().join("shared");
    let sr = make_sr(&machine, "shared", &place, true);
    let foreign = place.join(format!("{}.heartbeat", uuid::Uuid::new_v4()));
    std::fs::File::create(&foreign).unwrap().set_len(4 << 20).unwrap();
    let hosts: Vec<uuid::Uuid> = (0..3).map(|_| uuid::Uuid::new_v4()).collect();
    let key = Key::from_hex(&"7b".repeat(32)).unwrap();
    statefile::prepare(&foreign, uuid::Uuid::new_v4(), &key, &hosts).unwrap();

    let ended = AtomicBool::new(false);
    let enable = format!("heartbeat-sr-uuids={sr}");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::os::unix::fs::FileExt;
            let file = std::fs::OpenOptions::new().write(true).open(&foreign).unwrap();
            let mut beat = 0_u64;
            while !ended.load(Ordering::Relaxed) {
                beat += 1;
                file.write_all_at(&beat.to_le_bytes(), 3 << 20).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let done = machine.xe(&["pool-ha-enable", &enable]);
        ended.store(true, Ordering::Relaxed);
        let text = err(&done);
        assert_eq!((out(&done), done.status.code()), ("", Some(1)), "{text}");
        assert!(text.contains(foreign.to_str().unwrap()) && text.contains("another"), "{text}");
    });
    assert!(statefile::generation(&foreign).is_ok(), "it is still a statefile");
    assert_eq!(machine.done(&["pool-list", "params=ha-enabled", "--minimal"]), "false");
}
