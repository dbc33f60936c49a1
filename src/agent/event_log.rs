//! What changed lately, for `event.from`: a numbered list of touched rows.

use crate::pool::{Change, Database};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How many touched rows are remembered. A client that fell further behind starts anew.
const KEPT: usize = 20_000;

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It came.
    Add,
    /// It changed.
    Mod,
    /// It went.
    Del,
}

impl Operation {
    /// The interface's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Mod => "mod",
            Self::Del => "del",
        }
    }
}

#[derive(Debug, Default)]
struct Log {
    next: u64,
    entries: VecDeque<(u64, String, String, Operation)>,
}

/// The list.
#[derive(Debug, Default)]
pub struct EventLog {
    log: Mutex<Log>,
    grown: Condvar,
}

/// Rows touched since a number, each once, with the last thing that happened to it.
pub type Touched = BTreeMap<(String, String), Operation>;

impl EventLog {
    /// Remembers what a list of changes touched.
    pub fn record(&self, changes: &[Change]) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            let operation = match change {
                Change::Create { .. } => Operation::Add,
                Change::Set { .. } => Operation::Mod,
                Change::Delete { .. } => Operation::Del,
            };
            let (class, reference) = change.row();
            log.push(class, reference, operation);
        }
        drop(log);
        self.grown.notify_all();
    }

    /// Remembers that all rows were replaced.
    pub fn replaced(&self, old: &Database, new: &Database) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        for (class, reference, _) in old.rows() {
            if new.row(class, reference).is_none() {
                log.push(class, reference, Operation::Del);
            }
        }
        for (class, reference, row) in new.rows() {
            match old.row(class, reference) {
                None => log.push(class, reference, Operation::Add),
                Some(before) if before != row => log.push(class, reference, Operation::Mod),
                Some(_) => {}
            }
        }
        drop(log);
        self.grown.notify_all();
    }

    /// The number that the next touched row will have.
    pub fn next(&self) -> u64 {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    /// Waits until something at or after `from` that `wanted` accepts was touched, or `patience`
    /// ends. Gives the rows and the number to ask from next; none when `from` is forgotten.
    pub fn wait(
        &self,
        from: u64,
        patience: Duration,
        wanted: impl Fn(&str, &str) -> bool,
    ) -> Option<(Touched, u64)> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let any = |log: &Log| log.since(from).any(|(_, class, row, _)| wanted(class, row));
        if !any(&log) {
            log = self
                .grown
                .wait_timeout_while(log, patience, |log| !any(log))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let oldest = log.entries.front().map_or(log.next, |entry| entry.0);
        if from < oldest {
            return None;
        }
        let mut touched = Touched::new();
        for (_, class, row, operation) in log.since(from).filter(|e| wanted(&e.1, &e.2)) {
            let key = (class.clone(), row.clone());
            let known_new = touched.get(&key) == Some(&Operation::Add);
            let operation =
                if known_new && *operation == Operation::Mod { Operation::Add } else { *operation };
            touched.insert(key, operation);
        }
        Some((touched, log.next))
    }
}

impl Log {
    fn push(&mut self, class: &str, reference: &str, operation: Operation) {
        self.entries.push_back((self.next, class.to_owned(), reference.to_owned(), operation));
        self.next += 1;
        if self.entries.len() > KEPT {
            self.entries.pop_front();
        }
    }

    fn since(&self, from: u64) -> impl Iterator<Item = &(u64, String, String, Operation)> {
        self.entries.iter().filter(move |entry| entry.0 >= from)
    }
}
