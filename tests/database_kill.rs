//! A journal under `kill -9`: what was acknowledged is there, nothing is half; and what agents do
//! with journals that are damaged.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]
#![allow(dead_code, reason = "what tests share is not used whole by each of them")]

#[path = "support/machine.rs"]
mod machine;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use machine::{Machine, err, out, wait_for};
use xe::agent::replica::LocalJournal;
use xe::agent::store::Store;
use xe::pool::Database;
use xe::pool::journal::JournalError;
use xe::xenapi::Value;

/// Tells a child which journal to write.
const CHILD: &str = "XE_TEST_JOURNAL";
/// How many commits a child makes when nobody kills it.
const COMMITS: i64 = 1000;
/// How many rows are kept: the oldest goes when a new one comes.
const KEPT: i64 = 32;

fn open(path: &Path) -> Store {
    let opened = LocalJournal::open(path).unwrap();
    assert_eq!(opened.journal.damage(), None);
    let (database, position) = (opened.replayed.database, opened.replayed.position);
    let store = Store::new(database, position, Some(opened.journal), "boot");
    store.set_lease(Some(Box::new(|| Ok(1))));
    store
}

fn counter(database: &Database) -> i64 {
    database.int("VM", "counter", "order")
}

/// One commit of several changes that belong together.
fn commit(store: &Store, number: i64) {
    store
        .commit(|tx| {
            if number == 1 {
                tx.create("VM", "counter", [("name_label", Value::from("counter"))]);
            }
            tx.set("VM", "counter", "order", number);
            let name = Value::from(format!("number {number}"));
            tx.create("VM", &format!("row {number}"), [("name_label", name)]);
            if number > KEPT {
                tx.delete("VM", &format!("row {}", number - KEPT));
            }
            tx.set("VM", "counter", "name_label", format!("counted to {number}"));
            Ok(())
        })
        .unwrap();
}

/// Not a test: the child that is killed. It says each number when its commit has returned, and puts
/// a snapshot in place of its journal now and then.
#[test]
fn the_writing_child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let path = Path::new(&path);
    let mut store = open(path);
    let first = counter(&store.read()) + 1;
    let mut say = std::io::stdout();
    for number in first..first + COMMITS {
        commit(&store, number);
        say.write_all(format!("\nack {number}\n").as_bytes()).unwrap();
        if number % 150 == 0 {
            drop(store);
            let mut opened = LocalJournal::open(path).unwrap();
            opened.journal.shorten(&opened.replayed.database, &opened.replayed.position);
            store = open(path);
        }
    }
}

fn random(below: u64) -> u64 {
    u64::from_be_bytes(uuid::Uuid::new_v4().as_bytes()[..8].try_into().unwrap()) % below
}

/// Starts a child, kills it after some commits, and gives the last number that it acknowledged.
fn write_and_kill(path: &Path) -> Option<i64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_writing_child", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: &str| line.strip_prefix("ack ").map(|number| number.parse().unwrap());
    let wanted = random(COMMITS as u64);
    let mut last = None;
    for _ in 0..wanted {
        // Every number has an empty line before it.
        let (Some(Ok(_)), Some(Ok(line))) = (lines.next(), lines.next()) else { break };
        last = number(&line).or(last);
    }
    std::thread::sleep(Duration::from_micros(random(3000)));
    child.kill().unwrap();
    child.wait().unwrap();
    // What was said before the end is in the pipe still; the last line may be cut.
    for line in lines.map_while(Result::ok) {
        last = number(&line).or(last);
    }
    last
}

#[test]
fn fifty_kills_in_a_thousand_commits_lose_nothing_that_was_acknowledged() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.journal");
    let mut before = 0;
    let mut torn = 0;
    for round in 0..50 {
        let acknowledged = write_and_kill(&path).unwrap_or(before);
        let bytes = std::fs::read(&path).unwrap_or_default();
        let opened = LocalJournal::open(&path).unwrap();
        assert_eq!(opened.journal.damage(), None, "round {round}");
        torn += usize::from(opened.replayed.length < bytes.len());
        let (database, position) = (&opened.replayed.database, opened.replayed.position);
        let last = counter(database);
        // The one commit that was under way may be there or not.
        assert!((acknowledged..=acknowledged + 1).contains(&last), "{acknowledged}, then {last}");
        assert_eq!(position.generation as i64, last, "one generation for each commit");
        let first = (last - KEPT + 1).max(1);
        let mut there = vec!["counter".to_owned()];
        there.extend((first..=last).map(|number| format!("row {number}")));
        there.sort();
        let rows: Vec<&String> = database.table("VM").keys().collect();
        assert!(last == 0 || there.iter().eq(rows), "round {round}: {last}");
        if last > 0 {
            assert_eq!(database.text("VM", "counter", "name_label"), format!("counted to {last}"));
            let name = database.text("VM", &format!("row {last}"), "name_label");
            assert_eq!(name, format!("number {last}"));
        }
        before = last;
    }
    assert!(before > 1000, "the children wrote {before} records");
    println!("50 kills, {before} commits, {torn} torn tails");
}

#[test]
fn a_journal_does_not_grow_for_ever_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db.journal");
    let store = open(&path);
    let length = || std::fs::metadata(&path).unwrap().len();
    let text = "a row may be long ".repeat(40_000);
    let (mut written, mut longest) = (0_u64, 0);
    store
        .commit(|tx| {
            tx.create("VM", "v", [("order", Value::Int(0))]);
            Ok(())
        })
        .unwrap();
    for number in 0..30 {
        let name = format!("{number} {text}");
        written += name.len() as u64;
        store
            .commit(|tx| {
                tx.set("VM", "v", "name_label", name);
                Ok(())
            })
            .unwrap();
        longest = longest.max(length());
    }
    assert!(written > 20 << 20 && longest > 15 << 20 && longest < 18 << 20, "{longest}");
    assert!(length() < 10 << 20, "{}", length());
    let again = open(&path);
    assert_eq!((again.position(), again.read()), (store.position(), store.read()));
}

/// Flips a byte in the payload of the record that holds the middle of a journal; gives the offset
/// at which that record begins.
fn damage(journal: &Path) -> usize {
    let mut bytes = std::fs::read(journal).unwrap();
    let begins: Vec<usize> =
        (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"xej1")).collect();
    assert!(begins.len() >= 4, "a journal of several records");
    let at = begins[begins.len() / 2];
    bytes[at + 60] ^= 4;
    std::fs::write(journal, &bytes).unwrap();
    at
}

fn renamed(machine: &Machine, rounds: usize) {
    let host = machine.done(&["host-list", &format!("address={}", machine.address), "--minimal"]);
    for round in 0..rounds {
        let name = format!("name-description=round {round}");
        machine.done(&["host-param-set", &format!("uuid={host}"), &name]);
    }
}

#[test]
fn a_master_with_a_damaged_journal_refuses_and_names_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::new(dir.path(), "m", "127.0.40.201");
    renamed(&machine, 6);
    machine.kill();
    let journal = machine.dir.join("db.journal");
    let at = damage(&journal);
    let bytes = std::fs::read(&journal).unwrap();
    machine.start();
    let place = format!("damaged at byte {at}");
    let done = machine.xe(&["vm-list"]);
    assert_eq!((out(&done), done.status.code()), ("", Some(1)));
    assert!(err(&done).contains(&place) && machine.log().contains(&place), "{}", err(&done));
    let next = err(&done).lines().next().unwrap();
    assert!(next.contains("xe pool-emergency-reset-master"), "{next}");
    // Nor when an operator says that the old master is gone.
    let done = machine.xe(&["pool-emergency-transition-to-master"]);
    assert_eq!(done.status.code(), Some(1), "{}", out(&done));
    assert!(err(&done).contains(&place), "{}", err(&done));
    assert_eq!(std::fs::read(&journal).unwrap(), bytes, "the journal is left for a person");
}

#[test]
fn a_torn_tail_is_cut_with_a_line_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::new(dir.path(), "t", "127.0.40.202");
    renamed(&machine, 2);
    machine.kill();
    let journal = machine.dir.join("db.journal");
    let whole = std::fs::metadata(&journal).unwrap().len();
    let mut file = std::fs::OpenOptions::new().append(true).open(&journal).unwrap();
    file.write_all(b"xej1\x01\0\0\0\xff\0\0\0").unwrap();
    machine.start();
    assert!(machine.log().contains(&format!("cut 12 bytes of a torn record at byte {whole}")));
    let described = machine.done(&["host-list", "params=name-description", "--minimal"]);
    assert_eq!(described, "round 1");
}

#[test]
fn a_member_with_a_damaged_journal_takes_the_state_of_its_master() {
    let dir = tempfile::tempdir().unwrap();
    let master = Machine::new(dir.path(), "one", "127.0.40.203");
    let mut member = Machine::new(dir.path(), "two", "127.0.40.204");
    member.join(&master);
    renamed(&master, 6);
    master.done(&["pool-sync-database"]);
    member.kill();
    let journal = member.dir.join("db.journal");
    damage(&journal);
    assert!(matches!(
        LocalJournal::open(&journal).unwrap().journal.damage(),
        Some(JournalError::Damaged { .. })
    ));
    renamed(&master, 3);
    member.start();
    let position = || {
        let mut bytes = Vec::new();
        std::fs::File::open(&journal).unwrap().read_to_end(&mut bytes).unwrap();
        let (replayed, error) = xe::pool::journal::replay(&bytes);
        error.is_none().then_some(replayed.position)
    };
    wait_for("the member's new journal", || position().is_some());
    master.done(&["pool-sync-database"]);
    let host = master.done(&["host-list", "name-label=one", "--minimal"]);
    let words = ["host-param-get", &format!("uuid={host}"), "param-name=name-description"];
    assert_eq!(member.done(&words), "round 2");
    assert!(member.log().contains("damaged at byte"), "{}", member.log());
}
