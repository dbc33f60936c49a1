//! Which VMs this agent is starting or moving right now: one thing at a time with each.

use super::Agent;
use super::recover::lock;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::BTreeMap;

/// VMs that are being started or moved, each with the number of its mark.
#[derive(Debug, Default)]
pub struct Marks {
    given: u64,
    held: BTreeMap<String, u64>,
}

impl Marks {
    /// Marks a VM unless it is marked; gives the number of the mark.
    pub fn give(&mut self, vm: &str) -> Option<u64> {
        if self.held.contains_key(vm) {
            return None;
        }
        self.given += 1;
        self.held.insert(vm.to_owned(), self.given);
        Some(self.given)
    }

    /// Whether a VM is marked.
    pub fn holds(&self, vm: &str) -> bool {
        self.held.contains_key(vm)
    }

    /// Takes back whatever mark a VM has.
    pub fn forsake(&mut self, vm: &str) {
        self.held.remove(vm);
    }

    /// Takes that mark back; another one, given since, stays.
    pub fn take_back(&mut self, vm: &str, number: u64) {
        if self.held.get(vm) == Some(&number) {
            self.held.remove(vm);
        }
    }
}

/// Marks a VM as being started (or moved) by this agent until it is dropped.
pub struct Starting<'a> {
    agent: &'a Agent,
    vm: String,
    number: u64,
}

impl<'a> Starting<'a> {
    /// Marks the VM; refused while it is marked already.
    pub fn mark(agent: &'a Agent, vm: &str) -> Answer<Self> {
        let number = lock(&agent.wake.marks).give(vm);
        let taken = || Failure::new("OTHER_OPERATION_IN_PROGRESS", ["VM", vm]);
        Ok(Self { agent, vm: vm.to_owned(), number: number.ok_or_else(taken)? })
    }

    /// Keeps the mark for whoever takes it over next; gives its number.
    pub fn hand_over(self) -> u64 {
        let number = self.number;
        std::mem::forget(self);
        number
    }

    /// Takes a mark over.
    pub fn take_over(agent: &'a Agent, vm: &str, number: u64) -> Self {
        Self { agent, vm: vm.to_owned(), number }
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        lock(&self.agent.wake.marks).take_back(&self.vm, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_was_given_up_does_not_take_the_mark_of_the_next_one() {
        let mut marks = Marks::default();
        let first = marks.give("vm").unwrap();
        assert_eq!(marks.give("vm"), None, "one at a time");
        // The host of the first start is dead; its thread still waits for an answer.
        marks.forsake("vm");
        let second = marks.give("vm").unwrap();
        marks.take_back("vm", first);
        assert_eq!(marks.give("vm"), None, "the second one goes on");
        marks.take_back("vm", second);
        assert!(marks.give("vm").is_some());
    }
}
