//! The `process` driver.

use xe::host::hypervisor::{DriverError, ExitKind, Kind, RunState, canary, inside};

use crate::bench::{VM, counter, host, lives_beside_us, spec, state, until};

#[test]
fn a_started_vm_writes_its_canary_and_a_second_start_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(Kind::Process, &dir.path().join("vms"), "boot-1");
    let spec = spec(dir.path(), 7);
    host.driver.start(&spec, false).unwrap();
    until("the third write", || counter(&spec, 7).filter(|count| *count >= 3));
    let again = host.driver.start(&spec, false);
    assert!(matches!(again, Err(DriverError::AlreadyHere { run: 7, .. })), "{again:?}");
    host.driver.clean_shutdown(VM).unwrap();
    assert_eq!(host.driver.scan().unwrap(), []);
    assert_eq!(host.driver.exits().unwrap(), []);
}

#[test]
fn a_later_agent_finds_the_vm_and_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = host(Kind::Process, &dir.path().join("vms"), "boot-1");
    first.driver.start(&spec(dir.path(), 2), false).unwrap();
    let later = host(Kind::Process, &dir.path().join("vms"), "boot-1");
    let found = later.driver.scan().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].vm, found[0].run, found[0].state), (VM, 2, RunState::Running));
    lives_beside_us(found[0].pid);
    later.driver.hard_stop(VM).unwrap();
    assert_eq!(first.driver.scan().unwrap(), []);
}

#[test]
fn ends_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("vms");
    let host = host(Kind::Process, &state_dir, "boot-1");
    let exit = |run| {
        let exits = until("the end", || {
            let exits = host.driver.exits().unwrap();
            (!exits.is_empty()).then_some(exits)
        });
        assert_eq!((exits.len(), exits[0].vm, exits[0].run), (1, VM, run));
        exits[0].kind
    };
    host.driver.start(&spec(dir.path(), 1), false).unwrap();
    inside::switch_off(&state_dir, VM).unwrap();
    assert_eq!(exit(1), ExitKind::GuestShutdown);
    host.driver.start(&spec(dir.path(), 2), false).unwrap();
    inside::reboot(&state_dir, VM).unwrap();
    assert_eq!(exit(2), ExitKind::GuestReboot);
    host.driver.start(&spec(dir.path(), 3), false).unwrap();
    let pid = host.driver.scan().unwrap()[0].pid.to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    assert_eq!(exit(3), ExitKind::Crash);
    assert_eq!(host.driver.exits().unwrap(), []);
}

#[test]
fn what_another_boot_left_behind_is_no_news() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("vms");
    let before = host(Kind::Process, &state_dir, "boot-1");
    before.driver.start(&spec(dir.path(), 1), false).unwrap();
    let pid = before.driver.scan().unwrap()[0].pid.to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    until("the end", || before.driver.scan().unwrap().is_empty().then_some(()));
    let after = host(Kind::Process, &state_dir, "boot-2");
    assert_eq!(after.driver.exits().unwrap(), []);
    after.driver.start(&spec(dir.path(), 2), false).unwrap();
}

#[test]
fn a_paused_vm_writes_nothing_until_it_is_unpaused() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(Kind::Process, &dir.path().join("vms"), "boot-1");
    let spec = spec(dir.path(), 1);
    host.driver.start(&spec, true).unwrap();
    assert_eq!(state(&host), Some(RunState::Paused));
    std::thread::sleep(2 * canary::PERIOD);
    assert_eq!(counter(&spec, 1), None);
    host.driver.unpause(VM).unwrap();
    until("a write", || counter(&spec, 1));
    host.driver.pause(VM).unwrap();
    let stopped_at = counter(&spec, 1);
    std::thread::sleep(3 * canary::PERIOD);
    assert_eq!(counter(&spec, 1), stopped_at);
}

#[test]
fn a_suspended_vm_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(Kind::Process, &dir.path().join("vms"), "boot-1");
    let (first, second) = (spec(dir.path(), 1), spec(dir.path(), 2));
    let image = dir.path().join("image");
    host.driver.start(&first, false).unwrap();
    until("the fourth write", || counter(&first, 1).filter(|count| *count >= 4));
    host.driver.suspend(VM, &image).unwrap();
    assert_eq!(host.driver.scan().unwrap(), []);
    let at = counter(&first, 1).unwrap();
    host.driver.resume(&second, &image).unwrap();
    assert!(until("a write of the second run", || counter(&second, 2)) > at);
}

#[test]
fn a_migrated_vm_stops_here_before_it_runs_there() {
    let dir = tempfile::tempdir().unwrap();
    let source = host(Kind::Process, &dir.path().join("source"), "boot-1");
    let target = host(Kind::Process, &dir.path().join("target"), "boot-2");
    let spec = spec(dir.path(), 5);
    source.driver.start(&spec, false).unwrap();
    until("a write", || counter(&spec, 5));
    let address = target.driver.receive(&spec).unwrap();
    assert_eq!(state(&target), Some(RunState::Receiving));
    source.driver.migrate_to(VM, address).unwrap();
    assert_eq!(state(&source), Some(RunState::Stopped));
    assert_eq!(state(&target), Some(RunState::Received));
    let at = counter(&spec, 5).unwrap();
    std::thread::sleep(3 * canary::PERIOD);
    assert_eq!(counter(&spec, 5), Some(at), "nobody may write between source and target");
    target.driver.continue_received(VM).unwrap();
    source.driver.finish_source(VM).unwrap();
    until("a write of the target", || counter(&spec, 5).filter(|count| *count > at));
    assert_eq!(source.driver.scan().unwrap(), []);
}

#[test]
fn a_failed_migration_leaves_the_vm_running_here() {
    let dir = tempfile::tempdir().unwrap();
    let source = host(Kind::Process, &dir.path().join("source"), "boot-1");
    let target = host(Kind::Process, &dir.path().join("target"), "boot-2");
    let spec = spec(dir.path(), 5);
    source.driver.start(&spec, false).unwrap();
    let address = target.driver.receive(&spec).unwrap();
    target.driver.abort_received(VM).unwrap();
    assert!(source.driver.migrate_to(VM, address).is_err());
    assert_eq!(state(&source), Some(RunState::Running));
    let address = target.driver.receive(&spec).unwrap();
    source.driver.migrate_to(VM, address).unwrap();
    target.driver.abort_received(VM).unwrap();
    source.driver.resume_source(VM).unwrap();
    assert_eq!(state(&source), Some(RunState::Running));
}

#[test]
fn a_missing_disk_is_named_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(Kind::Process, &dir.path().join("vms"), "boot-1");
    let mut spec = spec(dir.path(), 1);
    spec.disks[0].path = dir.path().join("no-such-disk");
    let error = host.driver.start(&spec, false).unwrap_err().to_string();
    assert!(error.contains("no-such-disk"), "{error}");
    assert_eq!(host.driver.scan().unwrap(), []);
    assert_eq!(host.driver.exits().unwrap(), []);
}
