//! The planner against counting every placement, and what its answers must hold.

use super::*;
use proptest::prelude::*;

fn host(free: u64) -> Host {
    Host { id: String::new(), total: free, free, enabled: true, ..Host::default() }
}

fn vm(memory: u64, host: Option<usize>) -> Vm {
    Vm { id: String::new(), memory, host, protected: true, ..Vm::default() }
}

/// All ways to put `items` on `targets`, by trying each.
fn fits(problem: &Problem, room: &mut Vec<u64>, items: &[usize], targets: &[usize]) -> bool {
    let Some((first, rest)) = items.split_first() else { return true };
    let vm = &problem.vms[*first];
    targets.iter().any(|target| {
        let allowed = vm.allowed.as_ref().is_none_or(|allowed| allowed.contains(target));
        if !allowed || room[*target] < vm.memory {
            return false;
        }
        room[*target] -= vm.memory;
        let done = fits(problem, room, rest, targets);
        room[*target] += vm.memory;
        done
    })
}

fn survives_all(problem: &Problem, r: usize) -> bool {
    let enabled: Vec<usize> =
        (0..problem.hosts.len()).filter(|host| problem.hosts[*host].enabled).collect();
    (0u32..1 << enabled.len()).filter(|set| set.count_ones() as usize == r).all(|set| {
        let (failed, targets): (Vec<_>, Vec<_>) =
            enabled.iter().enumerate().partition(|(at, _)| set & (1 << at) != 0);
        let failed: Vec<usize> = failed.into_iter().map(|(_, host)| *host).collect();
        let targets: Vec<usize> = targets.into_iter().map(|(_, host)| *host).collect();
        let lost: Vec<usize> = (0..problem.vms.len())
            .filter(|vm| problem.vms[*vm].protected)
            .filter(|vm| problem.vms[*vm].host.is_some_and(|host| failed.contains(&host)))
            .collect();
        let mut room = problem.hosts.iter().map(|host| host.free).collect();
        fits(problem, &mut room, &lost, &targets)
    })
}

/// The definition, word by word: some way to start the halted VMs after which every set fits.
fn brute_force(problem: &Problem, r: usize) -> bool {
    let halted = (0..problem.vms.len()).find(|vm| {
        let vm = &problem.vms[*vm];
        vm.protected && vm.host.is_none_or(|host| !problem.hosts[host].enabled)
    });
    let Some(halted) = halted else { return survives_all(problem, r) };
    let vm = &problem.vms[halted];
    (0..problem.hosts.len()).any(|host| {
        let target = &problem.hosts[host];
        let allowed = vm.allowed.as_ref().is_none_or(|allowed| allowed.contains(&host));
        if !target.enabled || !allowed || target.free < vm.memory {
            return false;
        }
        let mut after = problem.clone();
        after.hosts[host].free -= vm.memory;
        after.vms[halted].host = Some(host);
        brute_force(&after, r)
    })
}

fn problems() -> impl Strategy<Value = Problem> {
    let hosts = prop::collection::vec((0u64..14, prop::bool::weighted(0.85)), 1..=5);
    hosts.prop_flat_map(|hosts| {
        let count = hosts.len();
        let vms = prop::collection::vec(
            (
                1u64..7,
                prop::option::weighted(0.8, 0..count),
                prop::bool::weighted(0.9),
                prop::option::weighted(0.2, prop::collection::btree_set(0..count, 0..=count)),
            ),
            0..=7,
        );
        vms.prop_map(move |vms| Problem {
            hosts: hosts
                .iter()
                .map(|(free, enabled)| Host { enabled: *enabled, ..host(*free) })
                .collect(),
            vms: vms
                .into_iter()
                .map(|(memory, at, protected, allowed)| Vm { protected, allowed, ..vm(memory, at) })
                .collect(),
            ..Problem::default()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_verdict_is_the_definition(problem in problems()) {
        let verdict = max_failures(&problem, &Budget::default());
        prop_assert!(verdict.proved);
        prop_assert_eq!(verdict.startable, brute_force(&problem, 0));
        if verdict.startable {
            prop_assert!(brute_force(&problem, verdict.max));
        }
        let enabled = problem.hosts.iter().filter(|host| host.enabled).count();
        let next = verdict.max + usize::from(verdict.startable);
        prop_assert!(next > enabled || !brute_force(&problem, next));
        if let Some(breaking) = &verdict.counterexample {
            let running: Vec<Vm> =
                problem.vms.iter().filter(|vm| vm.host.is_some()).cloned().collect();
            let running = Problem { vms: running, ..problem.clone() };
            prop_assert_eq!(breaking.hosts.len(), next);
            prop_assert!(place(&running, &breaking.hosts).is_err());
        }
    }

    #[test]
    fn recovery_finds_a_place_whenever_the_planner_promised_one(
        problem in problems(),
        at in 0usize..5,
    ) {
        let mut problem = problem;
        problem.vms.retain(|vm| vm.host.is_some_and(|host| problem.hosts[host].enabled));
        let at = at % problem.hosts.len();
        let promised = matches!(tolerates(&problem, 1, &Budget::default()), Outcome::Yes { .. });
        if promised && problem.hosts[at].enabled {
            let placed = place(&problem, &[at]);
            prop_assert!(placed.is_ok());
            let mut room: Vec<u64> = problem.hosts.iter().map(|host| host.free).collect();
            for (vm, target) in placed.unwrap() {
                prop_assert!(target != at && problem.hosts[target].enabled);
                prop_assert!(room[target] >= problem.vms[vm].memory);
                room[target] -= problem.vms[vm].memory;
            }
        }
    }
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
