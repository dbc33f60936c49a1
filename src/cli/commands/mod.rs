//! The command table: one file a noun, declaration and handler side by side.

pub mod appliance;
pub mod clustering;
pub mod context;
pub mod devices;
pub mod diagnostic;
pub mod entry;
pub mod event;
pub mod family;
pub mod files;
pub mod ha_paths;
pub mod ha_view;
pub mod host;
pub mod message;
pub mod messages;
pub mod network;
pub mod pif;
pub mod pool;
pub mod pool_ha;
pub mod pool_master;
pub mod progress;
pub mod schedules;
pub mod security;
pub mod selectors;
pub mod snapshot;
pub mod sr;
pub mod table;
pub mod task;
pub mod tasks;
pub mod updates;
pub mod vbd;
pub mod vdi;
pub mod vif;
pub mod vm;
pub mod vm_disks;
pub mod vm_life;
pub mod vm_memory;
pub mod vm_uninstall;
pub mod wiring;

pub use context::Context;
pub use entry::{Entry, all, find};
pub use table::{Command, Outcome};

/// The hand-written commands, noun by noun.
static NOUNS: &[&[Command]] = &[
    appliance::COMMANDS,
    clustering::COMMANDS,
    devices::COMMANDS,
    diagnostic::COMMANDS,
    event::COMMANDS,
    ha_paths::COMMANDS,
    ha_view::COMMANDS,
    host::COMMANDS,
    message::COMMANDS,
    network::COMMANDS,
    pif::COMMANDS,
    pool::COMMANDS,
    pool_ha::COMMANDS,
    pool_master::COMMANDS,
    schedules::COMMANDS,
    security::COMMANDS,
    snapshot::COMMANDS,
    sr::COMMANDS,
    task::COMMANDS,
    updates::COMMANDS,
    vbd::COMMANDS,
    vdi::COMMANDS,
    vif::COMMANDS,
    vm::COMMANDS,
    vm_disks::COMMANDS,
    vm_life::COMMANDS,
    vm_memory::COMMANDS,
    vm_uninstall::COMMANDS,
    wiring::COMMANDS,
];

/// All hand-written commands.
pub fn singles() -> impl Iterator<Item = &'static Command> {
    NOUNS.iter().flat_map(|noun| noun.iter())
}
