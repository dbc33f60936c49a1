//! The threads that run disk cycles, one for each statefile: a hung disk hangs its thread and
//! nothing else.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use uuid::Uuid;

use super::inbox::{Inbox, Message};
use super::threads;
use crate::heartbeat::auth::Key;
use crate::heartbeat::block::{
    self, BlockError, Kind, Layout, Seen, open_beat, open_decision_copy, seal_beat, seal_decision,
};
use crate::heartbeat::decision::Decision;
use crate::heartbeat::node::{CycleDone, CycleFault, CycleRead};
use crate::heartbeat::report::Report;
use crate::heartbeat::view::Slot;
use crate::host::clock::boottime_ns;
use crate::host::direct_io::{Aligned, DirectFile};
use crate::host::faults::Faults;
use crate::host::realtime;
use crate::host::system_word::system_word;

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

/// Where blocks are read and written: a statefile, or a room in memory. Offsets, lengths and rooms
/// are whole pages.
pub trait Blocks {
    /// Fills the room from that offset.
    fn read_into(&self, offset: u64, room: &mut [u8]) -> std::io::Result<()>;
    /// Writes at that offset; durable when it returns.
    fn write_from(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()>;
}

impl Blocks for DirectFile {
    fn read_into(&self, offset: u64, room: &mut [u8]) -> std::io::Result<()> {
        DirectFile::read_into(self, offset, room)
    }

    fn write_from(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        DirectFile::write_from(self, offset, bytes)
    }
}

/// Starts the thread for one statefile; it ends when the sender is dropped.
pub fn spawn(place: Place, faults: Faults, inbox: Inbox) -> Option<SyncSender<Job>> {
    let (sender, jobs) = sync_channel(2);
    let name = format!("statefile-{}", place.disk);
    let work = move || {
        // Where the loop has no such priority, this has none either; the loop has said so.
        let _best_effort = realtime::round_robin(realtime::DISK);
        run(place, &faults, &inbox, &jobs);
    };
    threads::start(&name, work).then_some(sender)
}

fn run(place: Place, faults: &Faults, inbox: &Inbox, jobs: &Receiver<Job>) {
    let (session, disk, path) = (place.session, place.disk, place.path.clone());
    let mut cycles = Cycles::new(place);
    let mut file: Option<DirectFile> = None;
    for job in jobs {
        let begun = boottime_ns();
        let mut read_begun = begun;
        let opened = match file.take() {
            Some(file) => Ok(file),
            None => DirectFile::open(&path, faults.clone()).map_err(|error| cycles.failed(&error)),
        };
        let outcome = opened.and_then(|open| {
            let read = cycles.cycle(&open, &job, || read_begun = boottime_ns())?;
            file = Some(open);
            Ok(read)
        });
        let done = CycleDone { id: job.id, disk, begun, read_begun, ended: boottime_ns(), outcome };
        inbox.send(Message::Cycle(session, done));
    }
}

/// A copy of a decision block as last read: equal bytes need not be checked again.
#[derive(Debug)]
struct Cached {
    bytes: Vec<u8>,
    content: Result<Arc<Decision>, BlockError>,
}

/// The cycles of one statefile, with what they remember of the last one.
#[derive(Debug)]
pub struct Cycles {
    place: Place,
    layout: Layout,
    header: Option<Vec<u8>>,
    header_damaged: bool,
    decisions: Vec<[Option<Cached>; 2]>,
    /// The sequence of each decision that was last read.
    read_seq: Vec<(u64, u64)>,
    /// Rooms that are used again with each cycle: for all blocks, and for one.
    image: Aligned,
    one: Aligned,
}

impl Cycles {
    /// Cycles that have read nothing yet.
    pub fn new(place: Place) -> Self {
        let hosts = place.hosts.len();
        let layout = Layout { hosts };
        let whole = if hosts <= CONTIGUOUS { layout.len() } else { layout.decisions_at() };
        let kinds = [Kind::Header, Kind::Beat, Kind::Decision(0)];
        let largest = kinds.map(|kind| layout.size(kind)).into_iter().max().unwrap_or(0);
        Cycles {
            layout,
            header: None,
            header_damaged: false,
            decisions: (0..hosts).map(|_| [None, None]).collect(),
            read_seq: vec![(0, 0); hosts],
            image: Aligned::new(whole),
            one: Aligned::new(largest),
            place,
        }
    }

    /// One cycle: writes the own blocks, then reads all; `read_begins` is called in between.
    pub fn cycle<B: Blocks>(
        &mut self,
        disk: &B,
        job: &Job,
        read_begins: impl FnOnce(),
    ) -> Result<CycleRead, CycleFault> {
        let own_before = self.write(disk, job)?;
        read_begins();
        // The image leaves its place for as long as it is read, so that the rest can change.
        let mut image = std::mem::take(&mut self.image);
        let read = self.read(disk, job, own_before, &mut image);
        self.image = image;
        read
    }

    fn failed(&self, error: &std::io::Error) -> CycleFault {
        CycleFault::Path(format!("{}: {}", self.place.path.display(), system_word(&error)))
    }

    /// Reads the own beat block, then writes the beat and, when it changed, the decision.
    fn write<B: Blocks>(&mut self, disk: &B, job: &Job) -> Result<Option<Arc<Report>>, CycleFault> {
        let (generation, me, layout) = (self.place.generation, self.place.me, self.layout);
        if let Some(header) = self.header.clone().filter(|_| self.header_damaged) {
            self.put(disk, 0, &header)?;
            self.header_damaged = false;
        }
        let (at, size) = (layout.offset(Kind::Beat, me), layout.size(Kind::Beat));
        let before = disk.read_into(at, self.one.room(size));
        before.map_err(|error| self.failed(&error))?;
        let own_before = open_beat(&self.place.key, generation, me, self.one.room(size));
        if let Some(report) = &job.beat {
            let block = seal_beat(&self.place.key, generation, layout, me, report)?;
            self.put(disk, at, &block)?;
        }
        if let Some(decision) = &job.decision {
            let (kind, block) = seal_decision(&self.place.key, generation, layout, me, decision)?;
            self.put(disk, layout.offset(kind, me), &block)?;
        }
        Ok(own_before.ok().map(Arc::new))
    }

    fn put<B: Blocks>(&mut self, disk: &B, at: u64, block: &[u8]) -> Result<(), CycleFault> {
        let room = self.one.room(block.len());
        room.copy_from_slice(block);
        disk.write_from(at, room).map_err(|error| self.failed(&error))
    }

    fn read<B: Blocks>(
        &mut self,
        disk: &B,
        job: &Job,
        own_before: Option<Arc<Report>>,
        image: &mut Aligned,
    ) -> Result<CycleRead, CycleFault> {
        let layout = self.layout;
        let whole = job.all && layout.hosts <= CONTIGUOUS;
        let length = if whole { layout.len() } else { layout.decisions_at() };
        let image = image.room(length);
        disk.read_into(0, image).map_err(|error| self.failed(&error))?;
        self.check_header(&image[..layout.size(Kind::Header)])?;
        let slots = || (0..layout.hosts).map(Slot::at);
        let (key, generation) = (&self.place.key, self.place.generation);
        let beat = |slot: Slot| {
            let bytes = layout.part(image, Kind::Beat, slot)?;
            open_beat(key, generation, slot, bytes).ok().map(Arc::new)
        };
        let beats: Vec<Option<Arc<Report>>> = slots().map(beat).collect();
        let mut decisions = Vec::with_capacity(layout.hosts);
        for (slot, beat) in slots().zip(&beats) {
            let news = beat.as_ref().map_or((0, 0), |report| (report.decision_seq, report.epoch));
            let changed = job.all || self.read_seq[slot.index()] != news || slot == self.place.me;
            let mut copies = [None, None];
            for (copy, place) in (0..2).zip(&mut copies) {
                *place = Some(match layout.part(image, Kind::Decision(copy), slot) {
                    Some(bytes) => self.decision(slot, copy, Some(bytes)),
                    None if changed => self.look_up(disk, slot, copy)?,
                    None => self.decision(slot, copy, None),
                });
            }
            self.read_seq[slot.index()] = news;
            decisions.push(Seen::of(copies.map(|copy| copy.unwrap_or(Err(BlockError::Blank)))));
        }
        Ok(CycleRead { own_before, beats, decisions })
    }

    /// Reads one copy of a decision block by itself.
    fn look_up<B: Blocks>(
        &mut self,
        disk: &B,
        slot: Slot,
        copy: u8,
    ) -> Result<Result<Arc<Decision>, BlockError>, CycleFault> {
        let kind = Kind::Decision(copy);
        let size = self.layout.size(kind);
        let mut one = std::mem::take(&mut self.one);
        let read = disk.read_into(self.layout.offset(kind, slot), one.room(size));
        let content = read
            .map_err(|error| self.failed(&error))
            .map(|()| self.decision(slot, copy, Some(one.room(size))));
        self.one = one;
        content
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

    /// The header must be this session's and name its hosts. One that was good in this session
    /// and is damaged since is no fault: nobody needs it but a host that starts, so it is put
    /// right with the next cycle. A blank one, or one of another session, is a statefile that
    /// was taken for something else.
    fn check_header(&mut self, bytes: &[u8]) -> Result<(), BlockError> {
        if self.header.as_deref() == Some(bytes) {
            return Ok(());
        }
        match block::open_header(&self.place.key, self.place.generation, bytes) {
            Ok(hosts) if hosts == self.place.hosts => {
                self.header = Some(bytes.to_vec());
                Ok(())
            }
            Ok(_) => Err(BlockError::Foreign),
            Err(BlockError::Blank) => Err(BlockError::Blank),
            Err(BlockError::Generation(theirs)) => Err(BlockError::Generation(theirs)),
            Err(error) => {
                let known = self.header.as_deref().ok_or(error.clone())?;
                let changed = known.iter().zip(bytes).filter(|(a, b)| a != b).count();
                self.header_damaged = changed <= MOST_DAMAGE;
                if self.header_damaged { Ok(()) } else { Err(error) }
            }
        }
    }
}

/// So many bytes of a header may be damaged: a sector. More is somebody else's content.
const MOST_DAMAGE: usize = 512;
/// Up to so many hosts the whole statefile is read in one piece.
const CONTIGUOUS: usize = 64;
