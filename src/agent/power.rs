//! Switching the machine off.

use std::process::Command;

/// Has the machine switched off (`poweroff`) or rebooted (`reboot`). A lab names its own command.
pub fn switch_off(how: &str) -> std::io::Result<()> {
    let mut command = match std::env::var("XE_POWER_COMMAND") {
        Ok(program) => Command::new(program),
        Err(_) => Command::new("systemctl"),
    };
    let status = command.arg(how).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other(status.to_string())) }
}
