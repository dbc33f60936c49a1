//! A failure played through before it happens: what would be started, where, when, and what not.
//!
//! The policy itself plays, so that the answer is what it would do; every start succeeds and takes
//! no time, so that the times are those of orders and delays alone.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use super::{Action, Event, Pool, Power, Recovery, StartResult};

/// One start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// When it begins, from the moment at which the hosts are known to be dead.
    pub at: Duration,
    /// The VM.
    pub vm: Uuid,
    /// Where it starts.
    pub host: Uuid,
}

/// What would come of a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// The starts in their order.
    pub starts: Vec<Planned>,
    /// VMs that were lost and do not come back, in the order of the rows.
    pub left: Vec<Uuid>,
}

/// Plays the loss of these hosts. A pause of restarts is taken as over.
pub fn rehearse(pool: &Pool, failed: &[Uuid]) -> Rehearsal {
    let mut pool = pool.clone();
    pool.hold_until = Duration::ZERO;
    for host in pool.hosts.iter_mut().filter(|host| failed.contains(&host.boot.host)) {
        host.live = false;
        pool.dead.insert(host.boot.clone());
    }
    let boots = pool.vms.iter().filter_map(|vm| vm.residence.clone());
    let lost_boots: BTreeSet<_> = boots.filter(|boot| failed.contains(&boot.host)).collect();
    let lost: Vec<Uuid> = pool
        .vms
        .iter()
        .filter(|vm| vm.residence.as_ref().is_some_and(|boot| lost_boots.contains(boot)))
        .map(|vm| vm.uuid)
        .collect();
    pool.dead.extend(lost_boots);
    let starts = play(&mut pool, failed);
    let back = |vm: &Uuid| starts.iter().any(|start| start.vm == *vm);
    Rehearsal { left: lost.into_iter().filter(|vm| !back(vm)).collect(), starts }
}

fn play(pool: &mut Pool, failed: &[Uuid]) -> Vec<Planned> {
    let (mut policy, mut now, mut starts) = (Recovery::default(), Duration::ZERO, Vec::new());
    let mut events = VecDeque::from([Event::View { failed: failed.to_vec() }]);
    // VMs without a place are tried again for ever: after so many looks nothing new comes.
    let mut looks = 100 + 2 * pool.vms.len();
    while looks > 0 {
        let event = match (events.pop_front(), policy.wake_at()) {
            (Some(event), _) => event,
            (None, Some(at)) => {
                now = at;
                looks -= 1;
                Event::Tick
            }
            (None, None) => break,
        };
        for action in policy.step(now, pool, event) {
            if let Action::Start { vm, intent } = &action {
                starts.push(Planned { at: now, vm: *vm, host: intent.at.host });
                let result = StartResult::Running;
                events.push_back(Event::Started { vm: *vm, run: intent.run, result });
            }
            write(pool, action);
        }
    }
    starts
}

/// Does to the rows what the shell would do.
fn write(pool: &mut Pool, action: Action) {
    match action {
        Action::MarkHalted { vm, loss } => {
            if let Some(vm) = pool.vm_mut(vm) {
                vm.power = Power::Halted;
                vm.residence = None;
                vm.intent = None;
                vm.loss = loss;
            }
        }
        Action::MarkRunning { vm, at } => {
            if let Some(vm) = pool.vm_mut(vm) {
                vm.power = Power::Running;
                vm.residence = Some(at);
                vm.intent = None;
            }
        }
        Action::ClearIntent { vm } => {
            if let Some(vm) = pool.vm_mut(vm) {
                vm.intent = None;
            }
        }
        Action::SetLoss { vm, loss } => {
            if let Some(vm) = pool.vm_mut(vm) {
                vm.loss = loss;
            }
        }
        Action::SetTries { vm, tries } => {
            if let Some(vm) = pool.vm_mut(vm) {
                vm.tries = tries;
            }
        }
        Action::SetPromise { host, promise } => {
            if let Some(host) = pool.host_mut(host) {
                host.promise = promise;
            }
        }
        Action::StayOff { vm } => {
            if let Some(vm) = pool.vm_mut(vm) {
                vm.always_run = false;
            }
        }
        Action::Start { vm, intent } => {
            if let Some(vm) = pool.vm_mut(vm) {
                vm.run = intent.run;
                vm.intent = Some(intent);
            }
        }
        // What is told or noted changes no row.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::example::{self, host, id};
    use crate::recovery::{Priority, Vm};

    fn vm(number: u128, priority: Priority, order: i64, delay: u64) -> Vm {
        let start_delay = Duration::from_secs(delay);
        Vm { order, start_delay, ..example::vm(number, 1, priority) }
    }

    fn pool(vms: Vec<Vm>, capacity: u64) -> Pool {
        let pool = example::pool([1, 2].map(|number| host(number, capacity)).to_vec(), vms);
        Pool { hold_until: Duration::from_secs(99), ..pool }
    }

    #[test]
    fn orders_and_delays_give_the_times_and_best_effort_comes_last() {
        let vms = vec![
            vm(13, Priority::BestEffort, 0, 0),
            vm(12, Priority::Restart, 2, 0),
            vm(11, Priority::Restart, 1, 30),
            vm(14, Priority::None, 0, 0),
        ];
        let pool = pool(vms, 8);
        let played = rehearse(&pool, &[id(1)]);
        let starts: Vec<(u64, Uuid)> =
            played.starts.iter().map(|start| (start.at.as_secs(), start.vm)).collect();
        assert_eq!(starts, [(0, id(11)), (30, id(12)), (30, id(13))]);
        assert!(played.starts.iter().all(|start| start.host == id(2)));
        assert_eq!(played.left, [id(14)]);
        assert_eq!(pool.vms[0].power, Power::Running, "nothing happened");
    }

    #[test]
    fn what_does_not_fit_is_left_and_the_play_ends() {
        let vms = (11..16).map(|number| vm(number, Priority::Restart, 0, 0)).collect();
        let played = rehearse(&pool(vms, 3), &[id(1)]);
        assert_eq!((played.starts.len(), played.left.len()), (3, 2));
        let nobody = rehearse(&pool(vec![vm(11, Priority::Restart, 0, 0)], 3), &[id(1), id(2)]);
        assert_eq!(nobody.left, [id(11)]);
    }
}
