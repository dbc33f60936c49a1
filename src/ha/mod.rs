//! The switch of HA, pure: each room takes facts and events and gives the next steps; the agent
//! carries them out and reports back.
//!
//! | to find | look in |
//! |---|---|
//! | may HA be enabled, and what will it bear? | [`preflight`] |
//! | enabling, with the way back | [`enable`] |
//! | disabling, by decided views | [`disable`] |
//! | one host alone, without any decision | [`emergency`] |
//! | what a host does when it starts | [`boot`] |
//! | shutting a host down cleanly | [`leave`] |
//! | what may be said with `ha-config` | [`settings`] |
//!
//! # What holds, and why
//!
//! HA is on or off by a decided view under the session's key, and by nothing else (the fifth
//! property of [`crate::heartbeat`]).
//!
//! * **Enable leaves all armed or nobody.** Blocks and keys come first, then all daemons form view
//!   1 unarmed, the watchdogs are armed last, the pool's flag is written at the end ([`enable`]).
//!   A failure before view 1 leaves everybody unarmed; after it, the way back is a decided "off",
//!   so that nobody can be armed on one host and presumed dead on another.
//! * **Disable stops failover before it stops fencing.** "Off-pending" first, acknowledged by every
//!   member, then "off", then each disarms ([`disable`]). A crash in between leaves a view that
//!   says where it stood.
//! * **Emergency disable never lets the others restart what still runs here.** The mark "unarmed"
//!   must be echoed by every other member before the watchdog is stopped; else the VMs are stopped
//!   first, or the administrator types that they may run twice ([`emergency`]). How many hosts
//!   will be reset is said before.
//! * **A stale word switches nothing.** A host that returns believes the statefile of its own
//!   session, then the pool; where they disagree and nobody can decide, it waits and says so, and
//!   a master never concludes "off" by itself ([`boot`]).

pub mod boot;
pub mod disable;
pub mod emergency;
pub mod enable;
pub mod leave;
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
