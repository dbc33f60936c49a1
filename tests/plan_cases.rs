//! The planner on case files: our own, and those of a shared directory when there is one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};

use serde_json::Value;
use xe::plan::case::Case;
use xe::plan::{Budget, Problem, Vm, place};

/// Largest pool for which an answer must be proved.
const EXACT: usize = 16;

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    files
}

/// Running protected VMs only: what fails whatever halted ones do.
fn without_halted(problem: &Problem) -> Problem {
    let enabled = |vm: &&Vm| vm.host.is_some_and(|host| problem.hosts[host].enabled);
    Problem { vms: problem.vms.iter().filter(enabled).cloned().collect(), ..problem.clone() }
}

fn agrees(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let expected = &serde_json::from_str::<Value>(&text).unwrap()["expected"];
    let case = Case::parse(&text).unwrap();
    let answer = case.answer(&Budget::default());
    if !answer.proved && case.problem.hosts.len() > EXACT {
        let known = expected["max_failures"].as_u64().unwrap();
        assert!(answer.max_failures as u64 <= known, "{}", path.display());
        eprintln!("{}: not proved beyond {}", path.display(), answer.max_failures);
        return;
    }
    assert!(answer.proved, "{}", path.display());
    let said = serde_json::json!(answer);
    for field in ["max_failures", "startable", "overcommitted"] {
        assert_eq!(said[field], expected[field], "{field} of {}", path.display());
    }
    // Where one by one is stricter, a promise for that order would be one too many.
    if let Some(known) = expected["max_failures_one_at_a_time"].as_u64() {
        assert!(answer.max_one_by_one as u64 <= known, "{}", path.display());
    }
    if let Some(names) = &answer.counterexample {
        let at =
            |name: &String| case.problem.hosts.iter().position(|host| host.id == *name).unwrap();
        let hosts: Vec<usize> = names.iter().map(at).collect();
        assert_eq!(hosts.len(), answer.max_failures + 1, "{}", path.display());
        assert!(place(&without_halted(&case.problem), &hosts).is_err(), "{}", path.display());
    }
}

#[test]
fn our_own_cases_agree() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plan"));
    assert!(files.len() >= 6);
    files.iter().for_each(|path| agrees(path));
}

#[test]
fn the_shared_cases_agree() {
    let shared = std::env::var_os("XE_SHARED").unwrap_or_else(|| "../shared".into());
    let files = files(&Path::new(&shared).join("data/planner-cases"));
    if files.is_empty() {
        skip::skipped("no planner cases under XE_SHARED");
    }
    for path in files {
        let began = std::time::Instant::now();
        agrees(&path);
        eprintln!("{:6.3} s {}", began.elapsed().as_secs_f64(), path.display());
    }
}

/// Runs `xe plan`.
fn plan(words: &[&str]) -> (Option<i32>, String, String) {
    let xe = env!("CARGO_BIN_EXE_xe");
    let done = std::process::Command::new(xe).arg("plan").args(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/plan/{name}.json", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_certificate_is_written_and_verified_by_whoever_has_the_case() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("certificate.json");
    let file = file.to_str().unwrap();
    for name in ["greedy-stuck", "maintenance", "three-equal", "tied-to-two", "uneven"] {
        let case = fixture(name);
        let (code, told, error) = plan(&[&case, "--certificate", file]);
        assert_eq!((code, error.as_str()), (Some(0), ""), "{name}");
        assert!(told.contains(": it holds: "), "{name}: {told}");
        assert_eq!(plan(&[&case, "--check", file]), (Some(0), told, String::new()), "{name}");
    }
    let cannot = fixture("cannot-start");
    let (code, out, error) = plan(&[&cannot, "--certificate", "/nonexistent/file"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains("there is no plan to certify"), "{error}");
}

#[test]
fn a_certificate_that_was_tampered_with_is_refused_with_what_does_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("certificate.json");
    let path = file.to_str().unwrap();
    let case = fixture("tied-to-two");
    assert_eq!(plan(&[&case, "--certificate", path]).0, Some(0));
    let whole = std::fs::read_to_string(&file).unwrap();
    let honest: Value = serde_json::from_str(&whole).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut paper = honest.clone();
        change(&mut paper);
        assert_ne!(paper, honest);
        std::fs::write(&file, paper.to_string()).unwrap();
        let (code, out, error) = plan(&[&case, "--check", path]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{paper}");
        assert!(error.starts_with(path) && !error.contains("os error"), "{error}");
        error
    };
    let error = refused(&|paper| paper["tolerates"] = 2.into());
    assert!(error.contains("it does not hold: no bound and no plan holds when host-"), "{error}");
    let error = refused(&|paper| paper["tolerates"] = 4.into());
    assert!(error.contains("and only 3 are enabled"), "{error}");
    let error = refused(&|paper| {
        paper["bounds"] = Value::Array(Vec::new());
        paper["plans"] = Value::Array(Vec::new());
    });
    assert!(error.contains("it does not hold: no bound and no plan"), "{error}");
    let error = refused(&|paper| paper["starts"] = serde_json::json!([["vm-1", "host-a"]]));
    assert!(error.contains("the VMs that wait do not fit as it says"), "{error}");
    let error = refused(&|paper| paper["breaks"]["hosts"] = serde_json::json!(["host-a"]));
    assert!(error.contains("host-a are not 2 enabled hosts"), "{error}");
    let error = refused(&|paper| paper["breaks"]["why"] = serde_json::json!({ "volume": 1 }));
    assert!(error.contains("it does not hold: the reason against"), "{error}");
    let error = refused(&|paper| paper["breaks"]["vm"] = "vm-none".into());
    assert!(error.contains("the case has no VM vm-none"), "{error}");
    let error = refused(&|paper| paper["format"] = "ha-plan-case/1".into());
    assert!(error.contains("not ha-plan-certificate/1"), "{error}");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert!(plan(&[&case, "--check", path]).2.contains("this is no certificate: "));
    // One of another pool says nothing of this one.
    assert_eq!(plan(&[&fixture("three-equal"), "--certificate", path]).0, Some(0));
    assert_eq!(plan(&[&case, "--check", path]).0, Some(1));
    let (code, _, error) = plan(&[&case, "--check", "/no/such/file"]);
    assert_eq!(
        (code, error.as_str()),
        (Some(1), "/no/such/file: there is no such file or directory\n")
    );
    assert_eq!(plan(&[&case, "--check"]).0, Some(2));
    assert_eq!(plan(&[&case, "--certificate", "--json"]).0, Some(2));
}

#[test]
fn the_program_prints_the_object_and_refuses_nonsense() {
    let run = |words: &[&str]| {
        let xe = env!("CARGO_BIN_EXE_xe");
        let done = std::process::Command::new(xe).arg("plan").args(words).output().unwrap();
        (done.status.code(), done.stdout, String::from_utf8(done.stderr).unwrap())
    };
    let case = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/plan/tied-to-two.json");
    let (code, stdout, _) = run(&[case, "--json"]);
    assert_eq!(code, Some(0));
    let object: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(object["max_failures"], 1);
    assert_eq!(object["overcommitted"], true);
    assert_eq!(object["proved"], true);
    assert_eq!(object["counterexample"].as_array().unwrap().len(), 2);
    let (code, stdout, stderr) = run(&["/no/such/case"]);
    assert_eq!((code, stdout.len()), (Some(1), 0));
    assert!(stderr.contains("/no/such/case"));
    assert_eq!(run(&[]).0, Some(2));
    assert_eq!(run(&[case, "--nonsense"]).0, Some(2));
}
