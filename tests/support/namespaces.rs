//! Machines of a lab as namespaces of their own: not everywhere.

use std::process::Command;

/// Why they cannot be made here, if so.
pub fn impossible() -> Option<&'static str> {
    let words = ["--pid", "--net", "--mount-proc", "--fork", "true"];
    let made = Command::new("unshare").args(words).output();
    let able = made.is_ok_and(|out| out.status.success());
    (!able || Command::new("ip").arg("-V").output().is_err())
        .then_some("this user cannot make namespaces, or unshare or ip is missing")
}
