//! A statefile of the world: what it holds, without bytes.

use std::sync::Arc;

use crate::heartbeat::block::{BlockError, Seen};
use crate::heartbeat::decision::Decision;
use crate::heartbeat::report::Report;

/// One statefile.
#[derive(Debug, Clone, Default)]
pub struct Statefile {
    /// The beat blocks, by host.
    pub beats: Vec<Option<Arc<Report>>>,
    /// Both copies of the decision blocks, by host.
    pub decisions: Vec<[Option<Arc<Decision>>; 2]>,
}

impl Statefile {
    /// A blank one for so many hosts.
    pub fn new(hosts: usize) -> Self {
        Statefile { beats: vec![None; hosts], decisions: vec![[None, None]; hosts] }
    }

    /// A host writes its own blocks.
    pub fn write(
        &mut self,
        host: usize,
        beat: Option<Arc<Report>>,
        decision: Option<Arc<Decision>>,
    ) {
        if beat.is_some() {
            self.beats[host] = beat;
        }
        if let Some(decision) = decision {
            let copy = usize::from(decision.writes & 1 == 1);
            self.decisions[host][copy] = Some(decision);
        }
    }

    /// The decision blocks as a reader finds them.
    pub fn seen(&self) -> Vec<Seen> {
        let copy = |copy: &Option<Arc<Decision>>| copy.clone().ok_or(BlockError::Blank);
        self.decisions.iter().map(|[even, odd]| Seen::of([copy(even), copy(odd)])).collect()
    }
}
