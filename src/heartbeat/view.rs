//! Decided views: who belongs to the pool's living set, who is master, and who left without
//! proof of death (R3.1). Views form a chain; the epoch counts its links.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::wire::{Malformed, Reader, Writer};

/// Most hosts that a pool with HA can have: two views must fit into one decision block. A host is
/// either a member of a view or among those that left, so both lists share this bound.
pub const MOST_HOSTS: usize = 32;

/// A host's place in the pool's list of hosts, which is sorted by UUID: the lowest slot is the
/// lowest UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u8);

impl Slot {
    /// The slot as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Which life of a host something belongs to: boots are ordered (R2.5), and so are the sessions
/// of the daemon within a boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// The boot number, one above the highest that the host's own blocks held before.
    pub boot: u64,
    /// The daemon's session within that boot.
    pub session: u32,
}

/// How views are decided and what they allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// By disk: the normal state.
    Disk,
    /// By a strict majority over the network (reserved; not entered by this version).
    Network,
    /// HA is being switched off: no failover decision any more, all still armed (R9.2).
    OffPending,
    /// HA is off: every member disarms (R9.2).
    Off,
}

/// One member of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A life that left the view and has not been followed by an admitted later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The member as it was.
    pub member: Member,
    /// The epoch of the first view without it.
    pub since: u64,
    /// Whether it held, or may still hold, the mastership (R6.1).
    pub was_master: bool,
    /// What some member has proved about it.
    pub proof: Proof,
}

/// A decided view.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// How many acceptors (statefiles and witness) decide the next view.
    pub acceptors: u8,
    /// The replicas of the pool database that are in sync, as a bit for each slot (reserved).
    pub in_sync: u64,
    /// The segment of the metadata volume that belongs to this epoch (reserved).
    pub segment: u64,
    /// Boots whose ballots do not count any more (reserved).
    pub void: Vec<(Slot, u64)>,
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
        w.option(self.master, |w, slot| w.u8(slot.0));
        w.list(&self.gone, |w, gone| {
            gone.member.write(w);
            w.u64(gone.since);
            w.u8(u8::from(gone.was_master));
            w.u8(gone.proof.code());
        });
        w.u8(self.acceptors);
        w.u64(self.in_sync);
        w.u64(self.segment);
        w.list(&self.void, |w, (slot, boot)| {
            w.u8(slot.0);
            w.u64(*boot);
        });
        w.u8(self.proposer.0);
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
            Ok(Gone { member, since, was_master, proof: Proof::from_code(r.u8()?)? })
        })?;
        let acceptors = r.u8()?;
        let (in_sync, segment) = (r.u64()?, r.u64()?);
        let void = r.list(|r| Ok((read_slot(r)?, r.u64()?)))?;
        let proposer = read_slot(r)?;
        let view = View {
            epoch,
            mode,
            members,
            master,
            gone,
            acceptors,
            in_sync,
            segment,
            void,
            proposer,
        };
        view.check()
    }

    fn check(self) -> Result<Self, Malformed> {
        let ordered = |slots: Vec<Slot>| slots.windows(2).all(|pair| pair[0] < pair[1]);
        let sane = self.epoch > 0
            && !self.members.is_empty()
            && self.members.len() <= MOST_HOSTS
            && self.gone.len() <= MOST_HOSTS
            && ordered(self.members.iter().map(|m| m.slot).collect())
            && ordered(self.gone.iter().map(|g| g.member.slot).collect())
            && self.gone.iter().all(|gone| self.member(gone.member.slot).is_none())
            && self.master.is_none_or(|slot| self.member(slot).is_some());
        if sane { Ok(self) } else { Err(Malformed) }
    }
}

impl Member {
    fn write(&self, w: &mut Writer) {
        w.u8(self.slot.0);
        w.u64(self.life.boot);
        w.u32(self.life.session);
        w.uuid(self.boot_id);
        w.u8(u8::from(self.armed));
        w.u32(self.weight);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Member {
            slot: read_slot(r)?,
            life: Life { boot: r.u64()?, session: r.u32()? },
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
        }
    }
}

fn read_slot(r: &mut Reader<'_>) -> Result<Slot, Malformed> {
    let slot = r.u8()?;
    if usize::from(slot) < MOST_HOSTS { Ok(Slot(slot)) } else { Err(Malformed) }
}

fn read_bool(r: &mut Reader<'_>) -> Result<bool, Malformed> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}
