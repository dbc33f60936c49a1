//! The `process` driver: VMs are processes of our own binary (see [`super::process_vm`]).

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::control::{Reply, Request, ask};
use super::machine_dir::{Machine, MachineDir, Presence};
use super::{
    Driven, DriverError, Exit, ExitKind, Found, Hypervisor, MachineSpec, RunState, Settings,
};

/// How long a VM's process may take to come up, or to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a state question may take: a VM that does not answer counts as running.
const GLANCE: Duration = Duration::from_millis(500);
/// How long a hand-over or a suspend may take.
const TRANSFER: Duration = Duration::from_secs(60);

/// The driver; all it knows lies in the state directory.
#[derive(Debug)]
pub struct ProcessDriver {
    settings: Settings,
    /// Ends that were found and not yet asked for. Held while a directory is looked at or changes
    /// hands, for looking takes its lock for a moment.
    ended: Mutex<Vec<Exit>>,
}

impl ProcessDriver {
    /// Opens the state directory, making it when absent.
    pub fn open(mut settings: Settings) -> Driven<Self> {
        let path = settings.state_dir.clone();
        std::fs::create_dir_all(&path)
            .and_then(|()| path.canonicalize())
            .map(|absolute| settings.state_dir = absolute)
            .map_err(DriverError::system(format!("state directory {}", path.display())))?;
        Ok(Self { settings, ended: Mutex::default() })
    }

    fn dir(&self, vm: Uuid) -> MachineDir {
        MachineDir::of(&self.settings.state_dir, vm)
    }

    fn ended(&self) -> MutexGuard<'_, Vec<Exit>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn presence(&self, vm: Uuid) -> Driven<Presence> {
        let _held = self.ended();
        self.dir(vm).presence().map_err(dir_failed(vm))
    }

    /// Claims the VM's directory and writes the spec; the lock goes to the VM's process.
    fn claim(&self, spec: &MachineSpec) -> Driven<(MachineDir, File)> {
        let mut ended = self.ended();
        let dir = self.dir(spec.vm);
        let Some(lock) = dir.claim().map_err(dir_failed(spec.vm))? else {
            let run = dir.machine().ok().flatten().map_or(0, |machine| machine.spec.run);
            return Err(DriverError::AlreadyHere { vm: spec.vm, run });
        };
        ended.extend(self.end_of(spec.vm, &dir));
        let machine = Machine { boot_id: self.settings.boot_id.clone(), spec: spec.clone() };
        dir.prepare(&machine).map_err(dir_failed(spec.vm))?;
        Ok((dir, lock))
    }

    /// How the last run in this directory ended, if it was in this boot.
    fn end_of(&self, vm: Uuid, dir: &MachineDir) -> Option<Exit> {
        let machine = dir.machine().ok().flatten()?;
        let kind = dir.exit().ok().flatten().unwrap_or(ExitKind::Crash);
        let exit = Exit { vm, run: machine.spec.run, kind };
        (machine.boot_id == self.settings.boot_id).then_some(exit)
    }

    fn spawn(&self, dir: &MachineDir, lock: File, mode: &[&str]) -> std::io::Result<Child> {
        Command::new(&self.settings.program)
            .args(["xe-process-vm", "launch"])
            .arg(dir.path())
            .args(mode)
            .current_dir(dir.path())
            .stdin(lock)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }

    fn launch(&self, spec: &MachineSpec, mode: &[&str]) -> Driven<MachineDir> {
        let (dir, lock) = self.claim(spec)?;
        let mut launcher = match self.spawn(&dir, lock, mode) {
            Ok(launcher) => launcher,
            Err(error) => {
                self.clear(spec.vm)?;
                let program = self.settings.program.clone();
                return Err(DriverError::NoProgram { program, reason: error.to_string() });
            }
        };
        let first_line = launcher.stdout.take().map(|out| first_line(out, ANSWER));
        reap(launcher);
        match first_line.flatten().as_deref() {
            Some("ready") => Ok(dir),
            said => {
                let reason = said.filter(|line| !line.is_empty()).unwrap_or("it said nothing");
                let failed =
                    DriverError::Failed { vm: spec.vm, what: "start", reason: reason.to_owned() };
                self.sweep(spec.vm)?;
                Err(failed)
            }
        }
    }

    /// Leaves nothing of a start that failed.
    fn sweep(&self, vm: Uuid) -> Driven {
        match self.hard_stop(vm) {
            Err(DriverError::NotHere { .. }) => self.clear(vm),
            other => other,
        }
    }

    fn ask(
        &self,
        vm: Uuid,
        what: &'static str,
        request: &Request,
        time: Duration,
    ) -> Driven<Reply> {
        let dir = self.here(vm)?;
        let reply = ask(dir.path(), request, time).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                DriverError::TimedOut { vm, what, seconds: time.as_secs() }
            }
            _ => DriverError::Failed { vm, what, reason: error.to_string() },
        })?;
        match reply.error {
            None => Ok(reply),
            Some(reason) => Err(DriverError::Failed { vm, what, reason }),
        }
    }

    fn here(&self, vm: Uuid) -> Driven<MachineDir> {
        match self.presence(vm)? {
            Presence::Gone => Err(DriverError::NotHere { vm }),
            Presence::Alive(_) | Presence::Starting => Ok(self.dir(vm)),
        }
    }

    /// Asks for something that ends the VM, and waits until it is gone. The VM answers only when
    /// it refuses, so a broken connection is the expected answer.
    fn ask_for_end(&self, vm: Uuid, what: &'static str, request: &Request) -> Driven {
        let dir = self.here(vm)?;
        let patience = self.settings.patience;
        let began = Instant::now();
        if let Ok(Reply { error: Some(reason), .. }) = ask(dir.path(), request, patience) {
            return Err(DriverError::Failed { vm, what, reason });
        }
        self.wait_until_gone(vm, what, patience.saturating_sub(began.elapsed()))
    }

    fn wait_until_gone(&self, vm: Uuid, what: &'static str, patience: Duration) -> Driven {
        let began = Instant::now();
        while self.presence(vm)? != Presence::Gone {
            if began.elapsed() > patience {
                return Err(DriverError::TimedOut { vm, what, seconds: patience.as_secs() });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.clear(vm)
    }

    /// Removes the directory unless somebody has begun a new run in it.
    fn clear(&self, vm: Uuid) -> Driven {
        let _held = self.ended();
        let dir = self.dir(vm);
        match dir.presence().map_err(dir_failed(vm))? {
            Presence::Gone => dir.remove().map_err(dir_failed(vm)),
            Presence::Alive(_) | Presence::Starting => Ok(()),
        }
    }

    fn machines(&self) -> Driven<Vec<(Uuid, MachineDir)>> {
        let list = MachineDir::list(&self.settings.state_dir)
            .map_err(DriverError::system("list of the VMs on this host"))?;
        let named = |dir: MachineDir| {
            let name = dir.path().file_name()?.to_str()?;
            Some((Uuid::parse_str(name).ok()?, dir))
        };
        Ok(list.into_iter().filter_map(named).collect())
    }
}

impl Hypervisor for ProcessDriver {
    fn start(&self, spec: &MachineSpec, paused: bool) -> Driven {
        self.launch(spec, &[if paused { "paused" } else { "running" }]).map(drop)
    }

    fn clean_shutdown(&self, vm: Uuid) -> Driven {
        self.ask_for_end(vm, "shut down", &Request::Shutdown)
    }

    fn hard_stop(&self, vm: Uuid) -> Driven {
        let dir = self.here(vm)?;
        let failed = |e| DriverError::system(format!("stop of VM {vm}"))(e);
        dir.set_exit(ExitKind::Killed).map_err(failed)?;
        if let Presence::Alive(process) = self.presence(vm)? {
            process.kill().map_err(failed)?;
        }
        self.wait_until_gone(vm, "stop", ANSWER)
    }

    fn pause(&self, vm: Uuid) -> Driven {
        self.ask(vm, "pause", &Request::Pause, ANSWER).map(drop)
    }

    fn unpause(&self, vm: Uuid) -> Driven {
        self.ask(vm, "unpause", &Request::Continue(RunState::Paused), ANSWER).map(drop)
    }

    fn suspend(&self, vm: Uuid, image: &Path) -> Driven {
        self.ask_for_end(vm, "suspend", &Request::Suspend(image.to_owned()))
    }

    fn resume(&self, spec: &MachineSpec, image: &Path) -> Driven {
        self.launch(spec, &["resume", &image.to_string_lossy()]).map(drop)
    }

    fn receive(&self, spec: &MachineSpec) -> Driven<SocketAddr> {
        let address = self.settings.migration_address.to_string();
        self.launch(spec, &["receive", &address])?;
        let reply = self.ask(spec.vm, "receive", &Request::State, ANSWER)?;
        reply.listens.ok_or_else(|| DriverError::Failed {
            vm: spec.vm,
            what: "receive",
            reason: "it listens nowhere".to_owned(),
        })
    }

    fn migrate_to(&self, vm: Uuid, target: SocketAddr) -> Driven {
        self.ask(vm, "migrate", &Request::Migrate(target), TRANSFER).map(drop)
    }

    fn continue_received(&self, vm: Uuid) -> Driven {
        self.ask(vm, "continue", &Request::Continue(RunState::Received), ANSWER).map(drop)
    }

    fn abort_received(&self, vm: Uuid) -> Driven {
        self.hard_stop(vm)
    }

    fn resume_source(&self, vm: Uuid) -> Driven {
        self.ask(vm, "continue", &Request::Continue(RunState::Stopped), ANSWER).map(drop)
    }

    fn finish_source(&self, vm: Uuid) -> Driven {
        self.hard_stop(vm)
    }

    fn scan(&self) -> Driven<Vec<Found>> {
        let mut found = Vec::new();
        for (vm, dir) in self.machines()? {
            let (pid, started) = match self.presence(vm)? {
                Presence::Gone => continue,
                Presence::Starting => (0, 0),
                Presence::Alive(process) => (process.pid, process.started),
            };
            let run = dir.machine().ok().flatten().map_or(0, |machine| machine.spec.run);
            let reply = ask(dir.path(), &Request::State, GLANCE);
            let state = reply.map_or(RunState::Running, |reply| reply.state);
            found.push(Found { vm, run, state, pid, started });
        }
        Ok(found)
    }

    fn exits(&self) -> Driven<Vec<Exit>> {
        let mut ended = self.ended();
        for (vm, dir) in self.machines()? {
            if dir.presence().map_err(dir_failed(vm))? == Presence::Gone {
                ended.extend(self.end_of(vm, &dir));
                dir.remove().map_err(dir_failed(vm))?;
            }
        }
        Ok(std::mem::take(&mut *ended))
    }
}

fn dir_failed(vm: Uuid) -> impl FnOnce(std::io::Error) -> DriverError {
    DriverError::system(format!("directory of VM {vm}"))
}

/// The first line that a process writes, `None` when it takes too long.
fn first_line(out: ChildStdout, patience: Duration) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(out).read_line(&mut line);
        let _ = sender.send(line.trim().to_owned());
    });
    receiver.recv_timeout(patience).ok()
}

/// Waits for the launcher without keeping anybody waiting.
fn reap(mut launcher: Child) {
    std::thread::spawn(move || launcher.wait());
}
