//! Rooms for own reports, used again once nobody holds the old one: in its steady state the
//! protocol takes no memory.

use std::sync::Arc;

use uuid::Uuid;

use super::Node;
use crate::heartbeat::report::Report;
use crate::heartbeat::view::Life;

/// The own reports given out of late.
#[derive(Debug, Default)]
pub struct Reports {
    given: Vec<Arc<Report>>,
}

/// A copy of a node gives out reports of its own.
impl Clone for Reports {
    fn clone(&self) -> Self {
        Reports::default()
    }
}

/// More are never out at once: a beat, and a block of each statefile.
const MOST: usize = 8;

impl Reports {
    /// Remembers a report that is given out.
    pub fn push(&mut self, report: &Arc<Report>) {
        if self.given.len() < MOST {
            self.given.push(Arc::clone(report));
        }
    }

    fn spare(&mut self) -> Option<Arc<Report>> {
        let free = self.given.iter().position(|report| Arc::strong_count(report) == 1)?;
        Some(self.given.swap_remove(free))
    }
}

impl Node {
    /// A room for the next report.
    pub(super) fn spare_report(&mut self) -> Arc<Report> {
        self.reports.spare().unwrap_or_else(|| Arc::new(empty()))
    }
}

fn empty() -> Report {
    Report {
        life: Life::default(),
        boot_id: Uuid::nil(),
        seq: 0,
        epoch: 0,
        flags: 0,
        disk_ms: 0,
        disks: 0,
        rewound: 0,
        witness_ms: 0,
        promise: 0,
        network_gap: 0,
        disk_gap: 0,
        weight: 0,
        dead_within_ms: 0,
        decision_seq: 0,
        heir: None,
        peers: Vec::new(),
    }
}
