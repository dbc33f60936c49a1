//! Rooms for own reports, used again once nobody holds the old one: in its steady state the
//! protocol takes no memory.

use std::sync::Arc;

use super::Node;
use crate::heartbeat::report::Report;

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
        self.reports.spare().unwrap_or_else(|| Arc::new(Report::empty()))
    }
}
