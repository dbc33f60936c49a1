//! The dialect of `xe`: what the words on the command line mean.
//!
//! Everything here is a pure function of argv, the environment and the text of `~/.xe`.

pub mod layers;
pub mod params;
pub mod switches;
pub mod values;
pub mod words;

pub use params::Params;
pub use switches::{Switches, Target};
pub use words::{Syntax, Word};

/// What the client reads besides argv.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `XE_EXTRA_ARGS`: comma separated words.
    pub extra_args: Option<String>,
    /// `TRACEPARENT`: beats the extras, loses to the command line.
    pub traceparent: Option<String>,
    /// `XE_SOCKET`: another unix socket than the default one (a setting of ours).
    pub socket: Option<String>,
    /// The text of `~/.xe`, if there is one.
    pub rc: Option<String>,
}

/// What the client decided before any command is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// `-version`.
    Version,
    /// Usage on stderr, exit 0; with a line before it when a switch could not be read.
    Usage(Option<String>),
    /// A switch that cannot be used: one line on stderr, exit 1.
    Refused(String),
    /// A command to run.
    Run {
        /// Login, target and client settings.
        switches: Box<Switches>,
        /// The words left for the command, the typed ones first.
        words: Vec<Word>,
    },
}

/// The opening, and whether `~/.xe` had to be ignored (one line on stderr then).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// `~/.xe` has a line that is no `key=value`; nothing of it was taken.
    pub rc_broken: bool,
    /// What to do.
    pub opening: Opening,
}

/// The one text about an unreadable `~/.xe` (scripts match on it).
pub const RC_BROKEN: &str = "Error parsing rc file. No defaults loaded";

/// Reads argv (without the program's name) under the two lower layers.
///
/// Command line beats `XE_EXTRA_ARGS` beats `~/.xe` beats the built-in defaults, because each
/// layer overwrites the one before it; what a lower layer has for the command is put behind.
pub fn read(argv: &[String], environment: &Environment) -> Reading {
    if argv.iter().any(|word| word == "-version") {
        return Reading { rc_broken: false, opening: Opening::Version };
    }
    let (rc_words, rc_broken) = match layers::rc_lines(environment.rc.as_deref().unwrap_or("")) {
        Some(words) => (words, false),
        None => (Vec::new(), true),
    };
    let extra_words = layers::extra_args(environment.extra_args.as_deref().unwrap_or(""));
    let typed: Vec<String> =
        argv.iter().filter(|word| *word != "-help" && *word != "--help").cloned().collect();
    let opening = switches::Reader::new(environment)
        .layer(&rc_words, switches::Layer::Rc)
        .layer(&extra_words, switches::Layer::Extras)
        .layer(&typed, switches::Layer::Typed)
        .finish(typed.len() < argv.len());
    Reading { rc_broken, opening }
}

#[cfg(test)]
mod tests;
