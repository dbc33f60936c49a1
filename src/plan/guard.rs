//! What an operation would break.

use super::place::{lost, place_most};
use super::{Change, Outcome, Problem, Standing};

/// Whether an operation may go ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The plan holds after it.
    Holds,
    /// There was no plan before it either, so it breaks none.
    NoPlanBefore,
    /// It would take the plan away.
    Breaks {
        /// A set of hosts whose failure would have no plan; empty when no single set is known.
        hosts: Vec<usize>,
        /// VMs of theirs that would find no place.
        vms: Vec<usize>,
        /// Whether this is certain, rather than not proved within the budget.
        proved: bool,
    },
}

/// Judges an operation by what it changes of a pool.
pub fn guard(pool: &mut Standing, changes: &[Change]) -> Guard {
    let broken = pool.what_if(changes);
    if matches!(broken, Outcome::Yes { .. }) {
        return Guard::Holds;
    }
    if !matches!(pool.answer(), Outcome::Yes { .. }) {
        return Guard::NoPlanBefore;
    }
    let Outcome::No(breaking) = broken else {
        return Guard::Breaks { hosts: Vec::new(), vms: Vec::new(), proved: false };
    };
    let mut after = pool.problem().clone();
    for change in changes {
        after.set(change.clone());
    }
    let hosts = breaking.as_ref().map_or_else(Vec::new, |it| it.hosts.clone());
    let mut vms = left_by(&after, &hosts);
    if vms.is_empty() {
        vms.extend(breaking.map(|it| it.vm));
    }
    Guard::Breaks { hosts, vms, proved: true }
}

/// Protected VMs that have no place when these hosts fail.
fn left_by(problem: &Problem, failed: &[usize]) -> Vec<usize> {
    place_most(problem, failed, &lost(problem, failed)).left
}
