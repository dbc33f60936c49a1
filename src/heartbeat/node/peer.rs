//! What is known of one peer, each fact with its date (section 2).

use uuid::Uuid;

use crate::heartbeat::report::{DISK_LOST, LEAVING, NEVER_MS, Report, TOMBSTONE, UNARMED};
use crate::heartbeat::timing::{MILLISECOND, Nanos};
use crate::heartbeat::view::{Life, Slot};

/// What is known of one peer's newest life.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The newest life seen, in packet or block.
    pub life: Life,
    /// Its boot id.
    pub boot_id: Uuid,
    /// The newest report, by sequence.
    pub report: Option<Report>,
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
    /// When this host last answered that peer "no completed disk cycle" (R8.1).
    pub answered_lost: Option<Nanos>,
    /// The newest block's sequence, zero when none.
    pub block_seq: u64,
    /// End of the read that first showed that sequence.
    pub block_seen: Nanos,
    /// How often the block was seen to move in this life.
    pub block_moves: u32,
    /// How long the block stood still, counted in this host's completed cycles only.
    pub block_still: Nanos,
    /// When the tombstone's time is over (R5.4).
    pub dead_at: Option<Nanos>,
    /// The mark "about to disarm" was seen (R9.3).
    pub unarmed: bool,
    /// The mark "leaving, no VMs here" was seen (R9.4).
    pub leaving: bool,
}

/// Which way a report came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// In a packet.
    Packet,
    /// In a block whose read ended at that time.
    Block(Nanos),
}

impl Peer {
    /// Takes a report of the peer; false when it is older than what is known (R2.4).
    pub fn take(&mut self, now: Nanos, report: &Report, path: Path) -> bool {
        if report.life < self.life {
            return false;
        }
        if report.life > self.life {
            *self = Peer { life: report.life, boot_id: report.boot_id, ..Peer::default() };
        }
        let fresh = match path {
            Path::Packet if report.seq <= self.packet_seq => false,
            Path::Packet => {
                self.packet_seq = report.seq;
                self.packet_flags = report.flags;
                true
            }
            Path::Block(_) if report.seq <= self.block_seq => false,
            Path::Block(ended) => {
                self.block_moves += u32::from(self.block_seq > 0);
                self.block_seq = report.seq;
                self.block_seen = ended;
                self.block_still = 0;
                true
            }
        };
        if !fresh {
            return false;
        }
        self.take_marks(report, now);
        if self.report.as_ref().is_none_or(|old| report.seq > old.seq) {
            self.leaving = report.says(LEAVING);
            self.report = Some(report.clone());
            self.report_at = now;
        }
        true
    }

    fn take_marks(&mut self, report: &Report, now: Nanos) {
        self.unarmed |= report.says(UNARMED);
        if report.says(TOMBSTONE) && self.dead_at.is_none() {
            self.dead_at = Some(now + u64::from(report.dead_within_ms) * MILLISECOND);
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
        if entry.evidence_ms == NEVER_MS {
            return None;
        }
        let since = now.saturating_sub(self.report_at);
        Some(u64::from(entry.evidence_ms) * MILLISECOND + since)
    }

    /// Whether the newest report has a mark.
    pub fn says(&self, flag: u32) -> bool {
        self.report.as_ref().is_some_and(|report| report.says(flag))
    }

    /// The age of the evidence that the peer hears this host.
    pub fn evidence_age(&self, now: Nanos) -> Option<Nanos> {
        self.evidence.map(|date| now.saturating_sub(date))
    }

    /// How long ago the block was seen to move; none when it never was in this life (a first
    /// read shows a block, not that it moves).
    pub fn block_age(&self, now: Nanos) -> Option<Nanos> {
        (self.block_moves > 0).then(|| now.saturating_sub(self.block_seen))
    }
}
