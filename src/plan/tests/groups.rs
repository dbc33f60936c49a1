//! Anti-affinity spreads where that costs nothing, and is named where it is ignored.

use crate::plan::*;

fn host(free: u64) -> Host {
    Host { free, enabled: true, ..Host::default() }
}

fn member(memory: u64, host: Option<usize>) -> Vm {
    Vm { memory, host, protected: true, group: Some(7), ..Vm::default() }
}

#[test]
fn a_group_goes_where_fewest_of_it_are() {
    let vms = vec![member(1, Some(0)), member(1, Some(1)), member(1, None), member(1, None)];
    let hosts = vec![host(9), host(3), host(2), host(2)];
    let problem = Problem { hosts, vms, ..Problem::default() };
    let placement = place_most(&problem, &[], &[2, 3]);
    assert_eq!(placement.placed, [(2, 2), (3, 3)]);
    assert!(placement.crowded.is_empty());
}

#[test]
fn what_does_not_fit_spread_is_at_least_parted() {
    // Spread, the small ones take the room that the large one needs.
    let large = Vm { memory: 6, protected: true, ..Vm::default() };
    let vms = vec![large, member(3, None), member(3, None), member(2, None)];
    let problem = Problem { hosts: vec![host(8), host(6)], vms, ..Problem::default() };
    let placement = place_most(&problem, &[], &[0, 1, 2, 3]);
    assert!(placement.left.is_empty());
    assert!(placement.crowded.is_empty());
}

#[test]
fn a_group_that_only_fits_on_one_host_is_started_and_named() {
    let vms = vec![member(3, None), member(3, None)];
    let problem = Problem { hosts: vec![host(7), host(2)], vms, ..Problem::default() };
    let placement = place_most(&problem, &[], &[0, 1]);
    assert_eq!(placement.placed, [(0, 0), (1, 0)]);
    assert_eq!(placement.crowded, [7]);
}
