//! Real daemons on loopback addresses and one shared file, each with its watchdog's keeper.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;
use xe::heartbeat::Key;
use xe::host::faults::FaultChannel;
use xe::host::watchdog::WatchdogConfig;
use xe::xhad::control::{Client, HostAddress, Liveset, Phase, StartConfig};
use xe::xhad::statefile;

pub struct Machine {
    pub daemon: Child,
    pub keeper: Child,
    pub dir: PathBuf,
    pub client: Client,
    pub faults: FaultChannel,
}

pub struct Pool {
    pub dir: tempfile::TempDir,
    pub net: u8,
    pub timeout_s: u32,
    pub generation: Uuid,
    pub key_hex: String,
    pub hosts: Vec<Uuid>,
    pub machines: Vec<Machine>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        for process in [&mut self.keeper, &mut self.daemon] {
            let _ended = process.kill();
            let _status = process.wait();
        }
    }
}

pub fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "{what} did not happen within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

impl Machine {
    pub fn start(dir: PathBuf) -> Machine {
        let faults = FaultChannel::create().unwrap();
        std::fs::create_dir_all(&dir).unwrap();
        let daemon = Machine::spawn(&dir, &faults);
        let keeper = Command::new(env!("CARGO_BIN_EXE_xe"))
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
        Machine { daemon, keeper, dir, client, faults }
    }

    fn spawn(dir: &Path, faults: &FaultChannel) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("stderr"));
        Command::new(env!("CARGO_BIN_EXE_xe"))
            .args(["xhad", "--state-dir"])
            .arg(dir)
            .env("XE_LAB_FAULTS_FD", faults.number().to_string())
            .stderr(Stdio::from(log.unwrap()))
            .process_group(0)
            .spawn()
            .unwrap()
    }

    /// Another daemon after the first one has ended.
    pub fn start_again(&mut self) {
        self.daemon = Machine::spawn(&self.dir, &self.faults);
    }

    pub fn liveset(&self) -> Liveset {
        self.client.liveset().unwrap()
    }

    pub fn kill(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

impl Pool {
    pub fn new(net: u8, timeout_s: u32) -> Pool {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut hosts: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
        hosts.sort();
        let (generation, key_hex) = (Uuid::new_v4(), "5a".repeat(32));
        let machines = (0..3).map(|n| Machine::start(dir.path().join(format!("h{n}")))).collect();
        let pool = Pool { dir, net, timeout_s, generation, key_hex, hosts, machines };
        pool.prepare();
        pool
    }

    /// Makes the statefile one of a session that is to be formed.
    pub fn prepare(&self) {
        std::fs::File::create(self.statefile()).unwrap().set_len(4 << 20).unwrap();
        let key = Key::from_hex(&self.key_hex).unwrap();
        statefile::prepare(&self.statefile(), self.generation, &key, &self.hosts).unwrap();
    }

    pub fn statefile(&self) -> PathBuf {
        self.dir.path().join("statefile")
    }

    pub fn config(&self, host: usize, form: bool) -> StartConfig {
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
            force_not_real_time: true,
            ..StartConfig::default()
        }
    }

    /// Whether all others have a view without a host and know it dead; they must be armed.
    pub fn excluded(&self, lost: usize) -> bool {
        let uuid = self.hosts[lost];
        let others = self.machines.iter().enumerate().filter(|(n, _)| *n != lost);
        others.map(|(_, machine)| machine.liveset()).all(|liveset| {
            assert_eq!(liveset.phase, Phase::Armed);
            !liveset.members.contains(&uuid) && liveset.dead.iter().any(|dead| dead.host == uuid)
        })
    }

    pub fn enable(&self) {
        std::thread::scope(|scope| {
            for (n, machine) in self.machines.iter().enumerate() {
                let config = self.config(n, true);
                scope.spawn(move || machine.client.start(config).unwrap());
            }
        });
    }
}

pub fn last_record(dir: &Path) -> String {
    let text = std::fs::read_to_string(dir.join("dog.jsonl")).unwrap();
    text.lines().last().unwrap().to_owned()
}
