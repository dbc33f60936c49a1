//! What the planner's answers must hold; `definition` is against trying every placement.

mod brute;
mod certificates;
mod definition;
mod pools;
mod standing;

use super::*;

fn host(free: u64) -> Host {
    Host { id: String::new(), total: free, free, enabled: true, ..Host::default() }
}

fn vm(memory: u64, host: Option<usize>) -> Vm {
    Vm { id: String::new(), memory, host, protected: true, ..Vm::default() }
}

#[test]
fn a_used_up_budget_is_not_proved_and_says_so() {
    let hosts = vec![host(0), host(60), host(60), host(61)];
    let vms = [31, 30, 29, 31, 30, 30].map(|size| vm(size, Some(0))).to_vec();
    let problem = Problem { hosts, vms, ..Problem::default() };
    let outcome = tolerates(&problem, 1, &Budget { nodes: 1 });
    assert!(matches!(outcome, Outcome::NotProved { nodes: 1 }), "{outcome:?}");
    let verdict = max_failures(&problem, &Budget { nodes: 1 });
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
    let before =
        Problem { hosts: vec![host(8), host(8)], vms: vec![vm(6, Some(0))], ..Problem::default() };
    let mut after = before.clone();
    after.vms.push(vm(4, Some(1)));
    after.hosts[1].free = 4;
    let judged = guard(&before, &after, 1, &Budget::default());
    assert_eq!(judged, Guard::Breaks { hosts: vec![0], vms: vec![0], proved: true });
    assert_eq!(guard(&before, &before, 1, &Budget::default()), Guard::Holds);
    assert_eq!(guard(&after, &after, 1, &Budget::default()), Guard::NoPlanBefore);
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
    let moves = evacuation(&problem, 0);
    assert_eq!(moves[0], Evacuation { vm: 1, target: Ok(1) });
    assert!(moves[1].target.as_ref().unwrap_err().contains("beside the other VMs"));
    assert!(moves[2].target.as_ref().unwrap_err().contains("9 bytes"));
    assert_eq!(moves.len(), 3);
}
