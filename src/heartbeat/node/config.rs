//! What a node is told once, at its start.

use uuid::Uuid;

use crate::heartbeat::kept::Kept;
use crate::heartbeat::quorum::Acceptors;
use crate::heartbeat::timing::{MILLISECOND, Nanos, Timing};
#[cfg(feature = "wrong-variants")]
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::Slot;

/// What a node is told once, at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The pool's HA session.
    pub generation: Uuid,
    /// All hosts of the pool, sorted.
    pub hosts: Vec<Uuid>,
    /// Their addresses, in the same order, for the record.
    pub addresses: Vec<core::net::IpAddr>,
    /// This host's place among them.
    pub me: Slot,
    /// The timers.
    pub timing: Timing,
    /// T in seconds, for the record.
    pub timeout_s: u32,
    /// Who decides.
    pub acceptors: Acceptors,
    /// The kernel's boot id.
    pub boot_id: Uuid,
    /// What an earlier boot has kept for this session.
    pub kept: Option<Kept>,
    /// How long the paths must be clean before a host that was fenced several times in a row
    /// arms again; none for a host that was not (R7.4).
    pub braked: Option<Nanos>,
    /// VMs run here already, taken over from an unarmed session of this boot: while it waits,
    /// this host lives by the rule of members.
    pub resident: bool,
    /// The daemon vouches that an earlier session of this boot has ended without VMs, or
    /// unarmed.
    pub fresh: bool,
    /// Whether a host that loses its place stops its VMs instead of being reset.
    pub stop_vms: bool,
    /// Whether there is a fence device.
    pub fence_device: bool,
    /// The rule to break.
    #[cfg(feature = "wrong-variants")]
    pub variant: Option<Variant>,
    /// Whether view 1 is to be formed by all hosts (enable), rather than joined.
    pub form: bool,
    /// The host that view 1 should name as master.
    pub first_master: Option<Slot>,
    /// This host's weight in a partition.
    pub weight: u32,
    /// The watchdog's step.
    pub step: Nanos,
    /// Whether the watchdog can be trusted with a tombstone (R5.4).
    pub tombstone: bool,
    /// Whether a dead agent can be started again.
    pub starts_agent: bool,
    /// The agent's process at the start.
    pub agent_pid: Option<u32>,
}

impl Config {
    /// A host of a pool with one statefile that joins, with nothing kept and nothing special.
    pub fn plain(
        generation: Uuid,
        hosts: Vec<Uuid>,
        me: Slot,
        timing: Timing,
        timeout_s: u32,
        boot_id: Uuid,
    ) -> Self {
        Config {
            generation,
            hosts,
            addresses: Vec::new(),
            me,
            timing,
            timeout_s,
            acceptors: Acceptors { statefiles: 1, witness: false },
            boot_id,
            kept: None,
            braked: None,
            resident: false,
            fresh: false,
            stop_vms: false,
            fence_device: false,
            #[cfg(feature = "wrong-variants")]
            variant: None,
            form: false,
            first_master: None,
            weight: 0,
            step: 10 * MILLISECOND,
            tombstone: true,
            starts_agent: false,
            agent_pid: None,
        }
    }
}
