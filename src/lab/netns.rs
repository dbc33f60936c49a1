//! Machines as namespaces of their own (`--netns`): PIDs, network, and `/proc` to match.

use std::net::IpAddr;

use anyhow::bail;

use super::addresses::Block;
use super::setting::Lab;

/// Refuses when this user cannot make namespaces.
pub fn assert_possible() -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("--netns makes network and PID namespaces, which only root may; leave it out");
    }
    bail!("--netns is not there yet; leave it out")
}

/// The addresses that the hosts take within their namespaces.
pub fn addresses(block: &Block) -> Vec<IpAddr> {
    block.addresses.clone()
}

/// Makes what connects the namespaces.
pub fn prepare(_lab: &Lab) -> anyhow::Result<()> {
    Ok(())
}

/// Takes away what connected the namespaces.
pub fn clean_up(_lab: &Lab) {}
