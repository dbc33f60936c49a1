//! What an agent is in its pool at a moment.

use crate::xenapi::Failure;

/// Master, member, or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It acts for the pool, in this epoch.
    Master {
        /// The epoch of its mastership.
        epoch: u64,
    },
    /// It follows the master at this address.
    Member {
        /// The master's address.
        master: String,
    },
    /// It serves nothing but local calls; the failure says why.
    Emergency(Failure),
}

impl Standing {
    /// Whether it is the master.
    pub fn is_master(&self) -> bool {
        matches!(self, Self::Master { .. })
    }
}
