//! The thread that runs disk cycles: a hung disk hangs this thread and nothing else.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::inbox::{Inbox, Message};
use crate::heartbeat::block::{BLOCK, Layout};
use crate::heartbeat::node::{CycleDone, CycleRead};
use crate::host::clock::boottime_ns;
use crate::host::direct_io::DirectFile;
use crate::host::faults::Faults;

/// One cycle to run.
#[derive(Debug)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// Where the own beat block stands.
    pub own: u64,
    /// Offsets and blocks to write, in order.
    pub writes: Vec<(u64, Vec<u8>)>,
}

/// Starts the thread for one statefile; it ends when the sender is dropped.
pub fn spawn(
    path: PathBuf,
    layout: Layout,
    faults: Faults,
    session: u64,
    inbox: Inbox,
) -> Sender<Job> {
    let (sender, jobs) = channel();
    std::thread::spawn(move || run(&path, layout, &faults, session, &inbox, &jobs));
    sender
}

fn run(
    path: &Path,
    layout: Layout,
    faults: &Faults,
    session: u64,
    inbox: &Inbox,
    jobs: &Receiver<Job>,
) {
    let mut disk: Option<DirectFile> = None;
    for job in jobs {
        let begun = boottime_ns();
        let mut read_begun = begun;
        let mut cycle = || -> std::io::Result<CycleRead> {
            let opened = match disk.take() {
                Some(disk) => disk,
                None => DirectFile::open(path, faults.clone())?,
            };
            let own_before = opened.read(job.own, BLOCK)?;
            for (offset, block) in &job.writes {
                opened.write(*offset, block)?;
            }
            read_begun = boottime_ns();
            let image = opened.read(0, layout.len())?;
            disk = Some(opened);
            Ok(CycleRead { own_before, image })
        };
        let outcome = cycle().map_err(|error| format!("{}: {error}", path.display()));
        let done = CycleDone { id: job.id, begun, read_begun, ended: boottime_ns(), outcome };
        inbox.send(Message::Cycle(session, done));
    }
}
