//! What must hold after every event, and the first thing that did not.

use std::fmt;

use super::{BEGIN, World};
use crate::heartbeat::Node;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::view::Proof;

/// Something that must hold and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When, in nanoseconds of the world.
    pub at: Nanos,
    /// What was seen.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {:.3} s)", self.why, since_begin(self.at))
    }
}

/// Seconds since the world began.
pub fn since_begin(at: Nanos) -> f64 {
    at.saturating_sub(BEGIN) as f64 / SECOND as f64
}

impl World {
    /// The first violation that was seen. Nothing happens in the world after it.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Takes the violation out, for whoever reports it.
    pub fn take_violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// Says that something must hold; the first that does not is the violation.
    pub fn require(&mut self, holds: bool, why: impl FnOnce() -> String) {
        if holds || self.violation.is_some() {
            return;
        }
        let violation = Violation { at: self.now, why: why() };
        self.tell(format!("VIOLATION: {}", violation.why));
        self.violation = Some(violation);
    }

    /// Decided views never differ, at most one host may act as master, and no life is called
    /// dead while it still runs.
    pub(super) fn check(&mut self) {
        self.check_chain();
        let acting = self.acting();
        self.require(acting.len() <= 1, || format!("two masters: hosts {acting:?}"));
        for host in 0..self.machines.len() {
            if self.machines[host].alive {
                self.check_dead(host);
            }
        }
    }

    fn check_chain(&mut self) {
        let mut differs = None;
        for (host, machine) in self.machines.iter().enumerate() {
            let Some(view) = machine.node.as_ref().and_then(Node::decided) else { continue };
            match self.chain.get(&view.epoch) {
                Some(known) if known == view => {}
                Some(known) => differs = differs.or_else(|| Some((host, known.clone()))),
                None => {
                    self.chain.insert(view.epoch, view.clone());
                }
            }
        }
        self.require(differs.is_none(), || match differs {
            Some((host, known)) => {
                format!("two views of epoch {}: host {host} has not {known:?}", known.epoch)
            }
            None => String::new(),
        });
    }

    fn check_dead(&mut self, host: usize) {
        let Some(node) = &self.machines[host].node else { return };
        for (slot, boot_id, proof) in node.known_dead() {
            let other = &self.machines[slot.index()];
            let over = other.ended.contains(&boot_id) || other.boot_id != boot_id;
            let vouched = matches!(proof, Proof::LeftEmpty | Proof::Operator);
            let disarmed = other.disarmed;
            self.require(over || vouched, || {
                format!(
                    "host {host} calls host {} dead ({proof:?}) while it runs (disarmed: \
                     {disarmed})",
                    slot.0
                )
            });
        }
    }

    /// Adds a line to the story.
    pub(super) fn tell(&mut self, line: impl fmt::Display) {
        self.log.push(format!("{:>9.3} s  {line}", since_begin(self.now)));
    }

    /// All that was done to the hosts and that they noted, in the order of the world's time.
    pub fn story(&self) -> String {
        self.log.join("\n")
    }
}
