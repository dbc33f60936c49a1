//! A statefile of the world: what it holds, without bytes, now and in the past.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::heartbeat::block::{BlockError, Seen};
use crate::heartbeat::decision::Decision;
use crate::heartbeat::report::Report;
use crate::heartbeat::timing::{Nanos, SECOND};

/// How far back a statefile can go, in seconds.
pub const MOST_REWIND_S: u64 = 120;

/// One copy of a decision block.
#[derive(Debug, Clone, Default)]
pub enum Copy {
    /// Never written.
    #[default]
    Blank,
    /// As it was written.
    Whole(Arc<Decision>),
    /// Something that cannot be read.
    Broken,
}

/// All blocks.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The beat blocks, by host; none when blank or unreadable.
    pub beats: Vec<Option<Arc<Report>>>,
    /// Both copies of the decision blocks, by host.
    pub decisions: Vec<[Copy; 2]>,
}

/// What a host writes at once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Blocks {
    /// Its beat block.
    pub beat: Option<Arc<Report>>,
    /// Its decision block.
    pub decision: Option<Arc<Decision>>,
}

/// How a write reaches the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    /// Whole.
    Whole,
    /// The last block of it cannot be read afterwards.
    Torn,
    /// The last block of it stays as it was.
    Short,
}

/// One statefile.
#[derive(Debug, Clone)]
pub struct Statefile {
    /// What it holds now.
    pub now: Arc<Content>,
    /// What it held, once a second; kept only where it may be needed.
    past: VecDeque<(Nanos, Arc<Content>)>,
    /// Whether it has gone back.
    pub rewound: bool,
    /// What a stale path shows of it, by host.
    pub frozen: Vec<Option<Arc<Content>>>,
}

impl Content {
    fn new(hosts: usize) -> Self {
        let blank = || [Copy::Blank, Copy::Blank];
        Content { beats: vec![None; hosts], decisions: (0..hosts).map(|_| blank()).collect() }
    }

    /// The decision blocks as a reader finds them.
    pub fn seen(&self) -> Vec<Seen> {
        let copy = |copy: &Copy| match copy {
            Copy::Blank => Err(BlockError::Blank),
            Copy::Whole(decision) => Ok(Arc::clone(decision)),
            Copy::Broken => Err(BlockError::Damaged),
        };
        self.decisions.iter().map(|[even, odd]| Seen::of([copy(even), copy(odd)])).collect()
    }
}

impl Statefile {
    /// A blank one for so many hosts.
    pub fn new(hosts: usize) -> Self {
        let now = Arc::new(Content::new(hosts));
        Statefile { now, past: VecDeque::new(), rewound: false, frozen: vec![None; hosts] }
    }

    /// A host writes its own blocks, the beat block first.
    pub fn write(&mut self, host: usize, blocks: Blocks, landing: Landing) {
        let now = Arc::make_mut(&mut self.now);
        let beat_is_last = blocks.decision.is_none();
        if let Some(beat) = blocks.beat {
            match landing {
                Landing::Torn if beat_is_last => now.beats[host] = None,
                Landing::Short if beat_is_last => {}
                _ => now.beats[host] = Some(beat),
            }
        }
        if let Some(decision) = blocks.decision {
            let copy = &mut now.decisions[host][usize::from(decision.writes & 1 == 1)];
            match landing {
                Landing::Whole => *copy = Copy::Whole(decision),
                Landing::Torn => *copy = Copy::Broken,
                Landing::Short => {}
            }
        }
    }

    /// What a host finds there.
    pub fn shown(&self, host: usize) -> &Content {
        self.frozen[host].as_ref().unwrap_or(&self.now)
    }

    /// Keeps what it holds now, for a later rewind.
    pub fn remember(&mut self, at: Nanos) {
        self.past.push_back((at, Arc::clone(&self.now)));
        while self.past.front().is_some_and(|(t, _)| *t + MOST_REWIND_S * SECOND < at) {
            self.past.pop_front();
        }
    }

    /// Goes back to what it held then, or to the oldest that is known.
    pub fn rewind(&mut self, to: Nanos) {
        let known = self.past.iter().rev().find(|(at, _)| *at <= to).or(self.past.front());
        if let Some((_, content)) = known {
            self.now = Arc::clone(content);
            self.rewound = true;
        }
    }

    /// Makes all blocks of a host unreadable.
    pub fn scramble(&mut self, host: usize) {
        let now = Arc::make_mut(&mut self.now);
        now.beats[host] = None;
        now.decisions[host] = [Copy::Broken, Copy::Broken];
    }
}
