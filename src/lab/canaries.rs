//! Watching the canaries: who wrote which disk, in which run, when.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::checks::{Disk, Span, Write};
use super::events::Events;
use crate::host::clock::boottime_ns;
use crate::host::hypervisor::canary::{self, Canary};

/// The time between two looks at a disk: some ten looks for each write of a guest.
const PERIOD: Duration = Duration::from_millis(20);

/// How often the directory is searched for new disks.
const SEARCH: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Seen {
    disks: BTreeMap<PathBuf, Disk>,
    longest_pause: Duration,
}

/// Watches the disks of an SR's directory until it is dropped.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    ended: Arc<AtomicBool>,
}

impl Watch {
    /// Begins; with `keep` every write is kept, else only the first and last of each span.
    pub fn begin(sr: &Path, events: Events, keep: bool) -> Self {
        let watch = Self { seen: Arc::default(), ended: Arc::default() };
        let (seen, ended) = (Arc::clone(&watch.seen), Arc::clone(&watch.ended));
        let sr = sr.to_owned();
        std::thread::spawn(move || Looker { sr, events, keep, seen }.run(&ended));
        watch
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen on each disk so far.
    pub fn disks(&self) -> Vec<Disk> {
        self.lock().disks.values().cloned().collect()
    }

    /// The longest time for which this watch did not look, because the computer was busy.
    pub fn longest_pause(&self) -> Duration {
        self.lock().longest_pause
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

struct Looker {
    sr: PathBuf,
    events: Events,
    keep: bool,
    seen: Arc<Mutex<Seen>>,
}

impl Looker {
    fn run(&self, ended: &AtomicBool) {
        let mut open: BTreeMap<PathBuf, File> = BTreeMap::new();
        let (mut searched, mut looked) = (None::<Instant>, Instant::now());
        while !ended.load(Ordering::Relaxed) {
            if searched.is_none_or(|at| at.elapsed() > SEARCH) {
                search(&self.sr, &mut open);
                searched = Some(Instant::now());
            }
            let pause = looked.elapsed();
            looked = Instant::now();
            for (path, file) in &open {
                // A disk that is being removed reads as nothing.
                if let Ok(Some(canary)) = canary::read_open(file) {
                    self.saw(path, &canary);
                }
            }
            {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.longest_pause = seen.longest_pause.max(pause);
            }
            std::thread::sleep(PERIOD.saturating_sub(looked.elapsed()));
        }
    }

    fn saw(&self, path: &Path, canary: &Canary) {
        let write = Write { t_ns: boottime_ns(), counter: canary.counter };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = seen.disks.entry(path.to_owned()).or_default();
        match disk.last_mut() {
            Some(span) if (span.vm, span.run) == (canary.vm, canary.run) => {
                let several = span.writes.len() > 1;
                match span.writes.last_mut() {
                    Some(last) if last.counter == write.counter => {}
                    Some(last) if several && !self.keep => *last = write,
                    _ => span.writes.push(write),
                }
            }
            before => {
                if let Some((span, last)) =
                    before.and_then(|span| Some((&*span, span.writes.last()?)))
                {
                    self.note(last.t_ns, "canary-last", span.vm, span.run, last.counter);
                }
                self.note(write.t_ns, "canary-first", canary.vm, canary.run, canary.counter);
                // A run that writes again after another one is a second writer beside it.
                let same = |span: &&Span| (span.vm, span.run) == (canary.vm, canary.run);
                if disk.iter().filter(same).count() == 1 {
                    self.note(write.t_ns, "vm-twice", canary.vm, canary.run, canary.counter);
                }
                disk.push(Span { vm: canary.vm, run: canary.run, writes: vec![write] });
            }
        }
    }

    fn note(&self, t_ns: u64, event: &str, vm: Uuid, run: u64, counter: u64) {
        let fields = serde_json::json!({ "vm": vm, "run": run, "counter": counter });
        self.events.note(t_ns, event, "", "seen on the VM's disk", fields);
    }
}

/// Opens the raw images that have appeared, forgets those that are gone.
fn search(sr: &Path, open: &mut BTreeMap<PathBuf, File>) {
    let Ok(entries) = std::fs::read_dir(sr) else { return };
    let images = entries.flatten().map(|entry| entry.path());
    let images: Vec<_> =
        images.filter(|path| path.extension().is_some_and(|e| e == "raw")).collect();
    open.retain(|path, _| images.contains(path));
    for path in images {
        if !open.contains_key(&path)
            && let Ok(file) = canary::open(&path)
        {
            open.insert(path, file);
        }
    }
}

/// Watches for as long as the lab is up: what `lab up` leaves behind for `lab timeline`.
pub fn main(dir: &Path) -> anyhow::Result<()> {
    let _terminal_gone = rustix::process::setsid();
    let lab = super::setting::Lab::find(dir)?;
    let watch = Watch::begin(&lab.sr_dir(), Events::of(&lab.dir), false);
    let same = || super::setting::Lab::find(dir).is_ok_and(|now| now.setting == lab.setting);
    while same() {
        std::thread::sleep(Duration::from_secs(1));
    }
    drop(watch);
    Ok(())
}
