//! What can be seen of the world, by everybody or from one host.

use super::World;
use super::machine::AgentState;
use crate::heartbeat::liveset::{Liveset, Phase};
use crate::heartbeat::node::{Answer, Control, Input, Refusal};
use crate::heartbeat::view::Mode;

impl World {
    pub(super) fn armed_with(&self, host: usize, members: usize) -> bool {
        let liveset = self.liveset(host);
        liveset.phase == Phase::Armed
            && liveset.members.len() == members
            && liveset.hosts.iter().filter(|h| h.armed).count() >= members
            && liveset.epoch >= 2
    }

    /// Sends a request to a host; gives its ticket.
    pub fn control(&mut self, host: usize, control: Control) -> u64 {
        self.ticket += 1;
        let ticket = self.ticket;
        self.machines[host].last_ticket = ticket;
        self.step(host, Input::Control(ticket, control));
        ticket
    }

    /// What a host has answered to a ticket; none while it has not.
    pub fn answer(&self, host: usize, ticket: u64) -> Option<&Result<Answer, Refusal>> {
        self.machines[host].answers.get(&ticket)
    }

    /// What the last request to a host came to, in words.
    pub fn last_answer(&self, host: usize) -> String {
        let machine = &self.machines[host];
        match machine.answers.get(&machine.last_ticket) {
            None => "pending".to_owned(),
            Some(Ok(_)) => "granted".to_owned(),
            Some(Err(refusal)) => super::in_host_names(&refusal.to_string(), &self.uuids),
        }
    }

    /// What a host's daemon has noted, in the names of hosts.
    pub fn notes_of(&self, host: usize) -> String {
        super::in_host_names(&self.machines[host].notes.join("\n"), &self.uuids)
    }

    /// The timers.
    pub fn timing(&self) -> &crate::heartbeat::Timing {
        &self.timing
    }

    /// What a host's daemon says of the pool; off without a daemon.
    pub fn liveset(&self, host: usize) -> Liveset {
        let now = self.clock(host);
        self.machines[host].node.as_ref().map_or_else(Liveset::off, |node| node.liveset(now))
    }

    /// Where a host stands; off without a daemon.
    pub fn phase(&self, host: usize) -> Phase {
        self.machines[host].node.as_ref().map_or(Phase::Off, |node| node.phase())
    }

    /// The members of the view that a host has adopted.
    pub fn members(&self, host: usize) -> Vec<usize> {
        let view = self.machines[host].node.as_ref().and_then(|node| node.decided());
        view.map_or(Vec::new(), |view| view.members.iter().map(|m| m.slot.index()).collect())
    }

    /// The mode of the view that a host has adopted.
    pub fn mode(&self, host: usize) -> Option<Mode> {
        let node = self.machines[host].node.as_ref();
        node.and_then(|node| node.decided()).map(|view| view.mode)
    }

    /// The mode of the newest view that was ever decided.
    pub fn newest_mode(&self) -> Option<Mode> {
        self.chain.last_key_value().map(|(_, view)| view.mode)
    }

    /// Whether a host knows another one to be dead.
    pub fn knows_dead(&self, host: usize, other: usize) -> bool {
        let node = self.machines[host].node.as_ref();
        node.is_some_and(|node| node.known_dead().iter().any(|(slot, ..)| slot.index() == other))
    }

    /// The hosts that may act as master now; never more than one.
    pub fn acting(&self) -> Vec<usize> {
        (0..self.machines.len()).filter(|host| self.acts(*host)).collect()
    }

    /// Whether a host's agent would act as master now. Its daemon may have died or stand still:
    /// what it said last counts until the lease ends.
    pub(super) fn acts(&self, host: usize) -> bool {
        let machine = &self.machines[host];
        machine.alive && !machine.paused && self.now < machine.acts_until
    }

    /// The hosts that were reset, by their watchdog or by themselves.
    pub fn resets(&self) -> Vec<usize> {
        (0..self.machines.len()).filter(|host| self.machines[*host].resets > 0).collect()
    }

    /// Whether a host's agent runs.
    pub fn has_agent(&self, host: usize) -> bool {
        self.machines[host].agent != AgentState::Gone
    }
}
