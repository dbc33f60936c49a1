//! HA switched off on a master alone: another one acts, and this one nothing.

use std::time::Duration;

use super::{Lab, really_running, wait_for};

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
    let told = lab.refused("h1", "pool-emergency-transition-to-master --force");
    assert!(told.contains("has HA on"), "{told}");
    // After a reboot it is a member again, without a word from anybody.
    lab.fault("h1 power-off");
    lab.fault("h1 power-on");
    wait_for("its return", || ["member", "live"].contains(&lab.state("h2", "h1").as_str()));
    wait_for("its part in the pool", || writes("h1"));
}

#[test]
fn s96_a_master_that_is_cut_off_runs_nothing_after_ha_is_switched_off_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let vm = lab.done("h2", "vm-list name-label=app-1 --minimal");
    assert_eq!(really_running(&lab, &vm), ["h1"]);
    lab.fault("h1 net-cut");
    // Long enough for the others to be silent, too short for a reset.
    std::thread::sleep(Duration::from_secs(4));
    lab.done("h1", "host-emergency-ha-disable --force");
    assert!(really_running(&lab, &vm).is_empty(), "its VMs are stopped before it disarms");
    lab.refused("h1", "vm-start vm=app-1 on=h1");
    // The others restart what it ran, and it can neither start nor end anything.
    wait_for("the restart elsewhere", || !really_running(&lab, &vm).is_empty());
    lab.refused("h1", "vm-start vm=app-1 on=h1");
    // An operator who knows no better makes it a master by hand: hosts that have HA on do nothing
    // for it when they hear it again.
    lab.done("h1", "pool-emergency-transition-to-master --force");
    wait_for("its mastership", || lab.done("h1", "host-is-in-emergency-mode") == "false\n");
    lab.fault("h1 net-heal");
    let web = lab.done("h2", "vm-list name-label=web-1 --minimal");
    lab.refused("h1", "vm-shutdown vm=web-1 --force");
    assert_eq!(really_running(&lab, &web).len(), 1);
    assert_eq!(really_running(&lab, &vm).len(), 1);
    assert_eq!(lab.done("h2", "pool-list params=ha-enabled --minimal"), "true\n");
    // Pointed to its pool again it must be reset first; then it does what the master asks of it.
    let master = ["h2", "h3"].into_iter().find(|host| lab.state(host, host) == "master").unwrap();
    let address = format!("host-list name-label={master} params=address --minimal");
    let address = lab.done(master, &address);
    let line = format!("pool-emergency-reset-master master-address={}", address.trim_end());
    lab.done("h1", &line);
    wait_for("a word of what it needs", || {
        String::from_utf8(lab.xe("h1", "vm-list").stderr).unwrap().contains("must be reset")
    });
    lab.fault("h1 power-off");
    lab.fault("h1 power-on");
    wait_for("its return", || lab.state(master, "h1") == "member");
    lab.done(master, "vm-shutdown vm=app-1 --force");
    wait_for("a start there", || lab.xe(master, "vm-start vm=app-1 on=h1").status.success());
    assert_eq!(really_running(&lab, &vm), ["h1"]);
}
