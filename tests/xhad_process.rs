//! The daemon as a process of the system: what it may do, and how it ends and begins again
//! without its host being fenced.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

#[path = "support/daemons.rs"]
mod daemons;

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use xe::host::privileges;
use xe::xhad::control::{Phase, PoolState, StartConfig};

use daemons::{Machine, Pool, last_record, wait_for};

fn status(machine: &Machine) -> String {
    std::fs::read_to_string(format!("/proc/{}/status", machine.daemon.id())).unwrap()
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

fn history(machine: &Machine) -> String {
    std::fs::read_to_string(machine.dir.join("history-xhad.jsonl")).unwrap()
}

fn ask_to_end(machine: &Machine) {
    let pid = Pid::from_raw(i32::try_from(machine.daemon.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

#[test]
fn the_daemon_is_confined_and_works_so() {
    let pool = Pool::new(79, 3);
    pool.enable();
    for machine in &pool.machines {
        let status = status(machine);
        assert_eq!(field(&status, "Seccomp:"), "2", "{status}");
        assert_eq!(field(&status, "NoNewPrivs:"), "1", "{status}");
        for set in ["CapEff:", "CapPrm:", "CapInh:"] {
            let held = u64::from_str_radix(&field(&status, set), 16).unwrap();
            assert_eq!(held & !privileges::KEPT.bits(), 0, "{set} {held:x}");
        }
        assert!(!history(machine).contains("not-confined"));
        assert!(!history(machine).contains("rehearsal-failed"));
        let own = history(machine).contains("not-real-time");
        assert_eq!(own, !machine.liveset().not_real_time.is_empty(), "said and shown alike");
    }
}

#[test]
fn sessions_that_come_and_go_leave_no_thread_behind() {
    let pool = Pool::new(89, 3);
    let round = || {
        std::thread::scope(|scope| {
            for (n, machine) in pool.machines.iter().enumerate() {
                // This process stands for an agent that outlives each session.
                let agent_pid = Some(std::process::id());
                let config = StartConfig { agent_pid, ..pool.config(n, true) };
                scope.spawn(move || machine.client.start(config).unwrap());
            }
        });
        pool.machines[0].client.set_pool_state(PoolState::OffPending).unwrap();
        pool.machines[0].client.set_pool_state(PoolState::Off).unwrap();
        wait_for("the end", Duration::from_secs(10), || {
            pool.machines.iter().all(|machine| machine.liveset().phase == Phase::Disarmed)
        });
        pool.machines.iter().for_each(|machine| machine.client.stop().unwrap());
        pool.prepare();
    };
    let threads = || field(&status(&pool.machines[1]), "Threads:").parse::<u32>().unwrap();
    round();
    let mut after_one = threads();
    // The threads of a statefile end by themselves soon after their session.
    wait_for("an end of its threads", Duration::from_secs(10), || {
        let before = std::mem::replace(&mut after_one, threads());
        std::thread::sleep(Duration::from_millis(200));
        before == after_one
    });
    (0..3).for_each(|_| round());
    wait_for("as many threads as before", Duration::from_secs(10), || threads() <= after_one);
}

#[test]
fn a_daemon_without_a_session_ends_at_once() {
    let mut pool = Pool::new(80, 3);
    ask_to_end(&pool.machines[0]);
    assert!(pool.machines[0].daemon.wait().unwrap().success());
}

#[test]
fn a_daemon_that_is_upgraded_is_a_member_again_and_nobody_is_fenced() {
    let mut pool = Pool::new(81, 10);
    pool.enable();
    ask_to_end(&pool.machines[1]);
    assert!(pool.machines[1].daemon.wait().unwrap().success(), "it ends in order");
    assert!(last_record(&pool.machines[1].dir).contains("disarm"));
    pool.machines[1].start_again();
    wait_for("its return", Duration::from_secs(30), || {
        pool.machines.iter().all(|machine| {
            machine
                .client
                .liveset()
                .is_ok_and(|liveset| liveset.phase == Phase::Armed && liveset.members.len() == 3)
        })
    });
    for machine in &mut pool.machines {
        assert!(machine.daemon.try_wait().unwrap().is_none(), "nobody was reset");
        assert!(!history(machine).contains("\"fence\""));
    }
    assert!(history(&pool.machines[1]).contains("taken-up"));
}

#[test]
fn a_daemon_whose_end_not_all_can_know_stays_and_says_so() {
    let mut pool = Pool::new(82, 10);
    pool.enable();
    // Members that stand still can neither echo that the other is unarmed nor decide that it is.
    let others = [0, 2].map(|host: usize| {
        Pid::from_raw(i32::try_from(pool.machines[host].daemon.id()).unwrap()).unwrap()
    });
    others.iter().for_each(|pid| kill_process(*pid, Signal::STOP).unwrap());
    ask_to_end(&pool.machines[1]);
    wait_for("a word about it", Duration::from_secs(8), || {
        history(&pool.machines[1]).contains("not-ended-yet")
    });
    assert!(pool.machines[1].daemon.try_wait().unwrap().is_none(), "it has not ended");
    others.iter().for_each(|pid| kill_process(*pid, Signal::CONT).unwrap());
    assert!(pool.machines[1].daemon.wait().unwrap().success(), "it ends once they know");
}

/// The witness's key is another one than the session's.
fn witness_key() -> String {
    "c3".repeat(32)
}

/// The witness on a free port of its own; its first line tells where.
struct Witness {
    process: std::process::Child,
    address: std::net::SocketAddr,
}

impl Witness {
    fn start(pool: &Pool, port: u16) -> Witness {
        use std::io::BufRead;
        let (dir, key) = (pool.dir.path().join("witness"), pool.dir.path().join("key"));
        std::fs::write(&key, witness_key()).unwrap();
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_xe"))
            .args(["xhad", "--witness", "--listen", &format!("127.0.0.1:{port}"), "--state-dir"])
            .arg(dir)
            .arg("--key-file")
            .arg(key)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        std::io::BufReader::new(output).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Witness { process, address }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_witness_votes_keeps_its_promises_and_comes_back() {
    let pool = Pool::new(83, 10);
    let witness = Witness::start(&pool, 0);
    let second = pool.dir.path().join("second");
    std::fs::copy(pool.statefile(), &second).unwrap();
    // Two statefiles and the witness: without its vote no view is decided by one of them alone.
    std::thread::scope(|scope| {
        for (n, machine) in pool.machines.iter().enumerate() {
            let mut config = pool.config(n, true);
            config.statefiles.push(second.clone());
            config.witness = Some(witness.address);
            config.witness_key_hex = witness_key();
            scope.spawn(move || machine.client.start(config).unwrap());
        }
    });
    let heard = || {
        let seen = pool.machines[0].liveset().witness.unwrap();
        seen.age_ms.is_some_and(|age| age < 3000)
    };
    wait_for("round trips with the witness", Duration::from_secs(10), heard);
    let kept = pool.dir.path().join(format!("witness/witness-{}", pool.generation));
    wait_for("a promise on its disk", Duration::from_secs(10), || kept.exists());
    let port = witness.address.port();
    drop(witness);
    let again = Witness::start(&pool, port);
    wait_for("its return", Duration::from_secs(10), heard);
    assert_eq!(again.address.port(), port);
    assert!(pool.machines.iter().all(|machine| machine.liveset().members.len() == 3));
}

#[test]
fn a_witness_with_a_damaged_record_answers_nobody_and_says_what_to_do() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (state, key) = (dir.path().join("state"), dir.path().join("key"));
    std::fs::create_dir(&state).unwrap();
    std::fs::write(&key, "5a".repeat(32)).unwrap();
    let record = format!("witness-{}", uuid::Uuid::from_u128(6));
    std::fs::write(state.join(record), "no record").unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_xe"))
        .args(["xhad", "--witness", "--listen", "127.0.0.1:0", "--state-dir"])
        .arg(&state)
        .arg("--key-file")
        .arg(&key)
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stdout.is_empty(), "it does not listen");
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.contains("is damaged") && told.contains("pool-ha-disable"), "{told}");
}

#[test]
fn a_host_with_a_damaged_record_joins_no_session_and_fences_nobody() {
    let mut pool = Pool::new(88, 10);
    pool.enable();
    let lost = &mut pool.machines[2];
    let kept = lost.dir.join("kept");
    wait_for("its record", Duration::from_secs(10), || kept.exists());
    // It boots again: what it had promised is not known any more.
    lost.kill();
    lost.keeper.kill().unwrap();
    lost.keeper.wait().unwrap();
    std::fs::write(kept, "no record").unwrap();
    std::fs::remove_file(lost.dir.join("dog")).unwrap();
    std::fs::remove_file(lost.dir.join("dog.jsonl")).unwrap();
    std::fs::remove_file(lost.dir.join("xhad.armed")).unwrap();
    let dir = lost.dir.clone();
    pool.machines[2] = Machine::start(dir);
    let refused = pool.machines[2].client.start(pool.config(2, false)).unwrap_err().to_string();
    assert!(refused.contains("kept is damaged"), "{refused}");
    assert!(refused.contains("xe pool-ha-disable"), "{refused}");
    assert_eq!(pool.machines[2].liveset().phase, Phase::Off);
    let dog = std::fs::read_to_string(pool.machines[2].dir.join("dog.jsonl")).unwrap_or_default();
    assert!(!dog.contains("arm"), "its watchdog does not run: {dog}");
    wait_for("the view without it", Duration::from_secs(30), || pool.excluded(2));
    for machine in &mut pool.machines {
        assert!(machine.daemon.try_wait().unwrap().is_none(), "nobody was reset");
    }
    assert!(pool.machines[..2].iter().all(|machine| !history(machine).contains("\"fence\"")));
}
