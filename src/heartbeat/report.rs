//! What a host says of itself and of its peers, in every packet and in every beat block.

use uuid::Uuid;

use super::timing::{MILLISECOND, Nanos};
use super::view::{Life, MOST_HOSTS, Slot, read_bool, read_slot};
use super::wire::{Malformed, Reader, Writer};

/// The watchdog runs.
pub const ARMED: u32 = 1 << 0;
/// Wants to be admitted to the pool's view.
pub const WAITING: u32 = 1 << 1;
/// Takes part in forming view 1 (enable).
pub const FORMING: u32 = 1 << 2;
/// Has completed no disk cycle for half of S (R8.1).
pub const DISK_LOST: u32 = 1 << 3;
/// Its agent holds a lease.
pub const AGENT_OK: u32 = 1 << 4;
/// Leaves cleanly: no VMs here, starts refused (R5.3c, R9.4).
pub const LEAVING: u32 = 1 << 5;
/// Will be dead within the stated time (R5.4).
pub const TOMBSTONE: u32 = 1 << 6;
/// Is about to disarm, or has disarmed, without a view that says so (R9.3).
pub const UNARMED: u32 = 1 << 7;
/// Its agent has a recovery to do (reserved for R6.2).
pub const RECOVERING: u32 = 1 << 8;
/// Gave the mastership up: its agent is killed (R6.2).
pub const HANDING_OVER: u32 = 1 << 9;
/// Asks to be named master when there is none.
pub const CANDIDATE: u32 = 1 << 10;
/// Came up after several fences in a row and waits for clean paths, unarmed (R7.4).
pub const BRAKED: u32 = 1 << 11;
/// Vouches that nothing of an earlier session of this boot runs any more: that session ended with
/// the mark "no VMs here" (R5.3c).
pub const FRESH: u32 = 1 << 12;
/// Every mark that this version knows.
const KNOWN: u32 = (1 << 13) - 1;

/// An age that stands for "never".
pub const NEVER_MS: u32 = 0xFF_FFFF;

/// Nanoseconds as whole milliseconds rounded up, as reports carry ages.
pub fn age_ms(age: Nanos) -> u32 {
    u32::try_from(age.div_ceil(MILLISECOND)).map_or(NEVER_MS, |ms| ms.min(NEVER_MS))
}

/// What a host reports about one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerReport {
    /// The life of the peer whose packets are echoed.
    pub echo_life: Life,
    /// The newest sequence of that life's packets that was taken, zero when none.
    pub echo_seq: u64,
    /// The age of the reporter's evidence that the peer hears it, in milliseconds (R2.2).
    pub evidence_ms: u32,
    /// The age of what the peer's lease could rest on at the reporter: its last packet taken,
    /// or the reporter's own admission if that was later, in milliseconds (R5.1).
    pub heard_ms: u32,
    /// The mark [`UNARMED`] of that life is on the reporter's own disk (R9.3).
    pub unarmed: bool,
}

/// What a host says in one packet or beat block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The reporter's life.
    pub life: Life,
    /// The kernel's boot id of that life.
    pub boot_id: Uuid,
    /// One sequence over packets and blocks, taken when the content was sampled (R2.1).
    pub seq: u64,
    /// The newest decided view that it has adopted.
    pub epoch: u64,
    /// Marks, see the constants of this module.
    pub flags: u32,
    /// The age of its own disk evidence, in milliseconds (R2.3).
    pub disk_ms: u32,
    /// The statefiles on which it completes cycles, as a bit each.
    pub disks: u8,
    /// The statefiles that it saw go back in time since the view it has adopted (R2.4).
    pub rewound: u8,
    /// The age of its round trip with the witness, in milliseconds.
    pub witness_ms: u32,
    /// Zero, or the epoch on top of which it promised to decide nothing by disk (R8.2).
    pub promise: u64,
    /// The longest gap between round trips as a share of S, in thousandths.
    pub network_gap: u16,
    /// The longest gap between completed cycles as a share of S, in thousandths.
    pub disk_gap: u16,
    /// Its weight in a partition.
    pub weight: u32,
    /// With [`TOMBSTONE`]: it is dead within so many milliseconds of the read.
    pub dead_within_ms: u32,
    /// The sequence of its last acknowledged write of its decision block, zero when none.
    pub decision_seq: u64,
    /// The host that should follow as master, when this one hands over.
    pub heir: Option<Slot>,
    /// One entry for each slot.
    pub peers: Vec<PeerReport>,
}

/// More packets than a daemon sends between two of its blocks.
const BEYOND_PACKETS: u64 = 1 << 32;

impl Report {
    /// Whether a mark is set.
    pub fn says(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// What is said for this life when its daemon is gone: dead within so many nanoseconds of the
    /// read (R5.4). No packet of that life has a later sequence.
    pub fn last_word(&self, within: u64) -> Report {
        Report {
            seq: (self.seq + BEYOND_PACKETS).min((1 << 48) - 1),
            flags: self.flags | TOMBSTONE,
            dead_within_ms: u32::try_from(within.div_ceil(1_000_000)).unwrap_or(u32::MAX),
            ..self.clone()
        }
    }

    /// Encodes the report.
    pub fn write(&self, w: &mut Writer) {
        self.life.write(w);
        w.uuid(self.boot_id);
        w.u48(self.seq);
        w.u64(self.epoch);
        w.u32(self.flags);
        w.u24(self.disk_ms);
        w.u8(self.disks);
        w.u8(self.rewound);
        w.u24(self.witness_ms);
        w.u64(self.promise);
        w.u16(self.network_gap);
        w.u16(self.disk_gap);
        w.u32(self.weight);
        w.u24(self.dead_within_ms);
        w.u48(self.decision_seq);
        w.option(self.heir, |w, slot| w.u16(slot.0));
        w.list(&self.peers, |w, peer| {
            peer.echo_life.write(w);
            w.u48(peer.echo_seq);
            w.u24(peer.evidence_ms);
            w.u24(peer.heard_ms);
            w.u8(u8::from(peer.unarmed));
        });
    }

    /// A report that says nothing, as a room for one that does.
    pub fn empty() -> Self {
        Report {
            life: Life::default(),
            boot_id: Uuid::nil(),
            seq: 0,
            epoch: 0,
            flags: 0,
            disk_ms: 0,
            disks: 0,
            rewound: 0,
            witness_ms: 0,
            promise: 0,
            network_gap: 0,
            disk_gap: 0,
            weight: 0,
            dead_within_ms: 0,
            decision_seq: 0,
            heir: None,
            peers: Vec::new(),
        }
    }

    /// Decodes a report; every field is checked.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut report = Report::empty();
        report.read_over(r)?;
        Ok(report)
    }

    /// Decodes a report into the room of one that is over; after an error its content is none.
    pub fn read_over(&mut self, r: &mut Reader<'_>) -> Result<(), Malformed> {
        let mut peers = std::mem::take(&mut self.peers);
        *self = Report {
            life: Life::read(r)?,
            boot_id: r.uuid()?,
            seq: r.u48()?,
            epoch: r.u64()?,
            flags: r.u32()?,
            disk_ms: r.u24()?,
            disks: r.u8()?,
            rewound: r.u8()?,
            witness_ms: r.u24()?,
            promise: r.u64()?,
            network_gap: r.u16()?,
            disk_gap: r.u16()?,
            weight: r.u32()?,
            dead_within_ms: r.u24()?,
            decision_seq: r.u48()?,
            heir: r.option(read_slot)?,
            peers: Vec::new(),
        };
        r.list_over(&mut peers, |r| {
            Ok(PeerReport {
                echo_life: Life::read(r)?,
                echo_seq: r.u48()?,
                evidence_ms: r.u24()?,
                heard_ms: r.u24()?,
                unarmed: read_bool(r)?,
            })
        })?;
        self.peers = peers;
        if self.peers.len() > MOST_HOSTS || self.flags & !KNOWN != 0 || self.seq == 0 {
            return Err(Malformed);
        }
        Ok(())
    }
}

/// The most bytes that a report of so many hosts takes.
pub const fn most_bytes(hosts: usize) -> usize {
    128 + 19 * hosts
}
