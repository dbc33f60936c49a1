//! What can go wrong, and the bytes that a person then sees.

pub mod about;
pub mod advice;
pub mod explain;
pub mod layout;

use crate::client::CallError;
use crate::xenapi::Failure;

/// The line that follows a usage error.
pub const USAGE_HINT: &str = "For usage run: 'xe help'";

/// Why a command did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CliError {
    /// The words have not the form of a command line.
    Syntax,
    /// No command has this name.
    UnknownCommand(String),
    /// A parameter that the command cannot do without.
    Missing(String),
    /// The command line's own refusal, shown behind `Error: `.
    Text(String),
    /// The server's answer, laid out with its parameters.
    Server(Failure),
    /// The user or password was not accepted.
    Login(String),
    /// A client failure: these lines as they are.
    Client(String),
    /// Everything has been said; only the exit code is left.
    Exit(u8),
}

impl CliError {
    /// A refusal of the command line.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The form that scripts know for a parameter name that the class does not have.
    pub fn unknown_param_name(name: &str) -> Self {
        Self::Server(Failure::new("Missing parameter", [name]))
    }

    /// The exit code of the whole command.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exit(code) => *code,
            _ => 1,
        }
    }

    /// The code of a server's answer.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server(failure) => Some(&failure.code),
            _ => None,
        }
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The empty detail and its blank are what the peer prints.
            Self::Syntax => write!(f, "Syntax error: \n{USAGE_HINT}"),
            Self::UnknownCommand(word) => write!(f, "Unknown command: {word}\n{USAGE_HINT}"),
            Self::Missing(name) => {
                write!(f, "Required parameter not found: {name}\n{USAGE_HINT}")
            }
            Self::Text(text) => write!(f, "Error: {text}"),
            Self::Server(failure) => f.write_str(&layout::failure(failure)),
            Self::Login(text) => write!(f, "{text}\n{USAGE_HINT}"),
            Self::Client(text) => f.write_str(text),
            Self::Exit(_) => Ok(()),
        }
    }
}

impl std::error::Error for CliError {}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        Self::Server(failure)
    }
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Api(failure) => Self::Server(failure),
            // The blank before the bracket is what scripts know.
            CallError::Unreachable { reason, .. } => {
                Self::Client(format!("Error: {reason} (calling connect )"))
            }
            CallError::UnknownHost { server } => {
                Self::Client(format!("Host '{server}' not found."))
            }
            CallError::Broken { reason, .. } => Self::Client(reason),
        }
    }
}
