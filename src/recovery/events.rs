//! What happened, and which rows follow from it.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::queue;
use super::track::Track;
use super::{Action, Boot, End, Event, Loss, Message, Power, Priority, StartResult, Step, Vm};

/// The cause that an alert gives for a VM that ends soon after every start.
const CRASH_LOOP: &str = "crash loop";

impl Step<'_> {
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::View { failed } => self.view(&failed),
            Event::Scanned { at, begun, found } => self.scanned(&at, begun, &found),
            Event::Ended { vm, run, at, how } => self.ended(vm, run, &at, how),
            Event::Started { vm, run, result } => self.started(vm, run, result),
            Event::Changed => self.hurry(),
            Event::Tick => {}
        }
    }

    fn view(&mut self, failed: &[Uuid]) {
        let guaranteed = self.pool.tolerance > 0;
        for host in failed {
            if self.pool.host(*host).is_some_and(|row| row.promise.is_none()) {
                self.promise(*host, Some(guaranteed));
            }
            self.actions.push(Action::Tell(Message::host_failed(*host)));
        }
        let lost = |vm: &Vm| {
            let there = vm.residence.as_ref().is_some_and(|boot| failed.contains(&boot.host));
            there && vm.protected()
        };
        if !guaranteed && self.pool.vms.iter().any(lost) {
            self.actions.push(Action::Tell(Message::nothing_guaranteed()));
        }
        self.hurry();
    }

    fn promise(&mut self, host: Uuid, promise: Option<bool>) {
        if let Some(row) = self.pool.host_mut(host) {
            row.promise = promise;
            self.actions.push(Action::SetPromise { host, promise });
        }
    }

    /// Other hosts need another plan; one that came or was enabled ends back-offs.
    pub(super) fn look_for_room(&mut self) {
        let usable = self.pool.hosts.iter().filter(|host| host.live && host.enabled);
        let usable: BTreeSet<Boot> = usable.map(|host| host.boot.clone()).collect();
        let before = self.recovery.usable.replace(usable.clone());
        if before.as_ref() != Some(&usable) {
            self.recovery.plan.clear();
        }
        if before.is_some_and(|before| !usable.is_subset(&before)) {
            self.hurry();
        }
    }

    fn hurry(&mut self) {
        let now = self.now;
        self.recovery.tracks.values_mut().for_each(|track| track.hurry(now));
    }

    /// The level rules of rows: what was on a dead boot is down (R6.5).
    pub(super) fn settle(&mut self) {
        let known: BTreeSet<Uuid> = self.pool.vms.iter().map(|vm| vm.uuid).collect();
        self.recovery.tracks.retain(|vm, _| known.contains(vm));
        let hosts = self.pool.hosts.iter();
        let back = hosts.filter(|host| host.live && host.promise.is_some()).map(|h| h.boot.host);
        for host in back.collect::<Vec<_>>() {
            self.promise(host, None);
        }
        let dead = |boot: &Boot| self.pool.dead.contains(boot);
        let news = self.pool.vms.iter().filter_map(|vm| {
            let host_died = vm.residence.as_ref().is_some_and(dead);
            let intent_died = vm.intent.as_ref().is_some_and(|intent| dead(&intent.at));
            let news = host_died || intent_died || self.recovery.tracks.contains_key(&vm.uuid);
            news.then_some((vm.uuid, host_died, intent_died))
        });
        for (uuid, host_died, intent_died) in news.collect::<Vec<_>>() {
            if host_died {
                self.down(uuid, true);
            } else if intent_died {
                // The start died with its host; that is no failure of the VM.
                self.track(uuid).in_flight = None;
                self.clear_intent(uuid);
            }
            self.look_at(uuid);
        }
    }

    /// Goes on where an earlier master stopped.
    pub(super) fn adopt(&mut self) {
        for vm in self.pool.vms.iter().filter(|vm| !vm.tries.is_empty()) {
            let new = || Track::going_on(vm, queue::turn_of(vm), self.now);
            self.recovery.tracks.entry(vm.uuid).or_insert_with(new);
        }
    }

    /// What others did to a VM: it runs long enough to be taken for healthy, or ended without a
    /// word to this policy.
    fn look_at(&mut self, uuid: Uuid) {
        let now = self.now;
        let Some(vm) = self.pool.vm(uuid) else { return };
        let (up, protected) = (vm.residence.is_some(), vm.protected());
        let down = vm.power == Power::Halted && !up && vm.intent.is_none();
        let owed = matches!(vm.loss, Loss::Owed(_));
        let Some(track) = self.recovery.tracks.get_mut(&uuid) else { return };
        if up {
            track.runs(now);
        } else if down && protected && track.believed_up() {
            self.grieve(uuid, false);
        } else if down && !protected && !owed && track.in_flight.is_none() {
            // A user stopped it, or its attempts are over.
            track.forget();
        }
    }

    /// Writes what attempts have come to, where the rows say something else.
    pub(super) fn write_tries(&mut self) {
        for (vm, track) in &self.recovery.tracks {
            let tries = track.record(self.now);
            if self.pool.vm(*vm).is_some_and(|row| row.tries != tries) {
                self.actions.push(Action::SetTries { vm: *vm, tries });
            }
        }
    }

    /// Marks a VM halted. What is owed to it depends on how it was lost: the edge of best-effort,
    /// and of protected VMs while nothing is guaranteed, is the loss of the host.
    fn down(&mut self, uuid: Uuid, with_host: bool) {
        let Some(host) = self.pool.vm(uuid).and_then(|vm| vm.residence.as_ref()) else { return };
        let promised = self.pool.host(host.host).and_then(|row| row.promise);
        let guaranteed = promised.unwrap_or(self.pool.tolerance > 0);
        let owed = Loss::Owed(self.pool.limits.attempts);
        let Some(vm) = self.pool.vm_mut(uuid) else { return };
        let protected = vm.protected();
        let once = match vm.priority {
            Priority::Restart => protected && !guaranteed,
            Priority::BestEffort => !vm.template,
            Priority::None => false,
        };
        let suspended = vm.power == Power::Suspended;
        vm.residence = None;
        vm.intent = None;
        vm.loss = if with_host && once && !suspended { owed } else { Loss::No };
        if suspended {
            return;
        }
        vm.power = Power::Halted;
        let loss = vm.loss;
        self.actions.push(Action::MarkHalted { vm: uuid, loss });
        self.grieve(uuid, with_host);
    }

    /// Backs off from a VM that ends soon after every start.
    fn grieve(&mut self, uuid: Uuid, with_host: bool) {
        let now = self.now;
        let protected = self.pool.vm(uuid).is_some_and(Vm::protected);
        let looping = self.track(uuid).down(now, with_host);
        if looping && protected && self.track(uuid).tell(CRASH_LOOP) {
            self.actions.push(Action::Tell(Message::restart_failed(uuid, CRASH_LOOP)));
        }
    }

    fn clear_intent(&mut self, uuid: Uuid) {
        if let Some(vm) = self.pool.vm_mut(uuid) {
            vm.intent = None;
            self.actions.push(Action::ClearIntent { vm: uuid });
        }
    }

    fn running(&mut self, uuid: Uuid, at: &Boot) {
        if let Some(vm) = self.pool.vm_mut(uuid) {
            vm.power = Power::Running;
            vm.residence = Some(at.clone());
            vm.intent = None;
            vm.loss = Loss::No;
            self.actions.push(Action::MarkRunning { vm: uuid, at: at.clone() });
        }
    }

    fn delay_others(&mut self, vm: &Vm) {
        let until = self.now + vm.start_delay;
        let track = self.track(vm.uuid);
        (track.turn, track.delay_until) = (Some(queue::turn_of(vm)), until);
    }

    /// A host's own word settles what was unknown about it (R6.3).
    fn scanned(&mut self, at: &Boot, begun: Duration, found: &[Uuid]) {
        let vms: Vec<Vm> = self.pool.vms.clone();
        for vm in vms {
            let track = self.recovery.tracks.get(&vm.uuid);
            if track.is_some_and(|track| track.changed_at >= Some(begun)) {
                continue;
            }
            let here = found.contains(&vm.uuid);
            let resident_here = vm.residence.as_ref() == Some(at);
            match &vm.intent {
                // Our own start is under way; its result will tell.
                Some(intent) if intent.ours => continue,
                Some(intent) if intent.at == *at && here => {
                    // The start of an earlier master has come to its end only now.
                    if vm.residence.is_none() {
                        self.delay_others(&vm);
                    }
                    self.running(vm.uuid, at);
                }
                Some(intent) if intent.at == *at => self.clear_intent(vm.uuid),
                _ => {}
            }
            if here && vm.residence.is_none() && vm.intent.is_none() {
                self.running(vm.uuid, at);
            } else if !here && resident_here {
                self.down(vm.uuid, false);
            }
        }
    }

    fn ended(&mut self, uuid: Uuid, run: u64, at: &Boot, how: End) {
        let Some(vm) = self.pool.vm(uuid) else { return };
        if vm.residence.as_ref() != Some(at) || vm.run != run {
            return;
        }
        let stays_off = vm.always_run && !self.pool.restarts_after_guest_shutdown(vm);
        if how == End::GuestShutdown && stays_off {
            if let Some(vm) = self.pool.vm_mut(uuid) {
                vm.always_run = false;
            }
            self.actions.push(Action::StayOff { vm: uuid });
        }
        self.down(uuid, false);
    }

    fn started(&mut self, uuid: Uuid, run: u64, result: StartResult) {
        let now = self.now;
        let Some(intent) = self.track(uuid).in_flight.clone() else { return };
        if intent.run != run {
            return;
        }
        let Some(vm) = self.pool.vm(uuid) else { return };
        let start_delay = vm.start_delay;
        match result {
            StartResult::Running => {
                self.track(uuid).up(now, start_delay);
                self.running(uuid, &intent.at);
            }
            StartResult::Failed(cause) => {
                self.track(uuid).failed(now, intent.at.host, cause);
                self.clear_intent(uuid);
            }
            StartResult::Unknown => {
                self.track(uuid).unanswered(now);
                if let Some(intent) = self.pool.vm_mut(uuid).and_then(|vm| vm.intent.as_mut()) {
                    intent.ours = false;
                }
            }
        }
    }
}
