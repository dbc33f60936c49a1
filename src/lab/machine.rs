//! A machine of the lab, seen from outside: power button, firmware, watchdog, fault channel.
//!
//! This process belongs to no machine. On power-on it makes a fresh process group whose first
//! process is [`super::init`]; everything that the machine does happens in there. The watchdog's
//! keeper is another process outside; it and the power button kill the group whole.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ExitCode};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group,
};

use super::boot;
use super::door::{Ask, Look, Reply, SOCKET};
use super::events::Events;
use super::group::{self, Life, Member};
use super::setting::Lab;
use crate::host::clock::boottime_ns;
use crate::host::faults::FaultChannel;

/// How often the machine's processes are counted.
const COUNT: Duration = Duration::from_millis(300);

/// What runs in a machine that is on.
pub(super) struct Running {
    /// The process group, which is its first process.
    pub group: i32,
    /// The watchdog's keeper.
    pub keeper: i32,
    /// Held for as long as the machine has power: its first process ends the group without it.
    pub _power: ChildStdin,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    boot: String,
    group: i32,
    members: BTreeMap<i32, Member>,
}

struct Machine {
    lab: Lab,
    name: String,
    events: Events,
    channel: FaultChannel,
    state: Mutex<State>,
}

/// Runs the machine of a host until it is told to end.
pub fn main(dir: &Path, name: &str) -> ExitCode {
    match run(dir, name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("machine {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(dir: &Path, name: &str) -> anyhow::Result<()> {
    let _terminal_gone = rustix::process::setsid();
    // What the machine's processes leave behind comes here and not to the computer's own init.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let lab = Lab::find(dir)?;
    let socket = lab.machine_dir(name).join(SOCKET);
    let machine = Arc::new(Machine {
        events: Events::of(&lab.dir),
        name: name.to_owned(),
        channel: FaultChannel::create().context("fault channel")?,
        state: Mutex::default(),
        lab,
    });
    let door = UnixListener::bind(&socket).with_context(|| socket.display().to_string())?;
    let (reaper, counter) = (Arc::clone(&machine), Arc::clone(&machine));
    std::thread::spawn(move || reaper.reap());
    std::thread::spawn(move || counter.count());
    for stream in door.incoming() {
        let (machine, stream) = (Arc::clone(&machine), stream?);
        std::thread::spawn(move || machine.serve(&stream));
    }
    Ok(())
}

pub(super) fn pid(number: i32) -> Option<Pid> {
    // Group 0 would be this process's own, 1 and less everybody's.
    Pid::from_raw(number).filter(|_| number > 1)
}

fn kill_group(number: i32) {
    if let Some(group) = pid(number) {
        let _already_dead = kill_process_group(group, Signal::KILL);
    }
}

impl Machine {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, t_ns: u64, event: &str, why: &str, fields: serde_json::Value) {
        self.events.note(t_ns, event, &self.name, why, fields);
    }

    /// Takes note of every process that ends; with its first process the machine is off.
    fn reap(&self) {
        loop {
            // Looked at before it is reaped: until then its number belongs to nobody else.
            let peek = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            match rustix::process::waitid(WaitId::All, peek) {
                Ok(Some(_)) => {}
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
            let group = self.lock().running.as_ref().map(|running| running.group);
            if let Some(group) = group.filter(|group| group::is_zombie(*group)) {
                kill_group(group);
            }
            while let Ok(Some((ended, _))) = rustix::process::wait(WaitOptions::NOHANG) {
                self.ended(ended.as_raw_nonzero().get());
            }
        }
    }

    fn ended(&self, ended: i32) {
        let t_ns = boottime_ns();
        let mut state = self.lock();
        let first = state.running.as_ref().is_some_and(|running| running.group == ended);
        let Some(running) = state.running.take_if(|_| first) else { return };
        kill_group(running.group);
        self.stop_keeper(&running);
        drop(state);
        // The others die at the same time; what a hung disk holds takes longer.
        let began = Instant::now();
        let mut look = self.look(t_ns);
        while look.count(Life::Alive) > 0 && began.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(10));
            look = self.look(t_ns);
        }
        let fields = serde_json::json!({
            "dead": look.count(Life::Dead), "zombie": look.count(Life::Zombie),
            "alive": look.count(Life::Alive), "boot": look.boot,
        });
        self.note(t_ns, "machine-off", "its process group was killed", fields);
    }

    fn stop_keeper(&self, running: &Running) {
        // The keeper writes down that it fired after it has killed; give it the time.
        if let Some(keeper) = pid(running.keeper) {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(500));
                let _already_gone = kill_process(keeper, Signal::KILL);
            });
        }
    }

    /// Keeps the list of the machine's processes, so that the dead can be counted.
    fn count(&self) {
        loop {
            std::thread::sleep(COUNT);
            self.recount(&mut self.lock());
        }
    }

    fn recount(&self, state: &mut State) {
        if let Some(running) = &state.running {
            let now = group::members(running.group);
            state.members.retain(|_, member| member.life == Life::Alive);
            state.members.extend(now.into_iter().map(|member| (member.pid, member)));
        }
    }

    fn look(&self, t_ns: u64) -> Look {
        let mut state = self.lock();
        self.recount(&mut state);
        let members: Vec<Member> = state.members.values().copied().collect();
        let members = group::look_again(&members, state.group);
        let power = state.running.is_some();
        // A machine that runs shows its processes, not those that ended in the ordinary way.
        let shown = |member: &Member| !power || member.life != Life::Dead;
        Look {
            power,
            boot: state.boot.clone(),
            faults: self.channel.bits(),
            members: members.into_iter().filter(shown).collect(),
            t_ns,
        }
    }

    fn serve(&self, stream: &UnixStream) {
        let mut line = String::new();
        let mut reader = BufReader::new(stream);
        if reader.read_line(&mut line).is_err() {
            return;
        }
        let Ok(ask) = serde_json::from_str::<Ask>(&line) else { return };
        if ask == Ask::Leash {
            line.clear();
            let free = reader.read_line(&mut line).is_ok_and(|length| length > 0);
            if !free {
                let _ends_anyway = self.obey(&Ask::End);
                std::process::exit(0);
            }
            return;
        }
        let reply = match self.obey(&ask) {
            Ok(t_ns) => Reply::Done(self.look(t_ns)),
            Err(error) => Reply::Refused(format!("{}: {error:#}", self.name)),
        };
        if let Ok(text) = serde_json::to_string(&reply) {
            let mut stream = stream;
            let _nobody_waits = stream.write_all(format!("{text}\n").as_bytes());
        }
        if ask == Ask::End {
            std::process::exit(0);
        }
    }

    fn obey(&self, ask: &Ask) -> anyhow::Result<u64> {
        match ask {
            Ask::Look | Ask::Leash => Ok(boottime_ns()),
            Ask::PowerOn => self.power_on(),
            Ask::PowerOff { fault } => self.power_off(if *fault { "fault" } else { "power" }),
            Ask::Reboot => {
                self.power_off("power")?;
                self.power_on()
            }
            Ask::Faults { on, off, name } => {
                let t_ns = boottime_ns();
                self.channel.set(self.channel.bits() & !off | on)?;
                let event = if *on == 0 { "heal" } else { "fault" };
                self.note(t_ns, event, name, serde_json::json!({}));
                Ok(t_ns)
            }
            Ask::Signal { role, stop, name } => {
                let look = self.look(0);
                let found = look.process(*role).and_then(pid);
                let process = found.with_context(|| format!("no {role:?} runs"))?;
                let t_ns = boottime_ns();
                kill_process(process, if *stop { Signal::STOP } else { Signal::KILL })?;
                self.note(t_ns, "fault", name, serde_json::json!({}));
                Ok(t_ns)
            }
            Ask::End => {
                let running = self.lock().running.take();
                if let Some(running) = running {
                    kill_group(running.group);
                    if let Some(keeper) = pid(running.keeper) {
                        let _already_gone = kill_process(keeper, Signal::KILL);
                    }
                    self.wait_for_death()?;
                }
                Ok(boottime_ns())
            }
        }
    }

    fn power_on(&self) -> anyhow::Result<u64> {
        let mut state = self.lock();
        anyhow::ensure!(state.running.is_none(), "the machine is on");
        let boot = uuid::Uuid::new_v4().to_string();
        let running = boot::power_on(&self.lab, &self.name, &boot, &self.channel)?;
        let t_ns = boottime_ns();
        let why = "the machine boots";
        self.note(t_ns, "power-on", why, serde_json::json!({ "boot": boot }));
        state.group = running.group;
        state.members.clear();
        state.boot = boot;
        state.running = Some(running);
        Ok(t_ns)
    }

    fn power_off(&self, event: &str) -> anyhow::Result<u64> {
        let mut state = self.lock();
        anyhow::ensure!(state.running.is_some(), "the machine is off");
        self.recount(&mut state);
        let t_ns = boottime_ns();
        kill_group(state.group);
        if let Some(keeper) = state.running.as_ref().and_then(|running| pid(running.keeper)) {
            let _already_gone = kill_process(keeper, Signal::KILL);
        }
        drop(state);
        self.note(t_ns, event, "power-off", serde_json::json!({}));
        self.wait_for_death()?;
        Ok(t_ns)
    }

    fn wait_for_death(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let look = self.look(0);
            if !look.power && look.count(Life::Alive) == 0 {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < Duration::from_secs(20), "it does not die");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What the agent of a machine calls to switch it off (`poweroff`) or restart it (`reboot`).
pub fn power_command(machine_dir: PathBuf, word: &str) -> anyhow::Result<()> {
    let ask = match word {
        "poweroff" => Ask::PowerOff { fault: false },
        "reboot" => Ask::Reboot,
        other => anyhow::bail!("{other} is no word for a power button"),
    };
    super::door::ask(&machine_dir, &ask).map(drop)
}
