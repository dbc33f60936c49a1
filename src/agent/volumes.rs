//! The metadata volumes of several SRs as one replica: what a majority of them holds is kept.
//!
//! A master reads a majority of the volumes before it writes, and each record that it calls written
//! is on a majority; these share a volume, so it knows every such record. What makes one volume's
//! state newer than another's is, in this order: the epoch of the master that began the segment,
//! that master's term, the number of records.
//!
//! * A later epoch's master has read a majority first, so what its segment lacks was on no majority.
//! * A record that reached some volumes but no majority may stand on these; the next one takes its
//!   place. So the master begins a new *term* then: all volumes get a new segment with a snapshot
//!   from before that record, and the old segments count for less. Terms are moments of
//!   CLOCK_BOOTTIME: they grow over restarts of the agent, within one boot, as epochs do over boots.
//! * A volume that failed, or did not answer in time, is left out until it answers; then it gets a
//!   new segment in the same term with a snapshot, so that records on it follow each other.

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
    /// Whether the last record reached a majority.
    works: bool,
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
        let mut volumes = Self { members, answers, round: 0, term, snapshot, works: false };
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
        let mut quick = 0;
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            if member.is_resting() && !all {
                member.follows = None;
            } else if member.owed.is_none() {
                quick += usize::from(!self.ask(index, record, snapshot));
            }
        }
        if quick >= wanted { PATIENCE } else { LONG_PATIENCE }
    }
}

impl Replica for Volumes {
    fn works(&self) -> bool {
        self.works
    }

    fn copies(&mut self) -> Option<(usize, usize)> {
        self.take_those_there();
        let late = |member: &Member| member.owed.is_some_and(|asked| asked.elapsed() > PATIENCE);
        let well = self.members.iter().filter(|member| member.failed.is_none() && !late(member));
        Some((well.count(), self.members.len()))
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.take_those_there();
        let snapshot = OnceCell::new();
        let deadline = Instant::now() + self.ask_all(record, &snapshot);
        let (mut missing, mut error) = (majority(self.members.len()), late());
        while missing > 0 && self.members.iter().any(|member| member.owed.is_some()) {
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
        self.works = missing == 0;
        if self.works {
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
mod tests {
    use super::*;
    use crate::pool::journal::{Position, Record};
    use crate::pool::{Database, Transaction};
    use crate::xenapi::Value;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::sync::{Arc, Mutex};

    /// What happens to a volume's next writes.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(u8)]
    enum Health {
        Well,
        /// Nothing is written.
        Fails,
        /// It is written, and the answer is lost.
        Deceives,
    }

    /// Three volumes in files, a master, and what was ever called written.
    struct Pool {
        _dir: tempfile::TempDir,
        paths: Vec<PathBuf>,
        health: Vec<Arc<AtomicU8>>,
        state: Arc<Mutex<(Database, Position)>>,
        volumes: Option<Volumes>,
        epoch: u64,
        written: Vec<String>,
        names: u32,
    }

    impl Pool {
        fn new() -> Self {
            let dir = tempfile::tempdir_in(".").unwrap();
            let paths: Vec<PathBuf> = (0..3).map(|n| dir.path().join(n.to_string())).collect();
            for path in &paths {
                std::fs::File::create(path).unwrap().set_len(16 * (128 << 10)).unwrap();
            }
            let health = (0..3).map(|_| Arc::new(AtomicU8::new(0))).collect();
            let (state, written) = (Arc::default(), Vec::new());
            let (volumes, epoch, names) = (None, 0, 0);
            Self { _dir: dir, paths, health, state, volumes, epoch, written, names }
        }

        /// A master of the next epoch that reads two of the volumes, and writes all it can.
        fn take_over(&mut self, unread: usize) {
            self.volumes = None;
            let mut paths = self.paths.clone();
            paths.remove(unread);
            // Both are read: a majority of two is two.
            let newest = read(&paths, &Faults::none()).unwrap();
            for name in &self.written {
                let there = newest.replayed.database.row("VM", &format!("OpaqueRef:{name}"));
                assert!(there.is_some(), "{name} is lost, unread {unread}");
            }
            *self.state.lock().unwrap() = (newest.replayed.database, newest.replayed.position);
            self.epoch += 1;
            let writer = |(path, health): (&PathBuf, &Arc<AtomicU8>)| {
                let mut writer = Writer::new(path.clone(), Faults::none(), self.epoch);
                let health = Arc::clone(health);
                Box::new(move |task: &Task| match health.load(Ordering::SeqCst) {
                    0 => write(&mut writer, task),
                    1 => Err(io::Error::other("fails")),
                    _ => write(&mut writer, task).and(Err(io::Error::other("no answer"))),
                }) as Write
            };
            let state = Arc::clone(&self.state);
            let snapshot = Box::new(move || {
                let (database, position) = &*state.lock().unwrap();
                let record = Record::snapshot(database, position, "boot");
                record.encode(position).unwrap().0
            });
            let writers = self.paths.iter().zip(&self.health).map(writer).collect();
            self.volumes = Volumes::over(writers, snapshot).ok();
        }

        fn wait_for(&mut self, copies: (usize, usize)) {
            let begun = Instant::now();
            while self.volumes.as_mut().unwrap().copies() != Some(copies) {
                assert!(begun.elapsed() < Duration::from_secs(60), "{copies:?} did not come");
                std::thread::sleep(Duration::from_millis(1));
            }
        }

        fn write(&mut self) {
            let Some(volumes) = &mut self.volumes else { return };
            self.names += 1;
            let name = format!("vm{}", self.names);
            let (database, position) = self.state.lock().unwrap().clone();
            let mut tx = Transaction::over(&database);
            let long = "x".repeat(9_000);
            let fields =
                [("name_label", Value::from(name.as_str())), ("name_description", long.into())];
            tx.create("VM", &format!("OpaqueRef:{name}"), fields);
            let changes = tx.into_changes();
            let record = Record {
                epoch: self.epoch,
                boot: "boot".to_owned(),
                generation: position.generation + 1,
                snapshot_of: None,
                changes: changes.clone(),
                unknown: BTreeMap::new(),
            };
            let (bytes, next) = record.encode(&position).unwrap();
            // Tried again at once, however often it failed of late.
            volumes.members.iter_mut().for_each(|member| {
                member.failed = member.failed.and_then(|_| Instant::now().checked_sub(AGAIN));
            });
            if volumes.append(&bytes).is_ok() {
                // The rows stay few: what was written before is replaced.
                let mut state = self.state.lock().unwrap();
                state.0.apply(&changes);
                state.1 = next;
                self.written.push(name);
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Health(usize, Health),
        Write,
        TakeOver(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let health = prop_oneof![Just(Health::Well), Just(Health::Fails), Just(Health::Deceives)];
        let step = prop_oneof![
            2 => (0..3usize, health).prop_map(|(volume, health)| Step::Health(volume, health)),
            3 => Just(Step::Write),
            1 => (0..3usize).prop_map(Step::TakeOver),
        ];
        proptest::collection::vec(step, 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn what_was_called_written_is_known_to_every_later_master(steps in steps()) {
            let mut pool = Pool::new();
            pool.take_over(0);
            for step in steps {
                match step {
                    Step::Health(volume, health) => {
                        pool.health[volume].store(health as u8, Ordering::SeqCst);
                    }
                    // Few enough for half a segment.
                    Step::Write if pool.written.len() < 5 => pool.write(),
                    Step::Write => {}
                    Step::TakeOver(unread) => pool.take_over(unread),
                }
            }
            for unread in 0..3 {
                pool.take_over(unread);
            }
        }
    }

    #[test]
    fn one_of_three_may_fail_and_comes_back_with_all_records() {
        let mut pool = Pool::new();
        pool.take_over(0);
        pool.health[0].store(Health::Fails as u8, Ordering::SeqCst);
        pool.write();
        pool.wait_for((2, 3));
        pool.health[1].store(Health::Fails as u8, Ordering::SeqCst);
        pool.write();
        assert_eq!(pool.written, ["vm1"], "one of three is no majority");
        assert!(!pool.volumes.as_ref().unwrap().works());
        for health in &pool.health {
            health.store(Health::Well as u8, Ordering::SeqCst);
        }
        pool.write();
        assert_eq!(pool.written, ["vm1", "vm3"]);
        pool.wait_for((3, 3));
        let whole = || {
            let newest = read(std::slice::from_ref(&pool.paths[0]), &Faults::none());
            let newest = newest.unwrap_or_default().replayed;
            (newest.database, newest.position) == *pool.state.lock().unwrap()
        };
        let begun = Instant::now();
        while !whole() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the first volume lacks records");
        }
    }
}
