//! `xe lab times`: what it reports of a fault, and that it leaves nothing behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn times(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
    command.args(["lab", "times", "--loopback", "--dir"]).arg(dir).args(words);
    command
}

fn entries(dir: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_fault_is_a_row_with_its_figures_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["--timeout", "3", "--runs", "1", "--fault", "net-cut", "--on", "master", "--json"];
    let out = times(dir.path(), &words).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    let row: Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!((&row["fault"], &row["on"]), (&"net-cut".into(), &"master".into()));
    assert_eq!((&row["network"], &row["timeout"]), (&"loopback".into(), &3.into()));
    assert_eq!((&row["runs"], &row["false_fences"]), (&1.into(), &0.into()));
    assert_eq!(row["too_early"], 0);
    let figure = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("no {name}: {row}"));
    assert!(figure("fenced") > 0.0, "{row}");
    assert!(figure("fenced") < figure("excluded"), "excluded while it could still act: {row}");
    assert!(figure("excluded") < 60.0 && figure("master") >= 0.0, "{row}");
    assert_eq!(entries(dir.path()), Vec::<std::path::PathBuf>::new());
}

/// With the safety rule broken on purpose the measurement must find what goes wrong.
#[test]
fn a_host_known_dead_before_its_reset_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["--timeout", "3", "--runs", "1", "--fault", "kill-xhad", "--on", "member"];
    let out = times(dir.path(), &[&words[..], &["--early-exclusion"]].concat()).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(!out.status.success() && text.contains("known dead BEFORE its reset"), "{text}");
}

#[test]
fn an_interrupted_measurement_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["--timeout", "30", "--steady", "600"];
    let mut measuring =
        times(dir.path(), &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < Duration::from_secs(120), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let rig = || entries(dir.path()).first().cloned();
    wait("the daemons start", &|| rig().is_some_and(|rig| rig.join("h3/xhad.sock").exists()));
    let socket = rig().unwrap().join("h3/xhad.sock");
    let listens = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    wait("a daemon listens", &listens);
    let pid = rustix::process::Pid::from_child(&measuring);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(!measuring.wait().unwrap().success());
    wait("the daemons and their directory go", &|| !listens() && rig().is_none());
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    for words in [&["--timeout", "1"][..], &["--hosts", "1"], &["--burn", "--steady"]] {
        let out = times(dir.path(), words).output().unwrap();
        assert!(!out.status.success() && out.stdout.is_empty(), "{words:?}");
    }
    let missing = times(&dir.path().join("nowhere"), &[]).output().unwrap();
    assert!(String::from_utf8_lossy(&missing.stderr).contains("is no directory"));
}

#[test]
fn help_and_the_manual_page_know_it() {
    let help = Command::new(env!("CARGO_BIN_EXE_xe")).args(["help", "lab", "times"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let page = xe::lab::manual::page().unwrap();
    for word in ["--disturb", "--steady", "--crowd", "--burn", "--fault", "--at-once"] {
        assert!(help.contains(word), "{word}: {help}");
        assert!(page.contains(&word.replace('-', "\\-")), "{word}: {page}");
    }
    assert_eq!(include_str!("../man/xe-lab.1"), page, "run: xe man man");
}
