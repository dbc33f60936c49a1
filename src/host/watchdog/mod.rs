//! Watchdogs: what resets this host when the daemon no longer renews its lease.

pub mod exec;
pub mod keeper;
pub mod linux;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which watchdog a host uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchdogConfig {
    /// None: exists only to be refused.
    None,
    /// A Linux watchdog device, such as `/dev/watchdog`.
    Linux {
        /// The device.
        device: PathBuf,
        /// Take a software watchdog too, although a hung kernel stops it.
        #[serde(default)]
        allow_software: bool,
    },
    /// A separate process that keeps the deadline and kills (lab and tests).
    Exec {
        /// The keeper's unix socket.
        socket: PathBuf,
    },
}

/// Why a watchdog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// None is configured.
    #[error("no watchdog is configured; without one a host cannot fence itself")]
    NoneConfigured,
    /// The device or the keeper does not answer as it should.
    #[error("watchdog {name}: {reason}")]
    Unusable {
        /// Which one.
        name: String,
        /// What happened.
        reason: String,
    },
}

impl WatchdogError {
    fn unusable(name: &str, reason: impl std::fmt::Display) -> Self {
        WatchdogError::Unusable { name: name.to_owned(), reason: reason.to_string() }
    }
}

/// A watchdog: armed once, then set again and again to what is left of the lease.
pub trait Watchdog: Send {
    /// Starts it, to fire after `remaining` unless it is set again.
    fn arm(&mut self, remaining: Duration) -> Result<(), WatchdogError>;

    /// Sets it to fire after `remaining`, rounded down to its step.
    fn set_remaining(&mut self, remaining: Duration) -> Result<(), WatchdogError>;

    /// What it says is left, rounded up to its step.
    fn read_back(&mut self) -> Result<Duration, WatchdogError>;

    /// Sets it to the shortest time that it can hold and gives that time; it must never be set
    /// again (R5.4).
    fn cut_to_minimum(&mut self) -> Result<Duration, WatchdogError>;

    /// Stops it.
    fn disarm(&mut self) -> Result<(), WatchdogError>;

    /// The granularity of its times.
    fn step(&self) -> Duration;

    /// Whether it fires even when this kernel hangs, so that others may count on it (R5.4).
    fn trusted(&self) -> bool;

    /// Resets the host now, if it can; returns when it cannot.
    fn reset_now(&mut self);
}

/// Opens the configured watchdog, unarmed.
pub fn open(config: &WatchdogConfig) -> Result<Box<dyn Watchdog>, WatchdogError> {
    match config {
        WatchdogConfig::None => Err(WatchdogError::NoneConfigured),
        WatchdogConfig::Linux { device, allow_software } => {
            Ok(Box::new(linux::LinuxWatchdog::open(device, *allow_software)?))
        }
        WatchdogConfig::Exec { socket } => Ok(Box::new(exec::ExecWatchdog::connect(socket)?)),
    }
}

/// Uses the code of both watchdogs once, on dummies that can reset nothing: a pair of sockets, and
/// a device that is no watchdog. Whatever they answer is of no account.
pub fn rehearse() {
    exec::rehearse();
    if let Ok(mut dog) = linux::LinuxWatchdog::open(std::path::Path::new("/dev/null"), true) {
        let second = Duration::from_secs(1);
        let _no_watchdog = dog.arm(second).is_ok()
            || dog.set_remaining(second).is_ok()
            || dog.read_back().is_ok()
            || dog.cut_to_minimum().is_ok()
            || dog.disarm().is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_ends_and_needs_no_watchdog() {
        rehearse();
    }

    #[test]
    fn no_watchdog_is_refused() {
        assert!(matches!(open(&WatchdogConfig::None), Err(WatchdogError::NoneConfigured)));
    }
}
