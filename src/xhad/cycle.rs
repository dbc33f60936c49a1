//! The threads that run disk cycles, one for each statefile: a hung disk hangs its thread and
//! nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use uuid::Uuid;

use super::inbox::{Inbox, Message};
use crate::heartbeat::auth::Key;
use crate::heartbeat::block::{
    self, BlockError, Kind, Layout, Seen, open_beat, open_decision_copy, seal_beat, seal_decision,
};
use crate::heartbeat::decision::Decision;
use crate::heartbeat::node::{CycleDone, CycleFault, CycleRead};
use crate::heartbeat::report::Report;
use crate::heartbeat::view::Slot;
use crate::host::clock::boottime_ns;
use crate::host::direct_io::DirectFile;
use crate::host::faults::Faults;

/// One cycle to run.
#[derive(Debug)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// The own beat block, unless this cycle only reads.
    pub beat: Option<Arc<Report>>,
    /// The own decision block, when it changed.
    pub decision: Option<Arc<Decision>>,
    /// Whether every decision block must be read.
    pub all: bool,
}

/// What a thread must know about its statefile.
#[derive(Debug, Clone)]
pub struct Place {
    /// The daemon's session, for its messages.
    pub session: u64,
    /// The statefile's number and where it is.
    pub disk: u8,
    /// Where it is.
    pub path: PathBuf,
    /// The pool's HA session.
    pub generation: Uuid,
    /// Its key.
    pub key: Key,
    /// Its hosts, sorted.
    pub hosts: Vec<Uuid>,
    /// This host among them.
    pub me: Slot,
}

/// Starts the thread for one statefile; it ends when the sender is dropped.
pub fn spawn(place: Place, faults: Faults, inbox: Inbox) -> std::io::Result<SyncSender<Job>> {
    let (sender, jobs) = sync_channel(2);
    let name = format!("statefile-{}", place.disk);
    std::thread::Builder::new()
        .name(name)
        .stack_size(256 << 10)
        .spawn(move || Cycles::new(place, faults).run(&inbox, &jobs))?;
    Ok(sender)
}

/// A copy of a decision block as last read: equal bytes need not be checked again.
#[derive(Debug)]
struct Cached {
    bytes: Vec<u8>,
    content: Result<Arc<Decision>, BlockError>,
}

struct Cycles {
    place: Place,
    layout: Layout,
    faults: Faults,
    file: Option<DirectFile>,
    header: Option<Vec<u8>>,
    decisions: Vec<[Option<Cached>; 2]>,
    /// The sequence of each decision that was last read.
    read_seq: Vec<(u64, u64)>,
}

impl Cycles {
    fn new(place: Place, faults: Faults) -> Self {
        let hosts = place.hosts.len();
        Cycles {
            layout: Layout { hosts },
            faults,
            file: None,
            header: None,
            decisions: (0..hosts).map(|_| [None, None]).collect(),
            read_seq: vec![(0, 0); hosts],
            place,
        }
    }

    fn run(&mut self, inbox: &Inbox, jobs: &Receiver<Job>) {
        for job in jobs {
            let begun = boottime_ns();
            let mut read_begun = begun;
            let outcome = self.cycle(&job, &mut read_begun);
            let disk = self.place.disk;
            let done =
                CycleDone { id: job.id, disk, begun, read_begun, ended: boottime_ns(), outcome };
            inbox.send(Message::Cycle(self.place.session, done));
        }
    }

    fn cycle(&mut self, job: &Job, read_begun: &mut u64) -> Result<CycleRead, CycleFault> {
        let path = self.place.path.clone();
        let io = |error: std::io::Error| CycleFault::Path(format!("{}: {error}", path.display()));
        let file = match self.file.take() {
            Some(file) => file,
            None => DirectFile::open(&path, self.faults.clone()).map_err(io)?,
        };
        let own_before = self.write(&file, job, &path)?;
        *read_begun = boottime_ns();
        let read = self.read(&file, job, own_before, &path)?;
        self.file = Some(file);
        Ok(read)
    }

    /// Reads the own beat block, then writes the beat and, when it changed, the decision.
    fn write(
        &self,
        file: &DirectFile,
        job: &Job,
        path: &Path,
    ) -> Result<Option<Arc<Report>>, CycleFault> {
        let io = |error: std::io::Error| CycleFault::Path(format!("{}: {error}", path.display()));
        let (key, generation, me) = (&self.place.key, self.place.generation, self.place.me);
        let at = self.layout.offset(Kind::Beat, me);
        let before = file.read(at, self.layout.size(Kind::Beat)).map_err(io)?;
        let own_before = open_beat(key, generation, me, &before).ok().map(Arc::new);
        if let Some(report) = &job.beat {
            let block = seal_beat(key, generation, self.layout, me, report)?;
            file.write(at, &block).map_err(io)?;
        }
        if let Some(decision) = &job.decision {
            let (kind, block) = seal_decision(key, generation, self.layout, me, decision)?;
            file.write(self.layout.offset(kind, me), &block).map_err(io)?;
        }
        Ok(own_before)
    }

    fn read(
        &mut self,
        file: &DirectFile,
        job: &Job,
        own_before: Option<Arc<Report>>,
        path: &Path,
    ) -> Result<CycleRead, CycleFault> {
        let io = |error: std::io::Error| CycleFault::Path(format!("{}: {error}", path.display()));
        let layout = self.layout;
        let whole = job.all && layout.hosts <= CONTIGUOUS;
        let length = if whole { layout.len() } else { layout.decisions_at() };
        let image = file.read(0, length).map_err(io)?;
        self.check_header(&image[..layout.size(Kind::Header)])?;
        let slots = || (0..layout.hosts).map(Slot::at);
        let (key, generation) = (&self.place.key, self.place.generation);
        let beat = |slot: Slot| {
            let bytes = layout.part(&image, Kind::Beat, slot)?;
            open_beat(key, generation, slot, bytes).ok().map(Arc::new)
        };
        let beats: Vec<Option<Arc<Report>>> = slots().map(beat).collect();
        let mut decisions = Vec::with_capacity(layout.hosts);
        for (slot, beat) in slots().zip(&beats) {
            let news = beat.as_ref().map_or((0, 0), |report| (report.decision_seq, report.epoch));
            let changed = job.all || self.read_seq[slot.index()] != news || slot == self.place.me;
            let mut copies = [None, None];
            for (copy, place) in (0..2).zip(&mut copies) {
                let kind = Kind::Decision(copy);
                let held = (!whole && changed)
                    .then(|| file.read(layout.offset(kind, slot), layout.size(kind)))
                    .transpose()
                    .map_err(io)?;
                let bytes = held.as_deref().or_else(|| layout.part(&image, kind, slot));
                *place = Some(self.decision(slot, copy, bytes));
            }
            self.read_seq[slot.index()] = news;
            decisions.push(Seen::of(copies.map(|copy| copy.unwrap_or(Err(BlockError::Blank)))));
        }
        Ok(CycleRead { own_before, beats, decisions })
    }

    /// A copy of a decision block; what was checked before is not checked again.
    fn decision(
        &mut self,
        slot: Slot,
        copy: u8,
        bytes: Option<&[u8]>,
    ) -> Result<Arc<Decision>, BlockError> {
        let cached = &mut self.decisions[slot.index()][usize::from(copy)];
        let Some(bytes) = bytes else {
            return cached.as_ref().map_or(Err(BlockError::Blank), |known| known.content.clone());
        };
        if let Some(known) = cached.as_ref().filter(|known| known.bytes == bytes) {
            return known.content.clone();
        }
        let (key, generation) = (&self.place.key, self.place.generation);
        let content = open_decision_copy(key, generation, (slot, copy), bytes);
        *cached = Some(Cached { bytes: bytes.to_vec(), content: content.clone() });
        content
    }

    /// The header must be this session's and name its hosts.
    fn check_header(&mut self, bytes: &[u8]) -> Result<(), BlockError> {
        if self.header.as_deref() == Some(bytes) {
            return Ok(());
        }
        let hosts = block::open_header(&self.place.key, self.place.generation, bytes)?;
        if hosts != self.place.hosts {
            return Err(BlockError::Foreign);
        }
        self.header = Some(bytes.to_vec());
        Ok(())
    }
}

/// Up to so many hosts the whole statefile is read in one piece.
const CONTIGUOUS: usize = 64;
