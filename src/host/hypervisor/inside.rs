//! What happens inside a guest, brought about from outside: for the lab and for tests.

use std::io;
use std::path::Path;

use serde_json::json;
use uuid::Uuid;

use super::control::{self, Request};
use super::machine_dir::MachineDir;
use super::qmp::{LOOKS, Qmp};
use super::residents::ANSWER;

/// The guest switches itself off, as far as its host can tell: the driver is not asked.
pub fn switch_off(state_dir: &Path, vm: Uuid) -> io::Result<()> {
    let dir = MachineDir::of(state_dir, vm);
    if dir.marked(LOOKS) {
        let mut qmp = Qmp::connect(dir.path(), LOOKS, ANSWER)?;
        return qmp.run("system_powerdown", json!({})).map(drop);
    }
    ask_for_end(&dir, &Request::GuestShutdown)
}

/// The guest asks for a reboot, which ends its run; only VMs of the `process` driver do, for a
/// real machine starts anew by itself.
pub fn reboot(state_dir: &Path, vm: Uuid) -> io::Result<()> {
    ask_for_end(&MachineDir::of(state_dir, vm), &Request::GuestReboot)
}

/// A VM that ends answers nothing more.
fn ask_for_end(dir: &MachineDir, request: &Request) -> io::Result<()> {
    match control::ask(dir.path(), request, ANSWER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
