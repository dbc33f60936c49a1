//! HA as an administrator meets it: what the commands show, what is refused and how, on a saved
//! pool of two hosts that survives one failure.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]

#[path = "ha/forbidden.rs"]
mod forbidden;
#[path = "ha/groups.rs"]
mod groups;
#[path = "ha/guards.rs"]
mod guards;
#[path = "ha/numbered.rs"]
mod numbered;
#[path = "ha/settings.rs"]
mod settings;
#[path = "ha/shown.rs"]
mod shown;
#[path = "ha/waiting.rs"]
mod waiting;
#[path = "ha/world.rs"]
mod world;
