//! What the planner's answers must hold; `definition` is against trying every placement.

mod brute;
mod certificates;
mod definition;
mod evacuate;
mod extremes;
mod groups;
mod pools;
mod standing;
mod sweep;

use super::*;

fn host(free: u64) -> Host {
    Host { id: String::new(), total: free, free, enabled: true, ..Host::default() }
}

fn vm(memory: u64, host: Option<usize>) -> Vm {
    Vm { id: String::new(), memory, host, protected: true, ..Vm::default() }
}

/// Whether the checker follows a "yes".
fn checked(
    problem: &Problem,
    r: usize,
    starts: &[(usize, usize)],
    certificate: &Certificate,
) -> Result<(), Vec<usize>> {
    let starts = Plan { hosts: Vec::new(), placed: starts.to_vec() };
    check::yes(problem, r, &starts, certificate)
}

#[test]
fn a_used_up_budget_is_not_proved_and_says_so() {
    let hosts = vec![host(0), host(60), host(60), host(61)];
    let vms = [31, 30, 29, 31, 30, 30].map(|size| vm(size, Some(0))).to_vec();
    let problem = Problem { hosts, vms, ..Problem::default() };
    let outcome = tolerates(&problem, 1, &Budget::steps(1));
    assert!(matches!(outcome, Outcome::NotProved { nodes: 1 }), "{outcome:?}");
    let verdict = max_failures(&problem, &Budget::steps(1));
    assert_eq!((verdict.max, verdict.proved), (0, false));
}

#[test]
fn what_does_not_fit_together_is_left_by_order() {
    let problem = Problem {
        hosts: vec![host(10), host(4)],
        vms: vec![vm(6, None), vm(8, None), vm(4, None), vm(4, None)],
        ..Problem::default()
    };
    let placement = place_most(&problem, &[], &[1, 0, 2, 3]);
    assert_eq!(placement.left, [0, 3]);
    assert_eq!(placement.placed, [(1, 0), (2, 1)]);
}

#[test]
fn a_guard_names_the_hosts_and_the_vms() {
    let (hosts, stopped) = (vec![host(8), host(8)], Vm { protected: false, ..vm(4, None) });
    let before = Problem { hosts, vms: vec![vm(6, Some(0)), stopped], ..Problem::default() };
    let start = [Change::Vm(1, vm(4, Some(1))), Change::Host(1, host(4))];
    let mut pool = Standing::new(before, 1, Budget::default());
    let judged = guard(&mut pool, &start);
    assert_eq!(judged, Guard::Breaks { hosts: vec![0], vms: vec![0], proved: true });
    assert_eq!(guard(&mut pool, &[]), Guard::Holds);
    start.into_iter().for_each(|change| drop(pool.change(change)));
    assert_eq!(guard(&mut pool, &[]), Guard::NoPlanBefore);
}

#[test]
fn an_evacuation_places_protected_vms_first_and_says_why_one_stays() {
    let mut problem = Problem {
        hosts: vec![host(0), host(5), host(3)],
        vms: vec![vm(5, Some(0)), vm(5, Some(0)), vm(9, Some(0)), vm(2, Some(1))],
        ..Problem::default()
    };
    problem.vms[0].protected = false;
    problem.vms[2].protected = false;
    let moves = evacuation(&problem, 0, 0);
    assert_eq!(moves[0], Evacuation { vm: 1, target: Ok(1) });
    assert!(moves[1].target.as_ref().unwrap_err().contains("beside the other VMs"));
    assert!(moves[2].target.as_ref().unwrap_err().contains("9 bytes"));
    assert_eq!(moves.len(), 3);
}

#[test]
fn a_vm_that_ends_with_its_host_is_named_and_the_others_are_planned_for() {
    let tied = Vm { allowed: Some(BTreeSet::from([0])), ..vm(3, Some(0)) };
    let vms = vec![tied, vm(2, Some(1)), vm(2, Some(2))];
    let hosts = vec![host(4), host(4), host(4)];
    let mut problem = Problem { hosts, vms, ..Problem::default() };
    let verdict = max_failures(&problem, &Budget::default());
    assert_eq!((verdict.max, verdict.max_of_savable), (0, 2));
    assert_eq!(verdict.doomed, [0]);
    assert_eq!(verdict.counterexample.map(|it| (it.hosts, it.why)), Some((vec![0], Why::Nowhere)));
    problem.excuse_doomed = true;
    assert_eq!(max_failures(&problem, &Budget::default()).max, 2);
    problem.vms.push(Vm { protected: false, ..vm(4, None) });
    let mut start = problem.run(3, 2);
    start.push(Change::Vm(3, vm(4, Some(2))));
    let judged = guard(&mut Standing::new(problem, 2, Budget::default()), &start);
    assert!(matches!(judged, Guard::Breaks { proved: true, .. }), "{judged:?}");
}

#[test]
fn a_ratio_of_vcpus_limits_what_a_host_takes() {
    assert_eq!(vcpu_room(8, Some(150), 3), Some(9));
    assert_eq!(vcpu_room(8, None, 3), None);
    let limited = |vcpus| Host { vcpus: Some(vcpus), ..host(100) };
    let wide = |host| Vm { vcpus: 4, ..vm(1, Some(host)) };
    let vms = vec![wide(0), wide(0), wide(1)];
    let hosts = vec![limited(0), limited(8), limited(7)];
    let problem = Problem { hosts, vms, ..Problem::default() };
    let verdict = max_failures(&problem, &Budget::default());
    assert_eq!(verdict.max, 1);
    assert!(place(&problem, &[0, 1]).is_err());
    let full = Host { slots: Some(1), ..host(100) };
    let hosts = vec![host(0), full.clone(), full];
    let problem = Problem { hosts, vms: vec![vm(1, Some(0)); 3], ..Problem::default() };
    let outcome = tolerates(&problem, 1, &Budget::default());
    let Outcome::No(Some(breaking)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((breaking.hosts, breaking.why), (vec![0], Why::Total));
}

#[test]
fn recovery_keeps_room_for_the_failure_to_come() {
    // The usual rule spreads the small VM away from the fuller host, where the large one must go.
    let hosts = vec![host(0), host(10), host(2), host(0)];
    let vms = vec![vm(2, Some(0)), vm(10, Some(3))];
    let problem = Problem { hosts, vms, ..Problem::default() };
    assert_eq!(place(&problem, &[0]), Ok(vec![(0, 1)]));
    assert_eq!(place_ahead(&problem, &[0], &[0], 1).placed, [(0, 2)]);
}

#[test]
fn a_caller_with_a_clock_can_stop_the_work() {
    let sizes = (0..60).map(|at| 1_000 + (at * 7_919) % 997);
    let vms: Vec<Vm> = sizes.map(|size| vm(size, Some(0))).collect();
    let all: u64 = vms.iter().map(|vm| vm.memory).sum();
    let hosts = std::iter::once(host(0)).chain((0..20).map(|_| host(all / 20 + 1))).collect();
    let problem = Problem { hosts, vms, ..Problem::default() };
    static TICKS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let now = || TICKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let budget = Budget { nodes: u64::MAX, time: Some(TimeLimit { now, most: 3 }) };
    let outcome = tolerates(&problem, 1, &budget);
    assert!(matches!(outcome, Outcome::NotProved { .. }), "{outcome:?}");
    assert!(!max_failures(&problem, &budget).proved);
}
