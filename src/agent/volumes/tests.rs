//! Whatever fails, what was called written is known to every later master.

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

    /// Waits until no volume owes an answer: one that is busy is not asked for the next record.
    fn settle(&mut self) {
        let volumes = self.volumes.as_mut().unwrap();
        while volumes.members.iter().any(|member| member.owed.is_some()) {
            std::thread::sleep(Duration::from_millis(1));
            volumes.take_those_there();
        }
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
    pool.settle();
    pool.health[0].store(Health::Fails as u8, Ordering::SeqCst);
    pool.write();
    pool.wait_for((2, 3));
    pool.settle();
    pool.health[1].store(Health::Fails as u8, Ordering::SeqCst);
    pool.write();
    assert_eq!(pool.written, ["vm1"], "one of three is no majority");
    for health in &pool.health {
        health.store(Health::Well as u8, Ordering::SeqCst);
    }
    pool.settle();
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

#[test]
fn a_volume_that_hangs_holds_up_one_record_and_no_later_one() {
    let (release, held) = channel::<()>();
    let mut first = true;
    let hangs = Box::new(move |_: &Task| -> io::Result<u64> {
        if !std::mem::take(&mut first) {
            held.recv().ok();
        }
        Ok(1u64 << 20)
    }) as Write;
    let mut volumes = Volumes::over(vec![hangs], Box::new(Vec::new)).unwrap();
    assert!(volumes.append(b"one").is_err());
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(volumes.append(b"more").is_err());
    }
    assert!(begun.elapsed() < PATIENCE * 10, "each waited anew");
    assert_eq!(volumes.copies(), Some((0, 1)));
    drop(release);
}
