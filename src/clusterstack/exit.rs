//! The exit codes that the toolstack knows, and what leads to each of them.

use crate::host::system_word::system_word;
use crate::xhad::control::{ControlError, RefusedKind};
use crate::xhad::statefile::StatefileError;

/// How a program of the cluster stack ends when it does not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// A word of the command line makes no sense.
    Parameter = 1,
    /// Something of the system does not work, such as starting a process.
    System = 2,
    /// Something did not work now and may work later.
    Transient = 3,
    /// The watchdog is missing or unusable.
    Watchdog = 4,
    /// The configuration cannot be read.
    ConfigUnreadable = 6,
    /// The configuration makes no sense.
    ConfigInvalid = 7,
    /// The statefile cannot be read or written.
    StatefileInaccessible = 8,
    /// The statefile holds something else, or is too small.
    StatefileInvalid = 9,
    /// The statefile belongs to another HA session.
    Generation = 10,
    /// HA is off for the pool, or not on yet.
    PoolState = 11,
    /// No view with this host was decided in time.
    JoinTimeout = 12,
    /// This host must not join.
    CannotJoin = 13,
    /// No heartbeat session runs here.
    DaemonAbsent = 14,
    /// A heartbeat session runs here already.
    DaemonPresent = 15,
    /// The programs' own settings or the pool's token are missing.
    Environment = 16,
    /// This host is in a state that does not allow it.
    HostState = 17,
}

impl Exit {
    /// Every code with its meaning, for the manual page.
    pub const ALL: [(Exit, &'static str); 16] = [
        (Exit::Parameter, "a word of the command line makes no sense"),
        (Exit::System, "something of the system does not work"),
        (Exit::Transient, "something did not work now and may work later"),
        (Exit::Watchdog, "the watchdog is missing or cannot be used"),
        (Exit::ConfigUnreadable, "the configuration file cannot be read"),
        (Exit::ConfigInvalid, "the configuration makes no sense"),
        (Exit::StatefileInaccessible, "the statefile cannot be read or written"),
        (Exit::StatefileInvalid, "the statefile is too small or holds something else"),
        (Exit::Generation, "the statefile belongs to another HA session"),
        (Exit::PoolState, "the state of the pool does not allow it: HA is off, or not on yet"),
        (Exit::JoinTimeout, "no view with this host was decided in time"),
        (Exit::CannotJoin, "this host must not join: its identity is in use elsewhere"),
        (Exit::DaemonAbsent, "no heartbeat session runs on this host"),
        (Exit::DaemonPresent, "a heartbeat session runs on this host already"),
        (Exit::Environment, "the settings of these programs or the pool's token are missing"),
        (Exit::HostState, "the state of this host does not allow it"),
    ];

    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a program failed: the code for the toolstack, the sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// The reason.
    pub sentence: String,
}

impl Failure {
    /// A failure with this code and reason.
    pub fn new(exit: Exit, sentence: impl std::fmt::Display) -> Self {
        Failure { exit, sentence: system_word(&sentence) }
    }

    /// No session runs here.
    pub fn absent() -> Self {
        Failure::new(Exit::DaemonAbsent, "no heartbeat session runs on this host")
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let exit = match &error {
            ControlError::Unreachable { .. } => Exit::DaemonAbsent,
            ControlError::Broken(_) => Exit::Transient,
            ControlError::Refused(refused) => of_refusal(refused.kind),
        };
        Failure::new(exit, error)
    }
}

fn of_refusal(kind: RefusedKind) -> Exit {
    match kind {
        RefusedKind::BadRequest | RefusedKind::Timing | RefusedKind::NotRealTime => {
            Exit::ConfigInvalid
        }
        RefusedKind::Watchdog => Exit::Watchdog,
        RefusedKind::Network => Exit::System,
        RefusedKind::Statefile => Exit::StatefileInvalid,
        RefusedKind::StartFailed | RefusedKind::TimedOut => Exit::JoinTimeout,
        RefusedKind::PoolIsOff => Exit::PoolState,
        RefusedKind::ClonedIdentity => Exit::CannotJoin,
        RefusedKind::WrongState | RefusedKind::NotMaster | RefusedKind::UnfinishedSession => {
            Exit::HostState
        }
    }
}

impl From<StatefileError> for Failure {
    fn from(error: StatefileError) -> Self {
        let exit = match error {
            StatefileError::Io { .. } => Exit::StatefileInaccessible,
            _ => Exit::StatefileInvalid,
        };
        Failure::new(exit, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xhad::control::Refused;

    #[test]
    fn the_numbers_are_those_that_the_toolstack_tells_apart() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
    }

    #[test]
    fn each_refusal_has_the_code_on_which_the_toolstack_acts() {
        let code = |kind| {
            let sentence = "x".to_owned();
            Failure::from(ControlError::Refused(Refused { kind, sentence })).exit.code()
        };
        assert_eq!(code(RefusedKind::PoolIsOff), 11);
        assert_eq!(code(RefusedKind::Watchdog), 4);
        assert_eq!(code(RefusedKind::TimedOut), 12);
        assert_eq!(code(RefusedKind::ClonedIdentity), 13);
        assert_eq!(code(RefusedKind::WrongState), 17);
        let (socket, reason) = (String::new(), String::new());
        let gone = ControlError::Unreachable { socket, reason };
        assert_eq!(Failure::from(gone).exit, Exit::DaemonAbsent);
    }
}
