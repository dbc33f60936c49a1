//! The questions: does a pool tolerate `r` failures, and how many does it tolerate?

use super::classes::{Coming, Sums};
use super::field::Field;
use super::meter::Meter;
use super::ranges::{Sizes, prove};
use super::sequence;
use super::sets::Sets;
use super::starts::{self, Answer};
use super::{Budget, Outcome, Problem, Sequences, Verdict};

/// Whether every set of `r` hosts has a plan.
pub fn tolerates(problem: &Problem, r: usize, budget: &Budget) -> Outcome {
    ask(problem, r, false, &mut Meter::of(budget))
}

/// The same with a certificate that leaves nothing open: a placement for every set that the bounds
/// do not answer. It costs more, since no set is spared for being easier than another.
pub fn certify(problem: &Problem, r: usize, budget: &Budget) -> Outcome {
    ask(problem, r, true, &mut Meter::of(budget))
}

fn ask(problem: &Problem, r: usize, keep: bool, meter: &mut Meter) -> Outcome {
    outcome(together(problem, r, keep, meter), r, meter)
}

/// The answer with what the bounds say about sequences.
pub fn outcome(answer: Answer, r: usize, meter: &Meter) -> Outcome {
    let Answer { sets, starts, field } = answer;
    match sets {
        Sets::Safe(certificate) => {
            let kept = sequence::bounded(&field, r);
            let one_by_one = if kept { Sequences::Kept } else { Sequences::NotProved };
            Outcome::Yes { certificate, starts, one_by_one }
        }
        Sets::Broken(breaking) => Outcome::No(breaking),
        Sets::Unknown => Outcome::NotProved { nodes: meter.used() },
    }
}

/// Whether recovery places everything when `r` hosts fail one after the other, in whatever order;
/// played where the bounds do not answer. Halted protected VMs are taken to have started.
pub fn one_by_one(problem: &Problem, r: usize, budget: &Budget) -> Sequences {
    let mut meter = Meter::of(budget);
    let Answer { sets, field, .. } = together(problem, r, false, &mut meter);
    match sets {
        Sets::Safe(_) => sequence::play(&field, r, &mut meter),
        Sets::Broken(Some(breaking)) if r == 1 => {
            Sequences::Breaks { hosts: breaking.hosts, vm: breaking.vm }
        }
        Sets::Broken(_) | Sets::Unknown => Sequences::NotProved,
    }
}

/// All sets of `r` hosts, and of fewer where these are not easier: with VMs that are excused
/// somewhere.
pub fn together(problem: &Problem, r: usize, keep: bool, meter: &mut Meter) -> Answer {
    if problem.excuse_doomed && !Field::new(problem).doomed(problem, r).is_empty() {
        for fewer in 0..r {
            let answer = starts::tolerates(problem, fewer, false, meter);
            if !matches!(answer.sets, Sets::Safe(_)) {
                return answer;
            }
        }
    }
    starts::tolerates(problem, r, keep, meter)
}

/// The largest number of failures that the pool tolerates, within the budget for all of it.
pub fn max_failures(problem: &Problem, budget: &Budget) -> Verdict {
    let mut meter = Meter::of(budget);
    let mut verdict = climb(problem, &mut meter);
    let field = Field::new(problem);
    verdict.doomed = field.doomed(problem, verdict.max + 1);
    verdict.max_of_savable = verdict.max;
    if !verdict.doomed.is_empty() && !problem.excuse_doomed {
        let excused = Problem { excuse_doomed: true, ..problem.clone() };
        let others = climb(&excused, &mut meter.beside(budget.nodes / 4)).max;
        verdict.max_of_savable = verdict.max.max(others);
    }
    verdict
}

/// From the number that the bounds alone prove upwards.
fn climb(problem: &Problem, meter: &mut Meter) -> Verdict {
    let enabled = problem.hosts.iter().filter(|host| host.enabled).count();
    let mut verdict = Verdict {
        max: 0,
        startable: true,
        proved: true,
        counterexample: None,
        starts: Vec::new(),
        one_by_one: Sequences::NotProved,
        max_one_by_one: 0,
        doomed: Vec::new(),
        max_of_savable: 0,
    };
    let first = if problem.excuse_doomed { 0 } else { bounded(problem, enabled, meter) };
    let mut best = None;
    for r in first..=enabled {
        let answer = starts::tolerates(problem, r, false, meter);
        match answer.sets {
            Sets::Safe(_) => {
                verdict.max = r;
                best = Some(answer);
                continue;
            }
            Sets::Broken(breaking) => verdict.counterexample = breaking,
            Sets::Unknown => verdict.proved = false,
        }
        verdict.startable = r > 0;
        break;
    }
    if let Some(Answer { starts, field, .. }) = best {
        verdict.starts = starts;
        let mut meter = meter.beside((meter.left() + meter.used()) / 4);
        (verdict.max_one_by_one, verdict.one_by_one) =
            sequence::climb(&field, verdict.max, &mut meter);
    }
    verdict
}

/// The largest `r` that the bounds answer for, halted VMs started by the rule of recovery.
fn bounded(problem: &Problem, enabled: usize, meter: &mut Meter) -> usize {
    let field = Field::new(problem);
    let halted = starts::halted(problem, &field);
    let Ok((field, _)) = starts::at_once(problem, &field, &halted, meter) else { return 0 };
    let hosts = field.targets();
    let (sums, sizes) = (Sums::new(&field, &hosts), Sizes::new(&field, &hosts));
    let (mut yes, mut no) = (0, enabled + 1);
    while no - yes > 1 {
        // Small numbers are the likely ones.
        let middle = if yes < 4 && no > 8 { yes + 1 } else { usize::midpoint(yes, no) };
        let proof = prove(&field, &hosts, &sums, &sizes, (middle, Coming::Together));
        let looks = (proof.closed.len() + 2 * proof.open.len() + 1) * hosts.len();
        if meter.spend(looks as u64 * 10).is_none() {
            break;
        }
        if proof.open.is_empty() { yes = middle } else { no = middle }
    }
    yes
}
