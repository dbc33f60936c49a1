//! The `qemu` driver with the guest that only proves its life.

use std::path::Path;

use xe::host::hypervisor::{
    DiskSpec, DriverError, ExitKind, Format, Kind, RunState, canary, inside,
};

use crate::bench::{Host, VM, counter, host, lives_beside_us, spec, state, until};

fn qemu(dir: &Path, boot: &str) -> Host {
    host(Kind::Qemu, dir, boot)
}

/// Whether QEMU is there; says so when it is not.
fn missing() -> bool {
    let missing =
        std::process::Command::new("qemu-system-x86_64").arg("--version").output().is_err();
    if missing {
        crate::skip::skipped("qemu-system-x86_64 is not installed");
    }
    missing
}

#[test]
fn a_machine_boots_writes_its_canary_and_obeys_the_power_button() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let host = qemu(&dir.path().join("vms"), "boot-1");
    let spec = spec(dir.path(), 7);
    host.driver.start(&spec, false).unwrap();
    until("the fifth write", || counter(&spec, 7).filter(|count| *count >= 5));
    let again = host.driver.start(&spec, false);
    assert!(matches!(again, Err(DriverError::AlreadyHere { run: 7, .. })), "{again:?}");
    host.driver.clean_shutdown(VM).unwrap();
    assert_eq!(host.driver.scan().unwrap(), []);
    assert_eq!(host.driver.exits().unwrap(), []);
}

#[test]
fn a_later_agent_finds_the_machine_and_stops_it() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let first = qemu(&dir.path().join("vms"), "boot-1");
    first.driver.start(&spec(dir.path(), 2), false).unwrap();
    let later = qemu(&dir.path().join("vms"), "boot-1");
    let found = later.driver.scan().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].vm, found[0].run, found[0].state), (VM, 2, RunState::Running));
    lives_beside_us(found[0].pid);
    later.driver.hard_stop(VM).unwrap();
    assert_eq!(first.driver.scan().unwrap(), []);
    assert_eq!(first.driver.exits().unwrap(), []);
}

#[test]
fn ends_are_told_apart() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("vms");
    let host = qemu(&state_dir, "boot-1");
    let exit = |run| {
        let exits = until("the end", || {
            let exits = host.driver.exits().unwrap();
            (!exits.is_empty()).then_some(exits)
        });
        assert_eq!((exits.len(), exits[0].vm, exits[0].run), (1, VM, run));
        exits[0].kind
    };
    let first = spec(dir.path(), 1);
    host.driver.start(&first, false).unwrap();
    until("a write", || counter(&first, 1));
    inside::switch_off(&state_dir, VM).unwrap();
    assert_eq!(exit(1), ExitKind::GuestShutdown);
    assert_eq!(host.driver.scan().unwrap(), []);
    host.driver.start(&spec(dir.path(), 2), false).unwrap();
    let pid = host.driver.scan().unwrap()[0].pid.to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    assert_eq!(exit(2), ExitKind::Crash);
}

#[test]
fn a_paused_machine_writes_nothing_until_it_is_unpaused() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let host = qemu(&dir.path().join("vms"), "boot-1");
    let spec = spec(dir.path(), 1);
    host.driver.start(&spec, true).unwrap();
    assert_eq!(state(&host), Some(RunState::Paused));
    host.driver.unpause(VM).unwrap();
    until("a write", || counter(&spec, 1));
    host.driver.pause(VM).unwrap();
    let stopped_at = counter(&spec, 1);
    std::thread::sleep(3 * canary::PERIOD);
    assert_eq!(counter(&spec, 1), stopped_at);
}

#[test]
fn a_suspended_machine_goes_on_where_it_was() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let host = qemu(&dir.path().join("vms"), "boot-1");
    let (first, second) = (spec(dir.path(), 1), spec(dir.path(), 2));
    let image = dir.path().join("an image's name");
    host.driver.start(&first, false).unwrap();
    until("the fourth write", || counter(&first, 1).filter(|count| *count >= 4));
    host.driver.suspend(VM, &image).unwrap();
    assert_eq!(host.driver.scan().unwrap(), []);
    let at = counter(&first, 1).unwrap();
    host.driver.resume(&second, &image).unwrap();
    // What the guest calls its run is part of its memory.
    until("the next write", || counter(&first, 1).filter(|count| *count > at));
    assert_eq!(host.driver.scan().unwrap()[0].run, 2);
}

#[test]
fn a_migrated_machine_stops_here_before_it_runs_there() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = qemu(&dir.path().join("source"), "boot-1");
    let target = qemu(&dir.path().join("target"), "boot-2");
    let spec = spec(dir.path(), 5);
    source.driver.start(&spec, false).unwrap();
    until("a write", || counter(&spec, 5));
    let address = target.driver.receive(&spec).unwrap();
    assert_eq!(state(&target), Some(RunState::Receiving));
    source.driver.migrate_to(VM, address).unwrap();
    assert_eq!(state(&source), Some(RunState::Stopped));
    until("the target", || (state(&target) == Some(RunState::Received)).then_some(()));
    let at = counter(&spec, 5).unwrap();
    std::thread::sleep(3 * canary::PERIOD);
    assert_eq!(counter(&spec, 5), Some(at), "nobody may write between source and target");
    target.driver.continue_received(VM).unwrap();
    source.driver.finish_source(VM).unwrap();
    until("a write of the target", || counter(&spec, 5).filter(|count| *count > at));
    assert_eq!(state(&target), Some(RunState::Running));
    assert_eq!(source.driver.scan().unwrap(), []);
}

#[test]
fn a_failed_migration_leaves_the_machine_running_here() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = qemu(&dir.path().join("source"), "boot-1");
    let target = qemu(&dir.path().join("target"), "boot-2");
    let spec = spec(dir.path(), 5);
    source.driver.start(&spec, false).unwrap();
    let at = until("a write", || counter(&spec, 5));
    let address = target.driver.receive(&spec).unwrap();
    target.driver.abort_received(VM).unwrap();
    assert!(source.driver.migrate_to(VM, address).is_err());
    let at = until("a write after it", || counter(&spec, 5).filter(|count| *count > at));
    let address = target.driver.receive(&spec).unwrap();
    source.driver.migrate_to(VM, address).unwrap();
    target.driver.abort_received(VM).unwrap();
    source.driver.resume_source(VM).unwrap();
    until("a write after the second", || counter(&spec, 5).filter(|count| *count > at));
}

#[test]
fn what_cannot_start_says_why_and_leaves_nothing_behind() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let host = qemu(&dir.path().join("vms"), "boot-1");
    let mut spec = spec(dir.path(), 1);
    spec.disks[0].path = dir.path().join("no-such-disk");
    let error = host.driver.start(&spec, false).unwrap_err().to_string();
    assert!(error.contains("no-such-disk"), "{error}");
    assert_eq!(host.driver.scan().unwrap(), []);
    assert_eq!(host.driver.exits().unwrap(), []);
}

/// The smallest qcow2 image of one mebibyte: header, reference table and block, empty map.
fn qcow2() -> Vec<u8> {
    const CLUSTER: usize = 1 << 16;
    let mut image = vec![0; 4 * CLUSTER];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &2u32.to_be_bytes());
    put(20, &16u32.to_be_bytes());
    put(24, &(1u64 << 20).to_be_bytes());
    put(36, &1u32.to_be_bytes());
    put(40, &(3 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes());
    put(56, &1u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    (0..4).for_each(|cluster| put(2 * CLUSTER + 2 * cluster, &1u16.to_be_bytes()));
    image
}

#[test]
fn a_qcow2_disk_before_the_raw_one_is_left_alone_by_the_canary() {
    if missing() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let host = qemu(&dir.path().join("vms"), "boot-1");
    let mut spec = spec(dir.path(), 3);
    let path = dir.path().join("first.qcow2");
    std::fs::write(&path, qcow2()).unwrap();
    let first = DiskSpec { path: path.clone(), format: Format::Qcow2, ..spec.disks[0].clone() };
    spec.disks.push(first);
    spec.disks.swap(0, 1);
    host.driver.start(&spec, false).unwrap();
    let raw = spec.disks[1].path.clone();
    until("a write", || canary::read(&raw).unwrap());
    host.driver.clean_shutdown(VM).unwrap();
    assert_eq!(std::fs::read(&path).unwrap()[..4], *b"QFI\xfb");
}
