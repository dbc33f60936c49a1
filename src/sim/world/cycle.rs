//! Disk cycles: read the own block, write the own blocks, read all.

use std::sync::Arc;

use super::World;
use super::disk::{Blocks, Landing};
use super::machine::{Job, Path, What};
use super::net::key;
use crate::heartbeat::PROTOCOL;
use crate::heartbeat::block::{self, BlockError, Kind, Layout};
use crate::heartbeat::node::{CycleDone, CycleFault, CycleRead, Input};
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND};
use crate::heartbeat::view::Slot;

impl World {
    pub(super) fn disk_write(&mut self, host: usize, mut job: Job) {
        if self.machines[host].session != self.sessions {
            // The statefile has another key now.
            return self.disk_failed(host, &job);
        }
        if self.machines[host].other_protocol.1 {
            let unknown = CycleFault::Content(BlockError::Version(PROTOCOL));
            return self.cycle_ends_badly(host, &job, unknown);
        }
        match self.machines[host].paths[job.disk] {
            Path::Hangs => self.machines[host].parked.push(What::Write(job)),
            Path::Fails => self.disk_failed(host, &job),
            Path::Fine => {
                let shown = self.disks[job.disk].shown(host);
                job.own_before.clone_from(&shown.beats[host]);
                let blocks = std::mem::take(&mut job.blocks);
                let late = self.machines[host].late;
                let mut after = self.now + self.disk_latency();
                if std::mem::take(&mut self.machines[host].tear) {
                    self.land_badly(host, job.disk, blocks);
                    return self.disk_failed(host, &job);
                }
                if late > 0 {
                    let at = self.now + self.chance(late);
                    self.push(at, host, What::Land(job.disk, blocks));
                    after = after.max(at + 1);
                } else {
                    self.land(host, job.disk, blocks, Landing::Whole);
                }
                job.read_begun = self.clock(host);
                job.written = true;
                self.push(after, host, What::Read(job));
            }
        }
    }

    /// Blocks reach the medium.
    pub(super) fn land(&mut self, host: usize, disk: usize, blocks: Blocks, landing: Landing) {
        let blocks = if self.setting.bytes { self.by_bytes(host, blocks) } else { blocks };
        self.disks[disk].write(host, blocks, landing);
    }

    /// Power went, or the path broke, while the blocks were under way: they land whole, in part
    /// or not at all.
    pub(super) fn land_badly(&mut self, host: usize, disk: usize, blocks: Blocks) {
        let landing = match self.chance(4) {
            0 => return,
            1 => Landing::Whole,
            2 => Landing::Torn,
            _ => Landing::Short,
        };
        self.land(host, disk, blocks, landing);
    }

    /// The same blocks after they went through their bytes.
    fn by_bytes(&self, host: usize, blocks: Blocks) -> Blocks {
        let (layout, slot) = (Layout { hosts: self.machines.len() }, Slot::at(host));
        let beat = blocks.beat.and_then(|beat| {
            let bytes = block::seal_beat(&key(), self.generation, layout, slot, &beat).ok()?;
            block::open_beat(&key(), self.generation, slot, &bytes).ok().map(Arc::new)
        });
        let decision = blocks.decision.and_then(|decision| {
            let sealed = block::seal_decision(&key(), self.generation, layout, slot, &decision);
            let (kind, bytes) = sealed.ok()?;
            let Kind::Decision(copy) = kind else { return None };
            block::open_decision_copy(&key(), self.generation, (slot, copy), &bytes).ok()
        });
        Blocks { beat, decision }
    }

    pub(super) fn disk_read(&mut self, host: usize, job: Job) {
        match self.machines[host].paths[job.disk] {
            Path::Hangs => self.machines[host].parked.push(What::Read(job)),
            Path::Fails => self.disk_failed(host, &job),
            Path::Fine => {
                let ended = self.clock(host);
                let shown = self.disks[job.disk].shown(host);
                let read = CycleRead {
                    own_before: job.own_before,
                    beats: shown.beats.clone(),
                    decisions: shown.seen(),
                };
                let (id, begun, read_begun) = (job.id, job.begun, job.read_begun);
                let disk = job.disk as u8;
                let done = CycleDone { id, disk, begun, read_begun, ended, outcome: Ok(read) };
                self.step(host, Input::Cycle(done));
            }
        }
    }

    pub(super) fn disk_failed(&mut self, host: usize, job: &Job) {
        self.check_haste(host);
        self.cycle_ends_badly(host, job, CycleFault::Path("the path failed".to_owned()));
    }

    fn cycle_ends_badly(&mut self, host: usize, job: &Job, fault: CycleFault) {
        let (ended, outcome) = (self.clock(host), Err(fault));
        let (id, begun, disk) = (job.id, job.begun, job.disk as u8);
        let done = CycleDone { id, disk, begun, read_begun: begun, ended, outcome };
        self.step(host, Input::Cycle(done));
    }

    /// A disk that fails is not asked as fast as it answers: the daemon's threads go before all
    /// others on their machine and would take it from them.
    fn check_haste(&mut self, host: usize) {
        let (now, disks) = (self.now, self.disks.len() as u64);
        let (since, count) = &mut self.machines[host].failed_cycles;
        if now >= *since + SECOND {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        // One each half beat, and one at once when a view is adopted, a few times in a second.
        let most = disks * (2 * SECOND / self.timing.beat + 20);
        let hasty = u64::from(*count) > most;
        self.require_in_time(!hasty, || format!("h{} asks a failing disk without end", host + 1));
    }

    pub(super) fn disk_latency(&mut self) -> Nanos {
        MILLISECOND + self.chance(20 * MILLISECOND)
    }
}
