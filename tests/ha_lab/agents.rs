//! An agent is no host: it may be started anew while everything runs on.

use super::{Lab, wait_for};

#[test]
fn an_agent_that_is_started_anew_costs_no_host_and_no_vm() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let begun = |host: &str| {
        let file = lab.state_dir(host).join("history-agent.jsonl");
        std::fs::read_to_string(file).unwrap().matches("\"event\":\"agent-start\"").count()
    };
    let running = |from: &str| {
        let out = lab.xe(from, "vm-list power-state=running params=uuid,resident-on");
        String::from_utf8(out.stdout).unwrap()
    };
    let vms = running("h1");
    assert!(vms.contains("resident-on"), "{vms}");
    let boots = |host: &str| std::fs::read(lab.state_dir(host).join("history-xhad.jsonl")).unwrap();
    let heartbeats = ["h1", "h2", "h3"].map(|host| (host, boots(host)));
    // Asked for on a member, which passes it on to the master, which passes it on to the host.
    let before = begun("h3");
    lab.done("h2", "host-restart-agent host=h3");
    wait_for("the new agent of a member", || begun("h3") > before);
    wait_for("its return", || lab.state("h1", "h3") == "member");
    // The master's own.
    let before = begun("h1");
    let h1 = lab.done("h2", "host-list name-label=h1 --minimal");
    lab.done("h2", &format!("host-restart-agent uuid={}", h1.trim_end()));
    wait_for("the new agent of the master", || begun("h1") > before);
    let live = |from: &str, of: &str| ["member", "master"].contains(&lab.state(from, of).as_str());
    wait_for("a pool that is whole", || ["h1", "h2", "h3"].iter().all(|of| live("h3", of)));
    wait_for("every VM where it was", || running("h3") == vms);
    for (host, before) in heartbeats {
        let since = String::from_utf8(boots(host)[before.len()..].to_vec()).unwrap();
        // Neither did a watchdog end a host, nor did a daemon begin anew.
        for event in ["reset", "was-reset", "taken-up"] {
            assert!(!since.contains(&format!("\"event\":\"{event}\"")), "{since}");
        }
    }
    assert!(!lab.messages("h3").contains("HA_HOST_FAILED"), "{}", lab.messages("h3"));
}

#[test]
fn a_killed_heartbeat_daemon_ends_its_host_and_the_others_know_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    lab.fault("h2 kill-xhad");
    // The next daemon says it on the statefile before the watchdog fires, cut short by it.
    wait_for("its death", || lab.timeline().contains("dead [h2"));
    let timeline = lab.timeline();
    assert!(timeline.contains("it announced its own reset"), "{timeline}");
    assert!(timeline.contains("the statefile says that this host ends now"), "{timeline}");
    // Its next boot knows why.
    lab.fault("h2 power-on");
    let fenced = "message-list name=HA_HOST_WAS_FENCED params=body --minimal";
    wait_for("a word of why it was reset", || {
        String::from_utf8(lab.xe("h1", fenced).stdout).unwrap().contains("did not end cleanly")
    });
}
