//! Hosts in maintenance: disabled and empty until a person says otherwise, through reboots.

use crate::pool::Database;

/// The mark of a host in maintenance.
pub const MARK: &str = "xe-maintenance";

/// Whether a host is in maintenance.
pub fn is_in(db: &Database, host: &str) -> bool {
    db.key("host", host, "other_config", MARK).is_some()
}
