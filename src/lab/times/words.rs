//! The words of `xe lab times`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};

use super::disturb::{self, Path};
use super::harm::{self, Harm};
use super::rig::{self, Build};
use super::trial::Trial;
use crate::heartbeat::timing::{LARGEST_T, SMALLEST_T};
use crate::heartbeat::view::MOST_HOSTS;

/// The word for every path that can be disturbed.
const EACH: &str = "each";

/// What is to be measured.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Faults, each so many times.
    Faults {
        /// Which, in the order of the table.
        trials: Vec<Trial>,
        /// How often each.
        runs: usize,
    },
    /// Disturbances of paths, so many times each.
    Disturb {
        /// Which paths, with their words.
        paths: Vec<(&'static str, Path)>,
        /// How often each.
        rounds: usize,
    },
    /// A quiet pool for so many seconds.
    Steady {
        /// The seconds.
        seconds: u64,
    },
    /// Many daemons, so many of which are lost at once.
    Crowd {
        /// How many are lost.
        lost: usize,
    },
    /// Busy processors for so long.
    Burn {
        /// How long.
        how_long: Duration,
    },
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// What is to be measured.
    pub task: Task,
    /// On what.
    pub build: Build,
    /// How many rigs may stand beside each other.
    pub at_once: usize,
    /// Whether namespaces were not wanted.
    pub loopback: bool,
    /// Objects for scripts.
    pub json: bool,
}

fn number(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help).value_parser(value_parser!(u32))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

/// The command.
pub fn command() -> Command {
    let faults = harm::WORDS.map(|(word, _)| word);
    Command::new("times")
        .about("Measure how soon heartbeat daemons fence, exclude and follow")
        .long_about(
            "Runs heartbeat daemons alone (no agents, no VMs), each with the keeper of its \
             watchdog, on one statefile; with root's rights each in a network namespace of its \
             own. Without one of --disturb, --steady, --crowd and --burn it loses a host by each \
             fault, each time in a fresh pool and at a random phase of the beat, and prints a \
             row a fault. Fails when a host was reset that suffered nothing, when one was known \
             dead before its reset, or when something did not happen at all.\n\n\
             With --json a row is an object on a line of its own: fenced, excluded, after_reset \
             and master are the worst of the runs in seconds, NAME_spread is smallest, middle \
             and largest.",
        )
        .arg(number("timeout", "T", "T in seconds; 10, or 30 / 60 / 3 with steady / crowd / burn"))
        .arg(number("hosts", "N", "How many hosts; 3, with --crowd 64 or as many as can be"))
        .arg(number("runs", "N", "How often each fault or disturbance").default_value("5"))
        .arg(
            Arg::new("fault")
                .long("fault")
                .value_name("FAULT")
                .help("Only this fault; may be given again")
                .action(ArgAction::Append)
                .value_parser(faults),
        )
        .arg(
            Arg::new("on")
                .long("on")
                .value_name("HOST")
                .help("Which host suffers")
                .default_value("both")
                .value_parser(["member", "master", "both"]),
        )
        .arg(number("at-once", "N", "How many pools beside each other").default_value("1"))
        .arg(flag("loopback", "Loopback addresses and simulated cuts, even for root"))
        .args(tasks())
        .group(ArgGroup::new("task").args(["disturb", "steady", "crowd", "burn"]))
        .arg(flag("json", "An object a row"))
        .arg(flag("early-exclusion", "Break the rules: hosts count as dead at once").hide(true))
        .arg(
            Arg::new("dir")
                .long("dir")
                .value_name("DIR")
                .help("Where the pools' directories are made; their disk carries the statefile")
                .value_parser(value_parser!(PathBuf)),
        )
}

fn tasks() -> [Arg; 4] {
    let only = |arg: Arg| arg.conflicts_with("fault");
    [
        Arg::new("disturb")
            .long("disturb")
            .value_name("PATH")
            .help("Disturb this path, or each, for as long as is promised to harm nobody")
            .num_args(0..=1)
            .default_missing_value(EACH)
            .conflicts_with("fault")
            .value_parser(
                disturb::PATHS.map(|(word, _)| word).into_iter().chain([EACH]).collect::<Vec<_>>(),
            ),
        only(number("steady", "SECONDS", "What quiet daemons use"))
            .num_args(0..=1)
            .default_missing_value("60"),
        only(number("crowd", "LOST", "Many daemons, of which so many are lost at once"))
            .num_args(0..=1)
            .default_missing_value("3"),
        Arg::new("burn")
            .long("burn")
            .value_name("MINUTES")
            .help("Keep every processor busy for so long")
            .num_args(0..=1)
            .default_missing_value("30")
            .conflicts_with("fault")
            .value_parser(value_parser!(f64)),
    ]
}

fn given_number(given: &ArgMatches, name: &str) -> Option<usize> {
    given.get_one::<u32>(name).and_then(|number| usize::try_from(*number).ok())
}

fn trials(given: &ArgMatches) -> Vec<Trial> {
    let asked: Vec<&String> = given.get_many::<String>("fault").unwrap_or_default().collect();
    let wanted = |word: &str| asked.is_empty() || asked.iter().any(|asked| *asked == word);
    let on = given.get_one::<String>("on").map_or("both", String::as_str);
    let faults: Vec<Harm> =
        harm::WORDS.iter().filter(|(word, _)| wanted(word)).map(|(_, harm)| *harm).collect();
    let on = [("member", false), ("master", true)]
        .into_iter()
        .filter(|(word, _)| on == "both" || on == *word);
    let on: Vec<bool> = on.map(|(_, on_master)| on_master).collect();
    let pairs = faults.iter().flat_map(|harm| on.iter().map(|on_master| (*harm, *on_master)));
    let early_exclusion = given.get_flag("early-exclusion");
    pairs.map(|(harm, on_master)| Trial { harm, on_master, early_exclusion }).collect()
}

fn paths(asked: &str) -> Vec<(&'static str, Path)> {
    disturb::PATHS.into_iter().filter(|(word, _)| asked == EACH || asked == *word).collect()
}

/// Understands the words.
pub fn wish(given: &ArgMatches) -> anyhow::Result<Wish> {
    let runs = given_number(given, "runs").unwrap_or(5);
    let minutes = given.get_one::<f64>("burn").copied();
    let (task, timeout, hosts) = if let Some(word) = given.get_one::<String>("disturb") {
        (Task::Disturb { paths: paths(word), rounds: runs }, 10, 3)
    } else if let Some(seconds) = given.get_one::<u32>("steady") {
        (Task::Steady { seconds: u64::from(*seconds) }, 30, 3)
    } else if let Some(lost) = given_number(given, "crowd") {
        (Task::Crowd { lost }, 60, 64.min(MOST_HOSTS))
    } else if let Some(minutes) = minutes {
        let how_long = Duration::try_from_secs_f64(minutes * 60.0)?;
        (Task::Burn { how_long }, 3, 3)
    } else {
        (Task::Faults { trials: trials(given), runs }, 10, 3)
    };
    let timeout_s = given.get_one::<u32>("timeout").copied().unwrap_or(timeout);
    let hosts = given_number(given, "hosts").unwrap_or(hosts);
    ensure!(
        (SMALLEST_T..=LARGEST_T).contains(&timeout_s),
        "T is at least {SMALLEST_T} and at most {LARGEST_T} seconds"
    );
    ensure!((2..=MOST_HOSTS).contains(&hosts), "a statefile holds 2 to {MOST_HOSTS} hosts");
    ensure!(runs > 0, "--runs 0 measures nothing");
    let dir = given.get_one::<PathBuf>("dir").cloned().unwrap_or_else(rig::default_dir);
    let loopback = given.get_flag("loopback");
    Ok(Wish {
        task,
        build: Build { dir, hosts, timeout_s, namespaces: !loopback },
        at_once: given_number(given, "at-once").unwrap_or(1),
        loopback,
        json: given.get_flag("json"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> anyhow::Result<Wish> {
        let words = std::iter::once("times").chain(line.split_whitespace());
        wish(&command().try_get_matches_from(words)?)
    }

    #[test]
    fn without_words_every_fault_hits_member_and_master_five_times() {
        let Wish { task: Task::Faults { trials, runs }, build, .. } = asked("").unwrap() else {
            panic!()
        };
        assert_eq!((trials.len(), runs), (2 * harm::WORDS.len(), 5));
        assert_eq!((build.hosts, build.timeout_s, build.namespaces), (3, 10, true));
    }

    #[test]
    fn faults_and_hosts_can_be_picked() {
        let wish = asked("--fault kill-xhad --fault net-cut --on master --runs 2 --json").unwrap();
        let trial = |harm| Trial { harm, on_master: true, early_exclusion: false };
        let trials = vec![trial(Harm::NetCut), trial(Harm::KillXhad)];
        assert_eq!(wish.task, Task::Faults { trials, runs: 2 });
        assert!(wish.json && !wish.loopback);
    }

    #[test]
    fn every_task_has_its_own_usual_size() {
        let steady = asked("--steady").unwrap();
        assert_eq!((steady.task, steady.build.timeout_s), (Task::Steady { seconds: 60 }, 30));
        let crowd = asked("--crowd").unwrap();
        assert_eq!((crowd.task, crowd.build.timeout_s), (Task::Crowd { lost: 3 }, 60));
        assert!(crowd.build.hosts > 16);
        let burn = asked("--burn 0.5 --timeout 5").unwrap();
        assert_eq!(burn.task, Task::Burn { how_long: Duration::from_secs(30) });
        assert_eq!(burn.build.timeout_s, 5);
        let each = Task::Disturb { paths: disturb::PATHS.to_vec(), rounds: 9 };
        assert_eq!(asked("--disturb --runs 9").unwrap().task, each);
        let stall = Task::Disturb { paths: vec![("stall", Path::Stall)], rounds: 5 };
        assert_eq!(asked("--disturb stall").unwrap().task, stall);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--fault kill-agent",
            "--timeout 2",
            "--hosts 1",
            "--hosts 100000",
            "--runs 0",
            "--disturb --steady",
            "--disturb cables",
            "--burn --fault net-cut",
            "--burn -1",
        ] {
            assert!(asked(line).is_err(), "{line}");
        }
    }
}
