//! Scenarios about storage, files and addresses of hosts, played in a lab; the numbers are those of
//! `tests/scenarios/README.md`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests in a lab use the rest")]
#[path = "support/lab.rs"]
mod lab;
#[path = "support/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};
use std::process::Command;

use lab::{Lab, really_running, wait_for};

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// A small file system that is unmounted with this value.
struct Small(PathBuf);

impl Small {
    /// None, with a line, where this may not be done.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={size},mode=700");
        let words = ["-t", "tmpfs", "-o", &size, "tmpfs"];
        let out = Command::new("mount").args(words).arg(at).output();
        if !out.is_ok_and(|out| out.status.success()) {
            skip::skipped("a small file system cannot be mounted here");
            return None;
        }
        Some(Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _still_busy = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn resets(lab: &Lab) -> usize {
    let out = lab.lab(&["timeline", "--all"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).matches("the machine was killed").count()
}

#[test]
fn s20_a_host_whose_address_has_changed_says_so_and_joins_with_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    lab.fault("h3 power-off");
    let file = lab.state_dir("h3").join("ha.json");
    let session = std::fs::read_to_string(&file).unwrap();
    let config = std::fs::read_to_string(lab.state_dir("h3").join("agent.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let own = format!("\"{}\"", config["address"].as_str().unwrap());
    assert!(session.contains(&own));
    // An address of which the pool knows and the machine does not.
    std::fs::write(&file, session.replace(&own, "\"192.0.2.9\"")).unwrap();
    lab.fault("h3 power-on");
    wait_for("the refusal with its remedy", || {
        let why = String::from_utf8(lab.xe("h3", "vm-list").stderr).unwrap();
        why.contains("does not have the address 192.0.2.9") && why.contains("xe pool-ha-disable")
    });
    // It is tried again and again, and noted once.
    std::thread::sleep(std::time::Duration::from_secs(7));
    let history = std::fs::read_to_string(lab.state_dir("h3").join("history-agent.jsonl")).unwrap();
    assert_eq!(history.matches("ha-start-failed").count(), 1);
    assert!(history.matches("standing").count() < 20, "{history}");
    assert_eq!(lab.state("h1", "h2"), "member");
    assert_eq!(lab.done("h1", "pool-list params=ha-enabled --minimal"), "true\n");
    lab.fault("h3 power-off");
    std::fs::write(&file, session).unwrap();
    lab.fault("h3 power-on");
    wait_for("its return", || lab.state("h1", "h3") == "member");
    assert_eq!(resets(&lab), 0);
}

#[test]
fn s31_storage_without_room_is_refused_with_what_is_needed_and_free() {
    let dir = tempfile::tempdir().unwrap();
    let there = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(there.path(), "8m") else { return };
    let lab = Lab::without_ha(dir.path(), 3);
    let sr = lab.new_sr("small", &small.0);
    let why = lab.refused("h1", &format!("pool-ha-enable heartbeat-sr-uuids={sr}"));
    let says = [&sr, "bytes needed: 27", "bytes free: 8"];
    assert!(says.iter().all(|word| why.contains(*word)), "{why}");
    assert_eq!(lab.done("h1", "pool-list params=ha-enabled --minimal"), "false\n");
}

#[test]
fn s35_two_disks_under_one_name_are_refused_and_the_host_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::without_ha(dir.path(), 3);
    let sr = lab.new_sr("two", &dir.path().join("two"));
    let enable = format!("pool-ha-enable heartbeat-sr-uuids={sr} ha-config:timeout=10");
    lab.done("h1", &enable);
    lab.done("h1", "pool-ha-disable");
    let none = |host: &&str| !lab.state_dir(host).join("ha.json").exists();
    wait_for("the end of all sessions", || HOSTS.iter().all(none));
    // On h3 the same name leads to a copy.
    let [from, to] = ["two", "other"].map(|name| dir.path().join(name));
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
    let h3 = lab.done("h1", "host-list name-label=h3 --minimal").trim_end().to_owned();
    let pbd = lab.done("h1", &format!("pbd-list sr-uuid={sr} host-uuid={h3} --minimal"));
    lab.done("h1", &format!("pbd-unplug uuid={}", pbd.trim_end()));
    lab.done("h1", &format!("pbd-destroy uuid={}", pbd.trim_end()));
    let at = dir.path().join("other").display().to_string();
    let line = format!("sr-uuid={sr} host-uuid={h3} device-config:location={at}");
    let pbd = lab.done("h1", &format!("pbd-create {line}"));
    lab.done("h1", &format!("pbd-plug uuid={}", pbd.trim_end()));
    let why = lab.refused("h1", &enable);
    assert!(why.contains("does not see the same statefile") && why.contains(&h3), "{why}");
    assert_eq!(lab.done("h1", "pool-list params=ha-enabled --minimal"), "false\n");
    assert!(HOSTS.iter().all(none), "nobody keeps a session");
}

#[test]
fn s44_storage_that_hangs_is_told_and_resets_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let at = dir.path().join("two");
    let sr = lab.new_sr("two", &at);
    // Who reads a pipe that nobody writes waits like one whose storage hangs.
    let name = at.join("sr.uuid");
    std::fs::remove_file(&name).unwrap();
    assert!(Command::new("mkfifo").arg(&name).status().unwrap().success());
    let told = || {
        let all = lab.messages("h1");
        all.matches("SR_NOT_ANSWERING").count()
    };
    wait_for("a word about each host", || told() == 3);
    let body = lab.done("h1", "message-list name=SR_NOT_ANSWERING params=body --minimal");
    assert!(body.contains(&sr) && body.contains("(two)"), "{body}");
    for host in HOSTS {
        let stands = lab.state("h1", host);
        assert!(["master", "member"].contains(&stands.as_str()), "{host}: {stands}");
    }
    let running = lab.done("h1", "vm-list power-state=running is-control-domain=false --minimal");
    assert_eq!(running.matches('-').count(), 6 * 4, "{running}");
    assert_eq!(resets(&lab), 0);
    // It answers again.
    let pipe = at.join("hangs");
    std::fs::rename(&name, &pipe).unwrap();
    std::fs::write(&name, format!("{sr}\n")).unwrap();
    drop(std::fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    wait_for("its end", || lab.messages("h1").matches("SR_NOT_ANSWERING_RECOVERED").count() == 3);
}

#[test]
fn s47_what_the_shared_storage_holds_wins_over_older_copies_of_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let pool = lab.done("h1", "pool-list --minimal").trim_end().to_owned();
    let rename = |name: &str| {
        lab.done("h1", &format!("pool-param-set uuid={pool} name-label={name}"));
    };
    rename("old");
    lab.fault("h2 power-off");
    lab.fault("h3 power-off");
    wait_for("a view of one", || {
        let stands = |host: &str| lab.state("h1", host);
        !["member", "live", "suspect"].contains(&stands("h2").as_str())
            && !["member", "live", "suspect"].contains(&stands("h3").as_str())
            && lab.xe("h1", "pool-list").status.success()
    });
    rename("new");
    lab.fault("h1 power-off");
    lab.fault("h2 power-on");
    lab.fault("h3 power-on");
    // Their own copies are older than what h1 has left on the shared storage.
    let name = |host: &str| lab.xe(host, "pool-list params=name-label --minimal").stdout;
    wait_for("a master", || !name("h2").is_empty() && !name("h3").is_empty());
    wait_for("the newest rows", || name("h2") == b"new\n" && name("h3") == b"new\n");
    assert_eq!(lab.done("h2", "pool-list params=name-label --minimal"), "new\n");
}

#[test]
fn s98_a_master_that_has_lost_its_session_asks_and_switches_nothing_off() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    HOSTS.iter().for_each(|host| lab.fault(&format!("{host} power-off")));
    std::fs::remove_file(lab.state_dir("h1").join("ha.json")).unwrap();
    lab.fault("h1 power-on");
    wait_for("its question", || {
        let out = lab.xe("h1", "message-list name=HA_STATEFILE_LOST params=body --minimal");
        String::from_utf8(out.stdout).unwrap().contains("is not armed")
    });
    assert_eq!(lab.done("h1", "pool-list params=ha-enabled --minimal"), "true\n");
    let vm = lab.done("h1", "vm-list name-label=app-1 --minimal");
    assert!(really_running(&lab, &vm).is_empty(), "nothing runs before that is answered");
}

/// Puts the state of a host that is off on a small file system; what is outside of its machine,
/// such as the power button, stays where it is.
fn on_small_disk(lab: &Lab, host: &str, keep: &Path) -> Option<[Small; 3]> {
    let home = lab.state_dir(host);
    let bind = |from: &Path, to: &Path| {
        let out = Command::new("mount").arg("--bind").args([from, to]).status();
        assert!(out.unwrap().success());
        Small(to.to_owned())
    };
    let small = Small::mount(&keep.join("probe"), "1m")?;
    drop(small);
    std::fs::create_dir(keep.join("home")).unwrap();
    let whole = bind(&home, &keep.join("home"));
    let disk = Small::mount(&home, "64m")?;
    for entry in std::fs::read_dir(&whole.0).unwrap().flatten() {
        if entry.file_name() != "machine" {
            Command::new("cp").arg("-a").arg(entry.path()).arg(&home).status().unwrap();
        }
    }
    std::fs::create_dir(home.join("machine")).unwrap();
    let outside = bind(&whole.0.join("machine"), &home.join("machine"));
    Some([outside, disk, whole])
}

#[test]
fn s120_a_full_state_directory_of_the_master_costs_no_host_and_no_vm() {
    let (dir, keep) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lab = Lab::without_ha(dir.path(), 3);
    lab.fault("h1 power-off");
    let Some(_mounts) = on_small_disk(&lab, "h1", keep.path()) else { return };
    lab.fault("h1 power-on");
    wait_for("the master", || lab.xe("h1", "vm-start vm=app-1 on=h1").status.success());
    lab.done("h1", "host-list");
    wait_for("HA", || lab.xe("h1", "pool-ha-enable ha-config:timeout=10").status.success());
    let ballast = lab.state_dir("h1").join("ballast");
    assert!(std::fs::write(&ballast, vec![0; 128 << 20]).is_err(), "now it is full");
    // A host is lost all the same: what it ran must run elsewhere.
    let vm = |name: &str| lab.done("h2", &format!("vm-list name-label={name} --minimal"));
    let (app, db) = (vm("app-1"), vm("db-2"));
    let at = really_running(&lab, &db)[0];
    assert_ne!(at, "h1");
    lab.fault(&format!("{at} power-off"));
    wait_for("the restart", || {
        let now = really_running(&lab, &db);
        now.len() == 1 && now != [at]
    });
    assert_eq!(really_running(&lab, &app), ["h1"]);
    assert_eq!(resets(&lab), 0);
    let other = if at == "h2" { "h3" } else { "h2" };
    assert_eq!(lab.state(other, other), "master");
    let told = |name: &str| lab.messages(other).split(',').any(|known| known.trim() == name);
    wait_for("the alert", || told("HOST_STATE_NOT_WRITTEN"));
    std::fs::remove_file(ballast).unwrap();
    wait_for("its end", || told("HOST_STATE_NOT_WRITTEN_RECOVERED"));
    assert_eq!(resets(&lab), 0);
}
