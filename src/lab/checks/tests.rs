use super::*;

const SECOND: u64 = 1_000_000_000;
const FAULT: u64 = 100 * SECOND;

fn vm(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A run that writes five times a second.
fn span(number: u128, run: u64, from: u64, to: u64) -> Span {
    let times = (from * 5..to * 5).map(|fifth| fifth * SECOND / 5);
    let writes = times.zip(1..).map(|(t_ns, counter)| Write { t_ns, counter }).collect();
    Span { vm: vm(number), run, writes }
}

fn case(number: u128, order: i64, lost: bool) -> Case {
    Case { vm: vm(number), name: format!("vm{number}"), protected: true, order, lost }
}

fn start(number: u128, at: u64) -> Start {
    Start { vm: vm(number), run: 2, t_ns: at * SECOND }
}

/// VM 1 (order 0) and 2 (order 1) are lost at 100 s, dead at 110 s, restarted at 111 and 112 s;
/// VM 3 runs through elsewhere.
fn good() -> Evidence {
    Evidence {
        fault_ns: FAULT,
        end_ns: 130 * SECOND,
        old_end_ns: Some(110 * SECOND),
        pause_ns: 0,
        cases: vec![case(1, 0, true), case(2, 1, true), case(3, 0, false)],
        disks: vec![
            vec![span(1, 1, 90, 109), span(1, 2, 111, 130)],
            vec![span(2, 1, 90, 109), span(2, 2, 112, 130)],
            vec![span(3, 1, 90, 130)],
        ],
        starts: vec![start(1, 111), start(2, 112)],
        others_lost: Vec::new(),
    }
}

fn rules(evidence: &Evidence) -> Vec<&'static str> {
    let mut rules: Vec<_> = violations(evidence).iter().map(|v| v.rule).collect();
    rules.dedup();
    rules
}

#[test]
fn a_good_recovery_breaks_no_rule() {
    assert_eq!(violations(&good()), []);
}

#[test]
fn two_runs_that_take_turns_are_seen() {
    let mut evidence = good();
    let (before, after) = (span(1, 2, 111, 115), span(1, 2, 116, 130));
    evidence.disks[0] = vec![span(1, 1, 90, 109), before, span(1, 1, 115, 116), after];
    assert!(rules(&evidence).contains(&"interleaved"));
}

#[test]
fn one_run_in_two_places_is_seen_by_its_count() {
    let mut evidence = good();
    evidence.disks[2][0].writes[30].counter = 7;
    assert_eq!(rules(&evidence), ["interleaved"]);
}

#[test]
fn a_start_before_the_old_machine_has_ended_is_seen() {
    let mut evidence = good();
    evidence.old_end_ns = Some(111 * SECOND + 1);
    assert_eq!(rules(&evidence), ["early-start"]);
    evidence.old_end_ns = None;
    assert_eq!(violations(&evidence).len(), 2);
}

#[test]
fn a_start_out_of_order_is_seen() {
    let mut evidence = good();
    evidence.starts = vec![start(2, 111), start(1, 112)];
    assert_eq!(rules(&evidence), ["order"]);
    evidence.cases[1].order = 0;
    assert_eq!(violations(&evidence), []);
}

#[test]
fn a_canary_that_stands_still_is_seen_but_not_when_nobody_looked() {
    let mut evidence = good();
    evidence.disks[2][0].writes.retain(|w| w.t_ns < 115 * SECOND || w.t_ns > 119 * SECOND);
    assert_eq!(rules(&evidence), ["still"]);
    evidence.pause_ns = SECOND;
    assert_eq!(violations(&evidence), []);
}

#[test]
fn a_protected_vm_that_does_not_run_at_the_end_is_seen() {
    let mut evidence = good();
    evidence.disks[0][1].writes.retain(|w| w.t_ns < 125 * SECOND);
    assert_eq!(rules(&evidence), ["not-running"]);
    evidence.disks[0].truncate(1);
    assert_eq!(rules(&evidence), ["writes-after", "not-running"]);
    evidence.cases[0].protected = false;
    assert_eq!(violations(&evidence), []);
}

#[test]
fn too_few_writes_before_the_fault_are_seen() {
    let mut evidence = good();
    evidence.disks[1][0].writes.drain(..40);
    assert_eq!(violations(&evidence), []);
    evidence.disks[1][0].writes.retain(|w| w.t_ns >= FAULT - SECOND / 2);
    assert_eq!(rules(&evidence), ["writes-before"]);
}

#[test]
fn a_vm_whose_host_lived_is_never_started_anew() {
    let mut evidence = good();
    evidence.disks[2] = vec![span(3, 1, 90, 110), span(3, 2, 110, 130)];
    assert_eq!(rules(&evidence), ["stopped"]);
}

#[test]
fn a_second_host_that_ends_is_seen() {
    let mut evidence = good();
    evidence.others_lost = vec!["h3".to_owned()];
    assert_eq!(rules(&evidence), ["host-lost"]);
}
