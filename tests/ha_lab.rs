//! Maintenance, pause, hooks and withdrawn alerts on the hosts of a lab.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A lab that is taken down with this value.
struct Lab(PathBuf);

impl Drop for Lab {
    fn drop(&mut self) {
        self.lab(&["down"]);
    }
}

impl Lab {
    fn up(dir: &Path) -> Self {
        let lab = Self(dir.to_owned());
        let out = lab.lab(&["up", "--hosts", "3"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        lab
    }

    fn lab(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.args(["lab", words[0], "--dir"]).arg(&self.0).args(&words[1..]).output().unwrap()
    }

    fn state_dir(&self, host: &str) -> PathBuf {
        self.0.join("hosts").join(host)
    }

    /// Runs a command on a host.
    fn xe(&self, host: &str, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.env_clear().env("HOME", "/nonexistent").arg("--state-dir");
        command.arg(self.state_dir(host)).args(line.split(' ')).output().unwrap()
    }

    /// What a command printed, which must succeed.
    #[track_caller]
    fn done(&self, host: &str, line: &str) -> String {
        let out = self.xe(host, line);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{line}: {error}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// How a host stands, as another one sees it; nothing while that one does not answer.
    fn state(&self, from: &str, of: &str) -> String {
        let out = self.xe(from, "pool-ha-status --json").stdout;
        let Ok(status) = serde_json::from_slice::<serde_json::Value>(&out) else {
            return String::new();
        };
        let hosts = status["hosts"].as_array().unwrap();
        let host = hosts.iter().find(|host| host["host"]["name"] == of).unwrap();
        host["state"].as_str().unwrap().to_owned()
    }

    fn messages(&self, host: &str) -> String {
        let out = self.xe(host, "message-list params=name --minimal");
        String::from_utf8(out.stdout).unwrap()
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

fn hook(lab: &Lab, host: &str, name: &str) {
    let dir = lab.state_dir(host).join("hooks").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    let program = dir.join("10-note");
    let log = lab.0.join("hooks.log");
    let text = format!("#!/bin/sh\necho {name} $@ >> {}\nsleep 0.5\n", log.display());
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_host_in_maintenance_stays_out_and_a_pause_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    // A member: out of the view and empty, also after a reboot, until it is called back.
    lab.done("h1", "host-maintenance-enter host=h3");
    assert_eq!(lab.state("h1", "h3"), "excluded");
    lab.lab(&["fault", "h3", "power-off"]);
    lab.lab(&["fault", "h3", "power-on"]);
    wait_for("the new boot", || lab.xe("h3", "host-list --minimal").status.success());
    wait_for("its report", || {
        lab.done("h1", "host-list name-label=h3 params=host-metrics-live --minimal") == "true\n"
    });
    let refused = lab.xe("h1", "vm-start vm=scratch-1 on=h3");
    assert!(!refused.status.success());
    assert!(!["member", "live"].contains(&lab.state("h1", "h3").as_str()));
    lab.done("h1", "host-maintenance-exit host=h3");
    assert_eq!(lab.state("h1", "h3"), "member");

    // In the same boot, and called back before it has quite left.
    lab.done("h1", "host-maintenance-enter host=h3");
    lab.done("h1", "host-maintenance-exit host=h3");
    assert_eq!(lab.state("h1", "h3"), "member");

    // The master: another host takes over before it leaves.
    lab.done("h1", "host-maintenance-enter host=h1");
    wait_for("the new master", || lab.state("h2", "h1") == "excluded");
    wait_for("the way to it", || lab.xe("h1", "host-list --minimal").status.success());
    lab.done("h1", "host-maintenance-exit host=h1");
    wait_for("its return", || lab.state("h2", "h1") == "member");

    lab.done("h2", "pool-ha-pause seconds=5");
    let status = lab.done("h2", "pool-ha-status");
    assert!(status.contains("fencing and restarts are held back for"), "{status}");
    assert!(lab.done("h2", "pool-ha-status --minimal").starts_with("false,"));
    wait_for("the end of the pause", || {
        let out = lab.xe("h2", "pool-ha-status --minimal").stdout;
        String::from_utf8(out).unwrap().starts_with("true,")
    });
    assert_eq!(lab.done("h2", "vm-list power-state=running name-label=db-1 --minimal").len(), 37);
}

#[test]
fn s99_a_machine_that_does_not_go_down_stays_out_until_that_is_known_and_joins_again() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let (going, ended) = (dir.path().join("going"), dir.path().join("ended"));
    let power = lab.state_dir("h3").join("machine/power");
    let wait = format!("while [ ! -e {} ]; do sleep 0.1; done", ended.display());
    std::fs::write(&power, format!("#!/bin/sh\ntouch {}\n{wait}\nexit 1\n", going.display()))
        .unwrap();
    lab.done("h1", "host-disable host=h3");
    lab.done("h1", "host-evacuate host=h3");
    lab.done("h1", "host-shutdown host=h3");
    wait_for("the way down", || going.exists());
    assert_eq!(lab.state("h1", "h3"), "excluded");
    // Long enough for a daemon that is started anew to be admitted.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(lab.state("h1", "h3"), "excluded");
    std::fs::write(&ended, "").unwrap();
    wait_for("its return", || lab.state("h1", "h3") == "member");
    lab.done("h1", "host-enable host=h3");
    lab.done("h1", "vm-migrate vm=scratch-1 host=h3");
}

#[test]
fn s45_s49_s50_only_the_heartbeat_changes_the_master_of_an_armed_pool() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let h2 = lab.done("h1", "host-list name-label=h2 --minimal");
    let by_hand = [
        ("h1", format!("pool-designate-new-master host-uuid={}", h2.trim_end())),
        ("h2", "pool-emergency-transition-to-master --force".to_owned()),
        ("h2", "pool-emergency-reset-master master-address=127.0.0.4".to_owned()),
    ];
    for (host, line) in by_hand {
        let refused = lab.xe(host, &line);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains("HA"), "{line}: {why}");
    }
    assert_eq!(lab.state("h1", "h1"), "master");
    assert_eq!(lab.state("h1", "h2"), "member");
}

#[test]
fn s92_an_enable_that_fails_on_one_host_is_taken_back_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let hosts = ["h1", "h2", "h3"];
    let nobody = || hosts.iter().all(|host| !lab.state_dir(host).join("ha.json").exists());
    lab.done("h1", "pool-ha-disable");
    wait_for("the end of all sessions", nobody);
    let config = std::fs::read(lab.state_dir("h3").join("agent.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let address = config["address"].as_str().unwrap();
    let port = u16::try_from(config["udp-port"].as_u64().unwrap()).unwrap();
    let taken = std::net::UdpSocket::bind((address, port)).unwrap();
    let refused = lab.xe("h1", "pool-ha-enable ha-config:timeout=10");
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("in use") && why.contains("h3"), "{why}");
    assert!(nobody());
    assert_eq!(lab.done("h1", "pool-list params=ha-enabled --minimal"), "false\n");
    drop(taken);
    lab.done("h1", "pool-ha-enable ha-config:timeout=10");
    assert_eq!(lab.state("h1", "h3"), "member");
}

#[test]
fn s95_ha_is_switched_off_while_all_have_lost_the_storage() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let hosts = ["h1", "h2", "h3"];
    hosts.iter().for_each(|host| drop(lab.lab(&["fault", host, "disk-eio"])));
    let by_network = || lab.done("h1", "pool-ha-status").contains("by network");
    wait_for("network mode", by_network);
    lab.done("h1", "pool-ha-disable");
    for host in hosts {
        wait_for("the end of its session", || !lab.state_dir(host).join("ha.json").exists());
    }
    hosts.iter().for_each(|host| drop(lab.lab(&["fault", host, "disk-heal"])));
    let running = lab.done("h1", "vm-list power-state=running is-control-domain=false --minimal");
    assert_eq!(running.matches('-').count(), 6 * 4, "{running}");
    lab.done("h1", "pool-ha-enable ha-config:timeout=10");
    assert_eq!(lab.state("h1", "h3"), "member");
}

#[test]
fn hooks_run_before_and_after_and_alerts_are_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    for name in ["host-pre-declare-dead", "host-post-declare-dead", "pool-pre-ha-vm-restart"] {
        hook(&lab, "h1", name);
    }
    let h2 = lab.done("h1", "host-list name-label=h2 --minimal").trim_end().to_owned();
    lab.lab(&["fault", "h2", "power-off"]);
    let log = || std::fs::read_to_string(dir.path().join("hooks.log")).unwrap_or_default();
    wait_for("the restarts", || {
        let elsewhere = |vm: &&str| {
            let line = format!("vm-list name-label={vm} power-state=running params=resident-on");
            let out = lab.done("h1", &line);
            out.contains("resident-on") && !out.contains(&h2)
        };
        log().contains("pool-pre-ha-vm-restart") && ["db-2", "web-1"].iter().all(elsewhere)
    });
    let log = log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text}: {log}"));
    let pre = at(&format!("host-pre-declare-dead -hostuuid {h2} -reason fenced\n"));
    let post = at(&format!("host-post-declare-dead -hostuuid {h2} -reason fenced\n"));
    assert!(pre < post && post < at("pool-pre-ha-vm-restart -pooluuid "), "{log}");
    assert_eq!(log.matches("host-post-declare-dead").count(), 1, "{log}");
    // It is told of a death, not of a host that may still write to its VMs' disks.
    let timeline = || String::from_utf8(lab.lab(&["timeline"]).stdout).unwrap();
    wait_for("the program's end", || timeline().contains("host-post-declare-dead/"));
    let timeline = timeline();
    let at = |text: &str| timeline.find(text).unwrap_or_else(|| panic!("{text}: {timeline}"));
    assert!(at("host-excluded") < at("host-post-declare-dead"), "{timeline}");
    assert!(lab.messages("h1").contains("HA_HOST_FAILED"));
    let why = lab.done("h1", "message-list name=HA_HOST_FAILED params=body --minimal");
    assert!(why.contains("block last moved"), "the alert says why: {why}");
    assert!(!lab.messages("h1").contains("HA_HOST_FAILED_RECOVERED"));
    lab.lab(&["fault", "h2", "power-on"]);
    wait_for("the withdrawal", || lab.messages("h1").contains("HA_HOST_FAILED_RECOVERED"));
    assert_eq!(lab.messages("h1").matches("HA_HOST_FAILED_RECOVERED").count(), 1);
}

/// The hosts that run a process for a VM, whatever any database says.
fn really_running(lab: &Lab, vm: &str) -> Vec<&'static str> {
    let uuid = vm.trim_end();
    let lines = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines: Vec<String> =
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect();
    let on = |host: &str| {
        let dir = lab.state_dir(host).display().to_string();
        let runs = |line: &String| line.contains("xe-process-vm") && line.contains(uuid);
        lines.iter().any(|line| runs(line) && line.contains(&dir))
    };
    ["h1", "h2", "h3"].into_iter().filter(|host| on(host)).collect()
}

#[test]
fn s96_a_master_on_which_ha_is_switched_off_alone_hands_over_first() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let out = lab.xe("h1", "host-emergency-ha-disable --force");
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && told.contains("another one takes over first"), "{told}");
    assert!(told.contains("nobody restarts them"), "what it means is said: {told}");
    // Another host acts for the pool, which has HA on, and this one does nothing.
    let pool = lab.done("h2", "pool-list --minimal");
    let line = format!("pool-param-set uuid={} name-label=x", pool.trim_end());
    let writes = |host: &str| lab.xe(host, &line).status.success();
    wait_for("another master", || writes("h2") && writes("h3"));
    assert_eq!(lab.done("h2", "pool-list params=ha-enabled --minimal"), "true\n");
    assert!(!writes("h1"), "it is no master any more");
    assert_eq!(lab.done("h1", "host-is-in-emergency-mode"), "true\n");
    // The operator cannot make it a second master beside those that decide together.
    let refused = lab.xe("h1", "pool-emergency-transition-to-master --force");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("has HA on"), "{told}");
    // After a reboot it is a member again, without a word from anybody.
    lab.lab(&["fault", "h1", "power-off"]);
    lab.lab(&["fault", "h1", "power-on"]);
    wait_for("its return", || ["member", "live"].contains(&lab.state("h2", "h1").as_str()));
    wait_for("its part in the pool", || writes("h1"));
}

#[test]
fn s96_a_master_that_is_cut_off_runs_nothing_after_ha_is_switched_off_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let vm = lab.done("h2", "vm-list name-label=app-1 --minimal");
    assert_eq!(really_running(&lab, &vm), ["h1"]);
    lab.lab(&["fault", "h1", "net-cut"]);
    // Long enough for the others to be silent, too short for a reset.
    std::thread::sleep(Duration::from_secs(4));
    lab.done("h1", "host-emergency-ha-disable --force");
    assert!(really_running(&lab, &vm).is_empty(), "its VMs are stopped before it disarms");
    let refused = |line: &str| assert!(!lab.xe("h1", line).status.success(), "{line}");
    refused("vm-start vm=app-1 on=h1");
    // The others restart what it ran, and it can neither start nor end anything.
    wait_for("the restart elsewhere", || !really_running(&lab, &vm).is_empty());
    refused("vm-start vm=app-1 on=h1");
    // An operator who knows no better makes it a master by hand: hosts that have HA on do nothing
    // for it when they hear it again.
    lab.done("h1", "pool-emergency-transition-to-master --force");
    wait_for("its mastership", || lab.done("h1", "host-is-in-emergency-mode") == "false\n");
    assert!(lab.lab(&["fault", "h1", "net-heal"]).status.success());
    let web = lab.done("h2", "vm-list name-label=web-1 --minimal");
    refused("vm-shutdown vm=web-1 --force");
    assert_eq!(really_running(&lab, &web).len(), 1);
    assert_eq!(really_running(&lab, &vm).len(), 1);
    assert_eq!(lab.done("h2", "pool-list params=ha-enabled --minimal"), "true\n");
}

#[test]
fn one_of_three_srs_may_be_lost_and_vms_are_restarted_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab(dir.path().to_owned());
    assert!(lab.lab(&["up", "--hosts", "3", "--no-ha"]).status.success());
    for name in ["two", "three"] {
        let location = dir.path().join(name);
        std::fs::create_dir(&location).unwrap();
        let location = location.display();
        lab.done(
            "h1",
            &format!(
                "sr-create type=file shared=true name-label={name} \
                 device-config:location={location}"
            ),
        );
    }
    let uuid = |name: &str| lab.done("h1", &format!("sr-list name-label={name} --minimal"));
    // The one that is lost is the first.
    let srs = ["two", "three"].map(|name| uuid(name).trim_end().to_owned());
    let all = lab.done("h1", "sr-list shared=true params=uuid --minimal");
    let third = all.trim_end().split(',').find(|sr| !srs.contains(&(*sr).to_owned())).unwrap();
    let named = format!("{},{},{third}", srs[0], srs[1]);
    lab.done("h1", &format!("pool-ha-enable heartbeat-sr-uuids={named} ha-config:timeout=10"));
    assert!(lab.done("h1", "pool-ha-status").contains("3 of 3 on shared storage are well"));
    let folder = dir.path().join("two").join(&srs[0]);
    let folder = if folder.is_dir() { folder } else { dir.path().join("two") };
    for host in ["h1", "h2", "h3"] {
        let words = ["fault", host, "disk-eio", "--sr", folder.to_str().unwrap()];
        let out = lab.lab(&words);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let line =
        format!("pool-param-set uuid={} name-label=x", lab.done("h1", "pool-list --minimal"));
    lab.done("h1", line.replace('\n', "").as_str());
    wait_for("the alert", || lab.messages("h1").contains("METADATA_LUN_BROKEN"));
    assert!(lab.done("h1", "pool-ha-status").contains("2 of 3 on shared storage are well"));
    // The master is lost: the next one knows all that was written without that copy.
    lab.lab(&["fault", "h1", "power-off"]);
    let renamed = |host: &str| lab.done(host, "pool-list params=name-label --minimal") == "x\n";
    wait_for("another master", || lab.xe("h2", "pool-list").status.success());
    wait_for("its rows", || renamed("h2"));
    let vm = lab.done("h2", "vm-list name-label=app-1 --minimal");
    wait_for("the restart", || !really_running(&lab, &vm).is_empty());
    assert_eq!(really_running(&lab, &vm).len(), 1);
    for host in ["h2", "h3"] {
        lab.lab(&["fault", host, "disk-heal"]);
    }
    wait_for("its end", || lab.messages("h2").contains("METADATA_LUN_BROKEN_RECOVERED"));
}
