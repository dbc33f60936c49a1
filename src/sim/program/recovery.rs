//! `xe-sim recovery`: hosts of a large pool die together; what is planned, started, and when.

use std::process::ExitCode;

use super::run::cpu_seconds;
use super::words;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::recovery::{Action, Event, Pool, Recovery};
use crate::sim::world::{Setting, World};

/// What came of it; times are seconds after the deaths.
#[derive(Debug)]
struct Outcome {
    /// CPU seconds of the first look, which plans all that was lost.
    plan_cpu_s: f64,
    /// Protected and best-effort VMs that ran on the lost hosts.
    lost: (usize, usize),
    /// When the master knew the hosts dead.
    known: f64,
    /// When each start was decided.
    began: Vec<f64>,
    /// When each VM that was started ran.
    ran: Vec<f64>,
    /// The orders of the starts; each order's class is part of the sequence.
    orders: Vec<i64>,
    /// The most starts under way on one host, and in the pool.
    most: (usize, usize),
    /// VMs that were started more than once.
    repeated: usize,
    /// Protected VMs that are not back.
    missing: usize,
    /// The first rule that did not hold.
    broken: Option<String>,
    /// Simulated seconds of the whole, and the CPU seconds of this.
    simulated_s: f64,
    cpu_s: f64,
}

pub(super) fn main(words: &[String]) -> Result<ExitCode, String> {
    let asked = words::parse(words)?;
    let (hosts, vms) = (asked.wanted.hosts.unwrap_or(64), asked.vms.unwrap_or(2560));
    let dies = asked.dies.unwrap_or(3);
    if !asked.names.is_empty() || dies == 0 || dies * 2 >= hosts {
        return Err("fewer than half of the hosts may die".to_owned());
    }
    let mut setting = Setting::of(hosts, asked.wanted.timeout_s.unwrap_or(30));
    setting.vms = vms;
    // Full to nine tenths, so that places have to be looked for.
    setting.room = (vms.div_ceil(hosts) * 10).div_ceil(9) as u64;
    let outcome = play(setting, dies)?;
    let good = outcome.missing == 0 && outcome.broken.is_none();
    print(&outcome, asked.json);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play(setting: Setting, dies: usize) -> Result<Outcome, String> {
    let begun_cpu = cpu_seconds();
    let (hosts, timeout_s) = (setting.hosts, u64::from(setting.timeout_s));
    let mut world = World::with(setting, 1).map_err(|why| why.to_string())?;
    world.form();
    world.tolerate(dies as u64);
    world.run(5);
    let master = *world.acting().first().ok_or("the pool has no master")?;
    let dead: Vec<usize> = (0..hosts).rev().filter(|host| *host != master).take(dies).collect();
    let (lost, plan_cpu_s) = plan(world.policy_rows(master), &world, &dead);
    let died = world.now;
    dead.iter().for_each(|host| world.crash(*host));
    // Every lost VM may have its start after the other, in the worst case.
    let limit = 4 * timeout_s + 60 + 4 * (lost.0 + lost.1) as u64;
    while world.now < died + limit * SECOND && !knows_all(&world, &dead) {
        world.run_for(SECOND / 100);
    }
    let known = world.now;
    world.run_until(limit, |world| world.vms_missing().is_empty());
    world.run(timeout_s);
    let since = |at: Nanos| at.saturating_sub(died) as f64 / SECOND as f64;
    let mut started: Vec<usize> = world.people.began.iter().map(|began| began.vm).collect();
    started.sort_unstable();
    let all = started.len();
    started.dedup();
    Ok(Outcome {
        plan_cpu_s,
        lost,
        known: since(known),
        began: world.people.began.iter().map(|began| since(began.at)).collect(),
        ran: world.people.ran.iter().map(|(at, _)| since(*at)).collect(),
        orders: world.orders(),
        most: world.people.most,
        repeated: all - started.len(),
        missing: world.vms_missing().len(),
        broken: world.violation().map(ToString::to_string),
        simulated_s: since(world.now),
        cpu_s: cpu_seconds() - begun_cpu,
    })
}

fn knows_all(world: &World, dead: &[usize]) -> bool {
    let acting = world.acting();
    acting.iter().any(|master| dead.iter().all(|host| world.knows_dead(*master, *host)))
}

/// What is lost with these hosts, and the CPU time of the look that plans all of it at once.
fn plan(mut rows: Pool, world: &World, dead: &[usize]) -> ((usize, usize), f64) {
    let failed: Vec<_> = dead.iter().map(|host| world.uuids[*host]).collect();
    let mut lost = (0, 0);
    for host in rows.hosts.iter_mut().filter(|host| failed.contains(&host.boot.host)) {
        host.live = false;
        rows.dead.insert(host.boot.clone());
    }
    for vm in &rows.vms {
        if vm.residence.as_ref().is_some_and(|boot| failed.contains(&boot.host)) {
            let count = if vm.protected() { &mut lost.0 } else { &mut lost.1 };
            *count += 1;
        }
    }
    let begun = cpu_seconds();
    let actions = Recovery::default().step(Default::default(), &rows, Event::View { failed });
    let cpu = cpu_seconds() - begun;
    debug_assert!(actions.iter().any(|action| matches!(action, Action::Start { .. })));
    (lost, cpu)
}

fn print(outcome: &Outcome, json: bool) {
    let (first, last) = (outcome.began.first().copied(), outcome.began.last().copied());
    let span = last.zip(first).map_or(0.0, |(last, first)| last - first);
    let rate = outcome.began.len() as f64 / span.max(1e-9);
    let last_ran = outcome.ran.last().copied();
    if json {
        let object = serde_json::json!({
            "plan-cpu-seconds": outcome.plan_cpu_s,
            "lost-protected": outcome.lost.0, "lost-best-effort": outcome.lost.1,
            "starts": outcome.began.len(), "starts-per-second": rate,
            "known-dead": outcome.known,
            "first-start": first, "last-start": last, "last-running": last_ran,
            "orders": outcome.orders, "most-starts-on-a-host": outcome.most.0,
            "most-starts-in-the-pool": outcome.most.1, "started-again": outcome.repeated,
            "missing": outcome.missing, "violation": outcome.broken,
            "simulated-seconds": outcome.simulated_s, "cpu-seconds": outcome.cpu_s,
        });
        println!("{object}");
        return;
    }
    let at = |time: Option<f64>| time.map_or("never".to_owned(), |time| format!("{time:.1} s"));
    println!("lost                {} protected, {} best-effort", outcome.lost.0, outcome.lost.1);
    println!("first plan          {:.1} ms of CPU time", outcome.plan_cpu_s * 1000.0);
    println!("known to be dead    {} after the deaths", at(Some(outcome.known)));
    println!("first start         {}", at(first));
    println!("last start          {}", at(last));
    println!("last VM running     {}", at(last_ran));
    println!("starts              {}, {rate:.1} per second", outcome.began.len());
    println!("orders              {:?}", outcome.orders);
    println!("most at a time      {} on a host, {} in the pool", outcome.most.0, outcome.most.1);
    println!("started again       {}", outcome.repeated);
    println!("protected, missing  {}", outcome.missing);
    println!("what must hold      {}", outcome.broken.as_deref().unwrap_or("held"));
    println!("simulated           {:.0} s in {:.1} s of CPU", outcome.simulated_s, outcome.cpu_s);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_planned_and_comes_back_once_and_in_order() {
        let mut setting = Setting::of(8, 3);
        setting.vms = 80;
        setting.room = 16;
        let outcome = play(setting, 2).unwrap();
        assert_eq!((outcome.missing, outcome.repeated, outcome.broken), (0, 0, None));
        assert_eq!(outcome.began.len(), outcome.lost.0 + outcome.lost.1);
        assert_eq!(outcome.ran.len(), outcome.began.len());
        assert_eq!(outcome.orders, [0, 1], "protected ones first, which are of both orders");
        assert!(outcome.began.is_sorted() && outcome.most.0 <= 4);
    }
}
