//! The rules of the house, kept by a test: who may use whom, how long things may get, what lies
//! where. The layers and the crates are read from ARCHITECTURE.md, so that it stays true.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use source::{Source, root, sources, texts};

/// Most lines of a file.
const FILE: usize = 400;
/// Most lines of a function, its signature and closing brace included.
const FUNCTION: usize = 70;
/// Most characters of a line.
const LINE: usize = 100;

/// Files that are longer, and how long they may be. This list may only shrink.
const LONG_FILES: [(&str, usize); 3] =
    [("tests/api.rs", 462), ("tests/cli/golden.rs", 438), ("tests/dumps.rs", 446)];

/// Functions that are longer, and how long they may be. This list may only shrink.
const LONG_FUNCTIONS: [(&str, &str, usize); 0] = [];

/// How many lines of a file are longer. This list may only shrink.
const WIDE_FILES: [(&str, usize); 0] = [];

/// Files without a first line of documentation. This list may only shrink.
const NO_IDEA: [&str; 2] = ["src/cli/dialect/tests.rs", "src/lab/checks/tests.rs"];

/// All that lies at the top.
const TOP: [&str; 18] = [
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "clippy.toml",
    "completions",
    "contrib",
    "fuzz",
    "man",
    "rustfmt.toml",
    "src",
    "tests",
];

/// Rooms without any effect: time and events come in as arguments, effects go out as values.
const PURE: [&str; 7] = ["heartbeat", "ha", "plan", "recovery", "pool", "sim", "explore"];

/// What a pure room does not name. `core::net::IpAddr` is a value and may be named.
const EFFECTS: [&str; 13] = [
    "std::net",
    "std::fs",
    "std::io",
    "std::thread",
    "std::process",
    "Instant",
    "SystemTime",
    "tokio",
    "rustix",
    "libc",
    "getrandom",
    "rand",
    "tracing",
];

/// The exceptions: `xe-plan` reads and writes files, both programs end with an exit code, `xe-sim`
/// counts its CPU time, plays seeds on several threads and reads the scripts of a folder.
const MAY: [(&str, &str); 13] = [
    ("src/explore/program.rs", "std::process"),
    ("src/plan/program.rs", "std::fs"),
    ("src/plan/program.rs", "std::io"),
    ("src/plan/program.rs", "std::process"),
    ("src/sim/program/mod.rs", "std::process"),
    ("src/sim/program/recovery.rs", "std::process"),
    ("src/sim/program/replay.rs", "std::process"),
    ("src/sim/program/run.rs", "std::process"),
    ("src/sim/program/run.rs", "rustix"),
    ("src/sim/program/run.rs", "std::thread"),
    ("src/sim/program/scripts.rs", "std::fs"),
    ("src/sim/program/scripts.rs", "std::process"),
    ("src/sim/program/variants.rs", "std::process"),
];

/// Who may know wall time (S116): what people read, and the end of a pause, which is a moment that
/// an administrator names and lasts no longer than was asked for, whatever the clock does.
const WALL_TIME: [&str; 3] =
    ["src/agent/ha/pause.rs", "src/agent/host_facts.rs", "src/agent/mod.rs"];

/// Folders whose name says nothing.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "common", "helpers", "manager"];

fn fail_with(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// The rows of the table of ARCHITECTURE.md that begins with these headings.
fn table(first: &str, second: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let cells = |line: &str| -> Vec<String> {
        line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let heading =
        |line: &&str| matches!(&cells(line)[..], [_, a, b, _] if a == first && b == second);
    let rows: BTreeMap<String, String> = text
        .lines()
        .skip_while(|line| !heading(line))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| (cells(line)[1].clone(), cells(line)[2].clone()))
        .collect();
    assert!(!rows.is_empty(), "ARCHITECTURE.md has no table with {first} and {second}");
    rows
}

/// The words of a cell such as "`pool`, `xenapi`", without the marks around them.
fn words(cell: &str) -> BTreeSet<String> {
    cell.split(',').map(|word| word.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn rooms_use_only_what_the_architecture_says() {
    let allowed = table("room", "may use");
    let mut found = Vec::new();
    let mut rooms = BTreeSet::new();
    for file in sources("src") {
        let Some(room) = file.room() else { continue };
        rooms.insert(room.to_owned());
        let Some(may) = allowed.get(room).map(|cell| words(cell)) else {
            found.push(format!("{}: the room {room} has no row", file.name));
            continue;
        };
        for (number, line) in file.code() {
            for other in source::rooms_named(line) {
                if other != room && !may.contains(other) {
                    found.push(format!("{}:{number}: {room} uses {other}", file.name));
                }
            }
        }
    }
    found.extend(allowed.keys().filter(|room| !rooms.contains(*room)).cloned());
    fail_with("the table of ARCHITECTURE.md says otherwise", &found);
}

#[test]
fn the_layers_have_no_circle() {
    let mut left: BTreeMap<String, BTreeSet<String>> =
        table("room", "may use").iter().map(|(room, cell)| (room.clone(), words(cell))).collect();
    while !left.is_empty() {
        let rooms: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, may| !may.is_disjoint(&rooms));
        assert!(left.len() < rooms.len(), "these use each other: {rooms:?}");
    }
}

#[test]
fn pure_rooms_name_no_effect() {
    let mut found = Vec::new();
    for file in sources("src") {
        if !file.room().is_some_and(|room| PURE.contains(&room)) {
            continue;
        }
        for (number, line) in file.code() {
            for effect in EFFECTS.iter().filter(|effect| source::names(line, effect)) {
                if !MAY.contains(&(&*file.name, effect)) {
                    found.push(format!("{}:{number}: {effect}", file.name));
                }
            }
        }
    }
    fail_with("a pure room names an effect", &found);
}

#[test]
fn s116_nothing_that_decides_knows_wall_time() {
    let mut found = Vec::new();
    let clocks = ["SystemTime", "UNIX_EPOCH", "Timestamp", "Zoned", "Realtime", "CLOCK_REALTIME"];
    for file in sources("src") {
        let shown = file.room() == Some("cli") || WALL_TIME.contains(&&*file.name);
        for (number, line) in file.code().filter(|_| !shown) {
            let names = clocks.iter().filter(|clock| source::names(line, clock));
            found.extend(names.map(|clock| format!("{}:{number}: {clock}", file.name)));
        }
    }
    fail_with("wall time, which jumps, is asked for", &found);
}

#[test]
fn files_functions_and_lines_are_short() {
    let mut found = Vec::new();
    for file in all_sources() {
        let lines = file.text.lines().count();
        let most = LONG_FILES.iter().find(|(name, _)| *name == file.name).map_or(FILE, |it| it.1);
        if lines > most {
            found.push(format!("{}: {lines} lines, more than {most}", file.name));
        }
        for (number, name, length) in file.functions() {
            let known = LONG_FUNCTIONS.iter().find(|(of, it, _)| *of == file.name && *it == name);
            let most = known.map_or(FUNCTION, |it| it.2);
            if length > most {
                found.push(format!("{}:{number}: {name} has {length} lines", file.name));
            }
        }
        let wide: Vec<usize> = (1..)
            .zip(file.text.lines())
            .filter(|(_, line)| line.chars().count() > LINE)
            .map(|(number, _)| number)
            .collect();
        let most = WIDE_FILES.iter().find(|(name, _)| *name == file.name).map_or(0, |it| it.1);
        if wide.len() > most {
            found.push(format!("{}: wide lines {wide:?}", file.name));
        }
    }
    fail_with("too long", &found);
}

#[test]
fn the_lists_of_exceptions_only_shrink() {
    let mut found = Vec::new();
    let files: BTreeMap<String, Source> =
        all_sources().into_iter().map(|file| (file.name.clone(), file)).collect();
    for (name, most) in LONG_FILES {
        let lines = files.get(name).map_or(0, |file| file.text.lines().count());
        if lines <= FILE {
            found.push(format!("{name}: {lines} lines, take it off (it may have {most})"));
        }
    }
    for (name, function, _) in LONG_FUNCTIONS {
        let long = |file: &Source| {
            file.functions().iter().any(|(_, it, length)| it == function && *length > FUNCTION)
        };
        if !files.get(name).is_some_and(long) {
            found.push(format!("{name}: {function} is short now, take it off"));
        }
    }
    for (name, most) in WIDE_FILES {
        let wide = |line: &&str| line.chars().count() > LINE;
        let count = files.get(name).map_or(0, |file| file.text.lines().filter(wide).count());
        if count < most {
            found.push(format!("{name}: {count} wide lines, write that instead of {most}"));
        }
    }
    for name in NO_IDEA {
        if files.get(name).is_none_or(|file| file.text.starts_with("//! ")) {
            found.push(format!("{name} has its first line now, take it off"));
        }
    }
    fail_with("an exception is no longer needed", &found);
}

#[test]
fn every_file_begins_with_its_idea() {
    let known = |file: &Source| NO_IDEA.contains(&&*file.name);
    let without = |file: &Source| !file.text.starts_with("//! ") && !known(file);
    let found: Vec<String> =
        all_sources().into_iter().filter(without).map(|file| file.name).collect();
    fail_with("the first line is no `//! ` line", &found);
}

#[test]
fn nothing_is_left_for_later() {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), "unimplemented!", concat!("todo", "!(")];
    let mut found = Vec::new();
    for file in sources("src").into_iter().chain(sources("benches")).chain(sources("fuzz")) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{number}: {}", file.name, line.trim()));
            }
        }
    }
    fail_with("left for later", &found);
}

#[test]
fn no_path_of_a_machine_is_written_down() {
    let paths = ["work", "home", "root", "workspace", "Users"].map(|top| format!("/{top}/"));
    // What an administrator may type, and the home of root on a host.
    let data = ["file-name=/root/", "HOME=/root"];
    let mut found = Vec::new();
    for file in texts() {
        for (number, line) in (1..).zip(file.text.lines()) {
            let line = data.iter().fold(line.to_owned(), |line, known| line.replace(known, ""));
            if paths.iter().any(|path| line.contains(path)) {
                found.push(format!("{}:{number}: {}", file.name, line.trim()));
            }
        }
    }
    fail_with("a path of some machine", &found);
}

#[test]
fn the_top_level_holds_nothing_to_wonder_about() {
    let entries = std::fs::read_dir(root()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let known = |name: &String| [".git", "target"].contains(&&**name) || TOP.contains(&&**name);
    let found: Vec<String> = names.filter(|name| !known(name)).collect();
    fail_with("not named in CONTRIBUTING.md", &found);
    let missing = |name: &&str| !root().join(name).exists();
    let gone: Vec<String> = TOP.into_iter().filter(missing).map(str::to_owned).collect();
    fail_with("not there", &gone);
}

#[test]
fn folders_are_named_after_the_domain() {
    let bad = |part: &str| EMPTY_NAMES.contains(&part.trim_end_matches(".rs"));
    let found: Vec<String> = all_sources()
        .into_iter()
        .map(|file| file.name)
        .filter(|name| Path::new(name).iter().any(|part| bad(part.to_str().unwrap())))
        .collect();
    fail_with("a name that says nothing", &found);
}

#[test]
fn every_crate_has_its_reason() {
    let reasons = table("crate", "why it, and what was set aside");
    let named: BTreeSet<String> = reasons.keys().flat_map(|cell| words(cell)).collect();
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let used: BTreeSet<String> = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()))
        .collect();
    assert!(used.len() > 10);
    let found: Vec<String> = used.symmetric_difference(&named).cloned().collect();
    fail_with("in Cargo.toml or in ARCHITECTURE.md, not in both", &found);
}

#[test]
fn a_test_that_skips_is_heard() {
    let quiet = concat!("eprintln!(\"", "skipped");
    let found: Vec<String> = all_sources()
        .into_iter()
        .filter(|file| file.text.contains(quiet))
        .map(|file| file.name)
        .collect();
    fail_with("the test runner hides eprintln; use tests/support/skip.rs", &found);
}

fn all_sources() -> Vec<Source> {
    ["src", "tests", "benches", "fuzz"].into_iter().flat_map(sources).collect()
}
