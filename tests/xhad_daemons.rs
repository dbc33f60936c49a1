//! Three real daemons on loopback addresses and one shared file: they form a view, one is lost,
//! the others exclude it in time and know that it is dead.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

#[expect(dead_code, reason = "other tests with daemons use the rest")]
#[path = "support/daemons.rs"]
mod daemons;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use uuid::Uuid;
use xe::heartbeat::Key;
use xe::host::faults::{DISK_EIO, DISK_HANG, NET_CUT};
use xe::host::watchdog::WatchdogConfig;
use xe::xhad::control::{FenceHook, Mode, Phase, PoolState, Proof, RefusedKind, StartConfig};
use xe::xhad::statefile;

use daemons::{Pool, last_record, wait_for};

/// Kills the master's daemon and looks when the others exclude it and know it dead.
fn lose_the_master(net: u8, timeout_s: u32) {
    let mut pool = Pool::new(net, timeout_s);
    pool.enable();
    for machine in &pool.machines {
        let liveset = machine.liveset();
        assert_eq!((liveset.phase, liveset.members.len()), (Phase::Armed, 3));
        assert_eq!(liveset.master, Some(pool.hosts[0]));
    }
    assert!(pool.machines[0].client.check_lease().unwrap().act);
    pool.machines[0].kill();
    let limit = Duration::from_secs(u64::from(timeout_s) + 3);
    let took = wait_for("the exclusion", limit, || pool.excluded(0));
    println!("T = {timeout_s} s: excluded and dead after {took:?}");
    assert!(last_record(&pool.machines[0].dir).contains("expired"), "the watchdog fired first");
    let next = &pool.machines[1];
    assert_eq!(next.liveset().master, Some(pool.hosts[1]));
    assert!(next.client.check_lease().unwrap().act);
}

#[test]
fn a_lost_daemon_is_excluded_within_t_and_three_seconds_at_ten() {
    lose_the_master(71, 10);
}

#[test]
fn a_lost_daemon_is_excluded_within_t_and_three_seconds_at_three() {
    lose_the_master(72, 3);
}

#[test]
fn switching_off_disarms_everybody_and_resets_nobody() {
    let pool = Pool::new(73, 3);
    pool.enable();
    let master = &pool.machines[0].client;
    assert!(master.stop().is_err(), "an armed host does not stop");
    master.set_pool_state(PoolState::OffPending).unwrap();
    assert!(!master.check_lease().unwrap().act);
    master.set_pool_state(PoolState::Off).unwrap();
    for machine in &pool.machines {
        wait_for("disarming", Duration::from_secs(5), || {
            machine.liveset().phase == Phase::Disarmed
        });
        assert!(last_record(&machine.dir).contains("disarm"));
    }
    for machine in &pool.machines {
        machine.client.stop().unwrap();
        assert_eq!(machine.liveset().phase, Phase::Off);
    }
    let key = Key::from_hex(&pool.key_hex).unwrap();
    let (state, _) = statefile::read_pool_state(&pool.statefile(), &key).unwrap();
    assert_eq!(state, PoolState::Off);
    let late = pool.machines[2].client.start(pool.config(2, false)).unwrap_err();
    assert!(late.to_string().contains("switched off"), "{late}");
}

/// A fault of one daemon's surroundings: exactly it is reset, before the others know it dead.
fn lose_by_fault(net: u8, bits: u64) {
    let mut pool = Pool::new(net, 3);
    pool.enable();
    pool.machines[2].faults.set(bits).unwrap();
    wait_for("the exclusion", Duration::from_secs(6), || pool.excluded(2));
    let ended = pool.machines[2].daemon.try_wait().unwrap();
    assert!(ended.is_some(), "the machine was reset before the others counted on it");
    let history = std::fs::read_to_string(pool.machines[2].dir.join("history-xhad.jsonl"));
    assert!(history.unwrap().contains("\"armed\""));
}

#[test]
fn a_cut_network_resets_its_host_and_nobody_else() {
    lose_by_fault(74, NET_CUT);
}

#[test]
fn a_failing_disk_resets_its_host_and_nobody_else() {
    lose_by_fault(75, DISK_EIO);
}

#[test]
fn a_hanging_disk_resets_its_host_and_nobody_else() {
    lose_by_fault(76, DISK_HANG);
}

#[test]
fn s29_s109_a_statefile_of_another_session_or_version_or_no_watchdog_refuses_the_start() {
    let pool = Pool::new(77, 3);
    let client = &pool.machines[0].client;
    // The version stands behind four bytes that say what it is.
    let sound = std::fs::read(pool.statefile()).unwrap();
    let mut newer = sound.clone();
    newer[4] += 1;
    std::fs::write(pool.statefile(), newer).unwrap();
    let refused = client.start(pool.config(0, true)).unwrap_err();
    assert_eq!(refused.kind(), Some(RefusedKind::Statefile));
    assert!(refused.to_string().contains("protocol version"), "{refused}");
    std::fs::write(pool.statefile(), sound).unwrap();
    let stranger = StartConfig { generation: Uuid::new_v4(), ..pool.config(0, true) };
    assert_eq!(client.start(stranger).unwrap_err().kind(), Some(RefusedKind::Statefile));
    let bare = StartConfig { watchdog: WatchdogConfig::None, ..pool.config(0, true) };
    assert_eq!(client.start(bare).unwrap_err().kind(), Some(RefusedKind::Watchdog));
    let hasty = StartConfig { timeout_s: 2, ..pool.config(0, true) };
    assert_eq!(client.start(hasty).unwrap_err().kind(), Some(RefusedKind::Timing));
    assert_eq!(client.liveset().unwrap().phase, Phase::Off);
}

#[test]
fn an_agent_that_died_or_never_came_is_started_and_fences_nobody() {
    let pool = Pool::new(78, 3);
    let mark = |host: usize| pool.dir.path().join(format!("agent-started-{host}"));
    let mut agent = Command::new("sleep").arg("1000").spawn().unwrap();
    let (client, pid) = (&pool.machines[2].client, agent.id());
    std::thread::scope(|scope| {
        for (n, machine) in pool.machines.iter().enumerate() {
            let command = format!("echo up > {} && exec sleep 1000", mark(n).display());
            let command = ["sh", "-c", &command].map(str::to_owned).to_vec();
            let config = StartConfig { agent_command: command, ..pool.config(n, true) };
            scope.spawn(move || machine.client.start(config).unwrap());
        }
    });
    client.agent_lease(pid).unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    for host in 0..3 {
        // The third died; nobody ever heard of one on the others.
        wait_for("a new agent", Duration::from_secs(30), || mark(host).exists());
    }
    let liveset = client.liveset().unwrap();
    assert_eq!((liveset.phase, liveset.members.len()), (Phase::Armed, 3));
    for machine in &pool.machines {
        // The agent belongs to the machine's process group; end it with the machine.
        let group = i32::try_from(machine.daemon.id()).unwrap();
        rustix::process::kill_process_group(
            rustix::process::Pid::from_raw(group).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
    }
}

#[test]
fn a_fence_device_proves_a_death_long_before_the_lease_has_ended() {
    let mut pool = Pool::new(85, 10);
    let (hook, asked) = (pool.dir.path().join("fence"), pool.dir.path().join("asked"));
    let script = format!("#!/bin/sh\necho \"$1 $2\" >> {}\n", asked.display());
    std::fs::write(&hook, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).unwrap();
    std::thread::scope(|scope| {
        for (n, machine) in pool.machines.iter().enumerate() {
            let fence_hook = Some(FenceHook { program: hook.clone(), limit_s: 5 });
            let config = StartConfig { fence_hook, ..pool.config(n, true) };
            scope.spawn(move || machine.client.start(config).unwrap());
        }
    });
    let lost = pool.hosts[2];
    pool.machines[2].kill();
    wait_for("the device's word", Duration::from_secs(20), || {
        let dead = pool.machines[0].liveset().dead;
        dead.iter().any(|dead| dead.host == lost && dead.reason == Proof::FenceDevice)
    });
    let asked = std::fs::read_to_string(asked).unwrap();
    assert!(asked.lines().all(|line| line == format!("off {lost}")), "{asked}");
}

#[test]
fn three_statefiles_bear_the_loss_of_one_and_two_are_refused() {
    let mut pool = Pool::new(86, 10);
    let key = Key::from_hex(&pool.key_hex).unwrap();
    let more: Vec<PathBuf> = ["b", "c"].map(|name| pool.dir.path().join(name)).to_vec();
    for path in &more {
        std::fs::File::create(path).unwrap().set_len(4 << 20).unwrap();
        statefile::prepare(path, pool.generation, &key, &pool.hosts).unwrap();
    }
    let config = |pool: &Pool, n: usize, count: usize| {
        let mut config = pool.config(n, true);
        config.statefiles.extend(more.iter().take(count - 1).cloned());
        config
    };
    let two = pool.machines[0].client.start(config(&pool, 0, 2)).unwrap_err();
    assert!(two.to_string().contains("half of them"), "{two}");
    std::thread::scope(|scope| {
        for (n, machine) in pool.machines.iter().enumerate() {
            let config = config(&pool, n, 3);
            scope.spawn(move || machine.client.start(config).unwrap());
        }
    });
    // One statefile is gone for everybody: blank blocks, no header.
    std::fs::File::options().write(true).open(&more[0]).unwrap().set_len(0).unwrap();
    std::thread::sleep(Duration::from_secs(12));
    for machine in &pool.machines {
        let liveset = machine.liveset();
        assert_eq!((liveset.phase, liveset.members.len()), (Phase::Armed, 3));
        assert!(liveset.statefile_ok && !liveset.storage_lost_by_all);
    }
    pool.machines[2].kill();
    wait_for("the exclusion", Duration::from_secs(25), || pool.excluded(2));
}

#[test]
fn storage_lost_by_all_is_survived_and_a_host_lost_then_is_excluded() {
    let mut pool = Pool::new(87, 10);
    pool.enable();
    for machine in &pool.machines {
        machine.faults.set(DISK_EIO).unwrap();
    }
    wait_for("network mode", Duration::from_secs(25), || {
        pool.machines.iter().all(|machine| machine.liveset().mode == Some(Mode::Network))
    });
    pool.machines[2].kill();
    wait_for("the exclusion", Duration::from_secs(25), || pool.excluded(2));
    for machine in &pool.machines[..2] {
        machine.faults.set(0).unwrap();
    }
    wait_for("the way back", Duration::from_secs(40), || {
        pool.machines[..2].iter().all(|machine| machine.liveset().mode == Some(Mode::Disk))
    });
}
