//! Our heartbeat as the cluster stack of a XenServer toolstack that knows nothing of it: the
//! nine programs that it runs, with their words, exit codes and output.
//!
//! | to find | look in |
//! |---|---|
//! | the toolstack's configuration | [`config`] |
//! | where its files and commands are | [`settings`] |
//! | the key that all hosts derive | [`key`] |
//! | a session begins | `start` |
//! | a host leaves, or is disarmed | `leave` |
//! | the state of the pool | `state` |
//! | the living set as XML | [`report`] |
//! | who is ended before a mastership moves | `acting` |
//! | the toolstack's health | [`toolstack`], by the rules of `watch` |
//! | what is different from the peer | [`man`] |

mod acting;
pub mod config;
mod disk;
pub mod exit;
pub mod key;
mod leave;
pub mod man;
mod master;
pub mod report;
pub mod settings;
mod start;
mod state;
mod text;
pub mod toolstack;
mod watch;
mod weight;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use uuid::Uuid;

use crate::xhad::control::{Client, Phase};
use config::Config;
use exit::{Exit, Failure};
use key::KeyText;
use settings::Settings;

/// The programs that a toolstack looks for in its cluster stack's folder.
pub const PROGRAMS: [&str; 9] = [
    "ha_start_daemon",
    "ha_stop_daemon",
    "ha_query_liveset",
    "ha_propose_master",
    "ha_disarm_fencing",
    "ha_set_pool_state",
    "ha_set_excluded",
    "ha_clear_excluded",
    "ha_set_host_weight",
];

/// The program for a person who knows that a host is dead; no toolstack runs it.
pub const PROGRAM_DECLARE_DEAD: &str = "ha_declare_dead";
/// The watcher's name; started by `ha_start_daemon` only.
pub const PROGRAM_WATCH: &str = "xe-toolstack-watch";
/// How long a running daemon may take to say what it does.
const ANSWERS: Duration = Duration::from_secs(10);
/// How often a daemon is asked that does not answer in order, and the pause between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(300);

/// Whether a program of this room has that name.
pub fn is_program(name: &str) -> bool {
    PROGRAMS.contains(&name) || [PROGRAM_DECLARE_DEAD, PROGRAM_WATCH].contains(&name)
}

/// What every program needs.
#[derive(Debug)]
pub struct Context {
    /// The settings of this host.
    pub settings: Settings,
    /// The toolstack's configuration.
    pub config_path: PathBuf,
}

impl Context {
    /// The configuration, read and checked.
    pub fn config(&self) -> Result<Config, Failure> {
        Config::read(&self.config_path)
    }

    /// The key of the configuration's session.
    pub fn key(&self, config: &Config) -> Result<KeyText, Failure> {
        key::of_pool(&self.settings.token, config.generation)
    }
}

/// Whether the daemon runs a session that is not over. A daemon that is just ending may still
/// take a connection and drop it; it is asked again.
fn session_runs(client: &Client) -> Result<bool, Failure> {
    let client = client.clone().with_timeout(ANSWERS);
    let mut tries = 0;
    loop {
        let failure = match client.liveset() {
            Ok(liveset) => return Ok(!matches!(liveset.phase, Phase::Off | Phase::Disarmed)),
            Err(error) => Failure::from(error),
        };
        tries += 1;
        match failure.exit {
            Exit::DaemonAbsent => return Ok(false),
            Exit::Transient if tries < TRIES => std::thread::sleep(PAUSE),
            _ => return Err(failure),
        }
    }
}

/// Runs the program with that name and the words behind it.
pub fn main(name: &str, words: &[String]) -> ExitCode {
    match run(name, words).and_then(|text| say(&text.unwrap_or_default())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = failure.exit.code();
            eprintln!("{name}: {failure} ({code})");
            ExitCode::from(code)
        }
    }
}

/// Prints the answer; a reader that is gone has not got it.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(|error| Failure::new(Exit::Transient, format!("the answer is lost: {error}")))
}

fn run(name: &str, words: &[String]) -> Result<Option<String>, Failure> {
    let settings = Settings::load()?;
    let (config_path, words) = options(words)?;
    let config_path = config_path.unwrap_or_else(|| settings.config.clone());
    let context = Context { settings, config_path };
    match (name, words.as_slice()) {
        ("ha_set_pool_state", [word]) => state::set(&context, state::Wanted::parse(word)?)?,
        ("ha_set_host_weight", [class, weight]) => weight::set(&context, class, weight)?,
        (PROGRAM_DECLARE_DEAD, [host]) => declare_dead(&context, host)?,
        ("ha_query_liveset", []) => return report::query(&context).map(Some),
        ("ha_propose_master", []) => {
            let master = master::propose(&context)?;
            return Ok(Some(if master { "TRUE\n" } else { "FALSE\n" }.to_owned()));
        }
        ("ha_start_daemon", []) => start::start(&context)?,
        ("ha_stop_daemon", []) => leave::stop(&context)?,
        ("ha_disarm_fencing", []) => leave::disarm(&context)?,
        ("ha_disarm_fencing", ["--force"]) => leave::disarm_by_force(&context)?,
        ("ha_set_excluded", []) => leave::set_excluded(&context)?,
        ("ha_clear_excluded", []) => leave::clear_excluded(&context)?,
        (PROGRAM_WATCH, [toolstack::STAND_IN]) => toolstack::stand_in(),
        (PROGRAM_WATCH, []) => toolstack::run(&context)?,
        _ => {
            let sentence = format!("usage: {name} {}", man::words_of(name));
            return Err(Failure::new(Exit::Parameter, sentence.trim_end()));
        }
    }
    Ok(None)
}

/// The file behind `-C`, and the words around it.
fn options(words: &[String]) -> Result<(Option<PathBuf>, Vec<&str>), Failure> {
    let (mut file, mut rest) = (None, Vec::new());
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "-C" | "-c" => {
                let missing = || Failure::new(Exit::Parameter, "a file's name is to follow -C");
                file = Some(PathBuf::from(words.next().ok_or_else(missing)?));
            }
            word => rest.push(word),
        }
    }
    Ok((file, rest))
}

fn declare_dead(context: &Context, host: &str) -> Result<(), Failure> {
    let uuid = Uuid::parse_str(host)
        .map_err(|_| Failure::new(Exit::Parameter, format!("{host} is no UUID")))?;
    Ok(context.settings.client().declare_dead(uuid)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_stand_before_or_behind_the_other_words() {
        let split = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let (file, rest) = options(&words)?;
            Ok((file, rest.into_iter().map(str::to_owned).collect()))
        };
        let file = Some(PathBuf::from("/f"));
        for line in ["invalid -C /f", "-c /f invalid"] {
            assert_eq!(split(line), Ok((file.clone(), vec!["invalid".to_owned()])));
        }
        let missing: Result<(Option<PathBuf>, Vec<String>), Failure> = split("-C");
        assert_eq!(missing.unwrap_err().exit, Exit::Parameter);
    }

    #[test]
    fn no_program_of_the_stack_has_a_name_of_a_command() {
        assert!(PROGRAMS.iter().all(|name| is_program(name)));
        assert!(!is_program("ha_rc"));
    }
}
