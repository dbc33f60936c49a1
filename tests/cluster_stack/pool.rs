//! Hosts of a XenServer pool without the hosts: each has the toolstack's files, a process that
//! stands for the toolstack, and a watchdog keeper that ends all of that when it fires.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;
use xe::host::faults::FaultChannel;

use super::liveset::Liveset;

/// A host.
pub struct Machine {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its files.
    pub dir: PathBuf,
    /// Its faults.
    pub faults: FaultChannel,
    links: PathBuf,
    boot: Uuid,
    keeper: Child,
    toolstack: Child,
}

/// What a pool is made with.
#[derive(Clone, Copy)]
pub struct Setting {
    /// The third byte of the addresses.
    pub net: u8,
    /// The fourth byte of the first host's address.
    pub first: u8,
    /// T in seconds.
    pub timeout_s: u32,
    /// How long all hosts have to join.
    pub join_s: u32,
    /// The watchdog mode of the configuration; none: the keeper of each host.
    pub watchdog: Option<&'static str>,
}

/// Three hosts; the second is the toolstack's master.
pub struct Pool {
    /// The hosts. They end before their files go.
    pub machines: Vec<Machine>,
    /// The shared files.
    pub dir: tempfile::TempDir,
    /// The session.
    pub generation: Uuid,
    setting: Setting,
}

/// Waits for something that must come.
pub fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "{what} did not come within {limit:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn kill(pid_file: &Path) {
    let pid = std::fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power_off();
    }
}

impl Machine {
    fn keeper(dir: &Path) -> Child {
        Command::new(env!("CARGO_BIN_EXE_xe"))
            .args(["xhad", "watchdog-keeper", "--socket"])
            .arg(dir.join("dog"))
            .arg("--record")
            .arg(dir.join("dog.jsonl"))
            .args(["--exec", "sh"])
            .arg(dir.join("reset.sh"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// A new process stands for the toolstack.
    pub fn start_toolstack(&mut self) {
        let _gone = self.toolstack.kill();
        self.toolstack.wait().unwrap();
        self.toolstack = toolstack(&self.dir);
    }

    /// The process that stands for the toolstack, if it runs.
    pub fn toolstack(&mut self) -> Option<u32> {
        let _collected = self.toolstack.try_wait();
        self.process("xapi.pid")
    }

    /// The process whose id a file holds, if it runs.
    pub fn process(&self, file: &str) -> Option<u32> {
        let text = std::fs::read_to_string(self.dir.join(file)).ok()?;
        let pid: u32 = text.trim().parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        (!stat.contains(") Z ")).then_some(pid)
    }

    /// Everything ends at once, as when the power goes.
    pub fn power_off(&mut self) {
        kill(&self.dir.join("xapi.pid"));
        for process in [&mut self.keeper, &mut self.toolstack] {
            let _gone = process.kill();
            let _status = process.wait();
        }
        kill(&self.dir.join("state/toolstack.pid"));
        kill(&self.dir.join("state/xhad.pid"));
    }

    /// Only the heartbeat daemon ends; the watchdog does the rest.
    pub fn kill_daemon(&self) {
        kill(&self.dir.join("state/xhad.pid"));
        wait_for("the daemon's end", Duration::from_secs(10), || {
            self.process("state/xhad.pid").is_none()
        });
    }

    /// The next boot of the host.
    pub fn boot(&mut self) {
        self.power_off();
        self.boot = Uuid::new_v4();
        self.keeper = Machine::keeper(&self.dir);
        self.toolstack = toolstack(&self.dir);
        wait_for("the keeper", Duration::from_secs(10), || {
            std::os::unix::net::UnixStream::connect(self.dir.join("dog")).is_ok()
        });
    }

    /// How often the watchdog has fired.
    pub fn resets(&self) -> usize {
        std::fs::read_to_string(self.dir.join("resets")).map_or(0, |text| text.lines().count())
    }

    /// Runs a program of the cluster stack.
    pub fn run(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let number = self.faults.number().to_string();
        Command::new(self.links.join(words.next().unwrap()))
            .args(words)
            .env("XE_CLUSTER_STACK", self.dir.join("settings.json"))
            .env("XE_LAB_FAULTS_FD", number)
            .env("XE_LAB_BOOT_ID", self.boot.to_string())
            .output()
            .unwrap()
    }

    /// The exit code of a program, and what it says when it fails.
    pub fn code(&self, line: &str) -> i32 {
        let done = self.run(line);
        let code = done.status.code().unwrap();
        if code != 0 {
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(said.trim_end().ends_with(&format!("({code})")), "{said}");
            println!("{said}");
        }
        code
    }

    /// What a program that succeeds prints.
    pub fn text(&self, line: &str) -> String {
        let done = self.run(line);
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        text
    }

    /// Whether this host may be master.
    pub fn proposes(&self) -> bool {
        match self.text("ha_propose_master").as_str() {
            "TRUE\n" => true,
            "FALSE\n" => false,
            other => panic!("{other}"),
        }
    }

    /// The living set.
    pub fn liveset(&self) -> Liveset {
        Liveset::parse(&self.text("ha_query_liveset"))
    }

    /// Writes one of the host's files.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).unwrap();
    }
}

fn toolstack(dir: &Path) -> Child {
    let child = Command::new("sleep").arg("10000").stdin(Stdio::null()).spawn().unwrap();
    std::fs::write(dir.join("xapi.pid"), format!("{}\n", child.id())).unwrap();
    child
}

fn settings(pool: &Path, dir: &Path, keeper: bool) -> serde_json::Value {
    let file = |name: &str| dir.join(name).display().to_string();
    let mut settings = serde_json::json!({
        "config": file("xhad.conf"),
        "token": pool.join("ptoken"),
        "pool-role": file("pool.conf"),
        "state-dir": file("state"),
        "health-check": ["sh", "-c", "test -e \"$0\" || { echo no answer; exit 1; }", file("well")],
        "restart": ["sh", file("restart.sh")],
        "toolstack-pid": ["cat", file("xapi.pid")],
        "guests": ["cat", file("guests")],
    });
    if keeper {
        settings["watchdog"] = serde_json::json!({ "exec": { "socket": file("dog") } });
    }
    settings
}

impl Pool {
    /// The files of a pool before HA is switched on.
    pub fn new(setting: Setting) -> Pool {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let links = dir.path().join("stack");
        let made = Command::new(env!("CARGO_BIN_EXE_xe"))
            .args(["install-links", "--cluster-stack"])
            .arg(&links)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::write(dir.path().join("ptoken"), "7c1f0d8e-pool-token-of-the-tests\n").unwrap();
        let statefile = std::fs::File::create(dir.path().join("statefile")).unwrap();
        statefile.set_len(266_240).unwrap();
        let mut uuids: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
        uuids.sort();
        let machine = |(n, uuid): (usize, &Uuid)| {
            let own = dir.path().join(format!("h{n}"));
            std::fs::create_dir_all(own.join("state")).unwrap();
            let text = settings(dir.path(), &own, setting.watchdog.is_none()).to_string();
            std::fs::write(own.join("settings.json"), text).unwrap();
            std::fs::write(own.join("guests"), "0\n").unwrap();
            std::fs::write(own.join("well"), "").unwrap();
            let master = if n == 1 { "master".to_owned() } else { slave_of(setting) };
            std::fs::write(own.join("pool.conf"), master).unwrap();
            std::fs::write(own.join("reset.sh"), reset_script(&own)).unwrap();
            std::fs::write(own.join("restart.sh"), "cd \"${0%/*}\"\necho >> restarts\n").unwrap();
            Machine {
                uuid: *uuid,
                faults: FaultChannel::create().unwrap(),
                links: links.clone(),
                boot: Uuid::new_v4(),
                keeper: Machine::keeper(&own),
                toolstack: toolstack(&own),
                dir: own,
            }
        };
        let machines: Vec<Machine> = uuids.iter().enumerate().map(machine).collect();
        for machine in &machines {
            wait_for("the keeper", Duration::from_secs(10), || machine.dir.join("dog").exists());
        }
        let pool = Pool { machines, setting, generation: Uuid::new_v4(), dir };
        pool.configure(&pool.dir.path().join("statefile"));
        pool
    }

    /// The toolstack writes the configuration to every host.
    pub fn configure(&self, statefile: &Path) {
        for machine in &self.machines {
            machine.write("xhad.conf", &self.config(machine.uuid, statefile));
        }
    }

    /// The configuration of one host.
    pub fn config(&self, host: Uuid, statefile: &Path) -> String {
        let Setting { net, first, timeout_s, join_s, watchdog } = self.setting;
        let hosts: String = self
            .machines
            .iter()
            .enumerate()
            .map(|(n, machine)| {
                let (uuid, address) =
                    (machine.uuid, format!("127.0.{net}.{}", usize::from(first) + n));
                format!("<host><HostID>{uuid}</HostID><IPaddress>{address}</IPaddress></host>\n")
            })
            .collect();
        let mode = watchdog.map_or(String::new(), |m| format!("<WatchdogMode>{m}</WatchdogMode>"));
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xhad-config version=\"1.0\">\n\
             <common-config>\n<GenerationUUID>{}</GenerationUUID>\n<UDPport>7694</UDPport>\n{hosts}\
             <parameters><HeartbeatInterval>1</HeartbeatInterval>\
             <HeartbeatTimeout>{timeout_s}</HeartbeatTimeout>\
             <StateFileInterval>1</StateFileInterval>\
             <StateFileTimeout>{timeout_s}</StateFileTimeout>\
             <BootJoinTimeout>{join_s}</BootJoinTimeout>\
             <EnableJoinTimeout>{join_s}</EnableJoinTimeout>\
             <XapiHealthCheckInterval>1</XapiHealthCheckInterval>\
             <XapiHealthCheckTimeout>5</XapiHealthCheckTimeout>\
             <XapiRestartAttempts>1</XapiRestartAttempts>\
             <XapiRestartTimeout>5</XapiRestartTimeout></parameters>\n</common-config>\n\
             <local-config><localhost><HostID>{host}</HostID>\
             <HeartbeatInterface>lo</HeartbeatInterface>\
             <HeartbeatPhysicalInterface>lo</HeartbeatPhysicalInterface>\
             <StateFile>{}</StateFile>{mode}</localhost></local-config>\n</xhad-config>\n",
            self.generation,
            statefile.display(),
        )
    }

    /// The same program on these hosts at once; the exit codes.
    pub fn on(&self, hosts: &[usize], line: &str) -> Vec<i32> {
        std::thread::scope(|scope| {
            let run = |n: &usize| {
                let machine = &self.machines[*n];
                scope.spawn(move || machine.code(line))
            };
            let running: Vec<_> = hosts.iter().map(run).collect();
            running.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    /// What the toolstack does to switch HA on.
    pub fn enable(&self) {
        assert_eq!(self.machines[1].code("ha_set_pool_state init"), 0);
        assert_eq!(self.on(&[0, 1, 2], "ha_start_daemon"), [0, 0, 0]);
        assert!(self.machines[1].proposes(), "the toolstack's master asserts itself");
    }

    /// The toolstack prepares a new session on the same statefile.
    pub fn again(&mut self, join_s: u32) {
        self.generation = Uuid::new_v4();
        self.setting.join_s = join_s;
        self.configure(&self.dir.path().join("statefile"));
    }

    /// How often the watchdog of each host has fired.
    pub fn resets(&self) -> Vec<usize> {
        self.machines.iter().map(Machine::resets).collect()
    }
}

fn slave_of(setting: Setting) -> String {
    format!("slave:127.0.{}.{}", setting.net, setting.first + 1)
}

/// What the watchdog does to a host: every process of it ends, the daemon first.
fn reset_script(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "for f in state/xhad.pid state/toolstack.pid xapi.pid; do\n    \
         kill -9 \"$(cat '{dir}'/$f)\"\ndone 2>> '{dir}/reset.log'\necho reset >> '{dir}/resets'\n"
    )
}
