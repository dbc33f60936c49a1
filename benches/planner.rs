//! The planner beside the peer's two rules and beside trying everything, in one run.
//!
//! `cargo bench --bench planner` prints the short tables, in less than a minute; with `-- --full`
//! all loads from 50 to 95 % and more seeds, with `-- --guards` that table alone.

#[path = "planner/brute.rs"]
mod brute;
#[path = "planner/peer.rs"]
mod peer;
#[path = "planner/pools.rs"]
mod pools;
#[path = "planner/rows.rs"]
mod rows;
#[path = "planner/table.rs"]
mod table;

use std::time::Duration;

use peer::Rule;
use pools::{SIZES, Seeded, Sizes};
use table::{head, machine, ms, ratio, row, timed, word};
use xe::plan::{
    Budget, Outcome, Problem, Sequences, Standing, check, guard, max_failures, one_by_one,
    tolerates,
};

/// Hosts, VMs and numbers of failures.
const POOLS: [(usize, usize, &[usize]); 5] = [
    (16, 640, &[2, 3]),
    (32, 1_280, &[2]),
    (64, 2_560, &[3]),
    (256, 10_240, &[3]),
    (1_000, 50_000, &[1, 3, 10, 100]),
];

/// Hosts, VMs on each, failures: where the answer is near its change.
const TIGHT: [(usize, usize, usize); 6] =
    [(16, 30, 4), (32, 3, 2), (32, 8, 2), (32, 20, 2), (32, 40, 2), (64, 40, 3)];

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words.iter().any(|word| word == "--test" || word == "--list") {
        return;
    }
    let full = words.iter().any(|word| word == "--full");
    if words.iter().any(|word| word == "--guards") {
        return guards();
    }
    println!("Machine: {}", machine());
    sizes(full);
    guards();
    tight(full);
    small(full);
    pessimism(full);
    println!("\nMachine at the end: {}", machine());
}

/// Large pools at fixed loads, beside the rule that the peer takes for them.
fn sizes(full: bool) {
    let loads: &[f64] =
        if full { &[0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95] } else { &[0.5, 0.8, 0.95] };
    println!("\n## Pools, ours beside the peer");
    head(&["instance", "r", "ours", "time", "peer", "its rule", "time", "peer / ours"]);
    for (hosts, vms, failures) in POOLS {
        for sizes in SIZES {
            let seeded = Seeded::new(hosts, vms, sizes, 1);
            for load in loads {
                let problem = seeded.at(*load);
                failures.iter().for_each(|r| beside_the_peer(&problem, sizes, *load, *r));
            }
        }
    }
}

fn beside_the_peer(problem: &Problem, sizes: Sizes, load: f64, r: usize) {
    let (ours, our_time) = timed(|| tolerates(problem, r, &Budget::default()));
    let rule = peer::rule(problem, r);
    let (theirs, their_time) = timed(|| peer::tolerates(problem, r, rule));
    let (hosts, vms) = (problem.hosts.len(), problem.vms.len());
    row(&[
        &format!("{hosts} x {vms}, {}, {:.0} %", sizes.name(), load * 100.0),
        &r.to_string(),
        word(&ours),
        &ms(our_time),
        if theirs { "yes" } else { "no" },
        if rule == Rule::Orders { "orders" } else { "estimate" },
        &ms(their_time),
        &ratio(their_time, our_time),
    ]);
}

/// What a guard costs: from scratch, and on a pool that stands.
fn guards() {
    println!("\n## Guards: may this VM start?");
    head(&["pool", "r", "from scratch", "on a standing pool"]);
    for (hosts, vms, r) in [(64, 2_560, 3), (1_000, 50_000, 3)] {
        for sizes in SIZES {
            let before = Seeded::new(hosts, vms, sizes, 1).at(0.8);
            let start = before.run(0, 1);
            let stand = || Standing::new(before.clone(), r, Budget::default());
            let (_, scratch) = timed(|| guard(&mut stand(), &start));
            let mut standing = stand();
            standing.answer();
            let (_, stood) = timed(|| guard(&mut standing, &start));
            let name = format!("{hosts} x {vms}, {}, 80 %", sizes.name());
            row(&[&name, &r.to_string(), &ms(scratch), &ms(stood)]);
        }
    }
    rows::guards();
}

/// Counts of one row of the hard set.
#[derive(Default)]
struct Count {
    yes: usize,
    no: usize,
    given_up: usize,
    peer_yes: usize,
    orders_kept: usize,
    times: Vec<Duration>,
}

/// The hard set: loads around the one at which the answer changes.
fn tight(full: bool) {
    let seeds = if full { 5 } else { 2 };
    println!("\n## The tight zone: nine loads around the change of the answer, {seeds} seeds each");
    head(&[
        "pool",
        "r",
        "yes",
        "no",
        "given up",
        "peer yes",
        "yes in every order",
        "median",
        "worst",
    ]);
    for (hosts, each, r) in TIGHT {
        for sizes in SIZES {
            let mut count = Count::default();
            (1..=seeds).for_each(|seed| around_the_edge((hosts, each, r), sizes, seed, &mut count));
            count.times.sort_unstable();
            let cells = [count.yes, count.no, count.given_up, count.peer_yes, count.orders_kept];
            let cells = cells.map(|count| count.to_string());
            let name = format!("{hosts} x {}, {}", hosts * each, sizes.name());
            let (median, worst) = (count.times[count.times.len() / 2], count.times.last());
            let [yes, no, given_up, peer, orders] = &cells;
            let worst = ms(worst.copied().unwrap_or_default());
            row(&[&name, &r.to_string(), yes, no, given_up, peer, orders, &ms(median), &worst]);
        }
    }
}

fn around_the_edge(
    (hosts, each, r): (usize, usize, usize),
    sizes: Sizes,
    seed: u64,
    count: &mut Count,
) {
    let seeded = Seeded::new(hosts, hosts * each, sizes, seed);
    let edge = seeded.edge(r);
    for step in -4..=4 {
        let problem = seeded.at(edge * (1.0 + 0.002 * f64::from(step)));
        let began = std::time::Instant::now();
        let outcome = tolerates(&problem, r, &Budget::default());
        count.times.push(began.elapsed());
        match &outcome {
            Outcome::Yes { .. } => {
                count.yes += 1;
                count.peer_yes +=
                    usize::from(peer::tolerates(&problem, r, peer::rule(&problem, r)));
                let budget = Budget::steps(Budget::default().nodes / 4);
                let kept = one_by_one(&problem, r, &budget) == Sequences::Kept;
                count.orders_kept += usize::from(kept);
            }
            Outcome::No(breaking) => {
                count.no += 1;
                let checked = breaking.as_ref().map(|breaking| check::no(&problem, breaking));
                assert!(checked.is_none_or(|checked| checked.is_ok()), "a no that is none");
            }
            Outcome::NotProved { .. } => count.given_up += 1,
        }
    }
}

/// Small pools beside trying everything.
fn small(full: bool) {
    let pools = if full { 400 } else { 60 };
    println!("\n## Small pools beside brute force");
    head(&["pools", "agree", "ours, all", "brute force, all", "brute force / ours"]);
    for (hosts, vms, r) in [(4, 16, 1), (6, 18, 2), (7, 28, 2)] {
        let (mut ours, mut brute, mut agree) = (Duration::ZERO, Duration::ZERO, 0);
        for seed in 0..pools {
            let sizes = SIZES[seed as usize % SIZES.len()];
            let seeded = Seeded::new(hosts, vms, sizes, seed);
            let problem = seeded.at(0.5 + 0.04 * (seed % 9) as f64);
            let (answer, time) = timed(|| tolerates(&problem, r, &Budget::default()));
            let (truth, their_time) = timed(|| brute::tolerates(&problem, r));
            (ours, brute) = (ours + time, brute + their_time);
            agree += usize::from(matches!(answer, Outcome::Yes { .. }) == truth);
        }
        let name = format!("{pools} of {hosts} x {vms}, r = {r}");
        let agree = format!("{agree} of {pools}");
        row(&[&name, &agree, &ms(ours), &ms(brute), &ratio(brute, ours)]);
    }
}

/// Sums over the pools of one row.
#[derive(Default)]
struct Sums {
    /// Pools and failures for which the peer says less than is true of failures together.
    less: usize,
    lost: usize,
    /// Failures by which it says less than we know to be kept one by one, and more.
    lost_in_order: usize,
    known_in_order: usize,
    /// Pools for which it says more than is true, and those that we did not prove.
    more: usize,
    unproved: usize,
}

/// How often each planner says less than is true.
fn pessimism(full: bool) {
    let seeds = if full { 30 } else { 10 };
    println!("\n## Pessimism: largest number of failures, {seeds} pools each, loads 50 to 95 %");
    head(&[
        "pools",
        "peer says less",
        "failures lost",
        "of those kept in any order",
        "kept in any order, peer only",
        "peer says too much",
        "ours not proved",
    ]);
    for (hosts, each) in [(8, 10), (16, 40), (32, 40), (64, 40)] {
        for sizes in SIZES {
            let mut sums = Sums::default();
            for seed in 1..=seeds {
                let seeded = Seeded::new(hosts, hosts * each, sizes, seed);
                sums.add(&seeded.at(0.5 + 0.05 * (seed % 10) as f64));
            }
            let Sums { less, lost, lost_in_order, known_in_order, more, unproved } = sums;
            let cells = [less, lost, lost_in_order, known_in_order, more, unproved];
            let cells = cells.map(|count| count.to_string());
            let name = format!("{hosts} x {}, {}", hosts * each, sizes.name());
            let words: Vec<&str> =
                std::iter::once(&name).chain(&cells).map(String::as_str).collect();
            row(&words);
        }
    }
}

impl Sums {
    fn add(&mut self, problem: &Problem) {
        let ours = max_failures(problem, &Budget::steps(Budget::default().nodes / 10));
        let theirs = peer::max_failures(problem);
        self.less += usize::from(theirs < ours.max);
        self.lost += ours.max.saturating_sub(theirs);
        self.lost_in_order += ours.max_one_by_one.saturating_sub(theirs);
        self.known_in_order += theirs.saturating_sub(ours.max_one_by_one);
        self.more += usize::from(theirs > ours.max && ours.proved);
        self.unproved += usize::from(!ours.proved);
    }
}
