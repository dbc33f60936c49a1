//! What is known of one peer, each fact with its date (section 2).

use std::sync::Arc;

use uuid::Uuid;

use crate::heartbeat::report::{DISK_LOST, FRESH, LEAVING, NEVER_MS, Report, TOMBSTONE, UNARMED};
use crate::heartbeat::timing::{MILLISECOND, Nanos};
use crate::heartbeat::view::{Life, MOST_STATEFILES, Slot};

/// What one statefile shows of a peer's newest life.
#[derive(Debug, Clone, Copy, Default)]
pub struct Block {
    /// The newest block's sequence, zero when none.
    pub seq: u64,
    /// End of the read that first showed that sequence.
    pub seen: Nanos,
    /// How often the block was seen to move in this life.
    pub moves: u32,
    /// How long the block stood still, counted in this host's completed cycles only.
    pub still: Nanos,
}

/// What is known of one peer's newest life.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The newest life seen, in packet or block.
    pub life: Life,
    /// Its boot id.
    pub boot_id: Uuid,
    /// When anything of that life was first seen.
    pub since: Nanos,
    /// The newest report, by sequence.
    pub report: Option<Arc<Report>>,
    /// When that report was taken.
    pub report_at: Nanos,
    /// The newest packet's sequence, zero when none.
    pub packet_seq: u64,
    /// The newest packet's marks.
    pub packet_flags: u32,
    /// When the newest packet was taken.
    pub heard_at: Option<Nanos>,
    /// When the own packet was sent that the peer's newest echo names (R2.2).
    pub evidence: Option<Nanos>,
    /// The same, of packets that said "no completed disk cycle" (R8.1).
    pub lost_answer: Option<Nanos>,
    /// When the newest packet was taken that this host has answered "no completed disk cycle":
    /// that peer may live on the answer (R8.1).
    pub answered_lost: Option<Nanos>,
    /// What each statefile shows.
    pub blocks: [Block; MOST_STATEFILES],
    /// When the tombstone's time is over (R5.4).
    pub dead_at: Option<Nanos>,
    /// The mark "about to disarm" was seen (R9.3).
    pub unarmed: bool,
    /// The mark "leaving, no VMs here" was seen (R9.4).
    pub leaving: bool,
}

impl Peer {
    /// Whether the sequence of a packet or block is the peer's next; a later life begins anew,
    /// an earlier one is over (R2.4, R2.5).
    fn begin(&mut self, now: Nanos, report: &Report) -> bool {
        if report.life > self.life {
            let (life, boot_id) = (report.life, report.boot_id);
            *self = Peer { life, boot_id, since: now, ..Peer::default() };
        }
        report.life == self.life
    }

    /// When this life showed itself last: by a packet, or by a block that was seen to move. One
    /// that was only read for the first time may be old.
    pub fn newest_sign(&self) -> Option<Nanos> {
        let moved = self.blocks.iter().filter(|block| block.moves > 0);
        moved.map(|block| block.seen).chain(self.heard_at).max()
    }

    /// Takes the report of a packet; false when it is older than what is known (R2.4).
    pub fn take_packet(&mut self, now: Nanos, report: &Arc<Report>) -> bool {
        if !self.begin(now, report) || report.seq <= self.packet_seq {
            return false;
        }
        self.packet_seq = report.seq;
        self.packet_flags = report.flags;
        self.take(now, report);
        true
    }

    /// Takes the report of a block on a statefile, whose read ended at `ended`.
    pub fn take_block(&mut self, now: Nanos, report: &Arc<Report>, disk: usize, ended: Nanos) {
        if !self.begin(now, report) || report.seq <= self.blocks[disk].seq {
            return;
        }
        let block = &mut self.blocks[disk];
        block.moves += u32::from(block.seq > 0);
        block.seq = report.seq;
        block.seen = ended;
        block.still = 0;
        self.take(now, report);
    }

    fn take(&mut self, now: Nanos, report: &Arc<Report>) {
        self.unarmed |= report.says(UNARMED);
        if report.says(TOMBSTONE) && self.dead_at.is_none() {
            self.dead_at = Some(now + u64::from(report.dead_within_ms) * MILLISECOND);
        }
        if self.report.as_ref().is_none_or(|old| report.seq > old.seq) {
            self.leaving = report.says(LEAVING);
            self.report = Some(Arc::clone(report));
            self.report_at = now;
        }
    }

    /// Takes the echo of an own packet sent at `sent`.
    pub fn take_echo(&mut self, sent: Nanos, report: &Report) {
        self.evidence = self.evidence.max(Some(sent));
        if report.says(DISK_LOST) {
            self.lost_answer = self.lost_answer.max(Some(sent));
        }
    }

    /// The age that the peer gave for its evidence of `slot`, as old as it is by now; none when
    /// it has no evidence.
    pub fn reported_age(&self, now: Nanos, slot: Slot) -> Option<Nanos> {
        let entry = self.report.as_ref()?.peers.get(slot.index())?;
        self.aged(now, entry.evidence_ms)
    }

    /// The age that the peer gave for its own disk evidence, as old as it is by now.
    pub fn disk_age(&self, now: Nanos) -> Option<Nanos> {
        self.aged(now, self.report.as_ref()?.disk_ms)
    }

    /// The age that the peer gave for its round trip with the witness.
    pub fn witness_age(&self, now: Nanos) -> Option<Nanos> {
        self.aged(now, self.report.as_ref()?.witness_ms)
    }

    fn aged(&self, now: Nanos, reported_ms: u32) -> Option<Nanos> {
        let since = now.saturating_sub(self.report_at);
        (reported_ms != NEVER_MS).then(|| u64::from(reported_ms) * MILLISECOND + since)
    }

    /// Whether the newest report has a mark.
    pub fn says(&self, flag: u32) -> bool {
        self.report.as_ref().is_some_and(|report| report.says(flag))
    }

    /// Whether a later session of the same boot vouches that this earlier one ended without VMs.
    pub fn vouches_for(&self, earlier: Life) -> bool {
        self.life > earlier && self.life.boot == earlier.boot && self.says(FRESH)
    }

    /// The age of the evidence that the peer hears this host.
    pub fn evidence_age(&self, now: Nanos) -> Option<Nanos> {
        self.evidence.map(|date| now.saturating_sub(date))
    }

    /// How long ago its block was seen to move on any statefile; none when it never was in this
    /// life (a first read shows a block, not that it moves). One statefile is enough to show
    /// that a peer lives; that only delays its exclusion (R2.3).
    pub fn block_age(&self, now: Nanos) -> Option<Nanos> {
        let moved = self.blocks.iter().filter(|block| block.moves > 0);
        moved.map(|block| now.saturating_sub(block.seen)).min()
    }

    /// How often its block was seen to move, on the statefile that shows it best.
    pub fn block_moves(&self) -> u32 {
        self.blocks.iter().map(|block| block.moves).max().unwrap_or(0)
    }
}
