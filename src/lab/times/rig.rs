//! Daemons alone, each with its watchdog's keeper, on one network and one statefile.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use uuid::Uuid;

use super::leash::Leash;
use super::network::Network;
use super::session::{KEEPER_RECORD, KEEPER_SOCKET, Session};
use crate::host::faults::{self, FaultChannel};
use crate::host::watchdog::keeper;
use crate::lab::demo::slowness;
use crate::xhad::control::{Client, Phase};

/// How long anything may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(20);

/// One machine: a daemon, what resets it, and what can be done to it.
#[derive(Debug)]
pub struct Host {
    /// Its place in the session.
    pub number: usize,
    /// Its UUID.
    pub uuid: Uuid,
    /// The daemon's control socket.
    pub client: Client,
    /// Its faults of disk and network.
    pub channel: FaultChannel,
    dir: PathBuf,
    daemon: Child,
    keeper: Option<Child>,
}

/// Everything that runs for one measurement; dropped, it is gone.
#[derive(Debug)]
pub struct Rig {
    /// The machines.
    pub hosts: Vec<Host>,
    /// What joins them.
    pub network: Network,
    /// What they were started with.
    pub session: Session,
    _leash: Leash,
}

/// What a rig is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The directory in which its own is made.
    pub dir: PathBuf,
    /// How many hosts.
    pub hosts: usize,
    /// T in seconds.
    pub timeout_s: u32,
    /// A network namespace for each host, else loopback addresses.
    pub namespaces: bool,
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

impl Host {
    fn start(
        number: usize,
        uuid: Uuid,
        network: &Network,
        leash: &mut Leash,
    ) -> anyhow::Result<Self> {
        let dir = leash.dir().join(format!("h{}", number + 1));
        std::fs::create_dir(&dir)?;
        let channel = FaultChannel::create().context("fault channel")?;
        let console = std::fs::File::create(dir.join("console.log"))?;
        let program = std::env::current_exe()?;
        let daemon = network
            .command(&program)
            .args(["xhad", "--state-dir"])
            .arg(&dir)
            .env(faults::VARIABLE, channel.number().to_string())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(console.try_clone()?)
            .spawn()
            .context("the heartbeat daemon")?;
        let client = Client::of_state_dir(&dir).with_timeout(PATIENCE * 6);
        let mut host = Host { number, uuid, client, channel, dir, daemon, keeper: None };
        leash.add(&host.daemon)?;
        let keeper = Command::new(program)
            .args(["xhad", "watchdog-keeper", "--socket"])
            .arg(host.dir.join(KEEPER_SOCKET))
            .arg("--record")
            .arg(host.dir.join(KEEPER_RECORD))
            .args(["--kill-group", &host.daemon.id().to_string()])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(console)
            .spawn()
            .context("the watchdog's keeper")?;
        host.keeper = Some(keeper);
        host.keeper.as_ref().map_or(Ok(()), |keeper| leash.add(keeper))?;
        network.connect(number, host.daemon.id())?;
        Ok(host)
    }

    fn is_up(&self) -> bool {
        self.client.liveset().is_ok() && self.dir.join(KEEPER_SOCKET).exists()
    }

    /// The daemon's process.
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.id()
    }

    /// The keeper's process.
    pub fn keeper_pid(&self) -> Option<u32> {
        self.keeper.as_ref().map(Child::id)
    }

    /// Whether the daemon has ended. It stays a zombie until the rig goes, so that its number
    /// and its group belong to nobody else.
    pub fn has_ended(&self) -> bool {
        i32::try_from(self.daemon.id()).is_ok_and(crate::lab::group::is_zombie)
    }

    /// When the watchdog reset this machine, CLOCK_BOOTTIME in nanoseconds.
    pub fn reset_at(&self) -> Option<u64> {
        let text = std::fs::read_to_string(self.dir.join(KEEPER_RECORD)).ok()?;
        let lines = text.lines().rev().filter(|line| line.contains("fired_ns"));
        lines.filter_map(|line| serde_json::from_str::<keeper::Line>(line).ok()?.fired_ns).next()
    }

    /// Kills or stops the daemon, or lets it go on.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let daemon = pid(&self.daemon).context("no daemon")?;
        kill_process(daemon, signal).context("the heartbeat daemon")
    }

    /// Ends everything of this machine at once, as lost power does.
    pub fn power_off(&self) {
        if let Some(group) = pid(&self.daemon) {
            let _already_gone = kill_process_group(group, Signal::KILL);
        }
        if let Some(keeper) = self.keeper.as_ref().and_then(pid) {
            let _already_gone = kill_process(keeper, Signal::KILL);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.power_off();
        let _status = self.daemon.wait();
        if let Some(mut keeper) = self.keeper.take() {
            let _status = keeper.wait();
        }
    }
}

impl Rig {
    /// Starts the daemons; nothing is armed yet.
    pub fn start(build: &Build) -> anyhow::Result<Self> {
        let mut leash = Leash::new(&build.dir.join(format!("xt-{:08x}", random()?)))?;
        let network = Network::new(build.hosts, build.namespaces)?;
        let session = Session::prepare(leash.dir(), &network.addresses(), build.timeout_s)?;
        let mut hosts = Vec::new();
        for (number, host) in session.hosts.iter().enumerate() {
            hosts.push(Host::start(number, host.uuid, &network, &mut leash)?);
        }
        let rig = Rig { hosts, network, session, _leash: leash };
        for host in &rig.hosts {
            let name = format!("the daemon of h{}", host.number + 1);
            wait(&name, PATIENCE, || host.is_up())?;
        }
        Ok(rig)
    }

    /// Starts the session at every host; gives how long it took until all were armed in one view.
    pub fn form(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let started: Vec<_> = self
                .hosts
                .iter()
                .map(|host| {
                    let config = self.session.config(host.number, &host.dir);
                    scope.spawn(move || host.client.start(config))
                })
                .collect();
            let ended = started.into_iter().map(|thread| thread.join());
            ended.into_iter().try_for_each(|ended| match ended {
                Ok(outcome) => outcome.context("the start of a session"),
                Err(_) => bail!("the start of a session panicked"),
            })
        })?;
        wait("a view with everybody", PATIENCE * 3, || {
            self.hosts.iter().all(|h| self.is_whole(h))
        })?;
        Ok(began.elapsed())
    }

    fn is_whole(&self, host: &Host) -> bool {
        host.client.liveset().is_ok_and(|liveset| {
            liveset.phase == Phase::Armed && liveset.members.len() == self.hosts.len()
        })
    }

    /// The number of the master.
    pub fn master(&self) -> anyhow::Result<usize> {
        let master = self.hosts[0].client.liveset()?.master.context("no master")?;
        let place = self.hosts.iter().position(|host| host.uuid == master);
        place.context("the master is no host of this session")
    }

    /// How many of the other hosts were reset.
    pub fn resets_but(&self, victims: &[usize]) -> usize {
        let others = self.hosts.iter().filter(|host| !victims.contains(&host.number));
        others.filter(|host| host.has_ended() || host.reset_at().is_some()).count()
    }
}

/// Waits until something is so, longer on a computer that is loaded.
pub fn wait(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> anyhow::Result<()> {
    let (began, limit) = (Instant::now(), limit.mul_f64(slowness()));
    while !done() {
        if began.elapsed() > limit {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A random number, so that no measurement begins at a chosen phase of the beat.
pub fn random() -> anyhow::Result<u32> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("random numbers: {error}"))?;
    Ok(u32::from_le_bytes(bytes))
}

/// A random part of a time.
pub fn random_part(of_ns: u64) -> anyhow::Result<Duration> {
    let part = f64::from(random()?) / f64::from(u32::MAX);
    Ok(Duration::from_nanos(of_ns).mul_f64(part))
}

/// The directory for rigs that were given none.
pub fn default_dir() -> PathBuf {
    std::env::temp_dir()
}

/// Refuses a directory in which the sockets would have too long names.
pub fn check_dir(dir: &Path) -> anyhow::Result<()> {
    if !dir.is_dir() {
        bail!("{} is no directory", dir.display());
    }
    if dir.as_os_str().len() > 70 {
        bail!("{} is too long a name for sockets; choose another --dir", dir.display());
    }
    Ok(())
}
