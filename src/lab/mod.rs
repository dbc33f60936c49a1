//! A pool on one machine, to play with and to test on: real agents, daemons and VMs as separate
//! processes, and a hand at every plug.
//!
//! | to find | look in |
//! |---|---|
//! | the words of the command line, and their manual page | [`words`], [`manual`] |
//! | what a lab is on disk | [`setting`], [`addresses`] |
//! | up and down | [`up`], [`found`], [`fleet`] |
//! | a machine from outside: power, watchdog, faults | [`machine`], [`boot`], [`door`], [`group`] |
//! | namespaces for machines | [`netns`] |
//! | what can be done to a host | [`fault`] |
//! | what happened | [`canaries`], [`events`], [`timeline`]; [`status`], [`running`] |
//! | one failure from beginning to end | [`demo`], [`checks`], [`report`] |
//! | the heartbeat alone, measured | [`times`] |
//! | the restarts of many VMs, measured | [`restarts`] |

pub mod addresses;
pub mod api;
pub mod boot;
pub mod canaries;
pub mod checks;
pub mod demo;
pub mod door;
pub mod environment;
pub mod events;
pub mod fault;
pub mod fleet;
pub mod found;
pub mod group;
pub mod machine;
pub mod manual;
pub mod netns;
pub mod report;
pub mod restarts;
pub mod running;
pub mod setting;
pub mod status;
pub mod timeline;
pub mod times;
pub mod up;
pub mod words;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;

use setting::Lab;

/// Runs the program with the words after its name.
pub fn main(words: Vec<String>) -> ExitCode {
    let inner: Vec<&str> = words.iter().map(String::as_str).collect();
    match inner.as_slice() {
        ["machine", dir, name] => return machine::main(Path::new(dir), name),
        ["machine-init", state_dir] => return boot::init(Path::new(state_dir), None),
        ["machine-init", state_dir, address] => {
            return boot::init(Path::new(state_dir), Some(address));
        }
        ["machine-power", dir, word] => return ended(machine::power_command(dir.into(), word)),
        [times::leash::WORD, dir] => return times::leash::main(Path::new(dir)),
        ["monitor", dir] => return ended(canaries::main(Path::new(dir))),
        _ => {}
    }
    match words::parse(&words) {
        Ok(matches) => ended(run(&matches)),
        Err(refused) => {
            let _closed = refused.print();
            ExitCode::from(u8::try_from(refused.exit_code()).unwrap_or(2))
        }
    }
}

fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xe lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A line on standard output; a reader that went away is no error.
fn print(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let Some((command, given)) = matches.subcommand() else { return Ok(()) };
    let dir = words::dir(given);
    match command {
        "up" => {
            let lab = up::up(&words::wish(given)?, &|step| eprintln!("{step}"))?.let_go();
            up::leave_monitor(&lab)?;
            print(&format!("the lab is up in {}", lab.dir.display()));
            print("'xe lab status' shows it, 'eval \"$(xe lab env)\"' lets xe talk to it");
        }
        "down" => up::down(&dir)?,
        "status" => print(&status::show(&Lab::find(&dir)?)),
        "env" => {
            let lab = Lab::find(&dir)?;
            let host = lab.host(words::text(given, "host").unwrap_or("h1"))?;
            match given.get_flag("json") {
                true => print(&serde_json::to_string_pretty(&environment::object(&lab, host)?)?),
                false => print(&environment::line(&lab, host)?),
            }
        }
        "fault" => {
            let lab = Lab::find(&dir)?;
            let host = words::text(given, "host").unwrap_or("");
            let fault = words::fault(given)?;
            let also_vm_disks = given.get_flag("also-vm-disks");
            let folder = words::text(given, "sr").map(std::path::absolute).transpose()?;
            let link = given.get_one("link").copied();
            fault::inflict(&lab, host, fault, &fault::Reach { also_vm_disks, folder, link })?;
        }
        "demo" => demo::run(&words::trial(given)?, given.get_flag("json"))?,
        "times" => times::run(times::words::wish(given)?)?,
        "restarts" => restarts::run(&words::restarts(given)?, given.get_flag("json"))?,
        "timeline" => show_timeline(&Lab::find_or_last(&dir)?, given),
        _ => {}
    }
    Ok(())
}

fn show_timeline(lab: &Lab, given: &ArgMatches) {
    let entries = timeline::read(lab);
    let (zero, names) = (timeline::zero(&entries), timeline::names(lab, &entries));
    for entry in timeline::shown(entries, given.get_flag("all")) {
        match given.get_flag("json") {
            true => print(&timeline::object(&entry, zero).to_string()),
            false => print(&timeline::line(&entry, zero, &names)),
        }
    }
}
