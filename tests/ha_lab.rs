//! Maintenance, pause, hooks and withdrawn alerts on the hosts of a lab.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "ha_lab/agents.rs"]
mod agents;
#[path = "ha_lab/alone.rs"]
mod alone;
#[path = "support/lab.rs"]
mod lab;
#[path = "ha_lab/storage.rs"]
mod storage;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use lab::{Lab, really_running, wait_for};

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
fn s102_a_host_in_maintenance_stays_out_over_reboots_and_a_pause_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    // A member: out of the view and empty, also after a reboot, until it is called back.
    lab.done("h1", "host-maintenance-enter host=h3");
    assert_eq!(lab.state("h1", "h3"), "excluded");
    for line in ["host-maintenance-enter host=h3", "host-evacuate host=h3"] {
        let error = lab.refused("h1", line);
        assert!(error.contains("it is in maintenance, which 'xe "), "{error}");
    }
    let boot = || lab.done("h1", "host-list name-label=h3 params=other-config --minimal");
    for _ in 0..2 {
        let before = boot();
        lab.fault("h3 power-off");
        lab.fault("h3 power-on");
        wait_for("the report of the new boot", || boot() != before);
        wait_for("its agent", || lab.xe("h3", "host-list --minimal").status.success());
        lab.refused("h1", "vm-start vm=scratch-1 on=h3");
        assert!(!["member", "live"].contains(&lab.state("h1", "h3").as_str()));
    }
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
        let why = lab.refused(host, &line);
        assert!(why.contains("HA"), "{line}: {why}");
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
    let why = lab.refused("h1", "pool-ha-enable ha-config:timeout=10");
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
    hosts.iter().for_each(|host| lab.fault(&format!("{host} disk-eio")));
    let by_network = || lab.done("h1", "pool-ha-status").contains("by network");
    wait_for("network mode", by_network);
    lab.done("h1", "pool-ha-disable");
    for host in hosts {
        wait_for("the end of its session", || !lab.state_dir(host).join("ha.json").exists());
    }
    hosts.iter().for_each(|host| lab.fault(&format!("{host} disk-heal")));
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
    lab.fault("h2 power-off");
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
    wait_for("the program's end", || lab.timeline().contains("host-post-declare-dead/"));
    let timeline = lab.timeline();
    let at = |text: &str| timeline.find(text).unwrap_or_else(|| panic!("{text}: {timeline}"));
    assert!(at("host-excluded") < at("host-post-declare-dead"), "{timeline}");
    assert!(lab.messages("h1").contains("HA_HOST_FAILED"));
    let why = lab.done("h1", "message-list name=HA_HOST_FAILED params=body --minimal");
    assert!(why.contains("block last moved"), "the alert says why: {why}");
    assert!(!lab.messages("h1").contains("HA_HOST_FAILED_RECOVERED"));
    lab.fault("h2 power-on");
    wait_for("the withdrawal", || lab.messages("h1").contains("HA_HOST_FAILED_RECOVERED"));
    assert_eq!(lab.messages("h1").matches("HA_HOST_FAILED_RECOVERED").count(), 1);
}

#[test]
fn s121_a_host_that_was_fenced_again_and_again_waits_until_a_person_releases_it() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(&dir.path().join("lab"));
    // It was fenced twice shortly before; this is the third time.
    let fence = serde_json::json!({ "cause": "", "lived_ns": 1_000_000_000u64 });
    let fences = serde_json::json!([fence, fence]).to_string();
    std::fs::write(lab.state_dir("h3").join("fences.json"), fences).unwrap();
    lab.fault("h3 power-off");
    wait_for("h3 is lost", || lab.messages("h1").contains("HA_HOST_FAILED"));
    lab.fault("h3 power-on");
    wait_for("an alert that it is held back", || lab.messages("h1").contains("HA_HOST_HELD_BACK"));
    let live = "host-list name-label=h3 params=host-metrics-live --minimal";
    assert_eq!(lab.done("h1", live).trim(), "false");
    let h3 = lab.done("h1", "host-list name-label=h3 --minimal");
    let other = lab.done("h1", "host-list name-label=h2 --minimal");
    let refused = lab.refused("h1", &format!("host-ha-release uuid={}", other.trim()));
    assert!(refused.contains("not held back"), "{refused}");
    lab.done("h1", &format!("host-ha-release uuid={}", h3.trim()));
    wait_for("it takes part again", || lab.done("h1", live).trim() == "true");
    wait_for("the alert is withdrawn", || {
        lab.messages("h1").contains("HA_HOST_HELD_BACK_RECOVERED")
    });
    wait_for("the figures of its paths", || {
        let shown = lab.done("h1", "host-ha-paths");
        shown.lines().filter(|line| line.contains('%')).count() == 3
    });
}
