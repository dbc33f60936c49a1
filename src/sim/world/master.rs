//! What the master does: the policy's actions, the words of scans, moves of VMs.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::World;
use super::guests::{Order, Outcome, Reply, State};
use super::rows;
use crate::heartbeat::variant::Variant;
use crate::recovery::{Action, Boot, Event, Intent, Loss, Recovery, StartResult};

impl World {
    /// The policy looks when something has changed, or when it asked to be woken.
    pub(super) fn policy_looks(&mut self, host: usize, epoch: u64) {
        let dead = self.dead_boots(host);
        let seen = (self.rows.version, epoch, dead.len());
        let now = self.policy_time();
        let Some(shell) = &mut self.machines[host].shell else { return };
        let woken = shell.policy.wake_at().is_some_and(|at| at <= now);
        if shell.seen == seen && !woken {
            return;
        }
        let event = if shell.seen.1 == epoch { Event::Tick } else { Event::Changed };
        shell.seen = seen;
        let failed = self.failed_hosts(host);
        let event = if failed.is_empty() { event } else { Event::View { failed } };
        self.policy_step(host, event);
    }

    /// The hosts that have left the view since this master looked last.
    fn failed_hosts(&mut self, host: usize) -> Vec<Uuid> {
        let members: BTreeSet<Uuid> =
            self.view_boots(host).into_iter().map(|(_, boot)| boot.host).collect();
        let Some(shell) = &mut self.machines[host].shell else { return Vec::new() };
        let before = std::mem::replace(&mut shell.members, members);
        before.difference(&shell.members).copied().collect()
    }

    /// The boots that are dead: by the node's word, or because a later one of the same host is a
    /// member now.
    fn dead_boots(&self, host: usize) -> BTreeSet<Boot> {
        let Some(node) = &self.machines[host].node else { return BTreeSet::new() };
        let known = node.known_dead().into_iter();
        let mut dead: BTreeSet<Boot> = known
            .map(|(slot, boot_id, _)| Boot {
                host: self.uuids[slot.index()],
                boot_id: boot_id.to_string(),
            })
            .collect();
        let db = &self.rows.db;
        for (member, now) in self.view_boots(host) {
            let host = rows::host_row(member);
            let resident = db.set_of("host", &host, "resident_VMs").into_iter();
            let boots = resident.map(|vm| db.text("VM", vm, "xe_boot"));
            let intents = db.table("xe_intent").keys();
            let there = |i: &&String| db.target("xe_intent", i, "host") == Some(host.as_str());
            let intents = intents.filter(there).map(|i| db.text("xe_intent", i, "boot"));
            let earlier = boots.chain(intents).filter(|boot| *boot != now.boot_id);
            dead.extend(earlier.map(|boot| Boot { host: now.host, boot_id: boot.to_owned() }));
        }
        dead
    }

    fn policy_step(&mut self, host: usize, event: Event) {
        let epoch = self.epoch_of(host);
        self.note_boots(host, epoch);
        let dead = self.dead_boots(host);
        let members: Vec<usize> = self.view_boots(host).into_iter().map(|(m, _)| m).collect();
        let live: Vec<(usize, bool)> =
            (0..self.machines.len()).map(|h| (h, members.contains(&h))).collect();
        let now = self.policy_time();
        let Some(shell) = &mut self.machines[host].shell else { return };
        let pool = self.rows.pool(epoch, &live, dead, &shell.ours);
        for action in shell.policy.step(now, &pool, event) {
            if !self.act(host, epoch, action) {
                // The policy takes for done what it says: what was not done is for a new one.
                let shell = self.machines[host].shell.as_mut();
                return shell.map_or((), |shell| shell.policy = Recovery::default());
            }
        }
        let failed = self.machines[host].shell.as_mut().and_then(|shell| shell.failed.pop());
        if let Some((vm, run)) = failed {
            let result = StartResult::Failed("another operation is in progress".to_owned());
            self.policy_step(host, Event::Started { vm: rows::vm_uuid(vm), run, result });
        }
    }

    /// Does one thing that the policy says; the lease is looked at right before (R4.4). False when
    /// it does not hold.
    fn act(&mut self, host: usize, epoch: u64, action: Action) -> bool {
        if !self.acts(host) {
            return false;
        }
        match action {
            Action::MarkHalted { vm, loss } => {
                self.mark_halted(epoch, rows::vm_of(vm), loss);
                self.forsake(host, rows::vm_of(vm));
            }
            Action::ClearIntent { vm } => {
                let vm = rows::vm_of(vm);
                self.rows.commit(epoch, |tx| {
                    if let Some(intent) = rows::intent_of(tx.db(), vm) {
                        tx.delete("xe_intent", &intent);
                    }
                });
                // A move goes on at the source, which lives.
                if rows::residence(&self.rows.db, vm).is_none() {
                    self.forsake(host, vm);
                }
            }
            Action::SetLoss { vm, loss } => {
                let row = rows::vm_row(rows::vm_of(vm));
                self.rows.commit(epoch, |tx| tx.set("VM", &row, "xe_loss", loss.word()));
            }
            Action::SetTries { vm, tries } => {
                let row = rows::vm_row(rows::vm_of(vm));
                self.rows.commit(epoch, |tx| tx.set("VM", &row, "xe_tries", tries.text()));
            }
            Action::SetPromise { host, promise } => {
                let row = rows::host_row((host.as_u128() - 1) as usize);
                self.rows.commit(epoch, |tx| {
                    tx.set("host", &row, "xe_promise", crate::recovery::promise_word(promise));
                });
            }
            Action::StayOff { vm } => {
                let row = rows::vm_row(rows::vm_of(vm));
                self.rows.commit(epoch, |tx| tx.set("VM", &row, "ha_always_run", false));
            }
            Action::Start { vm, intent } => self.begin_start(host, epoch, rows::vm_of(vm), &intent),
            // A start that succeeded has recorded this itself.
            Action::Tell(message) => {
                self.tell(format_args!("alert {} {}", message.name, message.body));
                self.people.told.push(message.name);
            }
            Action::MarkRunning { .. } | Action::Note { .. } => {}
        }
        true
    }

    fn mark_halted(&mut self, epoch: u64, vm: usize, loss: Loss) {
        self.tell(format_args!("vm{vm} is taken for halted"));
        self.rows.commit(epoch, |tx| {
            if let Some(intent) = rows::intent_of(tx.db(), vm) {
                tx.delete("xe_intent", &intent);
            }
            rows::set_halted(tx, vm);
            tx.set("VM", &rows::vm_row(vm), "xe_loss", loss.word());
        });
    }

    /// Intent row, and when it is acknowledged the command (R6.4).
    fn begin_start(&mut self, host: usize, epoch: u64, vm: usize, intent: &Intent) {
        let to = (intent.at.host.as_u128() - 1) as usize;
        let run = intent.run;
        let Some(shell) = &mut self.machines[host].shell else { return };
        if shell.ours.contains_key(&vm) {
            // This agent waits for a move of it still.
            return shell.failed.push((vm, run));
        }
        if !self.rows.commit(epoch, |tx| rows::intend(tx, vm, to, run, epoch)) {
            return;
        }
        self.note_start(vm, to);
        self.tell(format_args!("h{} has vm{vm} started on h{}", host + 1, to + 1));
        self.have(host, to, (Order::Start, vm, run), epoch);
    }

    /// A start is over.
    pub(super) fn start_over(&mut self, host: usize, reply: &Reply) {
        let (vm, run, epoch) = (reply.command.vm, reply.command.run, self.epoch_of(host));
        let Some(shell) = &mut self.machines[host].shell else { return };
        shell.ours.remove(&vm);
        let still = rows::intent_of(&self.rows.db, vm)
            .is_some_and(|intent| self.rows.db.int("xe_intent", &intent, "run") == run as i64);
        if !still {
            return;
        }
        let result = match reply.outcome {
            Outcome::Done => {
                let boot = &reply.command.boot;
                self.rows.commit(epoch, |tx| rows::set_running(tx, vm, reply.host, boot, run));
                StartResult::Running
            }
            Outcome::Unknown => StartResult::Unknown,
            Outcome::Refused | Outcome::Found(_) => {
                self.rows.commit(epoch, |tx| {
                    if let Some(intent) = rows::intent_of(tx.db(), vm) {
                        tx.delete("xe_intent", &intent);
                    }
                    rows::set_halted(tx, vm);
                });
                StartResult::Failed("refused".to_owned())
            }
        };
        self.policy_step(host, Event::Started { vm: rows::vm_uuid(vm), run, result });
    }

    /// A host's word about its own VMs is the truth (R6.5), as far as the rows are still what
    /// they were when it was asked.
    pub(super) fn reconcile(
        &mut self,
        host: usize,
        (member, number): (usize, u64),
        found: &BTreeMap<usize, (u64, State)>,
    ) {
        let Some(before) = self.scan_answered(host, (member, number)) else { return };
        let epoch = self.epoch_of(host);
        let Some(shell) = &self.machines[host].shell else { return };
        let ours = shell.ours.clone();
        let row = |db: &crate::pool::Database, vm: usize| {
            (rows::residence(db, vm), db.int("VM", &rows::vm_row(vm), "xe_run"))
        };
        let now = self.rows.db.clone();
        let vms = (0..self.setting.vms).filter(|vm| row(&before, *vm) == row(&now, *vm));
        let vms: Vec<usize> = vms.filter(|vm| !ours.contains_key(vm)).collect();
        let mut orders = Vec::new();
        self.rows.commit(epoch, |tx| {
            for vm in vms {
                let (here, owner) = (found.get(&vm), rows::residence(&now, vm));
                let intent = rows::intent_of(&now, vm);
                let same = intent == rows::intent_of(&before, vm);
                let there =
                    intent.as_ref().and_then(|i| rows::host_at(&now, "xe_intent", i, "host"));
                match (here, owner == Some(member)) {
                    (Some((run, State::Running)), false) if owner.is_none() => {
                        let boot = before.text("host", &rows::host_row(member), "xe_boot");
                        rows::set_running(tx, vm, member, boot, *run);
                    }
                    (Some((_, State::Stopped)), true) => orders.push((Order::ResumeSource, vm)),
                    (Some((_, State::Received)), true) => orders.push((Order::Continue, vm)),
                    (Some((_, State::Stopped | State::Received)), false) => {
                        orders.push((Order::Discard, vm));
                    }
                    (None, true) if intent.is_none() && same => rows::set_halted(tx, vm),
                    _ => {}
                }
                if here.is_none() && there == Some(member) && same {
                    intent.iter().for_each(|intent| tx.delete("xe_intent", intent));
                }
            }
        });
        for (order, vm) in orders {
            self.have(host, member, (order, vm, 0), epoch);
        }
    }

    /// The administrator moves a VM; only the master can.
    pub(in crate::sim) fn move_vm(&mut self, vm: usize, to: usize) {
        let Some(host) = self.acting().first().copied() else { return };
        let epoch = self.epoch_of(host);
        let from = rows::residence(&self.rows.db, vm);
        let busy = rows::intent_of(&self.rows.db, vm).is_some();
        let member = self.view_boots(host).iter().any(|(member, _)| *member == to);
        let fit = member && !busy && !self.rows.disabled.contains(&to);
        let Some(from) = from.filter(|from| *from != to && fit) else { return };
        let Some(shell) = &mut self.machines[host].shell else { return };
        if shell.ours.contains_key(&vm) {
            return;
        }
        shell.moves.insert(vm, (from, to));
        let run = self.rows.db.int("VM", &rows::vm_row(vm), "xe_run") as u64;
        self.tell(format_args!("h{} moves vm{vm} to h{}", host + 1, to + 1));
        self.rows.commit(epoch, |tx| rows::intend(tx, vm, to, run, epoch));
        self.have(host, to, (Order::Receive, vm, run), epoch);
    }

    /// Target created, source stopped, owner row acknowledged, target continues (R6.4).
    pub(super) fn move_goes_on(&mut self, host: usize, reply: &Reply) {
        let (order, vm, run) = (reply.command.order, reply.command.vm, reply.command.run);
        let epoch = self.epoch_of(host);
        let Some(shell) = &mut self.machines[host].shell else { return };
        let Some((from, to)) = shell.moves.get(&vm).copied() else { return };
        let early = self.setting.variant == Some(Variant::OwnerRowSkipped);
        match (order, &reply.outcome) {
            (Order::Receive, Outcome::Done) => {
                self.have(host, from, (Order::StopSource, vm, run), epoch);
            }
            (Order::StopSource, Outcome::Done) => {
                if !early && !self.owner_changes(vm, (from, to), run, epoch) {
                    return self.forsake(host, vm);
                }
                self.have(host, to, (Order::Continue, vm, run), epoch);
            }
            (Order::Continue, Outcome::Done) => {
                if early {
                    self.owner_changes(vm, (from, to), run, epoch);
                }
                self.forsake(host, vm);
                self.command(host, from, (Order::Discard, vm, run), epoch);
            }
            (Order::Receive | Order::StopSource | Order::Continue, _) => {
                // Nobody knows how far it went: the next scans tell, and the intent stays.
                self.forsake(host, vm);
            }
            _ => {}
        }
    }

    /// Waits no more for what was being done to a VM.
    fn forsake(&mut self, host: usize, vm: usize) {
        if let Some(shell) = &mut self.machines[host].shell {
            shell.moves.remove(&vm);
            shell.ours.remove(&vm);
        }
    }

    /// From this commit on the target owns the VM, unless recovery has judged it meanwhile.
    fn owner_changes(
        &mut self,
        vm: usize,
        (from, to): (usize, usize),
        run: u64,
        epoch: u64,
    ) -> bool {
        let db = &self.rows.db;
        let Some(intent) = rows::intent_of(db, vm) else { return false };
        let boot = db.text("xe_intent", &intent, "boot").to_owned();
        let ours = rows::residence(db, vm) == Some(from);
        ours && self.rows.commit(epoch, |tx| rows::set_running(tx, vm, to, &boot, run))
    }
}
