//! The search: breadth first, each situation once, so that the first trace to a violation is a
//! shortest one.

use std::collections::{HashSet, VecDeque};

use super::action::Action;
use super::same::fingerprint;
use super::setup::{Order, Setup};
use super::state::State;

/// Most ticks until a pool has formed.
const FORMED_BY: u64 = 60;

/// A situation that was met: from which it came, and how.
#[derive(Debug, Clone, Copy)]
struct Met {
    from: u32,
    action: Action,
}

/// What a search has come to.
#[derive(Debug)]
pub struct Outcome {
    /// Situations that differ.
    pub states: usize,
    /// Actions tried.
    pub transitions: u64,
    /// Ticks of the longest trace.
    pub depth: u64,
    /// Whether nothing was left out.
    pub complete: bool,
    /// The first violation, with the trace to it.
    pub violation: Option<(String, Vec<Action>)>,
}

impl Setup {
    /// The healthy pool after what happens to it before the search begins.
    pub fn begin(&self) -> Result<State, String> {
        let lockstep = Setup { order: Order::Lockstep, ..self.clone() };
        let mut state = State::new(&lockstep);
        let healthy = |state: &State| {
            let formed = |host: &super::state::Host| {
                let view = host.node.as_ref().and_then(|node| node.decided());
                let armed = |view: &crate::heartbeat::View| {
                    view.members.len() == self.hosts && view.members.iter().all(|m| m.armed)
                };
                host.leased && view.is_some_and(armed)
            };
            state.hosts.iter().all(formed)
        };
        while !healthy(&state) {
            state.perform(&lockstep, Action::Go);
            if state.tick > FORMED_BY || state.violation.is_some() {
                return Err(state.violation.unwrap_or("the pool does not form".to_owned()));
            }
        }
        let settle = 4 * (self.s + self.l);
        for (ticks, action) in [(settle, None)]
            .into_iter()
            .chain(self.before.iter().map(|(ticks, action)| (*ticks, Some(*action))))
        {
            for _ in 0..ticks {
                state.perform(&lockstep, Action::Go);
            }
            if let Some(action) = action {
                state.perform(&lockstep, action);
            }
        }
        state.left = self.budget;
        match state.violation.take() {
            Some(why) => Err(why),
            None => Ok(state),
        }
    }
}

/// Explores a pool within its bounds and at most so many situations.
pub fn explore(setup: &Setup, most_states: usize) -> Outcome {
    let mut outcome =
        Outcome { states: 1, transitions: 0, depth: 0, complete: true, violation: None };
    let begin = match setup.begin() {
        Ok(state) => state,
        Err(why) => {
            outcome.violation = Some((why, Vec::new()));
            return outcome;
        }
    };
    let first = begin.tick;
    let mut seen = HashSet::from([fingerprint(setup, &begin)]);
    let mut met = vec![Met { from: 0, action: Action::Go }];
    let mut queue = VecDeque::from([(0u32, begin)]);
    while let Some((number, state)) = queue.pop_front() {
        for action in state.actions(setup) {
            let mut next = state.clone();
            next.pay(action);
            next.perform(setup, action);
            outcome.transitions += 1;
            outcome.depth = outcome.depth.max(next.tick - first);
            if let Some(why) = next.violation.take() {
                outcome.complete = false;
                outcome.violation = Some((why, path(&met, number, action)));
                outcome.depth = next.tick - first;
                return outcome;
            }
            if next.tick - first > setup.depth {
                outcome.complete = false;
                continue;
            }
            if !seen.insert(fingerprint(setup, &next)) {
                continue;
            }
            if outcome.states >= most_states {
                outcome.complete = false;
                return outcome;
            }
            outcome.states += 1;
            met.push(Met { from: number, action });
            queue.push_back((met.len() as u32 - 1, next));
        }
    }
    outcome
}

fn path(met: &[Met], mut number: u32, last: Action) -> Vec<Action> {
    let mut actions = vec![last];
    while number > 0 {
        let step = met[number as usize];
        actions.push(step.action);
        number = step.from;
    }
    actions.reverse();
    actions
}
