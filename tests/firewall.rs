//! S21: a host whose kernel lets no heartbeat out, while everything else goes through.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests in a lab use the rest")]
#[path = "support/lab.rs"]
mod lab;
#[path = "support/namespaces.rs"]
mod namespaces;
#[path = "support/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};
use std::process::Command;

use lab::Lab;

/// The network namespace of a host of a lab whose machines have one each.
fn network_of(lab: &Lab, host: &str) -> PathBuf {
    let dir = lab.state_dir(host).display().to_string();
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    let there = |process: &Path| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let network = std::fs::read_link(process.join("ns/net"));
        let its = String::from_utf8_lossy(&line).split(['\0', '/']).any(|word| word == "xe")
            && String::from_utf8_lossy(&line).contains(&dir);
        its && network.is_ok_and(|network| network != own)
    };
    let mut all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.find(|process| there(process)).unwrap().join("ns/net")
}

/// Has the kernel of a network throw away what goes to that port by UDP, or no more.
fn block(network: &Path, verb: &str, port: u64) -> bool {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", network.display())).args(["ip", "rule", verb]);
    command.args(["ipproto", "udp", "dport", &port.to_string(), "blackhole"]);
    command.output().is_ok_and(|out| out.status.success())
}

#[test]
fn s21_a_port_that_the_kernel_blocks_fails_the_enable_and_names_the_host() {
    if let Some(why) = namespaces::impossible() {
        return skip::skipped(why);
    }
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::begin(dir.path(), &["up", "--hosts", "3", "--no-ha", "--netns"]);
    let network = network_of(&lab, "h2");
    let config = std::fs::read(lab.state_dir("h2").join("agent.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let port = config["udp-port"].as_u64().unwrap();
    if !block(&network, "add", port) {
        return skip::skipped("the kernel cannot be told to throw packets away");
    }
    let enable = "pool-ha-enable ha-config:timeout=10";
    let why = lab.refused("h1", enable);
    // Whose daemon gives up first is chance: of the host that is not heard, or of another one.
    let named = ["no packet of host h2 arrives here", "(h2)"];
    assert!(named.iter().any(|name| why.contains(name)), "{why}");
    assert!(why.contains("no packet of") && why.contains("UDP port"), "{why}");
    // The heartbeat's sentence has names, whichever host's it is.
    let sentence = why.lines().find(|line| line.starts_with("why: ")).unwrap_or_default();
    let uuids = lab.done("h1", "host-list --minimal");
    assert!(uuids.trim_end().split(',').all(|uuid| !sentence.contains(uuid)), "{why}");
    assert_eq!(lab.done("h1", "pool-list params=ha-enabled --minimal"), "false\n");
    for host in ["h1", "h2", "h3"] {
        assert!(!lab.state_dir(host).join("ha.json").exists(), "{host} has kept its session");
    }
    let told = lab.timeline();
    assert!(!told.contains("armed [") && !told.contains("reset"), "{told}");
    let running = lab.done("h1", "vm-list power-state=running is-control-domain=false --minimal");
    assert_eq!(running.split(',').count(), 6, "{running}");

    assert!(block(&network, "del", port));
    lab.done("h1", enable);
    assert_eq!(lab.state("h1", "h2"), "member");
}
