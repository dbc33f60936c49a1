//! The master's shell around the recovery: it takes over with a barrier, has hosts scanned,
//! sends commands and commits what comes of them. It acts only after a look at its lease (R4.4).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::World;
use super::guests::{Command, Order, Outcome, Reply};
use super::machine::What;
use super::rows;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::variant::Variant;
use crate::pool::Database;
use crate::recovery::{Boot, Recovery};

/// How long the master waits for the answer to a command.
const PATIENCE: Nanos = 20 * SECOND;
/// How long the barrier waits for a host that says nothing.
const BARRIER: Nanos = 10 * SECOND;
/// How often each host is scanned.
const SCAN: Nanos = 10 * SECOND;

/// What a master remembers.
pub(super) struct Shell {
    pub(super) policy: Recovery,
    pub(super) pid: u32,
    since: Nanos,
    /// VMs that this agent starts, moves or tidies up, each with the number of the command whose
    /// outcome it waits for.
    pub(super) ours: BTreeMap<usize, u64>,
    /// Moves under way: VM, source and target.
    pub(super) moves: BTreeMap<usize, (usize, usize)>,
    /// When each host was asked for a scan, with the rows at that time.
    asked: BTreeMap<usize, (Nanos, u64, Database)>,
    /// Starts that ended before a command was sent.
    pub(super) failed: Vec<(usize, u64)>,
    next_scan: u64,
    /// The hosts and boots that have answered.
    scanned: BTreeSet<Boot>,
    /// The members that it knows.
    pub(super) members: BTreeSet<Uuid>,
    /// What the policy saw last: rows, epoch, dead.
    pub(super) seen: (u64, u64, usize),
}

impl World {
    /// The agent looks around: a master does what is due.
    pub(super) fn agent_looks(&mut self, host: usize) {
        if self.setting.vms == 0 {
            return;
        }
        if !self.acts(host) {
            self.machines[host].shell = None;
            return;
        }
        let epoch = self.epoch_of(host);
        if self.machines[host].shell.is_none() {
            self.take_over(host, epoch);
        }
        self.rows.epoch = self.rows.epoch.max(epoch);
        self.note_boots(host, epoch);
        self.ask_scans(host, epoch);
        self.forget_silent_scans(host);
        if self.barrier_passed(host) {
            self.policy_looks(host, epoch);
        }
    }

    pub(super) fn epoch_of(&self, host: usize) -> u64 {
        let epoch = self.machines[host].node.as_ref().map_or(0, |node| node.liveset_epoch());
        self.epoch_base + epoch
    }

    fn take_over(&mut self, host: usize, epoch: u64) {
        self.tell(format_args!("the agent of h{} is master in epoch {epoch}", host + 1));
        self.machines[host].shell = Some(Shell {
            policy: Recovery::default(),
            pid: self.machines[host].pid,
            since: self.now,
            ours: BTreeMap::new(),
            moves: BTreeMap::new(),
            asked: BTreeMap::new(),
            failed: Vec::new(),
            next_scan: 0,
            scanned: BTreeSet::new(),
            members: self.resident_hosts(),
            seen: (0, 0, 0),
        });
        if self.wrong(Variant::BarrierSkipped) {
            // Whatever was being started is taken for not started.
            let vms = self.setting.vms;
            self.rows.commit(epoch, |tx| {
                for vm in 0..vms {
                    if let Some(intent) = rows::intent_of(tx.db(), vm) {
                        tx.delete("xe_intent", &intent);
                    }
                }
            });
        }
    }

    /// The hosts that VMs are resident on, as far as the rows know: members of the last view that
    /// somebody acted on.
    fn resident_hosts(&self) -> BTreeSet<Uuid> {
        let hosts = (0..self.setting.vms).filter_map(|vm| rows::residence(&self.rows.db, vm));
        hosts.map(|host| self.uuids[host]).collect()
    }

    /// The boots of the members, as the view names them, in the rows of the hosts.
    pub(super) fn note_boots(&mut self, host: usize, epoch: u64) {
        let Some(view) = self.machines[host].node.as_ref().and_then(|node| node.decided()) else {
            return;
        };
        let db = &self.rows.db;
        let news: Vec<(String, String)> = view
            .members
            .iter()
            .map(|m| (rows::host_row(m.slot.index()), m.boot_id.to_string()))
            .filter(|(row, boot)| db.text("host", row, "xe_boot") != boot)
            .collect();
        if !news.is_empty() {
            self.rows.commit(epoch, |tx| {
                news.iter().for_each(|(row, boot)| tx.set("host", row, "xe_boot", boot.as_str()));
            });
        }
    }

    /// The members with their boots.
    pub(super) fn view_boots(&self, host: usize) -> Vec<(usize, Boot)> {
        let view = self.machines[host].node.as_ref().and_then(|node| node.decided());
        let members = view.into_iter().flat_map(|view| &view.members);
        members
            .map(|m| {
                let host = self.uuids[m.slot.index()];
                (m.slot.index(), Boot { host, boot_id: m.boot_id.to_string() })
            })
            .collect()
    }

    fn ask_scans(&mut self, host: usize, epoch: u64) {
        let now = self.now;
        for (member, boot) in self.view_boots(host) {
            let Some(shell) = &self.machines[host].shell else { return };
            let asked = shell.asked.get(&member).map(|(at, ..)| *at);
            let wait = if shell.scanned.contains(&boot) { SCAN } else { 3 * SECOND };
            if asked.is_some_and(|at| now < at + wait) {
                continue;
            }
            let db = self.rows.db.clone();
            let Some(shell) = &mut self.machines[host].shell else { return };
            shell.next_scan += 1;
            let number = shell.next_scan;
            shell.asked.insert(member, (now, number, db));
            self.command(host, member, (Order::Scan, 0, number), epoch);
        }
    }

    /// A missing report says nothing, unless that very rule is broken (R6.5).
    fn forget_silent_scans(&mut self, host: usize) {
        if !self.wrong(Variant::MissingIsHalted) {
            return;
        }
        let now = self.now;
        let Some(shell) = &self.machines[host].shell else { return };
        let silent = shell.asked.iter().filter(|(_, (at, ..))| now > *at + 5 * SECOND / 2);
        let silent: Vec<(usize, u64)> = silent.map(|(m, (_, number, _))| (*m, *number)).collect();
        for (member, number) in silent {
            self.reconcile(host, (member, number), &BTreeMap::new());
        }
    }

    /// Before its first act the master has the word of every member that a row names (R6.3);
    /// who stays silent is waited for only so long: its VMs are unknown then.
    fn barrier_passed(&self, host: usize) -> bool {
        let Some(shell) = &self.machines[host].shell else { return false };
        if self.wrong(Variant::BarrierSkipped) || self.now > shell.since + BARRIER {
            return true;
        }
        let db = &self.rows.db;
        let named = |member: usize| {
            let row = rows::host_row(member);
            let resident = !db.set_of("host", &row, "resident_VMs").is_empty();
            let mut intents = db.table("xe_intent").keys();
            resident || intents.any(|i| db.target("xe_intent", i, "host") == Some(row.as_str()))
        };
        let boots = self.view_boots(host);
        boots.iter().all(|(member, boot)| shell.scanned.contains(boot) || !named(*member))
    }

    /// Has a host do something to a VM and waits for the outcome.
    pub(super) fn have(
        &mut self,
        host: usize,
        to: usize,
        (order, vm, run): (Order, usize, u64),
        epoch: u64,
    ) {
        let number = self.command(host, to, (order, vm, run), epoch);
        if let Some(shell) = &mut self.machines[host].shell {
            shell.ours.insert(vm, number);
        }
    }

    /// Sends a command; without an answer in time its outcome is unknown. Gives its number.
    pub(super) fn command(
        &mut self,
        host: usize,
        to: usize,
        (order, vm, run): (Order, usize, u64),
        epoch: u64,
    ) -> u64 {
        let from = (host, self.machines[host].pid);
        self.ticket += 1;
        let number = self.ticket;
        let boot = self.rows.db.text("host", &rows::host_row(to), "xe_boot").to_owned();
        let command = Command { number, order, vm, run, epoch, boot, from };
        let late = Reply { command: command.clone(), host: to, outcome: Outcome::Unknown };
        self.push(self.now + PATIENCE, host, What::Reply(late));
        let cut = to != host && (self.net.calls[host][to] || self.net.calls[to][host]);
        if !cut {
            let at = self.now + if to == host { 1 } else { self.travel() };
            if self.machines[to].alive {
                self.push(at, to, What::Command(command));
            }
        }
        number
    }

    pub(super) fn take_reply(&mut self, host: usize, reply: Reply) {
        let pid = self.machines[host].pid;
        let current = self.machines[host].shell.as_ref().is_some_and(|shell| shell.pid == pid);
        if !current || reply.command.from.1 != pid {
            return;
        }
        let (order, vm) = (reply.command.order, reply.command.vm);
        if !self.acts(host) {
            // Nothing follows from it here; the next scan tells what became of the VM.
            let Some(shell) = &mut self.machines[host].shell else { return };
            if shell.ours.get(&vm) == Some(&reply.command.number) {
                shell.ours.remove(&vm);
                shell.moves.remove(&vm);
            }
            return;
        }
        if order == Order::Scan {
            if let Outcome::Found(found) = &reply.outcome {
                self.reconcile(host, (reply.host, reply.command.run), found);
                self.agent_looks(host);
            }
            return;
        }
        let Some(shell) = &mut self.machines[host].shell else { return };
        if shell.ours.get(&vm) != Some(&reply.command.number) {
            // Nobody waits for it any more.
            return;
        }
        if order == Order::Start {
            self.start_over(host, &reply);
        } else if shell.moves.contains_key(&vm) {
            self.move_goes_on(host, &reply);
        } else {
            shell.ours.remove(&vm);
        }
    }

    /// Takes the word of a scan that was asked for; gives the rows as they were then.
    pub(super) fn scan_answered(
        &mut self,
        host: usize,
        (member, number): (usize, u64),
    ) -> Option<Database> {
        let boots = self.view_boots(host);
        let shell = self.machines[host].shell.as_mut()?;
        let (_, _, before) = shell.asked.get(&member).filter(|(_, n, _)| *n == number)?;
        let before = before.clone();
        shell.scanned.extend(boots.into_iter().find(|(m, _)| *m == member).map(|(_, boot)| boot));
        Some(before)
    }

    /// Time as the policy counts it.
    pub(super) fn policy_time(&self) -> Duration {
        Duration::from_nanos(self.now)
    }
}
