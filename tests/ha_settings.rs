//! What is said when HA is switched on, from `xe pool-ha-enable` to what the daemons do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests in a lab use the rest")]
#[path = "support/lab.rs"]
mod lab;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lab::{Lab, wait_for};

/// A pool of three hosts with HA off, and its three shared SRs.
fn with_three_srs(dir: &Path) -> (Lab, Vec<String>) {
    let lab = Lab::without_ha(dir, 3);
    for name in ["two", "three"] {
        lab.new_sr(name, &dir.join(name));
    }
    let srs = lab.done("h1", "sr-list shared=true params=uuid --minimal");
    (lab, srs.trim_end().split(',').map(str::to_owned).collect())
}

/// Enables HA with words that must be refused, and looks that nothing came of it.
#[track_caller]
fn refused(lab: &Lab, words: &str, reasons: &[&str]) {
    let why = lab.refused("h1", &format!("pool-ha-enable {words}"));
    for reason in reasons {
        assert!(why.contains(reason), "{words}: {reason}: {why}");
    }
    assert_eq!(lab.done("h1", "pool-list params=ha-enabled --minimal"), "false\n", "{words}");
    for host in ["h1", "h2", "h3"] {
        assert!(!lab.state_dir(host).join("ha.json").exists(), "{words}: {host}");
    }
}

/// A program of the pool that notes how it was called and does not end for a long time.
fn program(lab: &Lab, name: &str) -> PathBuf {
    let (path, log) = (lab.0.join(name), lab.0.join(format!("{name}.log")));
    let text = format!("#!/bin/sh\necho $@ $XE_FENCE_ADDRESS >> {}\n", log.display());
    std::fs::write(&path, format!("{text}exec sleep 600\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// `xhad --witness`, set up as the README says; it is ended with this value.
struct Witness(Child, String);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Witness {
    fn start(lab: &Lab, name: &str, key: &str) -> Self {
        use std::io::BufRead;
        let (dir, file) = (lab.0.join(name), lab.0.join(format!("{name}.key")));
        std::fs::write(&file, key).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_xe"))
            .args(["xhad", "--witness", "--listen", "127.0.0.1:0", "--state-dir"])
            .arg(dir)
            .arg("--key-file")
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(process, line.trim().rsplit(' ').next().unwrap().to_owned())
    }

    fn promises(&self, lab: &Lab, name: &str) -> usize {
        let files = std::fs::read_dir(lab.0.join(name)).unwrap();
        let is_one = |name: &str| name.starts_with("witness-");
        files.filter(|file| is_one(file.as_ref().unwrap().file_name().to_str().unwrap())).count()
    }
}

#[test]
fn every_setting_reaches_the_daemons() {
    let dir = tempfile::tempdir().unwrap();
    let (lab, srs) = with_three_srs(dir.path());
    let witness = Witness::start(&lab, "witness", &lab.done("h1", "pool-ha-witness-key"));
    let hook = program(&lab, "fence");
    lab.done(
        "h1",
        &format!(
            "pool-ha-enable heartbeat-sr-uuids={},{} ha-config:timeout=10 ha-config:witness={} \
         ha-config:fence-hook={} ha-config:fence-hook-timeout=2 \
         ha-config:isolation-response=stop-vms",
            srs[0],
            srs[1],
            witness.1,
            hook.display()
        ),
    );
    // Two statefiles decide with the witness only: that HA is on says that its vote counts.
    let answers = || {
        let told = &lab.status("h1")["witness"];
        told["answers"] == true && told["age_ms"].is_u64() && told["address"] == witness.1.as_str()
    };
    wait_for("the witness's answer", answers);
    assert_eq!(lab.status("h1")["statefiles"].as_array().unwrap().len(), 2);
    assert_eq!(witness.promises(&lab, "witness"), 1, "one session has its votes there");
    assert!(lab.done("h1", "pool-ha-status").contains(&format!("witness: {}: answers", witness.1)));

    // A host that is cut off stops its VMs and stays up; the others ask the fence device.
    let h3 = lab.done("h1", "host-list name-label=h3 --minimal").trim_end().to_owned();
    lab.fault("h3 net-cut");
    let log = || std::fs::read_to_string(lab.0.join("fence.log")).unwrap_or_default();
    wait_for("the question to the fence device", || log().contains(&format!("off {h3} 127.0.")));
    wait_for("the end of the device's time", || lab.timeline().contains("no answer within 2 s"));
    wait_for("the end of its VMs", || lab.timeline().contains("no VM runs here any more"));
    let halted = "vm-list name-label=scratch-1 power-state=halted --minimal";
    wait_for("the word of it", || lab.done("h1", halted).len() > 30);
    assert!(!lab.timeline().contains("watchdog expired"), "it was not reset");
    lab.fault("h3 net-heal");
    wait_for("its return", || lab.state("h1", "h3") == "member");

    // Another session, the same witness: its key is still the right one.
    lab.done("h1", "pool-ha-pause seconds=1");
    wait_for("the next session", || witness.promises(&lab, "witness") == 2 && answers());
}

#[test]
fn what_would_be_missed_when_it_counts_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (lab, srs) = with_three_srs(dir.path());
    let hosts: Vec<String> = ["h1", "h2", "h3"]
        .map(|name| lab.done("h1", &format!("host-list name-label={name} --minimal")))
        .map(|uuid| uuid.trim_end().to_owned())
        .into();
    let all = |words: [&'static str; 2]| -> Vec<&str> {
        words.into_iter().chain(hosts.iter().map(String::as_str)).collect()
    };
    let deaf = Witness::start(&lab, "stranger", &"5a".repeat(32));
    let words = format!("ha-config:witness={}", deaf.1);
    refused(&lab, &words, &all(["does not answer", "xe pool-ha-witness-key"]));
    refused(&lab, "ha-config:fence-hook=/no/hook", &all(["/no/hook", "no such file"]));
    let hook = program(&lab, "plain");
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o644)).unwrap();
    let words = format!("ha-config:fence-hook={}", hook.display());
    refused(&lab, &words, &all(["not executable", "chmod +x"]));

    let named = format!("heartbeat-sr-uuids={},{}", srs[0], srs[1]);
    refused(&lab, &named, &["field: heartbeat-sr-uuids", "half of them"]);
    let words = format!("{named} ha-config:statefiles=1");
    refused(&lab, &words, &["field: heartbeat-sr-uuids", "statefiles=1 says another number"]);
    refused(&lab, "ha-config:statefiles=5", &["field: ha-config:statefiles", "3 shared SRs"]);
    for timeout in ["2", "4000", "9999999999", "soon"] {
        let value = format!("value: {timeout}\n");
        refused(&lab, &format!("ha-config:timeout={timeout}"), &[&value, "3 to 3600"]);
    }
    refused(&lab, "ha-config:links=", &["field: ha-config:links", "UUID is missing"]);
    let network = lab.done("h1", "pif-list host-name-label=h1 params=network-uuid --minimal");
    let network = network.trim_end();
    refused(&lab, &format!("ha-config:links={network}"), &["management network", network]);
    refused(&lab, &format!("ha-config:links={network},{network}"), &["named twice"]);
    refused(&lab, "ha-config:witness=[::1]:7", &["no IPv4 address"]);
    refused(&lab, "ha-config:witness=no.such.machine.invalid:7", &["give its address"]);
}

#[test]
fn two_hosts_are_told_what_a_cut_link_costs_unless_a_witness_answers() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::without_ha(dir.path(), 2);
    let enable = |words: &str| {
        let out = lab.xe("h1", &format!("pool-ha-enable ha-config:timeout=10{words}"));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{words}: {said}");
        lab.done("h1", "pool-ha-disable");
        said
    };
    assert!(enable("").contains("two hosts and no witness"));
    let witness = Witness::start(&lab, "witness", &lab.done("h1", "pool-ha-witness-key"));
    let said = enable(&format!(" ha-config:witness={}", witness.1));
    assert!(said.contains("No host is reset") && !said.contains("no witness"), "{said}");
}
