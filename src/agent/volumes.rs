//! The metadata volumes of several SRs as one replica: what a majority of them holds is kept.
//!
//! A master reads a majority of the volumes before it writes, and each record that it calls written
//! is on a majority; these share a volume, so it knows every such record. What makes one volume's
//! state newer than another's is, in this order: the epoch of the master that began the segment,
//! that master's term, the number of records.
//!
//! * A later epoch's master has read a majority first: what its segment lacks was on no majority.
//! * A record that reached some volumes but no majority may stand on these; the next one takes its
//!   place. So the master begins a new *term* then: all volumes get a new segment with a snapshot
//!   from before that record, and the old segments count for less. Terms are moments of
//!   CLOCK_BOOTTIME: they grow over restarts of the agent in one boot, as epochs do over boots.
//! * A volume that failed, or did not answer in time, is left out until it answers; then it gets a
//!   new segment in the same term with a snapshot, so that records on it follow each other.
//!
//! So the writer goes on by itself when the storage is back: a master that cannot write for a while
//! stays master as long as its lease says so.

use super::replica::Replica;
use super::volume::{self, Newest, Writer};
use crate::host::clock::boottime_ns;
use crate::host::faults::Faults;
use std::cell::OnceCell;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// How long a record may take to reach a majority of the volumes.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same where they begin a segment, and where they are read.
const LONG_PATIENCE: Duration = Duration::from_secs(10);

/// How often a volume that fails is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// How many of so many volumes must hold a record.
pub fn majority(volumes: usize) -> usize {
    volumes / 2 + 1
}

/// Reads the newest state that a majority of the volumes can know of. It waits for no more of them
/// than that: one that hangs holds nobody up.
pub fn read(paths: &[PathBuf], faults: &Faults) -> io::Result<Newest> {
    let (tell, told) = channel();
    for path in paths {
        let (path, faults, tell) = (path.clone(), faults.clone(), tell.clone());
        std::thread::Builder::new().name("metadata".to_owned()).spawn(move || {
            let _ = tell.send(volume::read(&path, &faults));
        })?;
    }
    drop(tell);
    let (mut read, mut error) = (Vec::new(), None);
    while read.len() < majority(paths.len()) {
        match told.recv_timeout(LONG_PATIENCE) {
            Ok(Ok(newest)) => read.push(newest),
            Ok(Err(why)) => error = Some(why),
            Err(RecvTimeoutError::Timeout) => return Err(late()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(error.unwrap_or_else(|| io::Error::other("there is no volume")));
            }
        }
    }
    Ok(read.into_iter().max_by_key(Newest::rank).unwrap_or_default())
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "too few of the metadata volumes answered in time")
}

/// What the thread of a volume is to write: a snapshot in a new segment, a record, or both.
struct Task {
    round: u64,
    /// The term and the snapshot.
    begin: Option<(u64, Vec<u8>)>,
    record: Vec<u8>,
}

/// What it answers: which volume, in which round, and the room that is left in the segment.
type Written = (usize, u64, io::Result<u64>);

/// What a volume's thread does with a task.
type Write = Box<dyn FnMut(&Task) -> io::Result<u64> + Send>;

/// One volume as the master knows it.
struct Member {
    ask: SyncSender<Task>,
    /// Since when an answer is owed.
    owed: Option<Instant>,
    /// The room in its segment, if that has all records of the term.
    follows: Option<u64>,
    /// When it failed last, if it has not answered well since.
    failed: Option<Instant>,
}

impl Member {
    fn new(index: usize, mut write: Write, answers: Sender<Written>) -> io::Result<Self> {
        let (ask, asked) = sync_channel::<Task>(1);
        std::thread::Builder::new().name("metadata".to_owned()).spawn(move || {
            for task in asked {
                if answers.send((index, task.round, write(&task))).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ask, owed: None, follows: None, failed: None })
    }

    /// Whether an answer is owed that may still come in time.
    fn may_answer(&self, patience: Duration) -> bool {
        self.owed.is_some_and(|asked| asked.elapsed() < patience)
    }

    /// Whether it fails all the time: there is no hurry to ask it again.
    fn is_resting(&self) -> bool {
        self.failed.is_some_and(|failed| failed.elapsed() < AGAIN)
    }
}

fn write(writer: &mut Writer, task: &Task) -> io::Result<u64> {
    if let Some((term, snapshot)) = &task.begin {
        writer.begin(*term, snapshot)?;
    }
    if !task.record.is_empty() {
        writer.append(&task.record)?;
    }
    Ok(writer.room())
}

/// The volumes that a master writes.
pub struct Volumes {
    members: Vec<Member>,
    answers: Receiver<Written>,
    /// Counts what the members were asked, so that a late answer is known as one.
    round: u64,
    term: u64,
    /// The state before the record that is being written, as one record.
    snapshot: Box<dyn Fn() -> Vec<u8> + Send>,
}

impl Volumes {
    /// Takes a segment of each volume for an epoch; a majority must give one.
    pub fn begin(
        paths: &[PathBuf],
        faults: &Faults,
        epoch: u64,
        snapshot: Box<dyn Fn() -> Vec<u8> + Send>,
    ) -> io::Result<Self> {
        let writer = |path: &PathBuf| {
            let mut writer = Writer::new(path.clone(), faults.clone(), epoch);
            Box::new(move |task: &Task| write(&mut writer, task)) as Write
        };
        Self::over(paths.iter().map(writer).collect(), snapshot)
    }

    fn over(writers: Vec<Write>, snapshot: Box<dyn Fn() -> Vec<u8> + Send>) -> io::Result<Self> {
        let (tell, answers) = channel();
        let member = |(index, write)| Member::new(index, write, tell.clone());
        let members = writers.into_iter().enumerate().map(member).collect::<io::Result<_>>()?;
        let term = boottime_ns();
        let mut volumes = Self { members, answers, round: 0, term, snapshot };
        volumes.append(&[])?;
        Ok(volumes)
    }

    /// Takes an answer.
    fn take(&mut self, (index, round, told): Written) -> io::Result<()> {
        let member = &mut self.members[index];
        member.owed = None;
        member.failed = told.is_err().then(Instant::now);
        member.follows = told.as_ref().ok().copied().filter(|_| round == self.round);
        told.map(drop)
    }

    fn take_those_there(&mut self) {
        while let Ok(answer) = self.answers.try_recv() {
            let _ = self.take(answer);
        }
    }

    /// Asks one volume to write a record; whether that needs a new segment.
    fn ask(&mut self, index: usize, record: &[u8], snapshot: &OnceCell<Vec<u8>>) -> bool {
        let fresh = || (self.term, snapshot.get_or_init(|| (self.snapshot)()).clone());
        let member = &mut self.members[index];
        let room = member.follows.take();
        let begin = room.is_none_or(|room| room < volume::length(record)).then(fresh);
        let begins = begin.is_some();
        let task = Task { round: self.round, begin, record: record.to_vec() };
        member.owed = member.ask.send(task).is_ok().then(Instant::now);
        begins
    }

    /// Asks the volumes to write a record; gives the time that they have.
    fn ask_all(&mut self, record: &[u8], snapshot: &OnceCell<Vec<u8>>) -> Duration {
        self.round += 1;
        let wanted = majority(self.members.len());
        let fit = |member: &&Member| member.owed.is_none() && !member.is_resting();
        let all = self.members.iter().filter(fit).count() < wanted;
        let (mut quick, mut slow) = (0, 0);
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            if member.is_resting() && !all {
                member.follows = None;
            } else if member.owed.is_none() {
                match self.ask(index, record, snapshot) {
                    true => slow += 1,
                    false => quick += 1,
                }
            }
        }
        if quick < wanted && slow > 0 { LONG_PATIENCE } else { PATIENCE }
    }
}

impl Replica for Volumes {
    fn copies(&mut self) -> Option<(usize, usize)> {
        self.take_those_there();
        let late = |member: &Member| member.owed.is_some_and(|asked| asked.elapsed() > PATIENCE);
        let well = self.members.iter().filter(|member| member.failed.is_none() && !late(member));
        Some((well.count(), self.members.len()))
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.take_those_there();
        let snapshot = OnceCell::new();
        let patience = self.ask_all(record, &snapshot);
        let deadline = Instant::now() + patience;
        let (mut missing, mut error) = (majority(self.members.len()), late());
        // One that was asked long ago hangs: nobody waits for it again.
        while missing > 0 && self.members.iter().any(|member| member.may_answer(patience)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(answer) = self.answers.recv_timeout(left) else { break };
            let (index, earlier) = (answer.0, answer.1 != self.round);
            match self.take(answer) {
                // It was busy with an earlier record: now it can have this one.
                Ok(_) if earlier => _ = self.ask(index, record, &snapshot),
                Ok(_) => missing -= 1,
                Err(why) => error = why,
            }
        }
        if missing == 0 {
            return Ok(());
        }
        // The record may stand on some: the next one begins a new term on all.
        self.term = boottime_ns().max(self.term + 1);
        self.round += 1;
        self.members.iter_mut().for_each(|member| member.follows = None);
        Err(error)
    }
}

#[cfg(test)]
mod tests;
