//! Decided views: who belongs to the pool's living set, who is master, and who left without
//! proof of death (R3.1). Views form a chain; the epoch counts its links.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wire::{Malformed, Reader, Writer};

/// Most hosts that a pool with HA can have. Packets and blocks grow with the number of hosts; at
/// this many a packet with its view still fits into one datagram.
pub const MOST_HOSTS: usize = 1000;

/// Most statefiles that a session can use.
pub const MOST_STATEFILES: usize = 5;

/// A host's place in the pool's list of hosts, which is sorted by UUID: the lowest slot is the
/// lowest UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

impl Slot {
    /// The witness, which is no host and stands behind all of them.
    pub const WITNESS: Slot = Slot(u16::MAX);

    /// The slot as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The slot of the host with that index.
    pub fn at(index: usize) -> Self {
        Slot(u16::try_from(index).unwrap_or(u16::MAX))
    }
}

/// Which life of a host something belongs to: boots are ordered (R2.5), and so are the sessions
/// of the daemon within a boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// The boot number, one above the highest that the host's own blocks held before.
    pub boot: u32,
    /// The daemon's session within that boot.
    pub session: u16,
}

impl Life {
    pub(super) fn write(self, w: &mut Writer) {
        w.u32(self.boot);
        w.u16(self.session);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Life { boot: r.u32()?, session: r.u16()? })
    }
}

/// How views are decided and what they allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// By disk: the normal state.
    Disk,
    /// By a strict majority of the members that entered this mode, over the network, while the
    /// storage is lost by all (section 8).
    Network,
    /// HA is being switched off: no failover decision any more, all still armed (R9.2).
    OffPending,
    /// HA is off: every member disarms (R9.2).
    Off,
}

/// One member of a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its slot.
    pub slot: Slot,
    /// The life that was admitted.
    pub life: Life,
    /// The kernel's boot id of that life.
    pub boot_id: Uuid,
    /// Whether its watchdog was armed: only then may it ever be presumed dead (R5).
    pub armed: bool,
    /// Its weight in a partition (protected VMs).
    pub weight: u32,
}

/// How a host that a view lacks is known to be dead, or not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Not known to be dead: each host judges by R5.1 and R5.2 itself.
    None,
    /// Its lease must have ended: last packet plus T and margin (R5.1).
    LeaseEndedByNetwork,
    /// Its lease must have ended: its block stood still for T and margin (R5.2).
    LeaseEndedByDisk,
    /// It announced its own reset after it had cut its watchdog short (R5.3a).
    Tombstone,
    /// A higher boot of the same host was seen (R5.3b).
    NewBoot,
    /// It left with the mark "no VMs here, starts refused" (R5.3c).
    LeftEmpty,
    /// The operator said so (R5.3e).
    Operator,
    /// A fence device says that its power is off (R5.3d).
    FenceDevice,
}

/// A life that left the view and has not been followed by an admitted later one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gone {
    /// The member as it was.
    pub member: Member,
    /// The epoch of the first view without it.
    pub since: u64,
    /// Whether it held, or may still hold, the mastership (R6.1).
    pub was_master: bool,
    /// What some member has proved about it.
    pub proof: Proof,
    /// How many members' last words bound its lease. Zero: it needed every member and the disk,
    /// so any one member's is enough, and so is its block (R5.1, R5.2). Else it may have lived
    /// by a majority over the network, and so many are needed, the newest of which counts.
    pub words: u16,
}

/// A decided view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    /// Its link in the chain, from 1.
    pub epoch: u64,
    /// How views are decided now.
    pub mode: Mode,
    /// The members, by slot.
    pub members: Vec<Member>,
    /// The master.
    pub master: Option<Slot>,
    /// Who left and is not yet followed by a later life.
    pub gone: Vec<Gone>,
    /// The statefiles that may be believed, as a bit each: one that went back in time is out
    /// until every member has written its blocks anew (R2.4).
    pub trusted: u8,
    /// The members of the view that entered network mode, until every member is known to have
    /// come back from it; empty otherwise (R8.3).
    pub base: Vec<Slot>,
    /// Boots whose ballots do not count any more, because the block that may hold them cannot be
    /// read (section 10).
    pub void: Vec<(Slot, u32)>,
    /// Who decided it, for the record.
    pub proposer: Slot,
}

impl View {
    /// The member in a slot.
    pub fn member(&self, slot: Slot) -> Option<&Member> {
        self.members.iter().find(|member| member.slot == slot)
    }

    /// Whether exactly this life is a member.
    pub fn has(&self, slot: Slot, life: Life) -> bool {
        self.member(slot).is_some_and(|member| member.life == life)
    }

    /// The entry of a host that left.
    pub fn gone(&self, slot: Slot) -> Option<&Gone> {
        self.gone.iter().find(|gone| gone.member.slot == slot)
    }

    /// Encodes the view.
    pub fn write(&self, w: &mut Writer) {
        w.u64(self.epoch);
        w.u8(match self.mode {
            Mode::Disk => 1,
            Mode::Network => 2,
            Mode::OffPending => 3,
            Mode::Off => 4,
        });
        w.list(&self.members, |w, member| member.write(w));
        w.option(self.master, |w, slot| w.u16(slot.0));
        w.list(&self.gone, |w, gone| {
            gone.member.write(w);
            w.u64(gone.since);
            w.u8(u8::from(gone.was_master));
            w.u8(gone.proof.code());
            w.u16(gone.words);
        });
        w.u8(self.trusted);
        w.list(&self.base, |w, slot| w.u16(slot.0));
        w.list(&self.void, |w, (slot, boot)| {
            w.u16(slot.0);
            w.u32(*boot);
        });
        w.u16(self.proposer.0);
    }

    /// Decodes a view; every field is checked.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let epoch = r.u64()?;
        let mode = match r.u8()? {
            1 => Mode::Disk,
            2 => Mode::Network,
            3 => Mode::OffPending,
            4 => Mode::Off,
            _ => return Err(Malformed),
        };
        let members = r.list(Member::read)?;
        let master = r.option(read_slot)?;
        let gone = r.list(|r| {
            let member = Member::read(r)?;
            let since = r.u64()?;
            let was_master = read_bool(r)?;
            let proof = Proof::from_code(r.u8()?)?;
            Ok(Gone { member, since, was_master, proof, words: r.u16()? })
        })?;
        let trusted = r.u8()?;
        let base = r.list(read_slot)?;
        let void = r.list(|r| Ok((read_slot(r)?, r.u32()?)))?;
        let proposer = read_slot(r)?;
        View { epoch, mode, members, master, gone, trusted, base, void, proposer }.check()
    }

    fn check(self) -> Result<Self, Malformed> {
        let ordered = |slots: Vec<Slot>| slots.windows(2).all(|pair| pair[0] < pair[1]);
        let sane = self.epoch > 0
            && !self.members.is_empty()
            && self.members.len() <= MOST_HOSTS
            && self.gone.len() <= MOST_HOSTS
            && ordered(self.members.iter().map(|m| m.slot).collect())
            && ordered(self.gone.iter().map(|g| g.member.slot).collect())
            && ordered(self.base.clone())
            && (self.mode != Mode::Network || !self.base.is_empty())
            && self.void.len() <= MOST_HOSTS
            && self.gone.iter().all(|gone| self.member(gone.member.slot).is_none())
            && self.master.is_none_or(|slot| self.member(slot).is_some());
        if sane { Ok(self) } else { Err(Malformed) }
    }
}

impl Member {
    fn write(&self, w: &mut Writer) {
        w.u16(self.slot.0);
        self.life.write(w);
        w.uuid(self.boot_id);
        w.u8(u8::from(self.armed));
        w.u32(self.weight);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Member {
            slot: read_slot(r)?,
            life: Life::read(r)?,
            boot_id: r.uuid()?,
            armed: read_bool(r)?,
            weight: r.u32()?,
        })
    }
}

impl Proof {
    fn code(self) -> u8 {
        match self {
            Proof::None => 0,
            Proof::LeaseEndedByNetwork => 1,
            Proof::LeaseEndedByDisk => 2,
            Proof::Tombstone => 3,
            Proof::NewBoot => 4,
            Proof::LeftEmpty => 5,
            Proof::Operator => 6,
            Proof::FenceDevice => 7,
        }
    }

    fn from_code(code: u8) -> Result<Self, Malformed> {
        Ok(match code {
            0 => Proof::None,
            1 => Proof::LeaseEndedByNetwork,
            2 => Proof::LeaseEndedByDisk,
            3 => Proof::Tombstone,
            4 => Proof::NewBoot,
            5 => Proof::LeftEmpty,
            6 => Proof::Operator,
            7 => Proof::FenceDevice,
            _ => return Err(Malformed),
        })
    }

    /// The proof as one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Proof::None => "not known to be dead",
            Proof::LeaseEndedByNetwork => "silent for longer than its lease could last",
            Proof::LeaseEndedByDisk => "its block stood still for longer than its lease could last",
            Proof::Tombstone => "it announced its own reset",
            Proof::NewBoot => "a later boot of it was seen",
            Proof::LeftEmpty => "it left with no VM and refuses to start any",
            Proof::Operator => "the operator declared it dead",
            Proof::FenceDevice => "a fence device switched it off",
        }
    }
}

/// The most bytes that a view of so many hosts takes: each is a member or has gone.
pub const fn most_bytes(hosts: usize) -> usize {
    64 + (41 + 2 + 6) * hosts
}

pub(super) fn read_slot(r: &mut Reader<'_>) -> Result<Slot, Malformed> {
    let slot = r.u16()?;
    if usize::from(slot) < MOST_HOSTS { Ok(Slot(slot)) } else { Err(Malformed) }
}

pub(super) fn read_bool(r: &mut Reader<'_>) -> Result<bool, Malformed> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

/// A view for tests.
#[cfg(test)]
pub(super) fn example(epoch: u64) -> View {
    let life = Life { boot: 1, session: 1 };
    let member = Member { slot: Slot(0), life, boot_id: Uuid::nil(), armed: true, weight: 0 };
    View {
        epoch,
        mode: Mode::Disk,
        members: vec![member],
        master: None,
        gone: Vec::new(),
        trusted: 1,
        base: Vec::new(),
        void: Vec::new(),
        proposer: Slot(0),
    }
}
