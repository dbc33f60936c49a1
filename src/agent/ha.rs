//! HA on this host, as far as the agent knows.

use super::Agent;
use crate::xenapi::failure::Answer;
use serde::{Deserialize, Serialize};

/// What this host knows of HA.
#[derive(Debug, Default)]
pub struct LocalHa {}

/// A step of switching HA on or off, done on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum HostStep {
    /// Nothing.
    Nothing,
}

/// Does a step on this host.
pub fn host_step(_agent: &Agent, _step: &HostStep) -> Answer<serde_json::Value> {
    Ok(serde_json::Value::Null)
}

/// Refuses to run VMs on a host that is not armed while its pool has HA on.
pub fn assert_may_run(_agent: &Agent) -> Answer<()> {
    Ok(())
}

/// Whether this host is to take part in HA whenever it starts.
pub fn is_armed(_agent: &Agent) -> bool {
    false
}

/// Switches HA off on this host alone.
pub fn emergency_disable(_agent: &Agent, soft: bool) -> Answer<()> {
    if soft { Ok(()) } else { Err(crate::xenapi::Failure::bare("HA_NOT_ENABLED")) }
}

/// Watches the heartbeat daemon. Runs on a thread of its own.
pub fn watch(_agent: &std::sync::Arc<Agent>) {}
