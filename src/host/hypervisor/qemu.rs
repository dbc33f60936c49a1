//! The `qemu` driver: real machines, spoken to over QMP.
//!
//! A guest that switches itself off leaves its QEMU behind, stopped in state `shutdown`
//! (`-no-shutdown`), until this driver has looked: so a guest's shutdown, a crash of the process
//! and what the host did are told apart without anything that would have to live on with the VM.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::machine_dir::{MachineDir, Presence};
use super::qemu_words::{self, FLOPPY, Incoming};
use super::qmp::{LOOKS, Qmp, TASKS};
use super::residents::{ANSWER, Residents, dir_failed};
use super::{
    Driven, DriverError, Exit, ExitKind, Found, Hypervisor, MachineSpec, RunState, boot_sector,
};

/// How long a state question may take: a VM that does not answer counts as running.
const GLANCE: Duration = Duration::from_millis(500);
/// How long a hand-over or a suspend may take.
const TRANSFER: Duration = Duration::from_secs(600);
/// How often a state is asked for while waiting.
const STEP: Duration = Duration::from_millis(10);
/// A guest that was not listening yet gets the power button pressed again.
const PRESS_AGAIN: Duration = Duration::from_secs(2);

/// Marks of a VM's directory.
const ASKED: &str = "asked";
const RECEIVING: &str = "receiving";

/// The driver.
#[derive(Debug)]
pub struct QemuDriver {
    residents: Arc<Residents>,
}

impl QemuDriver {
    /// The driver of these VMs.
    pub(super) fn of(residents: Arc<Residents>) -> Self {
        Self { residents }
    }

    /// Launches a machine that executes nothing yet, and connects to it.
    fn launch(&self, spec: &MachineSpec, incoming: Incoming) -> Driven<Qmp> {
        let (dir, lock) = self.residents.claim(spec)?;
        let made = self.make(spec, &incoming, &dir, lock);
        if made.is_err() {
            self.residents.sweep(spec.vm)?;
        }
        made
    }

    fn make(
        &self,
        spec: &MachineSpec,
        incoming: &Incoming,
        dir: &MachineDir,
        lock: File,
    ) -> Driven<Qmp> {
        if spec.canary_disk().is_some() {
            std::fs::write(dir.path().join(FLOPPY), boot_sector::floppy(spec.vm, spec.run))
                .map_err(dir_failed(spec.vm))?;
        }
        if *incoming == Incoming::Socket {
            dir.mark(RECEIVING).map_err(dir_failed(spec.vm))?;
        }
        let settings = self.residents.settings();
        let mut words = vec!["exec".to_owned(), dir.path().to_string_lossy().into_owned()];
        words.push(settings.qemu.to_string_lossy().into_owned());
        words.extend(qemu_words::words(spec, &settings.accelerator, incoming));
        match self.residents.launch(spec.vm, dir, lock, &words)?.as_deref() {
            // Nothing said: QEMU has taken the process over.
            Some("") => self.first_contact(spec.vm, dir),
            Some(reason) => {
                let (program, reason) = (settings.qemu.clone(), reason.to_owned());
                Err(DriverError::NoProgram { program, reason })
            }
            None => {
                Err(DriverError::TimedOut { vm: spec.vm, what: "start", seconds: ANSWER.as_secs() })
            }
        }
    }

    fn first_contact(&self, vm: Uuid, dir: &MachineDir) -> Driven<Qmp> {
        let began = Instant::now();
        loop {
            if let Ok(qmp) = Qmp::connect(dir.path(), TASKS, ANSWER) {
                return Ok(qmp);
            }
            if self.residents.presence(vm)? == Presence::Gone {
                let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
                let said = log.lines().rfind(|line| !line.is_empty());
                let reason = said.unwrap_or("QEMU ended without a word").to_owned();
                return Err(DriverError::Failed { vm, what: "start", reason });
            }
            if began.elapsed() > ANSWER {
                let seconds = ANSWER.as_secs();
                return Err(DriverError::TimedOut { vm, what: "start", seconds });
            }
            std::thread::sleep(STEP);
        }
    }

    fn connect(&self, vm: Uuid, what: &'static str) -> Driven<Qmp> {
        let dir = self.residents.here(vm)?;
        Qmp::connect(dir.path(), TASKS, ANSWER).map_err(failed(vm, what))
    }

    /// Runs one command that has a simple answer.
    fn run(&self, vm: Uuid, what: &'static str, command: &str) -> Driven {
        run(&mut self.connect(vm, what)?, vm, what, command, json!({})).map(drop)
    }

    /// Ends a machine that executes nothing any more.
    fn quit(&self, vm: Uuid, qmp: &mut Qmp) -> Driven {
        self.residents.dir(vm).set_exit(ExitKind::Killed).map_err(dir_failed(vm))?;
        // A QEMU that goes before it answers has obeyed as well.
        let _ = qmp.run("quit", json!({}));
        self.residents.wait_until_gone(vm, "end", ANSWER)
    }

    /// Presses the power button until the guest is off.
    fn press(&self, vm: Uuid, qmp: &mut Qmp) -> Driven {
        const WHAT: &str = "shut down";
        let patience = self.residents.settings().patience;
        let began = Instant::now();
        let mut pressed: Option<Instant> = None;
        loop {
            if qmp.status().map_err(failed(vm, WHAT))? == "shutdown" {
                return Ok(());
            }
            if began.elapsed() > patience {
                return Err(DriverError::TimedOut { vm, what: WHAT, seconds: patience.as_secs() });
            }
            if pressed.is_none_or(|at| at.elapsed() > PRESS_AGAIN) {
                run(qmp, vm, WHAT, "system_powerdown", json!({}))?;
                pressed = Some(Instant::now());
            }
            std::thread::sleep(STEP);
        }
    }

    /// Stops the machine and sends its state away; on an error it runs on as before.
    fn send(&self, vm: Uuid, what: &'static str, qmp: &mut Qmp, uri: &str) -> Driven {
        let before = qmp.status().map_err(failed(vm, what))?;
        let sent = run(qmp, vm, what, "migrate", json!({ "uri": uri }))
            .and_then(|_| transferred(qmp, vm, what));
        if sent.is_err() {
            let _ = qmp.run("migrate_cancel", json!({}));
            if before == "running" && qmp.status().is_ok_and(|status| status != "running") {
                let _ = qmp.run("cont", json!({}));
            }
        }
        sent
    }

    /// What a VM that has a process does.
    pub(super) fn state(dir: &MachineDir) -> RunState {
        let receiving = dir.marked(RECEIVING);
        match look(dir).as_deref() {
            Ok("inmigrate") => RunState::Receiving,
            Ok("paused" | "prelaunch") if receiving => RunState::Received,
            Ok("paused" | "prelaunch" | "save-vm" | "restore-vm") => RunState::Paused,
            Ok("postmigrate" | "shutdown" | "guest-panicked" | "internal-error") => {
                RunState::Stopped
            }
            _ => RunState::Running,
        }
    }

    /// Ends the machines whose guests are off, so that they count as ended.
    pub(super) fn bury(&self, vm: Uuid, dir: &MachineDir) -> Driven {
        let kind = match look(dir).as_deref() {
            Ok("shutdown") if dir.marked(ASKED) => ExitKind::Killed,
            Ok("shutdown") => ExitKind::GuestShutdown,
            Ok("guest-panicked" | "internal-error") => ExitKind::Crash,
            _ => return Ok(()),
        };
        // Whoever waits for a clean shutdown holds the socket, and buries the machine himself.
        let Ok(mut qmp) = Qmp::connect(dir.path(), TASKS, GLANCE) else { return Ok(()) };
        dir.set_exit(kind).map_err(dir_failed(vm))?;
        let _ = qmp.run("quit", json!({}));
        let began = Instant::now();
        while self.residents.presence(vm)? != Presence::Gone && began.elapsed() < GLANCE {
            std::thread::sleep(STEP);
        }
        Ok(())
    }
}

impl Hypervisor for QemuDriver {
    fn start(&self, spec: &MachineSpec, paused: bool) -> Driven {
        let mut qmp = self.launch(spec, Incoming::None)?;
        if !paused {
            run(&mut qmp, spec.vm, "start", "cont", json!({}))?;
        }
        Ok(())
    }

    fn clean_shutdown(&self, vm: Uuid) -> Driven {
        let mut qmp = self.connect(vm, "shut down")?;
        let dir = self.residents.dir(vm);
        dir.mark(ASKED).map_err(dir_failed(vm))?;
        match self.press(vm, &mut qmp) {
            Ok(()) => self.quit(vm, &mut qmp),
            Err(error) => {
                dir.unmark(ASKED).map_err(dir_failed(vm))?;
                Err(error)
            }
        }
    }

    fn hard_stop(&self, vm: Uuid) -> Driven {
        self.residents.hard_stop(vm)
    }

    fn pause(&self, vm: Uuid) -> Driven {
        self.run(vm, "pause", "stop")
    }

    fn unpause(&self, vm: Uuid) -> Driven {
        self.run(vm, "unpause", "cont")
    }

    fn suspend(&self, vm: Uuid, image: &Path) -> Driven {
        let mut qmp = self.connect(vm, "suspend")?;
        self.send(vm, "suspend", &mut qmp, &qemu_words::to_file(image))?;
        File::open(image)
            .and_then(|file| file.sync_all())
            .map_err(DriverError::system(format!("image of VM {vm}")))?;
        self.quit(vm, &mut qmp)
    }

    fn resume(&self, spec: &MachineSpec, image: &Path) -> Driven {
        let mut qmp = self.launch(spec, Incoming::File(image.to_owned()))?;
        let resumed = arrived(&mut qmp, spec.vm, "resume")
            .and_then(|()| run(&mut qmp, spec.vm, "resume", "cont", json!({})));
        if resumed.is_err() {
            self.residents.sweep(spec.vm)?;
        }
        resumed.map(drop)
    }

    fn receive(&self, spec: &MachineSpec) -> Driven<SocketAddr> {
        let mut qmp = self.launch(spec, Incoming::Socket)?;
        let address = self.residents.settings().migration_address;
        let uri = format!("tcp:{}", SocketAddr::from((address, 0)));
        let listening = run(&mut qmp, spec.vm, "receive", "migrate-incoming", json!({"uri": uri}))
            .and_then(|_| run(&mut qmp, spec.vm, "receive", "query-migrate", json!({})));
        let port = listening.map(|answer| port(&answer));
        match port {
            Ok(Some(port)) => Ok(SocketAddr::from((address, port))),
            other => {
                self.residents.sweep(spec.vm)?;
                other?;
                let reason = "it listens nowhere".to_owned();
                Err(DriverError::Failed { vm: spec.vm, what: "receive", reason })
            }
        }
    }

    fn migrate_to(&self, vm: Uuid, target: SocketAddr) -> Driven {
        let mut qmp = self.connect(vm, "migrate")?;
        self.send(vm, "migrate", &mut qmp, &format!("tcp:{target}"))
    }

    fn continue_received(&self, vm: Uuid) -> Driven {
        let mut qmp = self.connect(vm, "continue")?;
        arrived(&mut qmp, vm, "continue")?;
        run(&mut qmp, vm, "continue", "cont", json!({}))?;
        self.residents.dir(vm).unmark(RECEIVING).map_err(dir_failed(vm))
    }

    fn abort_received(&self, vm: Uuid) -> Driven {
        self.residents.hard_stop(vm)
    }

    fn resume_source(&self, vm: Uuid) -> Driven {
        self.run(vm, "continue", "cont")
    }

    fn finish_source(&self, vm: Uuid) -> Driven {
        self.residents.hard_stop(vm)
    }

    fn scan(&self) -> Driven<Vec<Found>> {
        self.residents.scan(Self::state)
    }

    fn exits(&self) -> Driven<Vec<Exit>> {
        for (vm, dir) in self.residents.list()? {
            self.bury(vm, &dir)?;
        }
        self.residents.exits()
    }
}

/// The machine's status, without waiting for tasks.
fn look(dir: &MachineDir) -> std::io::Result<String> {
    Qmp::connect(dir.path(), LOOKS, GLANCE)?.status()
}

fn failed(vm: Uuid, what: &'static str) -> impl FnOnce(std::io::Error) -> DriverError {
    move |error| match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            DriverError::TimedOut { vm, what, seconds: ANSWER.as_secs() }
        }
        _ => DriverError::Failed { vm, what, reason: error.to_string() },
    }
}

fn run(qmp: &mut Qmp, vm: Uuid, what: &'static str, command: &str, with: Value) -> Driven<Value> {
    qmp.run(command, with).map_err(failed(vm, what))
}

/// Waits until everything was sent and the source executes nothing.
fn transferred(qmp: &mut Qmp, vm: Uuid, what: &'static str) -> Driven {
    let began = Instant::now();
    while began.elapsed() < TRANSFER {
        let answer = run(qmp, vm, what, "query-migrate", json!({}))?;
        match answer["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => {
                let said = answer["error-desc"].as_str().unwrap_or("the transfer broke off");
                return Err(DriverError::Failed { vm, what, reason: said.to_owned() });
            }
            _ => std::thread::sleep(STEP),
        }
    }
    Err(DriverError::TimedOut { vm, what, seconds: TRANSFER.as_secs() })
}

/// Waits until a target has taken everything in.
fn arrived(qmp: &mut Qmp, vm: Uuid, what: &'static str) -> Driven {
    let began = Instant::now();
    while began.elapsed() < ANSWER {
        if qmp.status().map_err(failed(vm, what))? != "inmigrate" {
            return Ok(());
        }
        std::thread::sleep(STEP);
    }
    Err(DriverError::TimedOut { vm, what, seconds: ANSWER.as_secs() })
}

fn port(answer: &Value) -> Option<u16> {
    answer["socket-address"].as_array()?.first()?["port"].as_str()?.parse().ok()
}
