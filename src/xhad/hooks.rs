//! Programs of the administrator that xhad runs beside its loop, each with a time limit: the fence
//! device, and the way to stop this host's VMs.

use super::control::{FenceHook, HostAddress};
use super::spawner::{Program, Spawner};
use super::threads;

/// How long stopping the VMs may take, in milliseconds; the watchdog ends the host before, if the
/// lease does.
const STOP_LIMIT_MS: u64 = 300_000;

/// Asks the fence device to switch a host off; the program ends well only when it is off.
pub fn fence(
    spawner: Spawner,
    hook: FenceHook,
    host: HostAddress,
    report: impl FnOnce(Result<(), String>) + Send + 'static,
) {
    let set = |name: &str, value: String| (format!("XE_FENCE_{name}"), value);
    let program = Program {
        words: vec![hook.program.display().to_string(), "off".to_owned(), host.uuid.to_string()],
        environment: vec![
            set("ACTION", "off".to_owned()),
            set("HOST", host.uuid.to_string()),
            set("ADDRESS", host.address.to_string()),
        ],
        limit_ms: Some(u64::from(hook.limit_s) * 1000),
    };
    threads::start("fence-device", move || {
        let outcome = spawner.run(program);
        report(outcome.map_err(|why| format!("{}: {why}", hook.program.display())));
    });
}

/// Stops every VM of this host; the command ends well only when none is left.
pub fn stop_vms(
    spawner: Spawner,
    words: Vec<String>,
    report: impl FnOnce(Result<(), String>) + Send + 'static,
) {
    let program = Program { words, environment: Vec::new(), limit_ms: Some(STOP_LIMIT_MS) };
    threads::start("stop-vms", move || report(spawner.run(program)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xhad::spawner::tests::in_process;
    use std::sync::mpsc::channel;

    fn asked(program: &str, limit_s: u32) -> Result<(), String> {
        let (sender, answer) = channel();
        let hook = FenceHook { program: program.into(), limit_s };
        let host = HostAddress { uuid: uuid::Uuid::nil(), address: [127, 0, 0, 1].into() };
        fence(in_process(), hook, host, move |outcome| sender.send(outcome).unwrap());
        answer.recv().unwrap()
    }

    #[test]
    fn a_device_says_off_or_why_not_and_never_takes_longer_than_its_limit() {
        assert_eq!(asked("/bin/true", 5), Ok(()));
        assert!(asked("/bin/false", 5).unwrap_err().contains("exit status"));
        assert!(asked("/nowhere/fence", 5).unwrap_err().contains("No such file"));
    }

    #[test]
    fn vms_count_as_stopped_only_when_the_command_ends_well() {
        for (words, good) in
            [(vec!["/bin/true"], true), (vec!["/bin/false"], false), (vec![], false)]
        {
            let (sender, answer) = channel();
            let words = words.into_iter().map(str::to_owned).collect();
            stop_vms(in_process(), words, move |outcome| sender.send(outcome).unwrap());
            assert_eq!(answer.recv().unwrap().is_ok(), good);
        }
    }
}
