//! What of a node decides what it will do: for the explorer, which looks at each situation once.
//!
//! Two nodes with the same fingerprint behave alike from now on. Two things are therefore said
//! relatively: dates as ages (or as what is left), since the rules compare dates only with now
//! and with each other; an age beyond every limit of the rules is as good as any other such age;
//! sequences by their place among all of the same owner ([`Ranks`]). What is
//! kept for the record alone (notes, gaps, links, errors told) is left out. Each struct is taken
//! apart by all its fields, so that a new field has to be thought of here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use uuid::Uuid;

use super::boot::{Past, Quiet};
use super::disk::{Disk, Flight};
use super::keep::Keeping;
use super::network::Acceptor;
use super::peer::{Block, Peer};
use super::propose::{Attempt, Proposing};
use super::{Node, Stage};
use crate::heartbeat::block::Seen;
use crate::heartbeat::decision::Decision;
use crate::heartbeat::node::control::Marks;
use crate::heartbeat::report::{NEVER_MS, PeerReport, Report};
use crate::heartbeat::timing::{MILLISECOND, Nanos, Timing};
use crate::heartbeat::view::Life;

/// The sequences of every host that occur anywhere in a situation, so that each can be told by
/// its place among them. They are only compared, and a host's next is above all; so two
/// situations whose sequences are ordered alike go on alike.
#[derive(Debug, Default)]
pub struct Ranks {
    /// While false, fingerprints only collect the sequences.
    ready: Cell<bool>,
    /// Reports and decisions, by slot.
    seqs: RefCell<[Vec<Vec<u64>>; 2]>,
}

impl Ranks {
    /// For so many hosts, none collected yet.
    pub fn new(hosts: usize) -> Ranks {
        let none = || vec![Vec::new(); hosts];
        Ranks { ready: Cell::new(false), seqs: RefCell::new([none(), none()]) }
    }

    /// All sequences have been met once.
    pub fn collected(&self) {
        for seqs in self.seqs.borrow_mut().iter_mut().flatten() {
            seqs.sort_unstable();
            seqs.dedup();
        }
        self.ready.set(true);
    }

    /// How many are above that one; none for zero, which stands for no sequence.
    fn above(&self, kind: usize, slot: usize, seq: u64) -> Option<u64> {
        let seqs = &mut self.seqs.borrow_mut()[kind][slot];
        if !self.ready.get() {
            seqs.push(seq);
            return None;
        }
        (seq > 0).then(|| (seqs.len() - seqs.partition_point(|known| *known <= seq)) as u64)
    }
}

/// What fingerprints are relative to.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The present time on the node's own clock.
    pub now: Nanos,
    /// The age that stands for every older one; see [`Frame::oldest`].
    pub cap: Nanos,
    /// The sequences.
    pub ranks: &'a Ranks,
    /// How often each host wrote its decision block, by slot and statefile.
    pub writes: &'a [Vec<u64>],
}

impl Frame<'_> {
    /// An age above every limit that the rules know: the judge's deadline, an attempt's end, and
    /// some beats for what is added to a reported age.
    pub fn oldest(timing: &Timing) -> Nanos {
        timing.death().max(12 * timing.beat) + 4 * timing.beat
    }

    /// A date that lies behind.
    pub fn age(&self, date: Nanos) -> Nanos {
        self.now.saturating_sub(date).min(self.cap)
    }

    /// The same of one that may be missing.
    pub fn ages(&self, date: Option<Nanos>) -> Option<Nanos> {
        date.map(|date| self.age(date))
    }

    /// A date that lies ahead; once reached, it is only known to be over.
    pub fn left(&self, date: Nanos) -> Nanos {
        date.saturating_sub(self.now)
    }

    fn lefts(&self, date: Option<Nanos>) -> Option<Nanos> {
        date.map(|date| self.left(date))
    }

    fn seq(&self, slot: usize, seq: u64) -> Option<u64> {
        self.ranks.above(0, slot, seq)
    }

    fn decision_seq(&self, slot: usize, seq: u64) -> Option<u64> {
        self.ranks.above(1, slot, seq)
    }

    /// How many writes ago that was. Beyond two only the copy that it names matters.
    fn writes_ago(&self, slot: usize, disk: usize, writes: u64) -> u64 {
        let newest = self.writes[slot].get(disk).copied().unwrap_or(writes);
        let ago = newest.wrapping_sub(writes);
        if ago > 2 { 2 + ago % 2 } else { ago }
    }

    fn reported(&self, ms: u32, since: Nanos) -> Option<Nanos> {
        (ms != NEVER_MS).then(|| (u64::from(ms) * MILLISECOND + since).min(self.cap))
    }

    /// A report of the host in `slot` that was taken that long ago (zero while it is under way).
    pub fn report<H: Hasher>(&self, slot: usize, report: &Report, since: Nanos, out: &mut H) {
        let Report {
            life,
            boot_id,
            seq,
            epoch,
            flags,
            disk_ms,
            disks,
            rewound,
            witness_ms: _,
            promise,
            network_gap: _,
            disk_gap: _,
            weight,
            dead_within_ms,
            decision_seq,
            heir,
            peers,
        } = report;
        (life, boot_id, self.seq(slot, *seq), epoch, flags).hash(out);
        (self.reported(*disk_ms, since), disks, rewound, promise, weight).hash(out);
        (dead_within_ms, self.decision_seq(slot, *decision_seq), heir).hash(out);
        for (other, peer) in peers.iter().enumerate() {
            let PeerReport { echo_life, echo_seq, evidence_ms, heard_ms, unarmed } = peer;
            (echo_life, self.seq(other, *echo_seq), unarmed).hash(out);
            (self.reported(*evidence_ms, since), self.reported(*heard_ms, since)).hash(out);
        }
    }

    /// A decision block of the host in `slot` on the statefile `disk`.
    pub fn decision<H: Hasher>(&self, slot: usize, disk: usize, block: &Decision, out: &mut H) {
        let Decision { seq, writes, life, started, accepted, value, decided } = block;
        (self.decision_seq(slot, *seq), self.writes_ago(slot, disk, *writes)).hash(out);
        (life, started, accepted, value, decided).hash(out);
    }
}

impl Node {
    /// How often this host wrote its decision block, by statefile.
    pub fn decision_writes(&self) -> Vec<u64> {
        self.disks.iter().map(|disk| disk.writes).collect()
    }

    /// Forgets what is kept for the record alone.
    pub fn forget(&mut self) {
        self.events.clear();
    }

    /// Hashes what decides what this node will do. Requests, agents and a witness are not part of
    /// it: only for nodes that have none of them.
    pub fn fingerprint<H: Hasher>(&self, frame: &Frame<'_>, out: &mut H) {
        let Node {
            cfg,
            stage,
            life,
            seq,
            started_at,
            sent,
            peers,
            disks,
            witness: _,
            links: _,
            decision,
            acceptor,
            keeping,
            member_votes,
            past: Past { boot, own, behind },
            view,
            adopted_at,
            admitted_at,
            // Told to the agent alone.
            admitted_in: _,
            came_back_at,
            muted_epoch,
            proposing,
            armed,
            arming,
            guard_end,
            lease_end,
            dead,
            marks,
            pending,
            agent,
            next_beat,
            stopping,
            asked,
            left: _,
            gaps: _,
            reports: _,
            events: _,
            fx: _,
            shown: _,
            last_complaint: _,
        } = self;
        let me = cfg.me.index();
        frame.stage(me, stage, out);
        (cfg.boot_id, life, frame.seq(me, *seq), frame.age(*started_at)).hash(out);
        frame.sent(me, sent, out);
        for (slot, peer) in peers.iter().enumerate().filter(|(slot, _)| *slot != me) {
            self.peer_print(frame, slot, peer, out);
        }
        for (number, disk) in disks.iter().enumerate() {
            frame.disk(me, number, disk, out);
        }
        frame.decision(me, usize::MAX, decision, out);
        frame.acceptor(acceptor, out);
        Frame::keeping(keeping, out);
        frame.proposing(proposing, out);
        frame.marks(marks, out);
        (boot, behind, frame.own(me, own.as_ref()), member_votes).hash(out);
        (view, frame.age(*adopted_at), frame.ages(*admitted_at), muted_epoch).hash(out);
        frame.age(*came_back_at).hash(out);
        (armed, arming, frame.lefts(*guard_end), frame.lefts(*lease_end)).hash(out);
        dead.iter().for_each(|dead| (dead.slot, dead.life, dead.proof).hash(out));
        (dead.len(), pending.len(), agent.handed_over, agent.heir).hash(out);
        (frame.left(*next_beat), stopping.is_some(), asked.len()).hash(out);
        asked.iter().for_each(|asked| {
            (asked.slot, asked.life, frame.left(asked.again)).hash(out);
        });
    }

    fn peer_print<H: Hasher>(&self, frame: &Frame<'_>, slot: usize, peer: &Peer, out: &mut H) {
        let Peer {
            life,
            boot_id,
            since,
            report,
            report_at,
            packet_seq,
            packet_flags,
            heard_at,
            evidence,
            lost_answer,
            answered_lost,
            blocks,
            dead_at,
            unarmed,
            leaving,
        } = peer;
        (life, boot_id, frame.age(*since), report.is_some()).hash(out);
        if let Some(report) = report {
            frame.report(slot, report, frame.now.saturating_sub(*report_at), out);
        }
        (frame.seq(slot, *packet_seq), packet_flags, frame.ages(*heard_at)).hash(out);
        (frame.ages(*evidence), frame.ages(*lost_answer), frame.ages(*answered_lost)).hash(out);
        (frame.lefts(*dead_at), unarmed, leaving).hash(out);
        for (disk, block) in self.disks.iter().zip(blocks) {
            let Block { seq, seen, moves, still } = block;
            // The rules ask for two moves at most.
            (frame.seq(slot, *seq), moves.min(&2), still.min(&frame.cap)).hash(out);
            // A read is compared with the date of a block, and so is a packet.
            let after = |since: Nanos| {
                let read = disk.read_begun.saturating_sub(since).min(frame.cap);
                (frame.age(since), read, heard_at.is_some_and(|at| at <= since))
            };
            (after(*seen), after(self.started_at)).hash(out);
        }
    }
}

impl Frame<'_> {
    fn sent<H: Hasher>(&self, me: usize, sent: &VecDeque<(u64, Nanos)>, out: &mut H) {
        sent.len().hash(out);
        sent.iter().for_each(|(seq, at)| (self.seq(me, *seq), self.age(*at)).hash(out));
    }

    fn own(&self, me: usize, own: Option<&(Life, Uuid, u64)>) -> impl Hash + use<> {
        own.map(|(life, id, seq)| (*life, *id, self.seq(me, *seq)))
    }

    fn stage<H: Hasher>(&self, me: usize, stage: &Stage, out: &mut H) {
        std::mem::discriminant(stage).hash(out);
        match stage {
            Stage::Reading { quiet } => {
                let quiet = quiet.as_ref();
                let seen = quiet.map(|Quiet { since, own, changes }| {
                    (since, self.own(me, own.as_ref()), changes)
                });
                seen.map(|(since, own, changes)| (self.age(*since), own, *changes)).hash(out);
            }
            Stage::Forming { until } => self.left(*until).hash(out),
            Stage::Held { clean_since } => self.ages(*clean_since).hash(out),
            Stage::Fencing { reset_at, cut } => (self.left(*reset_at), cut).hash(out),
            Stage::Waiting | Stage::Member | Stage::Disarmed | Stage::Failed => {}
        }
    }

    fn disk<H: Hasher>(&self, me: usize, number: usize, disk: &Disk, out: &mut H) {
        let Disk {
            in_flight,
            next_id: _,
            next_at,
            evidence,
            // With the dates of the blocks.
            read_begun: _,
            decisions,
            written,
            dirty,
            acked,
            writes,
            rewound,
            foreign,
            last_error: _,
            failing,
        } = disk;
        in_flight.is_some().hash(out);
        if let Some(flight) = in_flight {
            let Flight { id: _, beat_seq, decision_seq, tombstone, started, accepted } = flight;
            let seqs = (self.seq(me, *beat_seq), self.decision_seq(me, *decision_seq));
            (seqs, tombstone, started, accepted).hash(out);
        }
        (self.left(*next_at), self.ages(*evidence)).hash(out);
        for (slot, seen) in decisions.iter().enumerate() {
            std::mem::discriminant(seen).hash(out);
            if let Seen::Decision(decision, doubtful) = seen {
                doubtful.hash(out);
                self.decision(slot, number, decision, out);
            }
        }
        let seqs = (self.seq(me, *written), self.decision_seq(me, *acked));
        let writes = self.writes_ago(me, number, *writes);
        (seqs, dirty, failing, writes, rewound, foreign.min(&2)).hash(out);
    }

    fn acceptor<H: Hasher>(&self, acceptor: &Acceptor, out: &mut H) {
        let Acceptor { promise, vote, back_since, lost_again } = acceptor;
        (promise, vote, self.ages(*back_since), lost_again).hash(out);
    }

    fn keeping<H: Hasher>(keeping: &Keeping, out: &mut H) {
        let Keeping { kept, record, waiting, unarmed } = keeping;
        (kept, unarmed).hash(out);
        for (number, kept) in waiting {
            (record - number, kept).hash(out);
        }
    }

    fn proposing<H: Hasher>(&self, proposing: &Proposing, out: &mut H) {
        let Proposing { attempt, not_before, calm_since } = proposing;
        let barred = not_before.map_or(0, |until| self.left(until));
        (barred, self.ages(*calm_since), attempt.is_some()).hash(out);
        if let Some(Attempt { ballot, accepting, disks, taken, began, why: _ }) = attempt {
            (ballot, accepting, disks, taken, self.age(*began)).hash(out);
        }
    }

    fn marks<H: Hasher>(&self, marks: &Marks, out: &mut H) {
        let Marks { leaving, unarmed, candidate, mode, declared, released } = marks;
        (leaving, unarmed, candidate, mode, released).hash(out);
        declared.iter().for_each(|(slot, at)| (slot, self.age(*at)).hash(out));
    }
}
