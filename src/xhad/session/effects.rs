//! Carrying out what the node asks for.

use std::time::Duration;

use super::{Launch, Session, refused};
use crate::heartbeat::node::{Effect, Refusal};
use crate::heartbeat::packet::{Packet, seal_again};
use crate::heartbeat::view::{Life, Slot};
use crate::host::clock::boottime_ns;
use crate::host::{boot_id, watchdog};
use crate::xhad::control::{Refused, RefusedKind, Response};
use crate::xhad::cycle::Job;
use crate::xhad::inbox::Message;
use crate::xhad::last_words::Speaker;
use crate::xhad::marker::{self, Marker};
use crate::xhad::{agent, hooks, kept, start, storm};

impl Session {
    /// Carries an effect out; a watchdog that was changed gives its reading.
    pub(super) fn apply(
        &mut self,
        effect: Effect,
    ) -> Option<Result<Duration, watchdog::WatchdogError>> {
        match effect {
            Effect::Send(packet) => self.send(&packet),
            Effect::Cycle { id, disk, beat, decision, all } => {
                if let Some(jobs) = self.jobs.get(usize::from(disk)) {
                    let _thread_gone = jobs.try_send(Job { id, beat, decision, all });
                }
            }
            Effect::Keep(record, what) => {
                let job = kept::Job { session: self.id, record, bytes: what.bytes() };
                self.unkept = self.around.keeper.keep(job).err();
            }
            Effect::StopVms => self.stop_vms(),
            Effect::FenceDevice(slot, life) => self.ask_fence_device(slot, life),
            Effect::Arm(end) => return Some(self.arm(end)),
            Effect::Program(end) => {
                let set = self.watchdog.set_remaining(left_until(end));
                return Some(set.and_then(|()| self.watchdog.read_back()));
            }
            Effect::CutWatchdog => return Some(self.watchdog.cut_to_minimum()),
            Effect::Disarm => self.disarm(),
            Effect::Reset => self.reset(),
            Effect::KillAgent => match (self.agent, self.launch) {
                (_, Launch::UnderWay) => self.launch = Launch::Unwanted,
                (None | Some(0), _) => self.agent_was_gone(),
                (Some(pid), _) => agent::kill(pid),
            },
            Effect::StartAgent => self.start_agent(),
            Effect::Note(event) => self.around.history.add(event),
            Effect::Changed => self.after.changed = true,
            Effect::Answer(ticket, outcome) => {
                if let Some(reply) = self.tickets.remove(&ticket) {
                    let response = match outcome {
                        Ok(_) => Response::Done,
                        Err(refusal) => Response::Refused(as_refused(&refusal)),
                    };
                    let _client_gone = reply.try_send(response);
                }
            }
        }
        None
    }

    fn send(&mut self, packet: &Packet) {
        self.sealed = packet.seal_over(&self.key, std::mem::take(&mut self.sealed));
        let now = boottime_ns();
        for link in &self.links {
            link.send(&self.sealed, now);
        }
        if let (Some(key), Some(first)) = (&self.witness_key, self.links.first()) {
            seal_again(&mut self.sealed, key);
            first.send_to_witness(&self.sealed, now);
        }
    }

    fn stop_vms(&self) {
        let (id, inbox) = (self.id, self.around.inbox.clone());
        let report = move |outcome| inbox.send(Message::VmsStopped(id, outcome));
        let words = self.config.stop_vms_command.clone();
        hooks::stop_vms(self.around.spawner.clone(), words, report);
    }

    fn ask_fence_device(&self, slot: Slot, life: Life) {
        let Ok(hosts) = start::sorted_hosts(&self.config) else { return };
        let (Some(hook), Some(host)) = (&self.config.fence_hook, hosts.get(slot.index())) else {
            return;
        };
        let (id, inbox) = (self.id, self.around.inbox.clone());
        let report = move |word| inbox.send(Message::FenceDevice(id, slot, life, word));
        hooks::fence(self.around.spawner.clone(), hook.clone(), host.clone(), report);
    }

    fn arm(&mut self, end: u64) -> Result<Duration, watchdog::WatchdogError> {
        let marker = Marker {
            boot_id: self.config.boot_id.clone(),
            began_ns: boot_id::began_ns(&self.around.faults),
            watchdog: self.config.watchdog.clone(),
            speaker: Speaker::of(&self.config),
        };
        if let Err(error) = marker::set(&self.around.state_dir, &marker) {
            return Err(watchdog::WatchdogError::Unusable {
                name: "marker".to_owned(),
                reason: error.to_string(),
            });
        }
        // Whatever comes of it, it may run from here on.
        self.armed = true;
        self.watchdog.arm(left_until(end))?;
        self.watchdog.read_back()
    }

    fn disarm(&mut self) {
        match self.watchdog.disarm() {
            Ok(()) => {
                self.armed = false;
                marker::clear(&self.around.state_dir);
                storm::over(&self.around.state_dir);
            }
            Err(error) => self.say("disarm-failed", &error.to_string()),
        }
    }

    /// Nothing happens any more after this: whatever resets the host, the watchdog at last.
    fn reset(&mut self) {
        self.resetting = true;
        self.around.history.flush(Duration::from_millis(20));
        self.watchdog.reset_now();
    }

    fn start_agent(&mut self) {
        let (words, around) = (self.config.agent_command.clone(), &self.around);
        self.launch = Launch::UnderWay;
        if !agent::start(words, self.id, around.spawner.clone(), around.inbox.clone()) {
            self.agent_started(Err("no thread can be started".to_owned()));
        }
    }

    /// The agent runs, or could not be started.
    pub fn agent_started(&mut self, outcome: Result<u32, String>) {
        let launch = std::mem::replace(&mut self.launch, Launch::None);
        match outcome {
            Ok(pid) => {
                self.agent = Some(pid);
                if launch == Launch::Unwanted {
                    agent::kill(pid);
                }
            }
            Err(why) => {
                self.say("agent-start-failed", &why);
                self.agent_was_gone();
            }
        }
    }

    /// No process stands behind the agent: tell the node as if one had ended.
    fn agent_was_gone(&mut self) {
        self.agent = Some(0);
        self.agent_gone = true;
    }
}

fn left_until(end: u64) -> Duration {
    Duration::from_nanos(end.saturating_sub(boottime_ns()))
}

fn as_refused(refusal: &Refusal) -> Refused {
    let kind = match refusal {
        Refusal::WrongState(_) => RefusedKind::WrongState,
        Refusal::MasterIs(_) => RefusedKind::NotMaster,
        Refusal::StartFailed(_) => RefusedKind::StartFailed,
        Refusal::PoolIsOff => RefusedKind::PoolIsOff,
        Refusal::Statefile(_) => RefusedKind::Statefile,
        Refusal::UnfinishedSession => RefusedKind::UnfinishedSession,
        Refusal::ClonedIdentity => RefusedKind::ClonedIdentity,
        Refusal::TimedOut(_) => RefusedKind::TimedOut,
    };
    refused(kind, refusal)
}
