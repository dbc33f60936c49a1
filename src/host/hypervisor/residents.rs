//! The VM processes that live on this machine, whatever runs in them: begun, found, ended.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::machine_dir::{Machine, MachineDir, Presence};
use super::{Driven, DriverError, Exit, ExitKind, Found, MachineSpec, RunState, Settings};

/// How long a VM's process may take to answer or to die.
pub const ANSWER: Duration = Duration::from_secs(10);

/// How long it may take until a launched process says something, on a busy machine.
const LAUNCH: Duration = Duration::from_secs(30);

/// The VMs below one state directory; all that is known about them lies there.
#[derive(Debug)]
pub struct Residents {
    settings: Settings,
    /// Ends that were found and not yet asked for. Held while a directory is looked at or changes
    /// hands, for looking takes its lock for a moment.
    ended: Mutex<Vec<Exit>>,
}

impl Residents {
    /// Opens the state directory, making it when absent.
    pub fn open(mut settings: Settings) -> Driven<Self> {
        let path = settings.state_dir.clone();
        std::fs::create_dir_all(&path)
            .and_then(|()| path.canonicalize())
            .map(|absolute| settings.state_dir = absolute)
            .map_err(DriverError::system(format!("state directory {}", path.display())))?;
        Ok(Self { settings, ended: Mutex::default() })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn dir(&self, vm: Uuid) -> MachineDir {
        MachineDir::of(&self.settings.state_dir, vm)
    }

    fn ended(&self) -> MutexGuard<'_, Vec<Exit>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn presence(&self, vm: Uuid) -> Driven<Presence> {
        let _held = self.ended();
        self.dir(vm).presence().map_err(dir_failed(vm))
    }

    /// The directory of a VM that has a process.
    pub fn here(&self, vm: Uuid) -> Driven<MachineDir> {
        match self.presence(vm)? {
            Presence::Gone => Err(DriverError::NotHere { vm }),
            Presence::Alive(_) | Presence::Starting => Ok(self.dir(vm)),
        }
    }

    /// All VMs that have a directory.
    pub fn list(&self) -> Driven<Vec<(Uuid, MachineDir)>> {
        let list = MachineDir::list(&self.settings.state_dir)
            .map_err(DriverError::system("list of the VMs on this host"))?;
        let named = |dir: MachineDir| {
            let name = dir.path().file_name()?.to_str()?;
            Some((Uuid::parse_str(name).ok()?, dir))
        };
        Ok(list.into_iter().filter_map(named).collect())
    }

    /// The VMs that have a process, with what `state` says that each does.
    pub fn scan(&self, state: impl Fn(&MachineDir) -> RunState) -> Driven<Vec<Found>> {
        let mut found = Vec::new();
        for (vm, dir) in self.list()? {
            let (pid, started) = match self.presence(vm)? {
                Presence::Gone => continue,
                Presence::Starting => (0, 0),
                Presence::Alive(process) => (process.pid, process.started),
            };
            let run = dir.machine().ok().flatten().map_or(0, |machine| machine.spec.run);
            found.push(Found { vm, run, state: state(&dir), pid, started });
        }
        Ok(found)
    }

    /// Claims the VM's directory and writes the spec; the lock goes to the VM's process.
    pub fn claim(&self, spec: &MachineSpec) -> Driven<(MachineDir, File)> {
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

    /// Has our binary launch a process in a claimed directory; gives the first line that it says,
    /// `None` when that takes too long.
    pub fn launch(
        &self,
        vm: Uuid,
        dir: &MachineDir,
        lock: File,
        words: &[String],
    ) -> Driven<Option<String>> {
        let launched = Command::new(&self.settings.program)
            .arg("xe-process-vm")
            .args(words)
            .current_dir(dir.path())
            .stdin(lock)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        match launched {
            Ok(mut launcher) => {
                let line = launcher.stdout.take().and_then(|out| first_line(out, LAUNCH));
                reap(launcher);
                Ok(line)
            }
            Err(error) => {
                self.clear(vm)?;
                let program = self.settings.program.clone();
                Err(DriverError::NoProgram { program, reason: error.to_string() })
            }
        }
    }

    /// Ends the VM's process at once.
    pub fn hard_stop(&self, vm: Uuid) -> Driven {
        let dir = self.here(vm)?;
        let failed = |e| DriverError::system(format!("stop of VM {vm}"))(e);
        dir.set_exit(ExitKind::Killed).map_err(failed)?;
        if let Presence::Alive(process) = self.presence(vm)? {
            process.kill().map_err(failed)?;
        }
        self.wait_until_gone(vm, "stop", ANSWER)
    }

    /// Leaves nothing of a start that failed.
    pub fn sweep(&self, vm: Uuid) -> Driven {
        match self.hard_stop(vm) {
            Err(DriverError::NotHere { .. }) => self.clear(vm),
            other => other,
        }
    }

    /// Waits for the end of a VM that was told to end, and removes its directory.
    pub fn wait_until_gone(&self, vm: Uuid, what: &'static str, patience: Duration) -> Driven {
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

    /// The VMs that ended since the last call.
    pub fn exits(&self) -> Driven<Vec<Exit>> {
        let mut ended = self.ended();
        for (vm, dir) in self.list()? {
            if dir.presence().map_err(dir_failed(vm))? == Presence::Gone {
                ended.extend(self.end_of(vm, &dir));
                dir.remove().map_err(dir_failed(vm))?;
            }
        }
        Ok(std::mem::take(&mut *ended))
    }
}

/// Says which VM's directory failed.
pub fn dir_failed(vm: Uuid) -> impl FnOnce(std::io::Error) -> DriverError {
    DriverError::system(format!("directory of VM {vm}"))
}

/// The first line that a process writes, empty when it closes its output without one.
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
