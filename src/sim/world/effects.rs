//! What a node's effects do to its machine and to the world.

use super::World;
use super::disk::Blocks;
use super::machine::{AgentState, Job, What};
use crate::ha::leave;
use crate::heartbeat::node::{Effect, Refusal};
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND};
use crate::heartbeat::view::{Life, Mode, Slot};

impl World {
    /// Carries an effect out; a watchdog that was set gives its reading.
    pub(super) fn apply(&mut self, host: usize, effect: Effect) -> Option<Result<Nanos, String>> {
        match effect {
            Effect::Send(packet) => self.send(host, packet),
            Effect::Cycle { id, disk, beat, decision, all: _ } => {
                let begun = self.clock(host);
                let job = Job {
                    id,
                    disk: usize::from(disk),
                    begun,
                    read_begun: begun,
                    blocks: Blocks { beat, decision },
                    own_before: None,
                    written: false,
                };
                let at = self.now + self.disk_latency();
                self.push(at, host, What::Write(job));
            }
            Effect::Keep(record, what) => {
                let at = self.now + self.disk_latency();
                let at = at.max(self.machines[host].kept_at);
                self.machines[host].kept_at = at;
                self.push(at, host, What::Kept(record, what));
            }
            Effect::StopVms => {
                let at = self.now + self.chance(SECOND / 2);
                self.push(at, host, What::VmsStopped);
            }
            Effect::Arm(end) | Effect::Program(end) => return Some(self.set_watchdog(host, end)),
            Effect::CutWatchdog => {
                let end = self.clock(host) + 200 * MILLISECOND;
                return Some(self.set_watchdog(host, end));
            }
            Effect::Disarm => {
                let off = self.mode(host) == Some(Mode::Off);
                let machine = &mut self.machines[host];
                machine.watchdog = Nanos::MAX;
                machine.disarmed = true;
                machine.fresh = true;
                // Its agent forgets the session by a decided "off".
                machine.takes_part &= !off;
            }
            Effect::Reset if self.machines[host].alive => self.reset(host),
            Effect::KillAgent => self.kill_agent(host),
            Effect::StartAgent => self.start_agent(host),
            Effect::Note(event) => {
                if self.telling && self.violation.is_none() {
                    self.tell(format_args!("h{} {}: {}", host + 1, event.event, event.why));
                    let line = format!("{} {}: {}", event.t_ns, event.event, event.why);
                    self.machines[host].notes.push(line);
                }
            }
            Effect::Answer(ticket, outcome) => {
                let machine = &mut self.machines[host];
                let refused = matches!(outcome, Err(Refusal::WrongState(_)));
                let after = leave::after_failure(leave::Step::SetExcluded, refused);
                let ends = outcome.is_err() && after == leave::Refusal::Ends;
                let stays = outcome.is_ok() && ticket == machine.stay_ticket;
                machine.guests.leaving &= !(stays || ends && ticket == machine.leave_ticket);
                machine.answers.insert(ticket, outcome);
            }
            Effect::FenceDevice(slot, life) => self.fence_device(host, slot, life),
            Effect::Reset | Effect::Changed => {}
        }
        None
    }

    fn set_watchdog(&mut self, host: usize, end: Nanos) -> Result<Nanos, String> {
        if self.machines[host].no_watchdog {
            return Err("the watchdog takes no new time".to_owned());
        }
        let at = self.world_time(host, end);
        let left = end.saturating_sub(self.clock(host));
        let machine = &mut self.machines[host];
        machine.watchdog = at;
        machine.disarmed = false;
        Ok(left)
    }

    /// The fence device switches a host off and says so later, unless it is still busy with that
    /// host or cannot be reached.
    fn fence_device(&mut self, host: usize, slot: Slot, life: Life) {
        let Some(device) = self.setting.fence_device else { return };
        let other = slot.index();
        let busy = self.now < self.machines[other].fence_busy;
        if busy || device.fails > 0 && self.chance(device.fails) == 0 {
            let why = if busy { "it is busy" } else { "it cannot be reached" };
            let word = What::FenceDevice(slot, life, Err(why.to_owned()));
            return self.push(self.now + SECOND, host, word);
        }
        self.tell(format_args!("the fence device switches h{} off", other + 1));
        if self.machines[other].alive {
            self.end(other);
            self.boot_later(other);
        }
        let at = self.now + device.takes;
        self.machines[other].fence_busy = at;
        self.push(at, host, What::FenceDevice(slot, life, Ok(())));
    }

    pub(super) fn start_agent(&mut self, host: usize) {
        // What the last agent had seen is forgotten; the view tells how old a command may be.
        let epoch = self.epoch_of(host);
        let machine = &mut self.machines[host];
        machine.guests.newest = epoch;
        machine.pid += 1;
        machine.agent = AgentState::Well;
        machine.shell = None;
    }
}
