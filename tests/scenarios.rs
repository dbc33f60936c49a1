//! Plays every scenario of `tests/scenarios`: a script of faults with what is expected when.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use xe::heartbeat::variant::Variant;
use xe::sim::scenario::Scenario;

fn folders() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn every_scenario_ends_as_it_should() {
    let mut failed = Vec::new();
    for folder in folders() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(folder.join("script")).unwrap();
        let played = Scenario::parse(&text).and_then(|scenario| scenario.play());
        if let Err(why) = played {
            failed.push(format!("{name}: {why}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// What has no test because there is nothing of the kind.
const NOTHING_TO_TEST: [u32; 1] = [75];

/// A row of the README: its number and the tests that it names, each with its file.
fn row(line: &str) -> Option<(u32, Vec<(String, String)>)> {
    let mut cells = line.strip_prefix("| S")?.split(" | ");
    let number = cells.next()?.parse().ok()?;
    let test = |words: &str| {
        let (file, name) = words.split_once(", ")?;
        let bare = |word: &str| Some(word.strip_prefix('`')?.strip_suffix('`')?.to_owned());
        Some((bare(file)?, bare(name)?))
    };
    let tests = cells.next()?.split("; ").filter_map(test).collect();
    Some((number, tests))
}

/// Whether a file has a test of that name.
fn has_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut above = "";
    text.lines().map(str::trim).any(|line| {
        let before = std::mem::replace(&mut above, line);
        let begins = line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name));
        before.starts_with("#[test]") && begins.is_some_and(|rest| rest.starts_with('('))
    })
}

#[test]
fn every_number_is_played_or_its_absence_explained() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let mut known: BTreeSet<u32> = BTreeSet::new();
    for folder in folders() {
        let line = std::fs::read_to_string(folder.join("README.md")).unwrap();
        assert_eq!(line.trim().lines().count(), 1, "{}: one line", folder.display());
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let number = name.strip_prefix('s').and_then(|rest| rest.split('-').next());
        known.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    for (number, tests) in readme.lines().filter_map(row) {
        known.insert(number);
        let named = !tests.is_empty() || NOTHING_TO_TEST.contains(&number);
        assert!(named, "S{number} names no test");
        for (file, name) in tests {
            assert!(has_test(&file, &name), "S{number}: {file} has no test {name}");
        }
    }
    let missing: Vec<u32> = (1..=126).filter(|n| !known.contains(n)).collect();
    assert!(missing.is_empty(), "neither played nor explained: {missing:?}");
    assert!(!has_test("tests/scenarios.rs", "row"), "what is no test does not count");
}

#[test]
fn every_situation_for_a_broken_rule_ends_well_with_the_right_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken-rules");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let scripts: Vec<_> = entries.filter(|path| path.extension().is_none()).collect();
    assert!(!scripts.is_empty());
    let mut failed = Vec::new();
    for script in scripts {
        let name = script.file_name().unwrap().to_string_lossy().into_owned();
        let known = Variant::ALL.iter().any(|variant| variant.word() == name);
        assert!(known, "{name} is no broken rule");
        let text = std::fs::read_to_string(&script).unwrap();
        let played = Scenario::parse(&text).and_then(|scenario| scenario.play());
        failed.extend(played.err().map(|why| format!("{name}: {why}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
