//! One command from its words to its exit code.

use super::commands::context::Context;
use super::commands::entry::{self, Entry};
use super::commands::table::Login;
use super::connect;
use super::dialect::words::{CommandLine, parse};
use super::dialect::{Opening, Params, RC_BROKEN, Reading, Switches, Word};
use super::errors::about::About;
use super::errors::{CliError, advice, explain, layout};
use super::help;
use super::printing::Console;
use super::suggest;
use crate::client::traced::{Trace, Traced};
use crate::client::{Account, CallError, Session, Transport};
use crate::xenapi::Failure;

/// Makes the connection that the switches name.
pub type Connect<'a> = &'a dyn Fn(&Switches) -> Result<Box<dyn Transport>, CliError>;

/// What the peer's client says for `-version`.
const VERSION: &str = "ThinCLI protocol: 0.2";

/// What a person at a terminal is told when nothing listens.
const NOBODY_THERE: &str =
    "Start it with 'systemctl start xe-agent', or name another server with -s.";

/// Runs what was read from argv and gives the exit code.
pub fn run(reading: Reading, connect: Connect<'_>, console: &mut Console<'_>) -> u8 {
    if reading.rc_broken {
        console.note(RC_BROKEN);
    }
    match reading.opening {
        Opening::Version => {
            console.direct(&format!("{VERSION}\n"));
            0
        }
        Opening::Usage(note) => {
            if let Some(note) = note {
                console.note(&note);
            }
            console.note(help::USAGE);
            0
        }
        Opening::Refused(text) => {
            console.note(&text);
            1
        }
        Opening::Run { switches, words } => {
            let trace = Trace::new(switches.debug);
            let traced = |switches: &Switches| -> Result<Box<dyn Transport>, CliError> {
                let transport = connect(switches)?;
                if !switches.debug && !switches.debug_on_fail {
                    return Ok(transport);
                }
                Ok(Box::new(Traced::new(transport, trace.clone())))
            };
            let code = ended(command(&switches, &words, &traced, console), console);
            if switches.debug_on_fail && code != 0 {
                console.note("Debug info:");
                trace.lines().iter().for_each(|line| console.note(line));
            }
            code
        }
    }
}

/// Says how a command ended and gives its exit code.
fn ended(outcome: Result<(), CliError>, console: &mut Console<'_>) -> u8 {
    match outcome {
        Ok(()) => {
            console.flush_minimal();
            0
        }
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                console.note(&text);
            }
            // Scripts know the line above and no other; a person is told what to do.
            if console.terminal && text.ends_with("(calling connect )") {
                console.note(NOBODY_THERE);
            }
            if error == CliError::Exit(0) {
                console.flush_minimal();
            }
            error.exit_code()
        }
    }
}

fn command(
    switches: &Switches,
    words: &[Word],
    connect: Connect<'_>,
    console: &mut Console<'_>,
) -> Result<(), CliError> {
    let CommandLine { name, params } = parse(words).map_err(|_| CliError::Syntax)?;
    let mut params = Params::new(params);
    console.set_minimal(minimal(&params)?);
    if name == "help" {
        help::run(&params, console);
        return Ok(());
    }
    let entry = entry::find(&name).ok_or(CliError::UnknownCommand(name))?;
    suggest::respell(&entry, &mut params, console);
    for parameter in entry.parameters() {
        if parameter.required && !params.has(&parameter.name) {
            return Err(CliError::Missing(parameter.name));
        }
    }
    suggest::warn(&entry, &params, console);
    if entry.needs_force() && !params.flag("force", false)? {
        return Err(CliError::text(
            "This operation is dangerous and may cause data loss. This operation must be forced \
             (use --force).",
        ));
    }
    let trace = params.flag("trace", false)?;
    let (username, password) = connect::credentials(switches)?;
    if username.is_empty() {
        return Err(CliError::Login("Username/password must be specified".to_owned()));
    }
    let transport = connect(switches)?;
    let account = match entry.login() {
        Login::Pool => Account::Pool,
        Login::Local => Account::Local,
    };
    let session =
        Session::login(transport.as_ref(), account, &username, &password).map_err(login_failed)?;
    let outcome = in_session(&entry, &session, &params, trace, console);
    session.logout();
    outcome
}

fn in_session(
    entry: &Entry,
    session: &Session<'_>,
    params: &Params,
    trace: bool,
    console: &mut Console<'_>,
) -> Result<(), CliError> {
    let mut own: Vec<String> =
        entry.parameters().into_iter().map(|parameter| parameter.name).collect();
    // Any waiting command takes it, no help shows it, and it picks no object.
    own.push("progress".to_owned());
    let mut ctx = Context { session, params, console, own, afterwards: Vec::new() };
    let outcome = entry.run(&mut ctx);
    let afterwards = std::mem::take(&mut ctx.afterwards);
    let Err(CliError::Server(failure)) = outcome else { return outcome };
    let shown = explain::references(session, failure.clone());
    console.note(&layout::failure(&shown));
    if trace {
        console.note(&format!("Raised {}\nBacktrace:", layout::raised(&failure)));
        return Err(CliError::Exit(1));
    }
    // Scripts know the lines above; what follows is what can be done.
    let about = About { session, params, failure: &shown };
    let told = console.terminal || advice::for_all(&failure);
    let lines = if told { advice::commands(&shown, |name| about.find(name)) } else { Vec::new() };
    if !lines.is_empty() {
        console.note("These help:");
    }
    lines.iter().for_each(|line| console.note(&format!("    {line}")));
    afterwards.iter().for_each(|line| console.note(line));
    Err(CliError::Exit(1))
}

/// `minimal` takes only these two words; anything else is an error of the peer's server.
fn minimal(params: &Params) -> Result<bool, CliError> {
    match params.get("minimal") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            Err(Failure::internal(format!("minimal is true or false, not {other}")).into())
        }
    }
}

fn login_failed(error: CallError) -> CliError {
    match error {
        CallError::Api(failure) if failure.code == "SESSION_AUTHENTICATION_FAILED" => {
            CliError::Login("Authentication failed".to_owned())
        }
        other => other.into(),
    }
}
