//! `xe lab times`: real heartbeat daemons without agents, measured from outside.
//!
//! | to find | look in |
//! |---|---|
//! | the words, and what they mean | [`words`] |
//! | the daemons that are measured | [`rig`], [`session`], [`network`], [`leash`] |
//! | a fault and its figures | [`harm`], [`watch`], [`trial`], [`row`] |
//! | disturbances that must harm nobody | [`disturb`], [`burn`] |
//! | what daemons use | [`steady`], [`usage`], [`crowd`] |

pub mod burn;
pub mod crowd;
pub mod disturb;
pub mod harm;
pub mod leash;
pub mod network;
pub mod rig;
pub mod row;
pub mod session;
pub mod steady;
pub mod trial;
pub mod usage;
pub mod watch;
pub mod words;

use anyhow::bail;

use super::print;
use disturb::Path;
use row::Row;
use trial::Trial;
use words::{Task, Wish};

/// Measures; fails when a host was reset that suffered nothing, or something did not happen.
pub fn run(mut wish: Wish) -> anyhow::Result<()> {
    rig::check_dir(&wish.build.dir)?;
    if let Err(why) = network::namespaces_possible(wish.build.hosts)
        && wish.build.namespaces
    {
        wish.build.namespaces = false;
        eprintln!("loopback addresses and simulated cuts instead of namespaces: {why}");
    }
    match &wish.task {
        Task::Faults { trials, runs } => faults(&wish, trials, *runs),
        Task::Disturb { paths, rounds } => disturbances(&wish, paths, *rounds),
        Task::Steady { seconds } => {
            let steady = steady::run(&wish.build, *seconds)?;
            match wish.json {
                true => steady.objects(&wish.build).iter().for_each(|o| print(&o.to_string())),
                false => print(&steady.show()),
            }
            Ok(())
        }
        Task::Crowd { lost } => {
            let crowd = crowd::run(&wish.build, *lost)?;
            print(&match wish.json {
                true => crowd.object(&wish.build).to_string(),
                false => crowd.show(&wish.build),
            });
            match (crowd.false_fences, crowd.excluded) {
                (0, Some(_)) => Ok(()),
                (0, None) => bail!("the lost hosts were not excluded"),
                (count, _) => bail!("{count} hosts were reset that suffered nothing"),
            }
        }
        Task::Burn { how_long } => {
            let burn = burn::run(&wish.build, *how_long)?;
            print(&match wish.json {
                true => burn.object(&wish.build).to_string(),
                false => burn.show(&wish.build),
            });
            harmless(burn.fenced)
        }
    }
}

fn harmless(fenced: usize) -> anyhow::Result<()> {
    match fenced {
        0 => Ok(()),
        count => bail!("{count} hosts were reset that should not be"),
    }
}

fn faults(wish: &Wish, trials: &[Trial], runs: usize) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for trial in trials {
        eprintln!("{} on the {}, {runs} times", trial.harm.word(), trial.on());
        let outcomes = trial::beside(wish.at_once, runs, |_| trial.run(&wish.build))?;
        let row = Row::new(*trial, &wish.build, outcomes);
        if wish.json {
            print(&row.object().to_string());
        }
        rows.push(row);
    }
    if !wish.json {
        let word = if wish.build.namespaces { "namespaces" } else { "loopback" };
        let (hosts, timeout) = (wish.build.hosts, wish.build.timeout_s);
        print(&format!("{hosts} hosts, T={timeout}, network: {word}\n{}", row::show(&rows)));
    }
    let too_early = rows.iter().map(Row::too_early).sum::<usize>();
    anyhow::ensure!(too_early == 0, "in {too_early} runs a host was known dead before its reset");
    let missing = rows.iter().map(|row| row.missing().len()).sum::<usize>();
    harmless(rows.iter().map(Row::false_fences).sum())?;
    anyhow::ensure!(missing == 0, "in {missing} runs something did not happen");
    Ok(())
}

fn disturbances(wish: &Wish, paths: &[(&'static str, Path)], rounds: usize) -> anyhow::Result<()> {
    let tallies = trial::beside(wish.at_once, paths.len(), |number| {
        let path = paths[number];
        eprintln!("{}, {rounds} times", path.0);
        let tally = disturb::run(&wish.build, path, rounds)?;
        if wish.json {
            print(&tally.object(&wish.build).to_string());
        }
        Ok(tally)
    })?;
    if !wish.json {
        print(&disturb::show(&tallies));
    }
    harmless(tallies.iter().map(|tally| tally.fenced).sum())
}
