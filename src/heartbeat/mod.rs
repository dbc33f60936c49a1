//! The heartbeat protocol, pure: time and events come in as arguments, effects go out as values.
//!
//! Hosts exchange signed beats over UDP and write blocks to shared disks. Membership is a chain
//! of decided [`view`]s. Each host holds a lease that ends T after the oldest evidence it used;
//! its watchdog is programmed to exactly that. Whoever cannot renew is reset, and so the others
//! can know when its VMs may be restarted.
//!
//! | to find | look in |
//! |---|---|
//! | the timers | [`timing`] |
//! | what hosts say | [`report`], in a [`packet`] or a [`block`] |
//! | who decides, and how many are needed | [`quorum`] |
//! | how a view is decided by disk | [`decision`], `node/propose.rs`, `node/choose.rs` |
//! | how one is decided without a disk | [`vote`], [`kept`], `node/network.rs` |
//! | the lease and the watchdog | `node/lease.rs` |
//! | when a host is dead | `node/death.rs` |
//! | booting, forming, joining, the storm brake | `node/boot.rs`, `node/form.rs` |
//! | the witness | [`witness`] |
//! | what others may know | [`liveset`] |
//! | every rule broken on purpose, one at a time | [`variant`] |
//!
//! # What may fail
//!
//! Hosts crash, are reset, and stand still for any time ([`node::Node::step`] looks at the lease
//! before anything else). Their clocks (CLOCK_BOOTTIME) differ, and their rates by up to 1 %. A
//! packet is lost, delayed, duplicated, reordered, on one way only if need be; it is never forged
//! under the key. A statefile gives errors, hangs, tears a write, lands a write late (after its
//! host died; not later than the drain of `node/boot.rs` counted from the last one seen to land),
//! shows old content, or goes back in time as a whole; with several statefiles a majority is
//! right; what a statefile loses by going back, so many hosts have on their own disks that nobody
//! can form a view without one of them. The watchdog runs on whatever the host does, and fires no
//! later than it was programmed plus its step. The host's own disk keeps what it said was kept.
//!
//! # What holds, and why
//!
//! 1. **At most one host acts as master at any instant; epochs only grow; nothing with an older
//!    epoch takes effect.** A view names one master. Views of one epoch never differ: each is
//!    decided by a majority of the acceptors of its predecessor, with a ballot that takes over
//!    what a lower one may have decided ([`decision`], [`vote`]); the step into network mode needs
//!    the promise of *every* member, given by each only before it decided anything else, and its
//!    content follows from the predecessor alone (`Node::enter`). A master acts only under its own
//!    lease, looked at in the act, and only when every earlier master that left is dead
//!    (`Node::may_act_until`): its lease then cannot overlap theirs. A host adopts higher epochs
//!    only; freshly booted hosts form above every epoch that any of them kept
//!    (`Node::next_epoch`), and in network mode so many must be there that one of them has taken
//!    part in every decision (`Node::enough_to_form`).
//! 2. **An excluded host has been reset, or executes nothing more, or is marked unarmed and its
//!    VMs unknown.** In disk mode its lease rests on evidence of *every* member, dated by its own
//!    sending (R2.2): the member that judges has taken its last packet at r, so no evidence is
//!    younger than r and the lease ends by r + T; clocks and the watchdog's step are in the
//!    margin (R5.1). Likewise its cycles wrote to a majority of the statefiles: a read begun after
//!    the deadline that still shows the old sequence, on statefiles that meet every majority,
//!    proves that none completed since (R5.2). In network mode its lease rests on a majority:
//!    the words of so many members are needed that every majority has one among them, and the
//!    newest counts; its block proves nothing ([`view::Gone::words`]). The same bound holds for
//!    whoever had not yet heard of the way back, so it stays until all have
//!    (`Node::all_came_back`). An unarmed host is never presumed dead.
//! 3. **So no VM runs twice**: a VM is started elsewhere only after its host is dead by 2, or has
//!    said itself in this boot and epoch that it does not run (the agent's rows, R6.3 to R6.5).
//! 4. **An armed host that cannot prove that it may live is reset within T of its last proof.** A
//!    renewal gives a lease until the date of the oldest evidence used plus T (R4.2), and the
//!    watchdog is programmed to that, rounded down; nothing else ever moves it later.
//! 5. **HA is never switched on or off silently or by a stale record.** "Off" is a decided view
//!    under the session's key, on top of "off-pending"; a lower epoch is never adopted; a record
//!    of another session has another generation and key. A witness's packets have the pool's key
//!    in every session: their generation alone tells, and the witness keeps each one's promises.
//!
//! **Liveness.** With a majority of the last view alive, connected, and with a majority of the
//! statefiles, a view with a master exists within T + margin + L + 4 b of the last fault when one
//! of them is a member (the suspicion after S, one decision within L, the death of an earlier
//! master by T + margin), and within the drain + T + margin + 12 b when all have booted freshly
//! (R7.2), twice that when they were in network mode before.
//!
//! # Where this differs from the rules as first written, and why
//!
//! * **A waiting host holds no lease.** It runs no VM, so nothing rests on it, and its watchdog is
//!   a guard against stalls, petted without evidence. It may be admitted and left out before it
//!   knows of either; to be called dead then means that it never gets a lease: its first one would
//!   need the echo of every member of the view that admitted it, and the one that decided it out
//!   has stopped. (Trace: 8 hosts, T = 30; disk and links of a waiting host cut at its admission;
//!   called dead at T + margin while its guard ran. First written, the guard began anew at the
//!   adoption; now it does not, [`liveset::Phase::Armed`] needs a lease, and a waiting host that
//!   finds itself left out is fenced.) A host that waits with VMs of an unarmed session renews by
//!   the rule of members instead (`node/lease.rs`).
//! * **An answer under R8.1 is dated by the packet it echoes**, not by its own sending: saying the
//!   same again gives the asker nothing newer to live on. Dated by sending, a host lost in network
//!   mode was excluded S later than need be.
//! * **A packet carries the view only while some peer may lack it**; a receiver that is behind
//!   takes nothing of a packet without it, which keeps the order of R2.1. So beats stay small in
//!   large pools.
//! * **The in-sync set and the segment are no part of the view**: a commit counts when it is on
//!   the metadata volume, whose segments belong to hosts, so there is nothing to agree on.
//! * **A broken decision block stops nobody for ever.** It hides a ballot only of a member of the
//!   predecessor; once that member is certainly dead its block is passed over (section 10).
//! * **Each host keeps the newest view on its own disk** ([`kept`]), first of all what was decided
//!   in network mode: one that boots alone, or after all others died, knows of decisions which no
//!   statefile shows. If nothing but a statefile that went back in time explains the difference,
//!   the host looks for T + margin whether a pool lives by what is shown now; if none does, a
//!   strict majority of the view remembered forms the next one, a thousand epochs further on, so
//!   that none is ever given twice. (Trace: three hosts, T = 3; the statefile goes back by 10 s
//!   while the last two reboot; a lone one formed epoch 4 again.) The same jump follows where a
//!   dead member's block is damaged on so many statefiles that it may hide a decided view, and
//!   where freshly booted hosts form without somebody: who is missing may be the only one that
//!   knows. (Trace: three hosts, T = 5; one decides epoch 4 alone, the statefile goes back and
//!   hangs for it; another one boots and formed epoch 4 again.) The record never goes back: a boot
//!   that reads an older view keeps the newer one. (Trace: three hosts, T = 30; the statefile goes
//!   back, the one that knows boots, kept what it read, and boots again.)
//! * **The boot number is kept there, too** (R2.5): after a block was damaged between two boots the
//!   same life came twice, and what was seen of the first one counted for the second.
//! * **A link is known by the view that it follows**, not by the epoch that the next one gets
//!   (R3.2). Hosts that differ in what they know of forgotten epochs bid for one link, and the
//!   highest ballot's value stands; before, two views could be decided on top of one.
//! * **Statefiles must show a block still at the same time** (R5.2). One that it stopped writing
//!   long ago, on a path now lost, and one that it stopped writing now prove nothing together: it
//!   may have lived on both in between. (Trace: two hosts, three statefiles, T = 5.)
//! * **The mark "unarmed" counts when it is on the others' own disks** (R9.3). Echoed by a host
//!   that then reboots while the storage is lost it was forgotten, and its host called dead.
//! * **The operator's word that a host is dead counts T + margin later** (R5.3e) while that host's
//!   lease could still run: people err, and until then it may even be the master. A fence device's
//!   word counts at once. The operator's counts for nothing once that life has shown itself again.
//!   (Trace: four hosts, T = 3, in network mode; one that has booted hears that the master is dead,
//!   which lives on with another's votes, and forms a view without it when the links are healed.)
//! * **The storage is back by cycles begun under the view in force only.** It counts as lost before
//!   the last sign of it is as old as G, so an old sign brought the pool back at once. (Trace: two
//!   hosts, T = 5; one's reads go stale, the other's path fails; a view every 30 ms, each way.)
//! * **A statefile that fails is asked once in half a beat**, also with news to write: where it
//!   answers with its error at once, the daemon took a processor from everything else.
//! * **The next daemon speaks for one that was killed** (R5.5, R5.4). It has the host reset anyway;
//!   by cutting the keeper short and writing the word into the own block of that boot, with a
//!   sequence beyond all packets, it spares the others the wait for the whole lease.
//! * **The way back from network mode can fail**: where all lose the storage again before all have
//!   come back, all promise again. A statefile that goes back in time again and again is answered
//!   by one view in S, not by view upon view.

pub mod auth;
pub mod block;
pub mod clique;
pub mod decision;
pub mod kept;
pub mod liveset;
pub mod node;
pub mod packet;
pub mod quorum;
pub mod recent;
pub mod report;
pub mod timing;
pub mod variant;
pub mod view;
pub mod vote;
pub mod wire;
pub mod witness;

#[cfg(test)]
mod codec_tests;

pub use auth::Key;
pub use block::format_statefile;
pub use liveset::Liveset;
pub use node::{Config, Effect, Input, Node};
pub use timing::Timing;
pub use view::{Mode, Slot, View};
pub use witness::Witness;

/// The protocol's number: it stands in every packet and block, and others are refused.
pub const PROTOCOL: u16 = 3;
