//! What is said when HA is switched on, from `xe pool-ha-enable` to what the daemons do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A pool of three hosts with three shared SRs, HA off; it is taken down with this value.
struct Lab {
    dir: PathBuf,
    srs: Vec<String>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.lab(&["down"]);
    }
}

impl Lab {
    fn up(dir: &Path) -> Self {
        let mut lab = Self { dir: dir.to_owned(), srs: Vec::new() };
        let out = lab.lab(&["up", "--hosts", "3", "--no-ha"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        for name in ["two", "three"] {
            let location = dir.join(name);
            std::fs::create_dir(&location).unwrap();
            lab.done(&format!(
                "sr-create type=file shared=true name-label={name} device-config:location={}",
                location.display()
            ));
        }
        let srs = lab.done("sr-list shared=true params=uuid --minimal");
        lab.srs = srs.trim_end().split(',').map(str::to_owned).collect();
        lab
    }

    fn lab(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.args(["lab", words[0], "--dir"]).arg(&self.dir).args(&words[1..]).output().unwrap()
    }

    fn xe(&self, host: &str, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.env_clear().env("HOME", "/nonexistent").arg("--state-dir");
        command.arg(self.dir.join("hosts").join(host)).args(line.split(' ')).output().unwrap()
    }

    /// What a command on the master printed, which must succeed.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let out = self.xe("h1", line);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{line}: {error}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// Enables HA with words that must be refused, and looks that nothing came of it.
    #[track_caller]
    fn refused(&self, words: &str, reasons: &[&str]) {
        let out = self.xe("h1", &format!("pool-ha-enable {words}"));
        let why = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "{words} was taken");
        for reason in reasons {
            assert!(why.contains(reason), "{words}: {reason}: {why}");
        }
        assert!(!why.contains("os error") && !why.contains("<extra>"), "{words}: {why}");
        assert_eq!(self.done("pool-list params=ha-enabled --minimal"), "false\n", "{words}");
        for host in ["h1", "h2", "h3"] {
            assert!(!self.dir.join("hosts").join(host).join("ha.json").exists(), "{words}: {host}");
        }
    }

    fn status(&self) -> serde_json::Value {
        let out = self.xe("h1", "pool-ha-status --json").stdout;
        serde_json::from_slice(&out).unwrap_or_default()
    }

    fn state(&self, of: &str) -> String {
        let status = self.status();
        let hosts = status["hosts"].as_array().cloned().unwrap_or_default();
        let host = hosts.iter().find(|host| host["host"]["name"] == of);
        host.and_then(|host| host["state"].as_str()).unwrap_or_default().to_owned()
    }

    /// A program of the pool that notes how it was called and does not end for a long time.
    fn program(&self, name: &str) -> PathBuf {
        let (path, log) = (self.dir.join(name), self.dir.join(format!("{name}.log")));
        let text = format!("#!/bin/sh\necho $@ $XE_FENCE_ADDRESS >> {}\n", log.display());
        std::fs::write(&path, format!("{text}exec sleep 600\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }
}

#[track_caller]
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(90), "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
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
        let (dir, file) = (lab.dir.join(name), lab.dir.join(format!("{name}.key")));
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
        let files = std::fs::read_dir(lab.dir.join(name)).unwrap();
        let is_one = |name: &str| name.starts_with("witness-");
        files.filter(|file| is_one(file.as_ref().unwrap().file_name().to_str().unwrap())).count()
    }
}

#[test]
fn every_setting_reaches_the_daemons() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let witness = Witness::start(&lab, "witness", &lab.done("pool-ha-witness-key"));
    let hook = lab.program("fence");
    lab.done(&format!(
        "pool-ha-enable heartbeat-sr-uuids={},{} ha-config:timeout=10 ha-config:witness={} \
         ha-config:fence-hook={} ha-config:fence-hook-timeout=2 \
         ha-config:isolation-response=stop-vms",
        lab.srs[0],
        lab.srs[1],
        witness.1,
        hook.display()
    ));
    // Two statefiles decide with the witness only: that HA is on says that its vote counts.
    let answers = || {
        let told = &lab.status()["witness"];
        told["answers"] == true && told["age_ms"].is_u64() && told["address"] == witness.1.as_str()
    };
    wait_for("the witness's answer", answers);
    assert_eq!(lab.status()["statefiles"].as_array().unwrap().len(), 2);
    assert_eq!(witness.promises(&lab, "witness"), 1, "one session has its votes there");
    assert!(lab.done("pool-ha-status").contains(&format!("witness: {}: answers", witness.1)));

    // A host that is cut off stops its VMs and stays up; the others ask the fence device.
    let h3 = lab.done("host-list name-label=h3 --minimal").trim_end().to_owned();
    lab.lab(&["fault", "h3", "net-cut"]);
    let log = || std::fs::read_to_string(lab.dir.join("fence.log")).unwrap_or_default();
    wait_for("the question to the fence device", || log().contains(&format!("off {h3} 127.0.")));
    let timeline = || String::from_utf8(lab.lab(&["timeline"]).stdout).unwrap();
    wait_for("the end of the device's time", || timeline().contains("no answer within 2 s"));
    wait_for("the end of its VMs", || timeline().contains("no VM runs here any more"));
    let halted = "vm-list name-label=scratch-1 power-state=halted --minimal";
    wait_for("the word of it", || lab.done(halted).len() > 30);
    assert!(!timeline().contains("watchdog expired"), "it was not reset");
    lab.lab(&["fault", "h3", "net-heal"]);
    wait_for("its return", || lab.state("h3") == "member");

    // Another session, the same witness: its key is still the right one.
    lab.done("pool-ha-pause seconds=1");
    wait_for("the next session", || witness.promises(&lab, "witness") == 2 && answers());
}

#[test]
fn what_would_be_missed_when_it_counts_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let hosts: Vec<String> = ["h1", "h2", "h3"]
        .map(|name| lab.done(&format!("host-list name-label={name} --minimal")))
        .map(|uuid| uuid.trim_end().to_owned())
        .into();
    let all = |words: [&'static str; 2]| -> Vec<&str> {
        words.into_iter().chain(hosts.iter().map(String::as_str)).collect()
    };
    let deaf = Witness::start(&lab, "stranger", &"5a".repeat(32));
    let words = format!("ha-config:witness={}", deaf.1);
    lab.refused(&words, &all(["does not answer", "xe pool-ha-witness-key"]));
    lab.refused("ha-config:fence-hook=/no/hook", &all(["/no/hook", "no such file"]));
    let hook = lab.program("plain");
    std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o644)).unwrap();
    let words = format!("ha-config:fence-hook={}", hook.display());
    lab.refused(&words, &all(["not executable", "chmod +x"]));

    let named = format!("heartbeat-sr-uuids={},{}", lab.srs[0], lab.srs[1]);
    lab.refused(&named, &["field: heartbeat-sr-uuids", "half of them"]);
    let words = format!("{named} ha-config:statefiles=1");
    lab.refused(&words, &["field: heartbeat-sr-uuids", "statefiles=1 says another number"]);
    lab.refused("ha-config:statefiles=5", &["field: ha-config:statefiles", "3 shared SRs"]);
    for timeout in ["2", "4000", "9999999999", "soon"] {
        let value = format!("value: {timeout}\n");
        lab.refused(&format!("ha-config:timeout={timeout}"), &[&value, "3 to 3600"]);
    }
    lab.refused("ha-config:links=", &["field: ha-config:links", "UUID is missing"]);
    let network = lab.done("pif-list host-name-label=h1 params=network-uuid --minimal");
    let network = network.trim_end();
    lab.refused(&format!("ha-config:links={network}"), &["management network", network]);
    lab.refused(&format!("ha-config:links={network},{network}"), &["named twice"]);
    lab.refused("ha-config:witness=[::1]:7", &["no IPv4 address"]);
    lab.refused("ha-config:witness=no.such.machine.invalid:7", &["give its address"]);
}

#[test]
fn two_hosts_are_told_what_a_cut_link_costs_unless_a_witness_answers() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab { dir: dir.path().to_owned(), srs: Vec::new() };
    let out = lab.lab(&["up", "--hosts", "2", "--no-ha"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let enable = |words: &str| {
        let out = lab.xe("h1", &format!("pool-ha-enable ha-config:timeout=10{words}"));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{words}: {said}");
        lab.done("pool-ha-disable");
        said
    };
    assert!(enable("").contains("two hosts and no witness"));
    let witness = Witness::start(&lab, "witness", &lab.done("pool-ha-witness-key"));
    let said = enable(&format!(" ha-config:witness={}", witness.1));
    assert!(said.contains("No host is reset") && !said.contains("no witness"), "{said}");
}
