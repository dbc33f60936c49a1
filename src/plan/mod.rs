//! The failover planner, pure: does every set of `r` hosts have a place for its protected VMs?
//!
//! **Together.** For each set of `r` enabled hosts the protected VMs on them must fit on the other
//! enabled hosts, in memory, vCPUs and number of VMs, each on a host that can run it, without
//! moving anything else. Protected VMs that run nowhere (or on a disabled host) are first given
//! places in the planner's favour. Fewer failures are then tolerated as well.
//!
//! **As recovery does it.** [`place`] is the rule by which recovery places VMs, and it is the very
//! packing that the planner tries for a set, exact search included, in the same order and with a
//! budget that is no smaller. So a "yes" is kept there: what the planner packed, recovery packs.
//! While a plan is carried out the VMs that wait are placed anew beside those that started; they
//! find a place because a place for all was there and the packing is complete.
//!
//! **One by one.** When hosts fail one after the other, VMs placed earlier stay where they are,
//! and an unlucky placement could spoil a later one. Recovery therefore looks ahead: of its rules
//! it takes the first after which the failures still promised are kept ([`place_ahead`]). A "yes"
//! says in [`Sequences`] whether it also holds for every order of single failures with these
//! placements; that is a stronger promise, and it may be missing where the first one is given.
//!
//! **Proof.** A "yes" carries bounds and, from [`certify`], placements; a "no" carries hosts, a VM
//! and the bound that fails; "not proved" is to be taken as no. What a certificate says is
//! verified by `check`, which shares no code with the planner.
//!
//! | file | idea |
//! |---|---|
//! | `ask` | the questions: does it tolerate `r`, how many does it tolerate |
//! | `place` | the rule of recovery |
//! | `guard` | what an operation would break |
//! | `evacuate` | where a host's VMs can go |
//! | `size`, `census` | what VMs need and where they may run, in every dimension |
//! | `field` | room and load of every host |
//! | `starts` | where halted protected VMs would have to start |
//! | `sets` | all sets of `r` hosts: bounds, suspects, then the sets that are left |
//! | `classes`, `tables`, `ranges` | bounds for all sets at once; which VMs they speak of |
//! | `suspects`, `dominance` | which sets are worst; which need no look because others are worse |
//! | `sweep` | one set after the other where memory is all that counts |
//! | `sequence` | hosts that fail one by one |
//! | `standing` | a pool that changes: only what changed is looked at again |
//! | `certificate`, `case`, `program` | certificates and cases as texts; `xe-plan` |
//! | `check` | verifies certificates, apart from all of the rest |
//! | `pack`, `fill`, `search` | one set of VMs: greedy rules, fullest hosts, exact search |
//! | `refute` | why one set of VMs fits nowhere |
//! | `groups` | anti-affinity: spread, else part, else name |
//! | `meter` | how much work an answer may cost |

mod ask;
pub mod case;
mod census;
pub mod certificate;
pub mod check;
mod classes;
mod dominance;
mod evacuate;
mod field;
mod fill;
mod groups;
mod guard;
mod meter;
mod pack;
mod place;
pub mod program;
mod ranges;
mod refute;
mod search;
mod sequence;
mod sets;
mod shortage;
mod size;
mod standing;
mod starts;
mod suspects;
mod sweep;
mod tables;

use std::collections::BTreeSet;

pub use ask::{certify, max_failures, one_by_one, tolerates};
pub use classes::ClassBound;
pub use evacuate::{Evacuation, evacuation};
pub use guard::{Guard, guard};
pub use pack::Why;
pub use place::{Placement, place, place_again, place_ahead, place_all, place_most};
pub use sets::{Certificate, Plan};
pub use shortage::Shortage;
pub use standing::{Change, Standing};

/// A host as the planner sees it; memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Its name for answers, such as a uuid.
    pub id: String,
    /// All memory for VMs.
    pub total: u64,
    /// What all running VMs, planned for or not, leave free.
    pub free: u64,
    /// vCPUs that may still be given to VMs (see [`vcpu_room`]); `None` without limit.
    pub vcpus: Option<u64>,
    /// VMs that may still be started; `None` without limit.
    pub slots: Option<u64>,
    /// A disabled host is neither a target nor expected to fail.
    pub enabled: bool,
}

impl Host {
    /// Whether it could take the VM now as far as room goes.
    pub fn has_room(&self, vm: &Vm) -> bool {
        let enough = |left: Option<u64>, needed: u64| left.is_none_or(|left| left >= needed);
        self.free >= vm.memory && enough(self.vcpus, vm.vcpus) && enough(self.slots, 1)
    }

    /// Takes what the VM needs out of what is left, as a start here does.
    pub fn take(&mut self, vm: &Vm) {
        self.free = self.free.saturating_sub(vm.memory);
        self.vcpus = self.vcpus.map(|left| left.saturating_sub(vm.vcpus));
        self.slots = self.slots.map(|left| left.saturating_sub(1));
    }

    /// Gives it back, as an end here does.
    pub fn give(&mut self, vm: &Vm) {
        self.free = self.free.saturating_add(vm.memory);
        self.vcpus = self.vcpus.map(|left| left.saturating_add(vm.vcpus));
        self.slots = self.slots.map(|left| left.saturating_add(1));
    }
}

/// A VM as the planner sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vm {
    /// Its name for answers, such as a uuid.
    pub id: String,
    /// What a start needs in bytes, overhead included.
    pub memory: u64,
    /// Its virtual CPUs.
    pub vcpus: u64,
    /// The host that runs it (an index of [`Problem::hosts`]); `None` when it is halted.
    pub host: Option<usize>,
    /// Whether it must be restarted.
    pub protected: bool,
    /// The hosts that can run it; `None` when all can.
    pub allowed: Option<BTreeSet<usize>>,
    /// Its anti-affinity group, by any number: see `groups`.
    pub group: Option<usize>,
}

impl Vm {
    /// Whether the host can run it, however much room it has.
    pub fn may(&self, host: usize) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&host))
    }
}

/// The vCPUs that a host may still give to VMs when `percent` of its CPUs may be promised (300:
/// three vCPUs for each CPU) and `used` are; `None`, no limit, without such a ratio.
pub fn vcpu_room(cpus: u64, percent: Option<u64>, used: u64) -> Option<u64> {
    percent.map(|percent| (cpus.saturating_mul(percent) / 100).saturating_sub(used))
}

/// A pool at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// The hosts that are there.
    pub hosts: Vec<Host>,
    /// The VMs; those that are not protected matter only to [`evacuation`].
    pub vms: Vec<Vm>,
    /// What a protected VM means that only some hosts can run, when none of these survives. If
    /// not set, it breaks the plan of such a set of hosts. If set, it is named
    /// ([`Verdict::doomed`]) and left out there, while it is planned for wherever one of its hosts
    /// survives; sets of fewer hosts then have to be looked at as well, for they may leave it a
    /// host without room.
    pub excuse_doomed: bool,
}

/// How much work an answer may cost before it is "not proved".
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Steps of all searches together; a step is a few nanoseconds of an optimised build.
    pub nodes: u64,
    /// The time that they may take, for callers with a clock.
    pub time: Option<TimeLimit>,
}

/// A limit to time by the caller's clock.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit {
    /// Tells the time in nanoseconds.
    pub now: fn() -> u64,
    /// How long work may take, in nanoseconds.
    pub most: u64,
}

impl Budget {
    /// So many steps, however long they take.
    pub const fn steps(nodes: u64) -> Self {
        Self { nodes, time: None }
    }
}

impl Default for Budget {
    /// Steps of about a second.
    fn default() -> Self {
        Self::steps(meter::SECOND)
    }
}

/// A failure that has no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaking {
    /// The hosts that fail together.
    pub hosts: Vec<usize>,
    /// A VM that finds no place then.
    pub vm: usize,
    /// The bound that it violates, or that everything was tried.
    pub why: Why,
}

/// Whether the answer also holds when hosts fail one after the other and recovery places what
/// each of them ran, earlier placed VMs included, without moving any that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sequences {
    /// In every order everything finds a place.
    Kept,
    /// With the usual placements a VM is left over in this order, and no other placement that
    /// recovery looks at keeps every order.
    Breaks {
        /// The hosts as they fail.
        hosts: Vec<usize>,
        /// The VM.
        vm: usize,
    },
    /// Not known within the budget.
    #[default]
    NotProved,
}

/// The answer to "does the pool tolerate `r` failures?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every set of `r` hosts has a plan.
    Yes {
        /// Why.
        certificate: Certificate,
        /// Where the halted protected VMs would have to start: (VM, host).
        starts: Vec<(usize, usize)>,
        /// Whether that also holds for one failure after the other, as far as bounds tell;
        /// [`one_by_one`] looks closer.
        one_by_one: Sequences,
    },
    /// Some set has none. With halted protected VMs there may be another such set for each way to
    /// start them; then no single one is named.
    No(Option<Breaking>),
    /// The budget was used up; to be taken as no.
    NotProved {
        /// Steps that were made.
        nodes: u64,
    },
}

/// What a pool can lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The largest `r` for which every set of `r` hosts is known to have a plan.
    pub max: usize,
    /// Whether all halted protected VMs could be started at all.
    pub startable: bool,
    /// Whether `max + 1` is known to be impossible, rather than not proved.
    pub proved: bool,
    /// A set of `max + 1` hosts that has no plan, if one set breaks all placements.
    pub counterexample: Option<Breaking>,
    /// Where the halted protected VMs would have to start for `max`: (VM, host).
    pub starts: Vec<(usize, usize)>,
    /// Whether `max` hosts may also fail one after the other.
    pub one_by_one: Sequences,
    /// The largest `r`, `max` at most, for which it is known that `r` hosts may.
    pub max_one_by_one: usize,
    /// Protected VMs that some set of `max + 1` hosts leaves without any host that can run them,
    /// however much room there is: they cannot be saved from more than `max` failures.
    pub doomed: Vec<usize>,
    /// The largest `r` when such VMs are left out of the sets that end them (see
    /// [`Problem::excuse_doomed`]); at least `max`, and the same when there are none.
    pub max_of_savable: usize,
}

#[cfg(test)]
mod tests;
