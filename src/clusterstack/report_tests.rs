//! The XML of the living set: what a toolstack would take from it.

use super::*;
use crate::xhad::control::{DeadBoot, Mode, Proof};

fn uuid(n: usize) -> Uuid {
    Uuid::from_u128(0x1111_1111_0000_4000_8000_0000_0000_0000 + n as u128)
}

fn host(n: usize, liveness: Liveness) -> HostStatus {
    HostStatus {
        liveness,
        network_age_ms: Some(100 * n as u64),
        disk_age_ms: Some(200 * n as u64),
        worst_gap_share: 0.25,
        worst_disk_gap_share: 0.125,
        ..HostStatus::live(uuid(n))
    }
}

fn path(latest_ms: u64, longest_ms: u64, shortest_ms: u64) -> PathStatus {
    PathStatus {
        latest_ms: Some(latest_ms),
        longest_ms: Some(longest_ms),
        shortest_ms: Some(shortest_ms),
        worst_gap_share: 0.25,
        worst_latency_share: longest_ms as f64 / 8000.0,
    }
}

/// Three hosts seen by the first; the third is out of the view and dead.
fn liveset(may_act: bool) -> Liveset {
    Liveset {
        phase: Phase::Armed,
        epoch: 7,
        mode: Some(Mode::Disk),
        members: vec![uuid(1), uuid(2)],
        master: Some(uuid(1)),
        me: Some(uuid(1)),
        is_master: true,
        may_act,
        statefile_ok: true,
        network: path(30, 400, 20),
        statefile: path(15, 900, 9),
        not_real_time: vec!["memory cannot be locked: limit < need".to_owned()],
        timeout_s: 10,
        hosts: vec![host(2, Liveness::Live), host(1, Liveness::Live), host(3, Liveness::Fenced)],
        dead: vec![DeadBoot {
            host: uuid(3),
            boot_id: String::new(),
            since_ns: 1,
            reason: Proof::Tombstone,
        }],
        ..Liveset::off()
    }
}

fn surroundings() -> Surroundings {
    let toolstack = Status {
        latency_ms: Some(40),
        longest_ms: Some(90),
        shortest_ms: Some(20),
        restart_begun_ns: Some(4_000_000_000),
        error: "no <answer>".to_owned(),
        ..Status::default()
    };
    Surroundings { toolstack, check_limit_ms: 120_000, bond_degraded: false, now_ns: 9_000_000_000 }
}

/// The values of an element's name, in order.
fn values(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).map(|rest| rest.split(&close).next().unwrap().to_owned()).collect()
}

#[test]
fn the_whole_page_is_as_agreed() {
    let golden = include_str!("../../tests/fixtures/cluster-stack/liveset.xml");
    assert_eq!(render(&liveset(true), &surroundings()), golden);
}

#[test]
fn latencies_are_the_longest_and_shortest_of_late_and_a_lack_of_real_time_is_told() {
    let xml = render(&liveset(true), &surroundings());
    let one = |name: &str| values(&xml, name).join(" ");
    assert_eq!(one("statefile_latency"), "15");
    assert_eq!(
        (one("statefile_latency_max"), one("statefile_latency_min")),
        ("900".into(), "9".into())
    );
    assert_eq!(
        (one("heartbeat_latency_max"), one("heartbeat_latency_min")),
        ("400".into(), "20".into())
    );
    assert_eq!(one("heartbeat_latency_of_suspect"), "0.050");
    assert_eq!(one("heartbeat_worst_gap_of_suspect"), "0.250 0.250 0.250");
    assert_eq!(one("statefile_worst_gap_of_suspect"), "0.125 0.125 0.125");
    assert_eq!(one("not_real_time"), "memory cannot be locked: limit &lt; need");
}

#[test]
fn only_a_host_that_may_act_shows_a_death() {
    let acting = render(&liveset(true), &surroundings());
    assert_eq!(values(&acting, "liveness"), ["TRUE", "TRUE", "FALSE"]);
    assert_eq!(values(&acting, "master"), ["TRUE", "FALSE", "FALSE"]);
    let waiting = render(&liveset(false), &surroundings());
    assert_eq!(values(&waiting, "liveness"), ["TRUE", "TRUE", "TRUE"]);
    assert_eq!(
        values(&waiting, "master"),
        ["FALSE", "FALSE", "FALSE"],
        "not master before it acts"
    );
    assert_eq!(values(&waiting, "known_dead"), ["FALSE", "FALSE", "TRUE"]);
}

#[test]
fn a_host_that_nothing_proves_dead_stays_alive() {
    let unknown = Liveset { dead: Vec::new(), unknown: vec![uuid(3)], ..liveset(true) };
    let xml = render(&unknown, &surroundings());
    assert_eq!(values(&xml, "liveness"), ["TRUE", "TRUE", "TRUE"]);
    assert_eq!(values(&xml, "statefile_access"), ["TRUE", "TRUE", "FALSE"]);
}

#[test]
fn hosts_stand_by_uuid_and_another_master_is_shown_as_such() {
    let other = Liveset { master: Some(uuid(2)), is_master: false, ..liveset(false) };
    let xml = render(&other, &surroundings());
    assert_eq!(values(&xml, "HostIndex"), ["0", "1", "2", "0", "1", "2"]);
    assert_eq!(values(&xml, "master"), ["FALSE", "TRUE", "FALSE"]);
}

#[test]
fn losing_the_disk_together_is_told_and_costs_the_access() {
    let lost = Liveset { storage_lost_by_all: true, statefile_ok: false, ..liveset(true) };
    let xml = render(&lost, &surroundings());
    assert_eq!(values(&xml, "statefile_access"), ["FALSE", "FALSE", "FALSE"]);
    assert_eq!(values(&xml, "statefile_lost"), ["TRUE"]);
}

#[test]
fn before_the_host_is_in_nothing_but_that_is_told() {
    for phase in [Phase::Starting, Phase::Waiting] {
        let xml = render(&Liveset { phase, ..liveset(true) }, &surroundings());
        assert_eq!(values(&xml, "status"), ["Starting"]);
        assert!(!xml.contains("<host>") && !xml.contains("raw_status"), "{xml}");
    }
}

#[test]
fn what_comes_near_a_limit_is_warned_of() {
    let mut late = liveset(true);
    late.hosts[0].network_age_ms = Some(5_001);
    let mut around = surroundings();
    around.toolstack.check_begun_ns = Some(0);
    around.now_ns = 61_000_000_000;
    around.bond_degraded = degraded("Slave Interface: eth0\nMII Status: down\n");
    let xml = render(&late, &around);
    assert_eq!(values(&xml, "heartbeat_approaching_timeout"), ["TRUE"]);
    assert_eq!(values(&xml, "statefile_approaching_timeout"), ["FALSE"]);
    assert_eq!(values(&xml, "Xapi_healthcheck_approaching_timeout"), ["TRUE"]);
    assert_eq!(values(&xml, "network_bonding_error"), ["TRUE"]);
}

#[test]
fn a_host_alone_on_a_path_sees_itself_only() {
    let mut cut = liveset(true);
    cut.hosts[0].liveness = Liveness::Isolated;
    let xml = render(&cut, &surroundings());
    let beats = values(&xml, "heartbeat_active_list_on_heartbeat");
    assert_eq!(beats[1], uuid(2).to_string());
    assert_eq!(beats[2], "", "a host out of the view sees nobody");
    let blocks = values(&xml, "statefile_active_list_on_statefile");
    assert_eq!(blocks[1], format!("{} {}", uuid(1), uuid(2)));
}
