//! The words of `xe lab …`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::demo::Trial;
use super::fault::{Fault, WORDS};
use super::fleet::Fleet;
use super::restarts::Case;
use super::setting;
use super::up::Wish;
use crate::heartbeat::node::MOST_LINKS;
use crate::host::hypervisor::Kind;

/// Understands the words after the program's name.
pub fn parse(words: &[String]) -> Result<ArgMatches, clap::Error> {
    let name = std::iter::once("xe lab".to_owned());
    command().try_get_matches_from(name.chain(words.iter().cloned()))
}

/// The commands.
pub fn command() -> Command {
    Command::new("xe lab")
        .bin_name("xe lab")
        .about("A pool on this machine, to play with and to test on")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(make("up", "Make a pool of hosts with VMs").args(pool_words(6)).args([
            flag("netns", "A network and PID namespace for each machine (root only)"),
            flag("no-ha", "Leave HA off"),
        ]))
        .subcommand(make("down", "End every machine; the histories stay"))
        .subcommand(make("status", "Show hosts and VMs"))
        .subcommand(make("env", "How xe reaches a host").args([
            Arg::new("host").value_name("HOST").help("A host's name or uuid; default h1"),
            flag("json", "An object with url, socket, username, password, host_uuid"),
        ]))
        .subcommand(
            make("fault", "Do something to a host").args([
                Arg::new("host").value_name("HOST").required(true),
                Arg::new("fault")
                    .value_name("FAULT")
                    .required(true)
                    .value_parser(fault_words(false)),
                flag("also-vm-disks", "Disk faults hit the VMs' disks too"),
                Arg::new("sr")
                    .long("sr")
                    .value_name("FOLDER")
                    .help("Disk faults hit only the heartbeat's and the database's volumes there"),
                Arg::new("link")
                    .long("link")
                    .value_name("N")
                    .help("Network faults hit only this link; 0 is the management network")
                    .value_parser(value_parser!(u8).range(..MOST_LINKS as i64)),
            ]),
        )
        .subcommand(
            make("demo", "Lose a host, watch the recovery, check it").args(pool_words(6)).args([
                Arg::new("fault")
                    .long("fault")
                    .value_name("FAULT")
                    .default_value("power-off")
                    .value_parser(fault_words(true)),
                Arg::new("on")
                    .long("on")
                    .value_name("HOST")
                    .help("Which host suffers")
                    .default_value("member")
                    .value_parser(["member", "master"]),
                flag("json", "One object with everything; the summary goes to standard error"),
                flag("early-exclusion", "Break the rules: hosts count as dead at once").hide(true),
            ]),
        )
        .subcommand(super::times::words::command())
        .subcommand(
            make("restarts", "Measure how soon the VMs of a lost host run again")
                .args(pool_words(60).map(usually_mixed))
                .args(restart_words()),
        )
        .subcommand(make("timeline", "What happened, a line an event").args([
            flag("json", "An object a line"),
            flag("all", "From the beginning, not from the last fault"),
        ]))
}

fn make(name: &'static str, about: &'static str) -> Command {
    let dir = Arg::new("dir").long("dir").value_name("DIR").value_parser(value_parser!(PathBuf));
    let help = "The lab's directory; one lab at a time lives in one";
    Command::new(name).about(about).arg(dir.help(help))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

fn pool_words(vms: usize) -> [Arg; 4] {
    let number = |name: &'static str, default: String, help: &'static str| {
        let arg = Arg::new(name).long(name).value_name("N").help(help);
        arg.default_value(default).value_parser(value_parser!(u32))
    };
    [
        number("hosts", "3".to_owned(), "How many hosts"),
        number("timeout", "10".to_owned(), "T in seconds"),
        number("vms", vms.to_string(), "How many VMs"),
        Arg::new("hypervisor")
            .long("hypervisor")
            .value_name("DRIVER")
            .help("What runs the VMs")
            .default_value("process")
            .value_parser(["process", "qemu", "mixed", "sim"]),
    ]
}

/// Both drivers, unless another is named.
fn usually_mixed(arg: Arg) -> Arg {
    if arg.get_id() == "hypervisor" { arg.default_value("mixed") } else { arg }
}

fn restart_words() -> [Arg; 4] {
    let numbers = || value_parser!(u32).range(1..=1000);
    [
        Arg::new("on")
            .long("on")
            .value_name("HOST")
            .help("Which host loses its power")
            .value_delimiter(',')
            .default_value("member,master")
            .value_parser(["member", "master"]),
        Arg::new("starts-per-host")
            .long("starts-per-host")
            .value_name("N")
            .help("Starts in flight on a host; several numbers, several measurements")
            .value_delimiter(',')
            .default_value("1,4,16")
            .value_parser(numbers()),
        Arg::new("runs")
            .long("runs")
            .value_name("N")
            .help("How often each")
            .default_value("1")
            .value_parser(numbers()),
        flag("json", "An object a run"),
    ]
}

fn fault_words(harm: bool) -> Vec<&'static str> {
    let wanted = WORDS.iter().filter(|(_, fault)| !harm || fault.is_harm());
    wanted.map(|(word, _)| *word).collect()
}

/// A text that was given.
pub fn text<'a>(given: &'a ArgMatches, name: &str) -> Option<&'a str> {
    given.get_one::<String>(name).map(String::as_str)
}

/// The lab's directory.
pub fn dir(given: &ArgMatches) -> PathBuf {
    given.get_one::<PathBuf>("dir").cloned().unwrap_or_else(setting::default_dir)
}

fn number(given: &ArgMatches, name: &str) -> u32 {
    given.get_one::<u32>(name).copied().unwrap_or(0)
}

/// The lab that is wished for.
pub fn wish(given: &ArgMatches) -> anyhow::Result<Wish> {
    let word = text(given, "hypervisor").unwrap_or("process");
    let said = |name: &str| given.try_get_one::<bool>(name).ok().flatten() == Some(&true);
    Ok(Wish {
        dir: dir(given),
        hosts: usize::try_from(number(given, "hosts"))?,
        timeout: number(given, "timeout"),
        hypervisor: word.parse::<Kind>().map_err(anyhow::Error::msg)?,
        vms: usize::try_from(number(given, "vms"))?,
        fleet: Fleet::Various,
        netns: said("netns"),
        ha: !said("no-ha"),
    })
}

/// Whether a command has such a word at all.
fn said(given: &ArgMatches, name: &str) -> bool {
    given.try_contains_id(name).unwrap_or(false)
}

/// The measurements that are wished for, in the order of the table.
pub fn restarts(given: &ArgMatches) -> anyhow::Result<Vec<Case>> {
    let mut trial = self::trial(given)?;
    trial.wish.fleet = Fleet::Even;
    let (vms, hosts) = (trial.wish.vms, trial.wish.hosts);
    anyhow::ensure!(vms >= hosts, "{hosts} hosts need at least {hosts} VMs: the lost one has some");
    let several = |name: &str| given.get_many::<u32>(name).unwrap_or_default().copied();
    let mut cases = Vec::new();
    for on in given.get_many::<String>("on").unwrap_or_default() {
        trial.on_master = on == "master";
        for starts_per_host in several("starts-per-host") {
            let case = Case { trial: trial.clone(), starts_per_host };
            cases.extend((0..number(given, "runs")).map(|_| case.clone()));
        }
    }
    Ok(cases)
}

/// The demonstration that is wished for.
pub fn trial(given: &ArgMatches) -> anyhow::Result<Trial> {
    let mut wish = wish(given)?;
    let own_dir = given.get_one::<PathBuf>("dir").is_none();
    if own_dir {
        // Beside a lab that somebody plays with, and beside other demonstrations.
        wish.dir = setting::default_dir().with_extension(std::process::id().to_string());
    }
    Ok(Trial {
        wish,
        own_dir,
        // What has no word for it is about the loss of power.
        fault: if said(given, "fault") { fault(given)? } else { Fault::PowerOff },
        on_master: text(given, "on") == Some("master"),
        early_exclusion: said(given, "early-exclusion") && given.get_flag("early-exclusion"),
    })
}

/// The fault that is wanted.
pub fn fault(given: &ArgMatches) -> anyhow::Result<Fault> {
    text(given, "fault").and_then(Fault::by_word).context("no such fault")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<ArgMatches, clap::Error> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_wish_has_the_usual_values_and_takes_others() {
        let matches = words("up").unwrap();
        let usual = wish(matches.subcommand().unwrap().1).unwrap();
        assert_eq!((usual.hosts, usual.timeout, usual.vms, usual.ha), (3, 10, 6, true));
        let matches = words("up --hosts 5 --hypervisor qemu --no-ha --dir /d").unwrap();
        let other = wish(matches.subcommand().unwrap().1).unwrap();
        assert_eq!((other.hosts, other.hypervisor, other.ha), (5, Kind::Qemu, false));
        assert_eq!(other.dir, PathBuf::from("/d"));
    }

    #[test]
    fn restarts_are_measured_for_each_host_and_limit_as_often_as_is_said() {
        let of = |line: &str| restarts(words(line).unwrap().subcommand().unwrap().1).unwrap();
        let usual = of("restarts");
        let cells: Vec<_> = usual.iter().map(|c| (c.trial.on_master, c.starts_per_host)).collect();
        let both = [false, true].map(|master| [1, 4, 16].map(|limit| (master, limit)));
        assert_eq!(cells, both.concat());
        let wish = &usual[0].trial.wish;
        assert_eq!((wish.hosts, wish.vms, wish.hypervisor), (3, 60, Kind::Mixed));
        let some = of("restarts --on master --starts-per-host 4 --runs 3 --hypervisor process");
        assert_eq!(some.len(), 3);
        let few = restarts(words("restarts --vms 2").unwrap().subcommand().unwrap().1);
        assert!(few.unwrap_err().to_string().contains("at least 3 VMs"));
        assert!(some.iter().all(|case| case.trial.on_master && case.starts_per_host == 4));
        assert_eq!(some[0].trial.wish.hypervisor, Kind::Process);
    }

    #[test]
    fn unknown_words_are_refused() {
        for line in ["", "upp", "up --hots 3", "fault h1 pwer-off", "up --hypervisor xen"] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}
