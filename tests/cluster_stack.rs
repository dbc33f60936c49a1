//! The programs of the cluster stack as a XenServer toolstack runs them: three hosts on loopback
//! addresses, the links by which it finds them, the order in which it calls them.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

#[path = "cluster_stack/liveset.rs"]
mod liveset;
#[path = "cluster_stack/pool.rs"]
mod pool;

use std::time::Duration;

use pool::{Pool, Setting, wait_for};
use xe::host::faults::{DISK_EIO, NET_CUT};

/// Long enough for everything that comes at all.
const LIMIT: Duration = Duration::from_secs(40);

fn pool(net: u8) -> Pool {
    Pool::new(Setting { net, first: 2, timeout_s: 3, join_s: 40, watchdog: None })
}

#[test]
fn a_session_from_enable_to_disable() {
    let pool = pool(90);
    let [first, master, third] = &pool.machines[..] else { panic!("three hosts") };
    assert_eq!(master.code("ha_query_liveset"), 14);
    assert_eq!(master.code("ha_disarm_fencing"), 14);
    let said = master.run("ha_disarm_fencing").stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("no heartbeat session runs on this host (14)"), "{said}");
    assert_eq!(master.code("ha_propose_master"), 14);
    assert_eq!(master.code("ha_stop_daemon"), 0);
    pool.enable();
    for machine in [first, third] {
        let liveset = machine.liveset();
        assert!(liveset.online && liveset.local == machine.uuid);
        let host = liveset.hosts[&master.uuid];
        assert!(host.master && host.liveness && host.statefile_access && !host.excluded);
        assert_eq!(liveset.masters(), [master.uuid]);
        assert_eq!(liveset.peers[&machine.uuid].len(), 3);
        assert!(!machine.proposes(), "there is a master already");
    }
    assert_eq!(first.code("ha_start_daemon"), 15);
    assert_eq!(first.code("ha_set_pool_state init"), 15);
    assert_eq!(first.code("ha_stop_daemon"), 17, "an armed host is not stopped");
    assert_eq!(first.code("ha_clear_excluded"), 0);
    assert_eq!(first.code("ha_set_pool_state active"), 0);
    // Switching off: decided, ended here, noticed elsewhere.
    assert_eq!(master.code("ha_set_pool_state invalid"), 0);
    assert_eq!(master.code("ha_stop_daemon"), 0);
    for machine in &pool.machines {
        wait_for("the end of the session", LIMIT, || machine.code("ha_query_liveset") == 14);
        assert_eq!(machine.code("ha_stop_daemon"), 0);
        assert_eq!(machine.code("ha_start_daemon"), 11, "a host that comes late reads that");
        assert_eq!(machine.code("ha_set_excluded"), 11);
        assert_eq!(machine.code("ha_clear_excluded"), 11);
        assert_eq!(machine.code("ha_set_pool_state invalid"), 0);
        assert_eq!(machine.code("ha_set_pool_state active"), 11);
    }
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn a_lost_master_is_followed_by_exactly_one_that_knows_it_dead() {
    let mut pool = pool(91);
    pool.enable();
    let lost = pool.machines[1].uuid;
    pool.machines[1].kill_daemon();
    let mut told = Vec::new();
    wait_for("another master", LIMIT, || {
        told = [0, 2].into_iter().filter(|n| pool.machines[*n].proposes()).collect();
        !told.is_empty()
    });
    let [next] = told[..] else { panic!("{told:?} are told to be master") };
    assert_eq!(pool.machines[1].resets(), 1, "the watchdog fired before anybody took over");
    let liveset = pool.machines[next].liveset();
    assert!(!liveset.hosts[&lost].liveness && !liveset.hosts[&lost].statefile_access);
    assert_eq!(liveset.masters(), [pool.machines[next].uuid]);
    let other = pool.machines[2 - next].liveset();
    assert!(other.hosts[&lost].liveness, "only the master is shown a death");
    assert_eq!(other.masters(), [pool.machines[next].uuid]);
    // The toolstack that was told so starts itself anew and asks again, as a master.
    pool.machines[next].write("pool.conf", "master");
    pool.machines[next].start_toolstack();
    assert!(pool.machines[next].proposes(), "its restart costs no mastership");
    // The lost host comes back and asks to be master, as its toolstack still believes.
    pool.machines[1].boot();
    assert_eq!(pool.machines[1].code("ha_start_daemon"), 0);
    assert!(!pool.machines[1].proposes());
    let back = pool.machines[1].liveset();
    assert_eq!(back.masters(), [pool.machines[next].uuid]);
    wait_for("its return", LIMIT, || pool.machines[next].liveset().hosts[&lost].liveness);
    assert_eq!(pool.resets(), [0, 1, 0]);
}

#[test]
fn a_clean_shutdown_excludes_and_the_next_boot_joins() {
    let mut pool = pool(92);
    pool.enable();
    let (leaver, master) = (&pool.machines[0], &pool.machines[1]);
    assert!(leaver.liveset().hosts[&leaver.uuid].statefile_access);
    assert_eq!(leaver.code("ha_disarm_fencing"), 0);
    assert_eq!(leaver.code("ha_query_liveset"), 14);
    assert_eq!(leaver.code("ha_stop_daemon"), 0);
    assert_eq!(leaver.code("ha_set_excluded"), 0);
    wait_for("the exclusion", LIMIT, || {
        let seen = master.liveset().hosts[&leaver.uuid];
        !seen.liveness && seen.excluded
    });
    pool.machines[0].boot();
    assert_eq!(pool.machines[0].code("ha_start_daemon"), 0);
    let seen = pool.machines[1].liveset().hosts[&pool.machines[0].uuid];
    assert!(seen.liveness && !seen.excluded);
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn a_master_that_shuts_down_ends_its_toolstack_before_another_is_told_so() {
    let mut pool =
        Pool::new(Setting { net: 92, first: 22, timeout_s: 5, join_s: 40, watchdog: None });
    pool.enable();
    assert!(pool.machines[1].toolstack().is_some());
    let told = std::thread::scope(|scope| {
        let (others, leaver) = ([&pool.machines[0], &pool.machines[2]], &pool.machines[1]);
        let next = scope.spawn(move || {
            let mut found = None;
            wait_for("another master", LIMIT, || {
                found = others.iter().position(|machine| machine.proposes());
                found.is_some()
            });
            // At this very moment nobody acts on the host that leaves.
            (found, leaver.process("xapi.pid"))
        });
        assert_eq!(leaver.code("ha_disarm_fencing"), 0);
        next.join().unwrap()
    });
    assert!(told.0.is_some());
    assert_eq!(told.1, None, "its toolstack has ended");
    assert_eq!(pool.machines[1].code("ha_stop_daemon"), 0);
    assert_eq!(pool.machines[1].code("ha_set_excluded"), 0);
    let masters = [0, 2].map(|n: usize| pool.machines[n].proposes());
    assert_eq!(masters.iter().filter(|told| **told).count(), 1);
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn a_pool_that_shuts_down_host_by_host_comes_back() {
    let mut pool =
        Pool::new(Setting { net: 92, first: 12, timeout_s: 3, join_s: 40, watchdog: None });
    pool.enable();
    for n in [0, 2, 1] {
        for step in ["ha_disarm_fencing", "ha_stop_daemon", "ha_set_excluded"] {
            assert_eq!(pool.machines[n].code(step), 0, "{step} on host {n}");
        }
    }
    for machine in &mut pool.machines {
        machine.boot();
    }
    assert_eq!(pool.on(&[0, 1, 2], "ha_start_daemon"), [0, 0, 0]);
    // All at once, as when HA is switched off without the statefile.
    assert_eq!(pool.on(&[0, 1, 2], "ha_disarm_fencing"), [0, 0, 0]);
    assert_eq!(pool.on(&[0, 1, 2], "ha_stop_daemon"), [0, 0, 0]);
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn a_host_disarmed_with_guests_is_never_shown_dead() {
    let pool = pool(93);
    pool.enable();
    let (alone, master) = (&pool.machines[2], &pool.machines[1]);
    alone.write("guests", "0\n5\n");
    assert_eq!(alone.code("ha_set_excluded"), 17, "guests run here");
    assert_eq!(alone.code("ha_disarm_fencing"), 0);
    assert_eq!(alone.code("ha_stop_daemon"), 0);
    assert_eq!(alone.code("ha_set_excluded"), 17, "it did not leave");
    // Long enough for a death by silence.
    std::thread::sleep(Duration::from_secs(6));
    let seen = master.liveset().hosts[&alone.uuid];
    assert!(seen.liveness && !seen.excluded && !seen.statefile_access, "{seen:?}");
    assert_eq!(master.code(&format!("ha_declare_dead {}", alone.uuid)), 0);
    assert!(!master.liveset().hosts[&alone.uuid].liveness, "a person has said so");
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn switching_off_without_the_statefile_resets_nobody() {
    let pool = Pool::new(Setting { net: 94, first: 2, timeout_s: 5, join_s: 40, watchdog: None });
    pool.enable();
    for machine in &pool.machines {
        machine.write("guests", "0\n5\n");
        machine.faults.set(DISK_EIO).unwrap();
    }
    let master = &pool.machines[1];
    wait_for("the loss of the statefile", LIMIT, || master.liveset().statefile_lost);
    let liveset = master.liveset();
    assert!(liveset.hosts.values().all(|host| host.liveness && !host.statefile_access));
    // The members decide it over the network, since all of them have lost the statefile.
    assert_eq!(master.code("ha_set_pool_state invalid"), 0);
    assert_eq!(pool.on(&[0, 1, 2], "ha_disarm_fencing"), [0, 0, 0]);
    assert_eq!(pool.on(&[0, 1, 2], "ha_stop_daemon"), [0, 0, 0]);
    assert_eq!(pool.machines[0].code("ha_start_daemon"), 8, "the statefile cannot be read");
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn an_unwell_toolstack_is_started_again_and_costs_the_mastership_not_the_host() {
    let mut pool = pool(95);
    // A restart gives a new process once, and no health.
    let script = "cd \"${0%/*}\"\ntest -e restarts && exit\nkill -9 $(cat xapi.pid)\n\
                  sleep 10000 & echo $! > xapi.pid\necho > restarts\n";
    pool.machines[1].write("restart.sh", script);
    pool.enable();
    let master = pool.machines[1].uuid;
    let old = pool.machines[1].toolstack();
    std::fs::remove_file(pool.machines[1].dir.join("well")).unwrap();
    wait_for("a restart", LIMIT, || pool.machines[1].dir.join("restarts").exists());
    let new = pool.machines[1].toolstack();
    assert!(new.is_some() && new != old);
    assert!(pool.machines[1].proposes(), "the new toolstack is told that it is master still");
    let mut next = None;
    wait_for("another master", Duration::from_secs(60), || {
        next = [0, 2].into_iter().find(|n| pool.machines[*n].proposes());
        next.is_some()
    });
    assert_eq!(pool.machines[1].toolstack(), None, "it ended before another was told");
    assert!(pool.machines[next.unwrap()].liveset().hosts[&master].liveness);
    let said = pool.machines[1].text("ha_query_liveset");
    assert!(said.contains("<xapi_error_string>no answer </xapi_error_string>"), "{said}");
    // Its toolstack comes back, finds another master and becomes well.
    pool.machines[1].start_toolstack();
    pool.machines[1].write("well", "");
    assert_eq!(pool.machines[1].code("ha_start_daemon"), 15);
    assert!(!pool.machines[1].proposes());
    wait_for("its health", LIMIT, || {
        pool.machines[1].text("ha_query_liveset").contains("<xapi_error_string></")
    });
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn a_pool_that_lost_all_power_comes_back_with_one_master() {
    let mut pool = pool(98);
    pool.enable();
    for machine in &mut pool.machines {
        machine.power_off();
    }
    for machine in &mut pool.machines {
        machine.boot();
    }
    assert_eq!(pool.on(&[0, 1, 2], "ha_start_daemon"), [0, 0, 0]);
    let told: Vec<usize> = (0..3).filter(|n| pool.machines[*n].proposes()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    for machine in &pool.machines {
        let liveset = machine.liveset();
        assert_eq!(liveset.masters(), [pool.machines[told[0]].uuid]);
        assert!(liveset.hosts.values().all(|host| host.liveness));
    }
}

#[test]
fn an_enable_that_fails_leaves_nobody_armed_and_the_next_one_works() {
    let mut pool =
        Pool::new(Setting { net: 99, first: 2, timeout_s: 3, join_s: 5, watchdog: None });
    assert_eq!(pool.machines[1].code("ha_set_pool_state init"), 0);
    assert_eq!(pool.on(&[0, 1], "ha_start_daemon"), [12, 12], "the third host does not come");
    for machine in &pool.machines {
        assert_eq!(machine.code("ha_disarm_fencing"), 14);
        assert_eq!(machine.code("ha_stop_daemon"), 0);
    }
    pool.again(40);
    pool.enable();
    assert_eq!(pool.machines[1].code("ha_set_pool_state invalid"), 0);
    for machine in &pool.machines {
        let over = || machine.process("state/toolstack.pid").is_none();
        wait_for("the end of the toolstack's watcher", LIMIT, over);
    }
    pool.again(40);
    pool.enable();
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn a_daemon_that_vanished_is_not_replaced_in_the_same_boot() {
    let pool = Pool::new(Setting { net: 96, first: 2, timeout_s: 5, join_s: 40, watchdog: None });
    pool.enable();
    pool.machines[0].kill_daemon();
    assert_eq!(pool.machines[0].code("ha_start_daemon"), 2, "the session did not end cleanly");
    wait_for("the reset", LIMIT, || pool.resets() == [1, 0, 0]);
}

#[test]
fn force_disarms_a_host_that_nobody_hears() {
    let pool = Pool::new(Setting { net: 97, first: 2, timeout_s: 5, join_s: 40, watchdog: None });
    pool.enable();
    let alone = &pool.machines[2];
    alone.faults.set(DISK_EIO | NET_CUT).unwrap();
    assert_eq!(alone.code("ha_disarm_fencing --force"), 0);
    assert_eq!(alone.code("ha_stop_daemon"), 0);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(pool.resets(), [0, 0, 0]);
}

#[test]
fn what_cannot_start_has_its_own_code() {
    let pool = Pool::new(Setting { net: 96, first: 12, timeout_s: 3, join_s: 3, watchdog: None });
    let machine = &pool.machines[0];
    let (statefile, token) = (pool.dir.path().join("statefile"), pool.dir.path().join("ptoken"));
    assert_eq!(machine.code("ha_start_daemon"), 9, "a blank statefile");
    assert_eq!(machine.code("ha_set_pool_state"), 1);
    assert_eq!(machine.code("ha_set_pool_state on"), 1);
    assert_eq!(machine.code("ha_query_liveset now"), 1);
    assert_eq!(machine.code("ha_start_daemon -C /nonexistent/xhad.conf"), 6);
    assert_eq!(machine.code("ha_set_pool_state init"), 0);
    assert_eq!(machine.code("ha_start_daemon"), 12, "the others do not come");
    assert_eq!(machine.code("ha_query_liveset"), 14);
    assert_eq!(machine.code("ha_set_excluded"), 11);
    let good = std::fs::read_to_string(machine.dir.join("xhad.conf")).unwrap();
    machine.write("xhad.conf", &good.replace("<UDPport>7694", "<UDPport>no"));
    assert_eq!(machine.code("ha_start_daemon"), 7);
    machine.write("xhad.conf", &good.replace("Timeout>3<", "Timeout>2<"));
    assert_eq!(machine.code("ha_start_daemon"), 7, "a T of two seconds");
    let other = uuid::Uuid::new_v4().to_string();
    machine.write("xhad.conf", &good.replace(&pool.generation.to_string(), &other));
    assert_eq!(machine.code("ha_start_daemon"), 10);
    pool.configure(&pool.dir.path().join("absent"));
    assert_eq!(machine.code("ha_start_daemon"), 8);
    pool.configure(&statefile);
    std::fs::write(&token, "another token, of another pool").unwrap();
    assert_eq!(machine.code("ha_start_daemon"), 9, "blocks under another key");
    std::fs::remove_file(&token).unwrap();
    assert_eq!(machine.code("ha_start_daemon"), 16);
    std::fs::write(&token, "7c1f0d8e-pool-token-of-the-tests").unwrap();
    std::fs::File::options().write(true).open(&statefile).unwrap().set_len(8192).unwrap();
    let refused = machine.run("ha_set_pool_state init");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(9));
    assert!(said.contains("8192") && said.contains("are needed"), "{said}");
}

#[test]
fn a_configuration_without_a_watchdog_starts_nothing() {
    let pool =
        Pool::new(Setting { net: 97, first: 12, timeout_s: 3, join_s: 5, watchdog: Some("NONE") });
    let machine = &pool.machines[0];
    assert_eq!(machine.code("ha_set_pool_state init"), 0);
    assert_eq!(machine.code("ha_start_daemon"), 4);
    std::fs::remove_file(machine.dir.join("xapi.pid")).unwrap();
    assert_eq!(machine.code("ha_start_daemon"), 16, "the toolstack cannot be told");
    assert_eq!(machine.code("ha_set_host_weight rack 7"), 0);
    assert_eq!(machine.code("ha_set_host_weight native 7"), 1);
    assert_eq!(machine.code("ha_set_host_weight rack 65536"), 1);
    assert_eq!(machine.code("ha_set_host_weight rack"), 1);
}

#[test]
fn the_golden_page_is_one_that_the_toolstack_reads() {
    let liveset = liveset::Liveset::parse(include_str!("fixtures/cluster-stack/liveset.xml"));
    assert_eq!((liveset.hosts.len(), liveset.masters().len()), (3, 1));
    assert!(liveset.online && liveset.hosts.values().filter(|host| host.liveness).count() == 2);
}

#[test]
fn the_manual_page_is_the_one_made_from_the_tables() {
    let written = include_str!("../man/xe-cluster-stack.8");
    assert_eq!(written, xe::clusterstack::man::page(), "run: xe man man");
}
