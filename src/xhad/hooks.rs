//! Programs of the administrator that xhad runs beside its loop, each with a time limit: the fence
//! device, and the way to stop this host's VMs.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::control::{FenceHook, HostAddress};
use super::threads;

/// How long stopping the VMs may take; the watchdog ends the host before, if the lease does.
const STOP_LIMIT: Duration = Duration::from_secs(300);

/// Asks the fence device to switch a host off; the program ends well only when it is off.
pub fn fence(
    hook: FenceHook,
    host: HostAddress,
    report: impl FnOnce(Result<(), String>) + Send + 'static,
) {
    let work = move || {
        let mut command = Command::new(&hook.program);
        command
            .arg("off")
            .arg(host.uuid.to_string())
            .env("XE_FENCE_ACTION", "off")
            .env("XE_FENCE_HOST", host.uuid.to_string())
            .env("XE_FENCE_ADDRESS", host.address.to_string());
        let limit = Duration::from_secs(u64::from(hook.limit_s));
        report(
            run(&mut command, limit).map_err(|why| format!("{}: {why}", hook.program.display())),
        );
    };
    threads::start("hook", work);
}

/// Stops every VM of this host; the command ends well only when none is left.
pub fn stop_vms(words: Vec<String>, report: impl FnOnce(Result<(), String>) + Send + 'static) {
    let work = move || {
        let outcome = match words.split_first() {
            Some((program, rest)) => run(Command::new(program).args(rest), STOP_LIMIT),
            None => Err("no command is set".to_owned()),
        };
        report(outcome);
    };
    threads::start("hook", work);
}

/// Runs a program to its end within the limit.
fn run(command: &mut Command, limit: Duration) -> Result<(), String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut child = child.map_err(|error| error.to_string())?;
    match wait(&mut child, limit) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(status.to_string()),
        None => {
            let _ended_just_now = child.kill();
            let _reaped = child.wait();
            Err(format!("no answer within {} s", limit.as_secs()))
        }
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if began.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn asked(program: &str, limit_s: u32) -> Result<(), String> {
        let (sender, answer) = channel();
        let hook = FenceHook { program: program.into(), limit_s };
        let host = HostAddress { uuid: uuid::Uuid::nil(), address: [127, 0, 0, 1].into() };
        fence(hook, host, move |outcome| sender.send(outcome).unwrap());
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
            stop_vms(words, move |outcome| sender.send(outcome).unwrap());
            assert_eq!(answer.recv().unwrap().is_ok(), good);
        }
    }
}
