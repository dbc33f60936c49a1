//! Doing what a script says to a world, and bringing the pool back once all faults have ceased.

use super::script::{Deed, Verb};
use super::world::{Path, World};
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::node::Control;
use crate::heartbeat::timing::{MILLISECOND, SECOND};
use crate::heartbeat::view::{Mode, Slot};

impl World {
    /// Does it, if it can be done now; what makes no sense now is left out.
    pub fn perform(&mut self, deed: Deed) {
        let setting = &self.setting;
        if !deed.fits(setting.hosts, setting.statefiles, setting.vms) {
            return;
        }
        let [a, b] = deed.args.map(|arg| arg as usize);
        if self.on_vms(deed.verb, a, b)
            || self.on_machine(deed.verb, a)
            || self.on_paths(deed.verb, a, b)
        {
            return;
        }
        self.ask(deed.verb, a, b);
    }

    fn on_vms(&mut self, verb: Verb, a: usize, b: usize) -> bool {
        match verb {
            Verb::EndVm => self.vm_ends(a),
            Verb::MoveVm => self.move_vm(a, b),
            Verb::CrashVm => self.guest_ends(a, false),
            Verb::ShutVm => self.guest_ends(a, true),
            Verb::StopVm => self.stop_vm(a),
            Verb::Unprotect => self.unprotect(a, true),
            Verb::DeleteVm => self.delete_vm(a),
            Verb::BreakVm => self.break_vm(a, b, true),
            Verb::MendVm => self.break_vm(a, b, false),
            Verb::LoopVm => self.loop_vm(a, b as u64),
            Verb::Disable => self.enable_host(a, false),
            Verb::Enable => self.enable_host(a, true),
            Verb::Tolerate => self.tolerate(a as u64),
            _ => return false,
        }
        true
    }

    fn on_machine(&mut self, verb: Verb, a: usize) -> bool {
        let Some(machine) = self.machines.get(a) else { return false };
        let (alive, up) = (machine.alive, machine.alive && !machine.paused);
        let runs = up && machine.node.is_some();
        match verb {
            Verb::Crash if alive => self.crash(a),
            Verb::Boot if !alive => {
                self.boot(a);
            }
            Verb::Pause if up => self.pause(a),
            Verb::Stall if runs => self.stall(a),
            Verb::Resume if alive => self.resume(a),
            Verb::KillDaemon if runs => self.kill_daemon(a),
            Verb::StartDaemon if up => self.start_daemon(a),
            Verb::KillAgent if up && self.has_agent(a) => self.kill_agent(a),
            Verb::HangAgent if up => self.hang_agent(a, true),
            Verb::WakeAgent if up => self.hang_agent(a, false),
            Verb::Tear if alive => self.tear(a),
            Verb::BreakWatchdog => self.break_watchdog(a, true),
            Verb::MendWatchdog => self.break_watchdog(a, false),
            Verb::OtherProtocol => self.exchange_daemon(a, true),
            Verb::SameProtocol => self.exchange_daemon(a, false),
            Verb::Forget if !alive => self.lose_flag(a),
            Verb::GoBack if !alive => self.lose_session(a),
            Verb::Copy => self.copy_machine(a),
            Verb::SwitchOn => self.switch_on(a),
            Verb::SwitchOff => self.switch_off(a),
            Verb::Emergency => self.switch_off_alone(a),
            Verb::ShutDown => self.shut_down(a),
            Verb::Crash
            | Verb::Boot
            | Verb::Pause
            | Verb::Stall
            | Verb::Resume
            | Verb::KillDaemon
            | Verb::StartDaemon
            | Verb::KillAgent
            | Verb::HangAgent
            | Verb::WakeAgent
            | Verb::Tear
            | Verb::Forget
            | Verb::GoBack => {}
            _ => return false,
        }
        true
    }

    fn on_paths(&mut self, verb: Verb, a: usize, b: usize) -> bool {
        match verb {
            Verb::Isolate => self.set_net(a, true),
            Verb::Rejoin => self.set_net(a, false),
            Verb::Cut if a != b => self.set_link(a, b, true),
            Verb::Heal if a != b => self.set_link(a, b, false),
            Verb::CutWay if a != b => self.set_way(a, b, true),
            Verb::HealWay if a != b => self.set_way(a, b, false),
            Verb::CutBeats if a != b => self.set_beats(a, b, true),
            Verb::HealBeats if a != b => self.set_beats(a, b, false),
            Verb::Loss => self.net.loss = a as u64,
            Verb::Twice => self.net.twice = a as u64,
            Verb::Delay => self.net.delay = a as u64 * MILLISECOND,
            Verb::DiskFails => self.set_path(a, Path::Fails),
            Verb::DiskHangs => self.set_path(a, Path::Hangs),
            Verb::DiskFine => self.set_path(a, Path::Fine),
            Verb::PathFails => self.set_disk_path(a, b, Path::Fails),
            Verb::PathHangs => self.set_disk_path(a, b, Path::Hangs),
            Verb::PathFine => self.set_disk_path(a, b, Path::Fine),
            Verb::Late => self.set_late(a, b as u64 * MILLISECOND),
            Verb::Freeze => self.freeze(a, b, true),
            Verb::Thaw => self.freeze(a, b, false),
            Verb::Rewind if self.may_rewind(a) => self.rewind(a, b as u64),
            Verb::Scramble if self.sees(a, b) && !self.disks[b].rewound => self.scramble(a, b),
            Verb::EndWitness => self.end_witness(),
            Verb::StartWitness => self.start_witness(),
            Verb::CutWitness => self.cut_witness(a, true),
            Verb::HealWitness => self.cut_witness(a, false),
            Verb::ForgeOff => self.forge_off(a),
            Verb::Calm => self.calm(),
            _ => return false,
        }
        true
    }

    fn ask(&mut self, verb: Verb, a: usize, b: usize) {
        let control = match verb {
            Verb::OffPending => Control::SetMode(Mode::OffPending),
            Verb::Off => Control::SetMode(Mode::Off),
            Verb::On => Control::SetMode(Mode::Disk),
            Verb::Disarm => Control::Disarm { force: false },
            Verb::DisarmForce => Control::Disarm { force: true },
            Verb::Leave => Control::Leave,
            Verb::Stay => Control::Stay,
            Verb::Declare => Control::DeclareDead(Slot::at(b)),
            Verb::HandOver => Control::GiveUpMastership(Some(Slot::at(b))),
            Verb::ProposeMaster => Control::ProposeMaster,
            Verb::ReleaseBrake => Control::ReleaseBrake,
            _ => return,
        };
        self.administer(a, b, control);
    }

    /// All faults end; who is down or fenced comes back by `recover`.
    pub fn calm(&mut self) {
        let hosts = self.machines.len();
        (self.net.loss, self.net.twice, self.net.delay) = (0, 0, 0);
        self.start_witness();
        for host in 0..hosts {
            self.set_net(host, false);
            self.cut_witness(host, false);
            self.set_path(host, Path::Fine);
            self.set_late(host, 0);
            (0..self.disks.len()).for_each(|disk| self.freeze(host, disk, false));
            self.machines[host].tear = false;
            self.break_watchdog(host, false);
            if self.machines[host].paused || self.machines[host].stalled {
                self.resume(host);
            }
            self.hang_agent(host, false);
            self.enable_host(host, true);
        }
        self.mend_vms();
    }

    /// The operators bring every host back: boot what is down, start daemons, end what was begun.
    /// Then all are armed in one view with one master, or, after an "off", all are disarmed; and
    /// every protected VM runs.
    pub fn recover(&mut self, limit_s: u64) {
        let end = self.now + limit_s * SECOND;
        let half = self.now + limit_s * SECOND / 2;
        let mut patient = true;
        while self.now < end && self.violation().is_none() && !self.is_whole() {
            (0..self.machines.len()).for_each(|host| self.tend(host));
            if patient && self.now > half {
                // Whoever has seen a statefile go back waits until it is booted again.
                patient = false;
                let waits =
                    |host: &usize| matches!(self.phase(*host), Phase::Waiting | Phase::Starting);
                let waiting: Vec<usize> = (0..self.machines.len()).filter(waits).collect();
                waiting.into_iter().for_each(|host| self.crash(host));
            }
            self.run(2);
        }
        let whole = self.is_whole();
        let why = |world: &World| {
            let phases: Vec<String> = (0..world.machines.len())
                .map(|h| format!("h{} {:?} {:?}", h + 1, world.phase(h), world.members(h)))
                .collect();
            format!(
                "not back {limit_s} s after the last fault: {}; acting {:?}; VMs {:?}",
                phases.join(", "),
                world.acting(),
                world.vms_missing()
            )
        };
        let why = if whole { String::new() } else { why(self) };
        self.require_in_time(whole, || why);
    }

    /// HA was switched off, or an enable was taken back.
    fn is_off(&self) -> bool {
        self.newest_mode() == Some(Mode::Off) || !self.pool_on && self.newest_mode().is_none()
    }

    fn is_whole(&self) -> bool {
        let hosts = self.machines.len();
        if self.is_off() {
            return (0..hosts).all(|h| matches!(self.phase(h), Phase::Disarmed | Phase::Off));
        }
        let armed = |h: usize| self.phase(h) == Phase::Armed && self.members(h).len() == hosts;
        (0..hosts).all(armed) && self.acting().len() == 1 && self.vms_missing().is_empty()
    }

    /// What an operator does about one host.
    fn tend(&mut self, host: usize) {
        let off = self.is_off();
        let machine = &self.machines[host];
        if !machine.alive {
            if self.now > machine.ended_at + 6 * SECOND {
                self.boot(host);
            }
            return;
        }
        let phase = self.phase(host);
        match phase {
            Phase::Off if off && machine.disarmed => {}
            Phase::Off if machine.node.is_some() => self.crash(host),
            Phase::Off => self.start_daemon(host),
            Phase::Disarmed if !off => self.start_daemon(host),
            Phase::Armed if self.mode(host) == Some(Mode::OffPending) => {
                self.control(host, Control::SetMode(Mode::Off));
            }
            _ => {}
        }
    }
}
