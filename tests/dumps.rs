//! Databases of real pools, and small ones of our own: asked, compared, changed, broken.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]
#![expect(clippy::expect_used, reason = "a helper of tests may fail loudly")]

#[path = "support/brute.rs"]
mod brute;
#[path = "support/skip.rs"]
mod skip;
#[path = "support/xml.rs"]
mod xml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use assert_cmd::Command;
use brute::Pool;
use xe::cli::dialect::{self, Environment};
use xe::cli::printing::Console;
use xe::client::{DatabaseRequest, Transport};
use xe::pool::dump::Dump;
use xml::Element;

const MAX: &str = "pool-ha-compute-max-host-failures-to-tolerate";
const HYPOTHETICAL: &str = "pool-ha-compute-hypothetical-max-host-failures-to-tolerate";

fn of_a_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

fn own() -> Vec<PathBuf> {
    of_a_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dumps"))
}

/// The dumps of real pools; none, with a line, where they are not kept.
fn real() -> Vec<PathBuf> {
    let shared = std::env::var("XE_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let folder = Path::new(&shared).join("data/statedbs");
    if !folder.is_dir() {
        skip::skipped(format_args!("{} is not there", folder.display()));
        return Vec::new();
    }
    of_a_folder(&folder)
}

fn all() -> Vec<PathBuf> {
    let files: Vec<PathBuf> = own().into_iter().chain(real()).collect();
    assert!(files.len() >= 3);
    files
}

fn named(files: Vec<PathBuf>, name: &str) -> Option<PathBuf> {
    files.into_iter().find(|file| file.file_name().is_some_and(|found| found == name))
}

fn read(file: &Path) -> Element {
    xml::parse(&std::fs::read_to_string(file).unwrap())
}

/// One opened dump that many commands may ask.
struct Opened(Arc<dyn Transport>);

impl Opened {
    fn new(file: &Path, memory: &BTreeMap<String, i64>) -> Self {
        let request = DatabaseRequest {
            file: file.to_str().unwrap().to_owned(),
            host_memory: memory.clone().into_iter().collect(),
            write: false,
        };
        Self(Arc::from(xe::agent::in_process::open(&request).unwrap()))
    }

    /// Runs one command as the binary would; gives stdout, stderr and the exit code.
    fn xe(&self, words: &[&str]) -> (String, String, u8) {
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), &b""[..]);
        let argv: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let mut console = Console::new(&mut out, &mut err, &mut input, false);
        let connect = |_: &dialect::Switches| -> Result<Box<dyn Transport>, _> {
            Ok(Box::new(self.0.clone()))
        };
        let reading = dialect::read(&argv, &Environment::default());
        let code = xe::cli::run::run(reading, &connect, &mut console);
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), code)
    }
}

/// The program itself.
fn xe(file: &Path, words: &[&str]) -> Output {
    let mut command = Command::cargo_bin("xe").unwrap();
    command.env_clear().env("HOME", "/nonexistent").arg("--database").arg(file).args(words);
    command.output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// What must never be printed: the pool's token and its parts, the password of the balancer.
fn secrets(dump: &Element) -> Vec<String> {
    let mut found = Vec::new();
    for pair in dump.children.iter().filter(|child| child.name == "manifest") {
        let tokens = pair.children.iter().filter(|pair| pair.raw("key") == Some("pool_token"));
        for token in tokens.filter_map(|pair| pair.raw("value")) {
            found.push(token.to_owned());
            found.extend(token.split('/').map(str::to_owned));
        }
    }
    let passwords = dump.table("pool").iter().filter_map(|pool| pool.raw("wlb_password"));
    found.extend(passwords.map(str::to_owned));
    found.retain(|secret| !secret.is_empty() && secret != "OpaqueRef:NULL");
    found
}

fn assert_silent(file: &Path, secrets: &[String], text: &str) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{}: {secret} in {text}", file.display());
    }
}

#[test]
fn every_list_of_every_dump_is_answered_and_tells_no_secret() {
    for file in all() {
        let (dump, opened) = (Opened::new(&file, &BTreeMap::new()), read(&file));
        let secrets = secrets(&opened);
        for class in xe::cli::records::CLASSES {
            let list = format!("{}-list", class.name);
            let (out, err, code) = dump.xe(&[&list, "params=all"]);
            assert_eq!((err.as_str(), code), ("", 0), "{} {list}", file.display());
            assert_silent(&file, &secrets, &out);
        }
        for (class, table) in
            [("host", "host"), ("sr", "SR"), ("vdi", "VDI"), ("network", "network")]
        {
            let (out, ..) = dump.xe(&[&format!("{class}-list"), "--minimal"]);
            let mut shown: Vec<&str> =
                out.trim().split(',').filter(|uuid| !uuid.is_empty()).collect();
            let mut there: Vec<&str> =
                opened.table(table).iter().filter_map(|row| row.raw("uuid")).collect();
            shown.sort_unstable();
            there.sort_unstable();
            // Some lists hide what only the server uses, so they may be shorter but never longer.
            assert!(shown.iter().all(|uuid| there.contains(uuid)), "{} {class}", file.display());
            assert!(class != "host" || shown == there, "{}", file.display());
        }
        for (class, table) in [("pool", "pool"), ("sr", "SR")] {
            for row in opened.table(table) {
                let list = format!("{class}-param-list");
                let (out, err, code) =
                    dump.xe(&[&list, &format!("uuid={}", row.raw("uuid").unwrap())]);
                assert_eq!((err.as_str(), code), ("", 0), "{}", file.display());
                assert_silent(&file, &secrets, &out);
            }
        }
    }
}

/// The answer that brute force expects, or the host whose memory is missing.
fn expected(dump: &Element, given: &BTreeMap<String, i64>) -> Result<usize, String> {
    Ok(Pool::read(dump, given, |_, restart| restart)?.max_failures())
}

fn assert_answer(file: &Path, dump: &Element, given: &BTreeMap<String, i64>) {
    let (out, err, code) = Opened::new(file, given).xe(&[MAX]);
    match expected(dump, given) {
        Ok(count) => {
            let text = format!("{count}\n");
            assert_eq!((out, err.as_str(), code), (text, "", 0), "{} {given:?}", file.display());
        }
        Err(host) => {
            let sentence = err.lines().next().unwrap();
            assert!(sentence.contains(&format!("--host-memory {host}=SIZE")), "{err}");
            assert_eq!((out.as_str(), code), ("", 1), "{}", file.display());
        }
    }
}

#[test]
fn the_failures_to_tolerate_are_those_of_brute_force() {
    let mut answers = Vec::new();
    for file in all() {
        let dump = read(&file);
        assert_answer(&file, &dump, &BTreeMap::new());
        answers.push(expected(&dump, &BTreeMap::new()));
    }
    assert!(answers.contains(&Ok(1)) && answers.iter().any(|a| *a != Ok(1)), "{answers:?}");
}

#[test]
fn with_other_memory_the_answers_are_still_those_of_brute_force() {
    let mut answers = std::collections::BTreeSet::new();
    for file in own() {
        let dump = read(&file);
        let uuids: Vec<&str> =
            dump.table("host").iter().map(|host| host.raw("uuid").unwrap()).collect();
        for round in 0..24_i64 {
            let memory = |at: usize| {
                let step = (round * 7 + at as i64 * 5) % 13;
                (1200 + 700 * step) << 20
            };
            let given: BTreeMap<String, i64> = uuids
                .iter()
                .enumerate()
                .map(|(at, uuid)| ((*uuid).to_owned(), memory(at)))
                .collect();
            assert_answer(&file, &dump, &given);
            answers.insert(expected(&dump, &given).unwrap());
        }
    }
    assert!(answers.len() >= 2, "the rounds differ: {answers:?}");
}

#[test]
fn other_priorities_are_answered_as_brute_force_does() {
    for file in all() {
        let dump = read(&file);
        // Every second running machine is protected instead of those that the dump protects.
        let chosen: Vec<String> = dump
            .table("VM")
            .iter()
            .filter(|vm| brute::is_machine(vm) && vm.raw("power_state") == Some("Running"))
            .step_by(2)
            .map(|vm| vm.raw("uuid").unwrap().to_owned())
            .collect();
        let memory: BTreeMap<String, i64> = dump
            .table("host")
            .iter()
            .map(|host| (host.raw("uuid").unwrap().to_owned(), 3 << 30))
            .collect();
        let wanted = |vm: &Element, _| chosen.iter().any(|uuid| vm.raw("uuid") == Some(uuid));
        let expected = Pool::read(&dump, &memory, wanted).unwrap().max_failures();
        let mut words = vec![HYPOTHETICAL.to_owned()];
        for vm in &chosen {
            words.push(format!("vm-uuid={vm}"));
            words.push("restart-priority=restart".to_owned());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = Opened::new(&file, &memory).xe(&words);
        assert_eq!(done, (format!("{expected}\n"), String::new(), 0), "{}", file.display());
    }
}

#[test]
fn the_pool_state2_survives_one_host_and_grimsby_takes_the_vms_of_chester() {
    let Some(file) = named(real(), "state2.xml") else { return };
    assert_eq!(out(&xe(&file, &[MAX])), "1\n");
    let dump = read(&file);
    let host = |label: &str| {
        let mut hosts = dump.table("host").iter();
        hosts.find(|host| host.raw("name__label") == Some(label)).unwrap().raw("uuid").unwrap()
    };
    let words = format!("host-uuids={}", host("chester"));
    let plan = xe(&file, &["pool-ha-compute-vm-failover-plan", &words]);
    assert_eq!((err(&plan), plan.status.code()), ("", Some(0)));
    let grimsby = format!("{} (grimsby)", host("grimsby"));
    let lines: Vec<&str> = out(&plan).lines().filter(|line| line.contains("grimsby")).collect();
    assert_eq!(lines.len(), 4, "{}", out(&plan));
    let pool = Pool::read(&dump, &BTreeMap::new(), |_, restart| restart).unwrap();
    for vm in &pool.vms {
        let line = lines.iter().find(|line| line.contains(&format!("({})", vm.label)));
        assert!(line.is_some_and(|line| line.ends_with(&grimsby)), "{}", out(&plan));
    }
    for vm in dump.table("VM").iter().filter(|vm| brute::is_machine(vm)).take(3) {
        let uuid = format!("uuid={}", vm.raw("uuid").unwrap());
        let status = xe(&file, &["diagnostic-vm-status", &uuid]);
        assert_eq!((err(&status), status.status.code()), ("", Some(0)));
        assert!(!out(&status).is_empty());
    }
}

#[test]
fn a_host_without_a_memory_figure_is_named_with_the_switch_that_gives_it() {
    let Some(file) = named(real(), "george-xapi-db.xml") else { return };
    let dump = read(&file);
    let second = expected(&dump, &BTreeMap::new()).unwrap_err();
    let label = dump.table("host").iter().find(|host| host.raw("uuid") == Some(&second)).unwrap();
    let done = xe(&file, &[MAX]);
    let first = err(&done).lines().next().unwrap();
    let switch = format!("--host-memory {second}=SIZE");
    assert!(
        first.contains(&switch) && first.contains(label.raw("name__label").unwrap()),
        "{first}"
    );
    assert_eq!((out(&done), done.status.code()), ("", Some(1)));
    let given = format!("{second}=4GiB");
    let done = xe(&file, &["--host-memory", &given, MAX]);
    let memory = BTreeMap::from([(second, 4 << 30)]);
    assert_eq!(out(&done), format!("{}\n", expected(&dump, &memory).unwrap()), "{}", err(&done));
    let done = xe(&file, &["--host-memory", "nonsense=4GiB", MAX]);
    assert!(err(&done).contains("nonsense") && done.status.code() == Some(1), "{}", err(&done));
}

#[test]
fn an_export_is_the_original_and_one_change_is_one_attribute() {
    let dir = tempfile::tempdir().unwrap();
    for file in all() {
        let (copy, export) = (dir.path().join("copy.xml"), dir.path().join("export.xml"));
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&copy, &bytes).unwrap();
        let original = read(&file);
        let target = format!("file-name={}", export.display());
        let done = xe(&copy, &["pool-dump-database", &target]);
        assert_eq!((err(&done), done.status.code()), ("", Some(0)), "{}", file.display());
        assert_eq!(xml::differences(&original, &read(&export)), [""; 0], "{}", file.display());
        std::fs::remove_file(&export).unwrap();

        // Some pools have no machine but dom0.
        let no_template = |vm: &&Element| {
            ["is_a_template", "is_a_snapshot"].iter().all(|flag| vm.raw(flag) != Some("true"))
        };
        let vm = original.table("VM").iter().rfind(no_template).unwrap();
        let uuid = format!("uuid={}", vm.raw("uuid").unwrap());
        let label = "name-label=two  blanks, 100%, \"quotes\" & <tags>";
        let done = xe(&copy, &["vm-param-set", &uuid, label]);
        assert_eq!((err(&done), done.status.code()), ("", Some(0)), "{}", file.display());
        assert!(std::fs::read(&copy).unwrap() == bytes, "{} was changed", file.display());

        let done = xe(&copy, &["--write", "vm-param-set", &uuid, label]);
        assert_eq!((err(&done), done.status.code()), ("", Some(0)), "{}", file.display());
        let found = xml::differences(&original, &read(&copy));
        assert_eq!(found.len(), 1, "{}: {found:?}", file.display());
        let place = format!("[{}]@name__label:", vm.raw("ref").unwrap());
        assert!(found[0].contains(&place), "{}: {found:?}", file.display());
        let shown = xe(&copy, &["vm-param-get", &uuid, "param-name=name-label"]);
        assert_eq!(out(&shown), format!("{}\n", label.split_once('=').unwrap().1));
    }
}

/// Runs commands over a broken file: each must name it and a line, and leave it alone.
fn assert_refused(file: &Path, bytes: &[u8], secrets: &[String]) -> String {
    std::fs::write(file, bytes).unwrap();
    let mut text = String::new();
    for words in [&["vm-list"][..], &["--write", "vm-param-set", "uuid=x", "name-label=y"]] {
        let done = xe(file, words);
        let first = err(&done).lines().next().unwrap().to_owned();
        assert_eq!((out(&done), done.status.code()), ("", Some(1)), "{first}");
        assert!(first.contains(file.to_str().unwrap()) && first.contains("line "), "{first}");
        assert!(std::fs::read(file).unwrap() == bytes, "the file was touched");
        assert_silent(file, secrets, err(&done));
        text = first;
    }
    text
}

#[test]
fn what_is_no_database_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.xml");
    let says = |bytes: &[u8], line: usize| {
        let text = assert_refused(&file, bytes, &[]);
        assert!(text.contains(&format!("line {line}:")), "{text}");
    };
    says(b"", 1);
    says(b"this is a letter\nto a friend\n", 1);
    says(b"<?xml version=\"1.0\"?>\n<html><body/></html>\n", 2);
    says(b"<database>\n<manifest/>\n<table name=\"VM\">\n<row ref=\"a\" uuid=\"b\">\n", 5);
    says(b"<database>\r<manifest/>\r<table>\r</table></database>", 3);
    says(b"<database>\n<table name=\"VM\"><row uuid=\"b\"/></table></database>", 2);
    let number =
        b"<database>\n<table name=\"VM\">\n<row ref=\"a\" order=\"many\"/></table></database>";
    says(number, 3);
    says(b"\x7fELF\x02\x01\x01\x00\xff\xfe\n", 1);
    says(b"<!DOCTYPE database [<!ENTITY a \"aaaa\">]>\n<database>&a;</database>", 1);
    let here = xe(dir.path(), &["vm-list"]);
    assert!(err(&here).contains(dir.path().to_str().unwrap()), "{}", err(&here));
    assert_eq!((out(&here), here.status.code()), ("", Some(1)));
}

#[test]
fn damaged_dumps_are_refused_or_read_but_never_panic() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let signs = b"<>\"'&%()=/\\\r\n\0 a9\xff";
    let (mut refused, mut taken) = (0, 0);
    for file in own() {
        let bytes = std::fs::read(&file).unwrap();
        for _ in 0..120 {
            let mut damaged = bytes.clone();
            for _ in 0..=random(3) {
                let (at, length) = (random(damaged.len()), random(12));
                let end = (at + length).min(damaged.len());
                match random(3) {
                    0 => damaged[at] = signs[random(signs.len())],
                    1 => drop(damaged.drain(at..end)),
                    _ => damaged.insert(at, signs[random(signs.len())]),
                }
            }
            let Ok(dump) = Dump::parse(&damaged) else {
                refused += 1;
                continue;
            };
            taken += 1;
            // What is taken can be written and read again with the same rows.
            let again = Dump::parse(dump.write(&dump.database).as_bytes()).unwrap();
            assert_eq!(again.database, dump.database);
        }
    }
    assert!(refused > 50 && taken > 20, "{refused} refused, {taken} taken");
}

#[test]
fn half_a_database_is_refused_wherever_it_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("half.xml");
    for whole in own() {
        let bytes = std::fs::read(&whole).unwrap();
        let secrets = secrets(&read(&whole));
        assert!(secrets.len() >= 2);
        let end = bytes.len() - "</database>".len() - 2;
        for part in 0..8 {
            assert_refused(&file, &bytes[..end * part / 7], &secrets);
        }
        // In the middle of the pool's token, where a parser is tempted to quote what it saw.
        let text = String::from_utf8(bytes.clone()).unwrap();
        let token = text.find(&secrets[0]).unwrap() + 5;
        assert_refused(&file, &bytes[..token], &[secrets[0][..5].to_owned()]);
    }
}
