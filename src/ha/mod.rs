//! The switch of HA, pure: each room takes facts and events and gives the next steps; the agent
//! carries them out and reports back.
//!
//! | to find | look in |
//! |---|---|
//! | may HA be enabled, and what will it bear? | [`preflight`] |
//! | enabling, with the way back | [`enable`] |
//! | disabling, with and without a statefile | [`disable`] |
//! | one host alone, without any decision | [`emergency`] |
//! | what a host does when it starts | [`boot`] |
//! | shutting a host down cleanly, and coming back | [`leave`] |
//! | changing the master | [`mastership`] |

pub mod boot;
pub mod disable;
pub mod emergency;
pub mod enable;
pub mod leave;
pub mod mastership;
pub mod preflight;
pub mod settings;

use uuid::Uuid;

/// Hosts that have yet to answer in one stage of a switch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Awaited {
    hosts: Vec<Uuid>,
}

impl Awaited {
    pub(crate) fn all(hosts: &[Uuid]) -> Self {
        Awaited { hosts: hosts.to_vec() }
    }

    /// Takes an answer; true when it was the last one missing.
    pub(crate) fn answered(&mut self, host: Uuid) -> bool {
        let before = self.hosts.len();
        self.hosts.retain(|other| *other != host);
        before > 0 && self.hosts.is_empty()
    }
}
