//! The command table: one file a noun, declaration and handler side by side.

pub mod appliance;
pub mod context;
pub mod diagnostic;
pub mod entry;
pub mod event;
pub mod family;
pub mod files;
pub mod host;
pub mod message;
pub mod messages;
pub mod network;
pub mod pif;
pub mod pool;
pub mod pool_ha;
pub mod pool_master;
pub mod progress;
pub mod selectors;
pub mod snapshot;
pub mod sr;
pub mod table;
pub mod task;
pub mod tasks;
pub mod vbd;
pub mod vdi;
pub mod vif;
pub mod vm;
pub mod vm_disks;
pub mod vm_life;
pub mod vm_memory;
pub mod vm_uninstall;

pub use context::Context;
pub use entry::{Entry, all, find};
pub use table::{Command, Outcome};

/// The hand-written commands, noun by noun.
static NOUNS: &[&[Command]] = &[
    appliance::COMMANDS,
    diagnostic::COMMANDS,
    event::COMMANDS,
    host::COMMANDS,
    message::COMMANDS,
    network::COMMANDS,
    pif::COMMANDS,
    pool::COMMANDS,
    pool_ha::COMMANDS,
    pool_master::COMMANDS,
    snapshot::COMMANDS,
    sr::COMMANDS,
    task::COMMANDS,
    vbd::COMMANDS,
    vdi::COMMANDS,
    vif::COMMANDS,
    vm::COMMANDS,
    vm_disks::COMMANDS,
    vm_life::COMMANDS,
    vm_memory::COMMANDS,
    vm_uninstall::COMMANDS,
];

/// All hand-written commands.
pub fn singles() -> impl Iterator<Item = &'static Command> {
    NOUNS.iter().flat_map(|noun| noun.iter())
}
