//! What happened, and which rows follow from it.

use std::time::Duration;

use uuid::Uuid;

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
        for host in failed {
            self.actions.push(Action::Tell(Message::host_failed(*host)));
        }
        let lost = |vm: &Vm| {
            let there = vm.residence.as_ref().is_some_and(|boot| failed.contains(&boot.host));
            there && vm.protected()
        };
        if self.pool.tolerance == 0 && self.pool.vms.iter().any(lost) {
            self.actions.push(Action::Tell(Message::overcommitted()));
        }
        self.hurry();
    }

    fn hurry(&mut self) {
        let now = self.now;
        self.recovery.tracks.values_mut().for_each(|track| track.hurry(now));
    }

    /// The level rules of rows: what was on a dead boot is down (R6.5).
    pub(super) fn settle(&mut self) {
        let dead = self.pool.dead.clone();
        let vms: Vec<Uuid> = self.pool.vms.iter().map(|vm| vm.uuid).collect();
        self.recovery.tracks.retain(|vm, _| vms.contains(vm));
        for uuid in vms {
            let Some(vm) = self.pool.vm(uuid) else { continue };
            let intent_died = vm.intent.as_ref().is_some_and(|intent| dead.contains(&intent.at));
            let host_died = vm.residence.as_ref().is_some_and(|boot| dead.contains(boot));
            if host_died {
                self.down(uuid, true);
            } else if intent_died {
                // The start died with its host; that is no failure of the VM.
                self.track(uuid).in_flight = None;
                self.clear_intent(uuid);
            }
        }
    }

    /// Marks a VM halted. What is owed to it depends on how it was lost: the edge of best-effort,
    /// and of protected VMs while nothing is guaranteed, is the loss of the host.
    fn down(&mut self, uuid: Uuid, with_host: bool) {
        let guaranteed = self.pool.tolerance > 0;
        let now = self.now;
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
        vm.loss = if with_host && once && !suspended { Loss::Once } else { Loss::No };
        if suspended {
            return;
        }
        vm.power = Power::Halted;
        let loss = vm.loss;
        self.actions.push(Action::MarkHalted { vm: uuid, loss });
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
                Some(intent) if intent.at == *at && here => self.running(vm.uuid, at),
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
        let stays_off = vm.always_run && !self.pool.restart_after_guest_shutdown;
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
