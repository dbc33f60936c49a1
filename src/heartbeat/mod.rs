//! The heartbeat protocol, pure: time and events come in as arguments, effects go out as values.
//!
//! Hosts exchange signed beats over UDP and write blocks to a shared disk. Membership is a chain
//! of decided [`view`]s. Each host holds a lease that ends T after the oldest evidence it used;
//! its watchdog is programmed to exactly that. Whoever cannot renew is reset, and so the others
//! can know when its VMs may be restarted.
//!
//! | to find | look in |
//! |---|---|
//! | the timers | [`timing`] |
//! | what hosts say | [`report`], in a [`packet`] or a [`block`] |
//! | how a view is decided | [`decision`], `node/propose.rs`, `node/choose.rs` |
//! | the lease and the watchdog | `node/lease.rs` |
//! | when a host is dead | `node/death.rs` |
//! | booting, forming, joining | `node/boot.rs` |
//! | what others may know | [`liveset`] |

pub mod auth;
pub mod block;
pub mod clique;
pub mod decision;
pub mod kept;
pub mod liveset;
pub mod node;
pub mod packet;
pub mod quorum;
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
pub const PROTOCOL: u16 = 2;
