//! The lab from outside: its commands, its faults, and the loss of a host from end to end.
//!
//! Every test has a directory and (by itself) a block of addresses of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/namespaces.rs"]
mod namespaces;
#[path = "support/skip.rs"]
mod skip;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use xe::host::faults::{self, FaultChannel, Faults};

/// Labs with timers run one after the other: each is a load of its own.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lab(dir: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
    command.args(["lab", words[0], "--dir"]).arg(dir).args(&words[1..]).output().unwrap()
}

/// Runs a command that must succeed and gives its output.
fn lab_ok(dir: &Path, words: &[&str]) -> String {
    let out = lab(dir, words);
    let (text, errors) =
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{words:?}: {errors}\n{text}");
    text
}

/// Takes the lab down when a test ends early.
struct Down<'a>(&'a Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        lab(self.0, &["down"]);
    }
}

fn row<'a>(table: &'a str, first: &str) -> Vec<&'a str> {
    let cells = |line: &'a str| line.split(['│', '┆']).map(str::trim).collect::<Vec<_>>();
    let fits = |cells: &Vec<&str>| cells.get(1) == Some(&first);
    table.lines().map(cells).find(fits).unwrap_or_else(|| panic!("no {first} in {table}"))
}

#[test]
fn a_pool_comes_up_loses_power_and_goes_down() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let _down = Down(dir.path());
    lab_ok(dir.path(), &["up", "--no-ha", "--vms", "4"]);
    let status = lab_ok(dir.path(), &["status"]);
    assert_eq!(row(&status, "h2")[3], "on");
    assert!(row(&status, "db-1")[7].ends_with("moving"), "{status}");

    let second = lab(dir.path(), &["up", "--no-ha"]);
    assert!(String::from_utf8_lossy(&second.stderr).contains("xe lab down"));
    let early = lab(dir.path(), &["fault", "h2", "power-on"]);
    assert!(String::from_utf8_lossy(&early.stderr).contains("is on"));

    lab_ok(dir.path(), &["fault", "h2", "power-off"]);
    let status = lab_ok(dir.path(), &["status"]);
    let h2 = row(&status, "h2");
    assert_eq!((h2[3], h2[4], h2[10]), ("off", "-", "0"), "{status}");
    let timeline = lab_ok(dir.path(), &["timeline"]);
    assert!(
        timeline.contains("fault: power-off") && timeline.contains("machine-off"),
        "{timeline}"
    );

    lab_ok(dir.path(), &["fault", "h2", "power-on"]);
    let object = lab_ok(dir.path(), &["env", "h1", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&object).unwrap();
    let socket = object["socket"].as_str().unwrap();
    assert!(Path::new(socket).exists());
    lab_ok(dir.path(), &["down"]);
    assert!(!lab(dir.path(), &["status"]).status.success());
    assert!(lab_ok(dir.path(), &["timeline"]).contains("lab-down"));
}

#[test]
fn status_says_where_vms_really_run_and_when_one_runs_twice() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let _down = Down(dir.path());
    lab_ok(dir.path(), &["up", "--no-ha", "--vms", "6"]);
    let status = lab_ok(dir.path(), &["status"]);
    assert_eq!((row(&status, "app-1")[2], row(&status, "scratch-1")[2]), ("h1", "h3"), "{status}");
    assert!(!status.contains("TWICE"), "{status}");
    // A lie, without HA: the host that is called dead is only cut off.
    lab_ok(dir.path(), &["fault", "h3", "net-cut"]);
    let xe = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.env_clear().env("HOME", "/nonexistent").arg("--state-dir");
        let out = command.arg(dir.path().join("hosts/h1")).args(line.split(' ')).output().unwrap();
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    };
    let h3 = xe("host-list name-label=h3 --minimal");
    xe(&format!("host-declare-dead uuid={h3} --force"));
    let status = lab_ok(dir.path(), &["status"]);
    assert_eq!(row(&status, "scratch-1")[2], "h3 (pool: -)", "{status}");
    xe("vm-start vm=scratch-1 on=h2");
    let status = lab_ok(dir.path(), &["status"]);
    assert_eq!(row(&status, "scratch-1")[2], "TWICE: h2 h3", "{status}");
    assert!(status.contains("TWICE: scratch-1 runs on h2 and h3 at once"), "{status}");
    // The machines' disks are looked at beside this.
    let begun = std::time::Instant::now();
    while !lab_ok(dir.path(), &["timeline"]).contains("vm-twice") {
        assert!(begun.elapsed().as_secs() < 60, "the timeline does not tell");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn disk_faults_reach_vms_only_when_told_to() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let _down = Down(dir.path());
    lab_ok(dir.path(), &["up", "--no-ha", "--hosts", "1", "--vms", "1"]);
    let canary = || row(&lab_ok(dir.path(), &["status"]), "db-1")[7].to_owned();
    lab_ok(dir.path(), &["fault", "h1", "disk-hang"]);
    assert!(canary().ends_with("moving"));
    lab_ok(dir.path(), &["fault", "h1", "disk-eio", "--also-vm-disks"]);
    assert!(canary().ends_with("still"));
    lab_ok(dir.path(), &["fault", "h1", "disk-heal"]);
    assert!(canary().ends_with("moving"));
}

#[test]
fn machines_can_be_namespaces() {
    if let Some(why) = namespaces::impossible() {
        return skip::skipped(why);
    }
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let _down = Down(dir.path());
    lab_ok(dir.path(), &["up", "--no-ha", "--netns", "--hosts", "2", "--vms", "2"]);
    let status = lab_ok(dir.path(), &["status"]);
    assert!(row(&status, "h2")[2].starts_with("10."), "{status}");
    assert!(row(&status, "app-1")[7].ends_with("moving"), "{status}");
    lab_ok(dir.path(), &["fault", "h2", "power-off"]);
    let status = lab_ok(dir.path(), &["status"]);
    assert_eq!((row(&status, "h2")[3], row(&status, "h2")[10]), ("off", "0"), "{status}");
    assert!(row(&status, "app-1")[7].ends_with("still"), "{status}");
}

#[test]
fn bad_words_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let none = lab(dir.path(), &["status"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("xe lab up"));
    assert!(!lab(dir.path(), &["fault", "h1", "power-off"]).status.success());
    std::fs::write(dir.path().join("letter"), "dear").unwrap();
    assert!(!lab(dir.path(), &["up"]).status.success());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// Not a test of its own: what a process sees that was started with the lab's variables.
#[test]
fn helper_says_what_this_process_sees() {
    if std::env::var_os("XE_LAB_BOOT_ID").is_none() {
        return;
    }
    let faults = Faults::from_environment();
    let boot = xe::host::boot_id::current(&faults).unwrap();
    println!("sees {} {} {boot}", faults.is_lab(), faults.bits());
}

/// What a process sees that inherits the file under the number that the variable names.
fn seen_with(file: Option<&File>, number: &str) -> String {
    if let Some(file) = file {
        rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty()).unwrap();
    }
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_says_what_this_process_sees", "--nocapture"])
        .env(faults::VARIABLE, number)
        .env("XE_LAB_BOOT_ID", "11111111-1111-1111-1111-111111111111")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let line = text.lines().find_map(|line| Some(line.split_once("sees ")?.1));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn nothing_but_the_labs_own_channel_switches_faults_on() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"xe lab faults 1\n").unwrap();
    file.write_all(&u64::MAX.to_le_bytes()).unwrap();
    let number = file.as_raw_fd().to_string();
    let dir = tempfile::tempdir().unwrap();
    let named = File::create(dir.path().join("memfd:xe-lab-faults")).unwrap();
    let named_number = named.as_raw_fd().to_string();
    let tries = [(None, "9"), (None, "0"), (Some(&file), &*number), (Some(&named), &*named_number)];
    for (file, number) in tries {
        let seen = seen_with(file, number);
        assert!(seen.starts_with("false 0 "), "{number}: {seen}");
        assert!(!seen.contains("11111111"), "{number}: {seen}");
    }
    let channel = FaultChannel::create().unwrap();
    channel.set(faults::NET_CUT).unwrap();
    let seen = seen_with(None, &channel.number().to_string());
    assert_eq!(seen, "true 1 11111111-1111-1111-1111-111111111111");
}

#[test]
fn the_loss_of_a_member_is_survived_in_order_and_once() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let text = lab_ok(dir.path(), &["demo", "--fault", "power-off", "--on", "member"]);
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("summary: fault=power-off on=member fenced=- excluded="), "{text}");
    assert!(last.ends_with("restarted=2/2 violations=0"), "{text}");
}

#[test]
fn the_restarts_of_vms_of_both_kinds_are_measured() {
    if Command::new("qemu-system-x86_64").arg("--version").output().is_err() {
        skip::skipped("qemu-system-x86_64 is not installed");
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let words = ["restarts", "--vms", "6", "--on", "master", "--starts-per-host", "2", "--json"];
    let text = lab_ok(dir.path(), &words);
    let run: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!((&run["on"], run["starts_per_host"].as_u64()), (&"master".into(), Some(2)), "{run}");
    assert_eq!((run["restarted"].as_u64(), run["lost"].as_u64()), (Some(2), Some(2)), "{run}");
    assert_eq!(
        (&run["violations"], &run["missing"]),
        (&serde_json::json!([]), &().into()),
        "{run}"
    );
    let time = |name: &str| run[name].as_f64().unwrap_or_else(|| panic!("no {name}: {run}"));
    assert!(0.0 <= time("first_start") && time("first_start") <= time("last_start"), "{run}");
    assert!(time("last_start") < time("last_canary") && time("cpu") > 0.0, "{run}");
}

/// With the safety rule broken on purpose the checks must find what goes wrong. The wrong restart
/// must come before the watchdog fires, so a slower driver gets a larger T.
fn early_exclusion(driver: &str, timeout: &str) {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let fault = ["demo", "--fault", "stop-xhad", "--early-exclusion", "--hypervisor", driver];
    let words = [&fault[..], &["--timeout", timeout]].concat();
    let out = lab(dir.path(), &words);
    let text = String::from_utf8_lossy(&out.stdout);
    let last = text.lines().last().unwrap_or("");
    assert!(last.starts_with("summary: ") && !last.ends_with("violations=0"), "{text}");
    assert!(!out.status.success());
}

#[test]
fn a_host_taken_for_dead_too_early_is_noticed() {
    early_exclusion("process", "20");
}

#[test]
fn a_host_taken_for_dead_too_early_is_noticed_with_qemu() {
    if Command::new("qemu-system-x86_64").arg("--version").output().is_err() {
        skip::skipped("qemu-system-x86_64 is not installed");
        return;
    }
    early_exclusion("qemu", "30");
}
