//! Three real daemons on loopback addresses and one shared file: they form a view, one is lost,
//! the others exclude it in time and know that it is dead.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;
use xe::heartbeat::Key;
use xe::host::watchdog::WatchdogConfig;
use xe::xhad::control::{Client, HostAddress, Liveset, Phase, PoolState, StartConfig};
use xe::xhad::statefile;

struct Machine {
    daemon: Child,
    keeper: Child,
    dir: PathBuf,
    client: Client,
}

struct Pool {
    dir: tempfile::TempDir,
    net: u8,
    timeout_s: u32,
    generation: Uuid,
    key_hex: String,
    hosts: Vec<Uuid>,
    machines: Vec<Machine>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        for process in [&mut self.keeper, &mut self.daemon] {
            let _ended = process.kill();
            let _status = process.wait();
        }
    }
}

fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "{what} did not happen within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

impl Machine {
    fn start(dir: PathBuf) -> Machine {
        std::fs::create_dir_all(&dir).unwrap();
        let xe = env!("CARGO_BIN_EXE_xe");
        let log = || Stdio::from(std::fs::File::create(dir.join("stderr")).unwrap());
        let daemon = Command::new(xe)
            .args(["xhad", "--state-dir"])
            .arg(&dir)
            .stderr(log())
            .process_group(0)
            .spawn()
            .unwrap();
        let keeper = Command::new(xe)
            .args(["xhad", "watchdog-keeper", "--socket"])
            .arg(dir.join("dog"))
            .arg("--record")
            .arg(dir.join("dog.jsonl"))
            .args(["--kill-group", &daemon.id().to_string()])
            .process_group(0)
            .spawn()
            .unwrap();
        let client = Client::of_state_dir(&dir).with_timeout(Duration::from_secs(60));
        wait_for("the daemon's start", Duration::from_secs(10), || {
            client.liveset().is_ok() && dir.join("dog").exists()
        });
        Machine { daemon, keeper, dir, client }
    }

    fn liveset(&self) -> Liveset {
        self.client.liveset().unwrap()
    }

    fn kill(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

impl Pool {
    fn new(net: u8, timeout_s: u32) -> Pool {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut hosts: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
        hosts.sort();
        let (generation, key_hex) = (Uuid::new_v4(), "5a".repeat(32));
        let statefile = dir.path().join("statefile");
        std::fs::File::create(&statefile).unwrap().set_len(4 << 20).unwrap();
        statefile::prepare(&statefile, generation, &Key::from_hex(&key_hex).unwrap(), &hosts)
            .unwrap();
        let machines = (0..3).map(|n| Machine::start(dir.path().join(format!("h{n}")))).collect();
        Pool { dir, net, timeout_s, generation, key_hex, hosts, machines }
    }

    fn statefile(&self) -> PathBuf {
        self.dir.path().join("statefile")
    }

    fn config(&self, host: usize, form: bool) -> StartConfig {
        let address = |n: usize| format!("127.0.{}.{}", self.net, n + 2).parse().unwrap();
        let hosts = self.hosts.iter().enumerate();
        StartConfig {
            generation: self.generation,
            key_hex: self.key_hex.clone(),
            host: self.hosts[host],
            boot_id: Uuid::new_v4().to_string(),
            timeout_s: self.timeout_s,
            hosts: hosts
                .map(|(n, uuid)| HostAddress { uuid: *uuid, address: address(n) })
                .collect(),
            udp_port: 7694,
            statefiles: vec![self.statefile()],
            watchdog: WatchdogConfig::Exec { socket: self.dir.path().join(format!("h{host}/dog")) },
            first_master: Some(self.hosts[0]),
            form,
            agent_command: Vec::new(),
            agent_pid: None,
            weight: 0,
        }
    }

    fn enable(&self) {
        std::thread::scope(|scope| {
            for (n, machine) in self.machines.iter().enumerate() {
                let config = self.config(n, true);
                scope.spawn(move || machine.client.start(config).unwrap());
            }
        });
    }
}

fn last_record(dir: &Path) -> String {
    let text = std::fs::read_to_string(dir.join("dog.jsonl")).unwrap();
    text.lines().last().unwrap().to_owned()
}

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
    let lost = pool.hosts[0];
    let took = wait_for("the exclusion", limit, || {
        pool.machines[1..].iter().all(|machine| {
            let liveset = machine.liveset();
            assert_eq!(liveset.phase, Phase::Armed);
            !liveset.members.contains(&lost) && liveset.dead.iter().any(|dead| dead.host == lost)
        })
    });
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
