//! The processes of a machine: the members of its process group, as the kernel shows them.

use serde::{Deserialize, Serialize};

/// What a process of a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The machine's first process.
    Init,
    /// The agent.
    Agent,
    /// The heartbeat daemon.
    Xhad,
    /// A VM.
    Vm,
    /// Something else.
    Other,
}

/// Whether a process still executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// It may execute.
    Alive,
    /// It has ended, and nobody has taken note yet.
    Zombie,
    /// There is no such process any more.
    Dead,
}

/// One process of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its pid, as the lab sees it.
    pub pid: i32,
    /// What it is.
    pub role: Role,
    /// Whether it executes.
    pub life: Life,
}

/// Every process of a group that is not gone without trace.
pub fn members(group: i32) -> Vec<Member> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut members: Vec<Member> = pids
        .filter_map(|pid: i32| {
            let (life, of) = stat(pid)?;
            (of == group).then(|| Member { pid, role: role(pid), life })
        })
        .collect();
    members.sort_by_key(|member| member.pid);
    members
}

/// Every process of this computer with its process group and the clock ticks that it has used, and
/// those of its children whose end it has seen.
pub fn processor_times() -> Vec<(i32, i32, u64)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let times = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // utime, stime, cutime and cstime are the fields 14 to 17; the state is the third.
        let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Some((pid, fields.get(2)?.parse().ok()?, ticks))
    };
    pids.filter_map(times).collect()
}

/// What has become of processes that were members.
pub fn look_again(members: &[Member], group: i32) -> Vec<Member> {
    let now = |pid: i32| match stat(pid) {
        Some((life, of)) if of == group => life,
        _ => Life::Dead,
    };
    members.iter().map(|member| Member { life: now(member.pid), ..*member }).collect()
}

/// Whether a process has ended and nobody has taken note yet.
pub fn is_zombie(pid: i32) -> bool {
    stat(pid).is_some_and(|(life, _)| life == Life::Zombie)
}

/// State and process group of a process.
fn stat(pid: i32) -> Option<(Life, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and brackets: state, parent and group follow the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let life = match fields.next()? {
        "Z" | "X" | "x" => Life::Zombie,
        _ => Life::Alive,
    };
    Some((life, fields.nth(1)?.parse().ok()?))
}

fn words(pid: i32) -> Vec<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// What a process is, by its words.
pub fn role(pid: i32) -> Role {
    let words = words(pid);
    role_by_words(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The VM that a process is, by its words: each driver names it, or its directory after it.
pub fn vm_of(pid: i32) -> Option<uuid::Uuid> {
    words(pid).iter().find_map(|word| word.rsplit('/').next()?.parse().ok())
}

/// The program is known by argv[0], or by the first word behind whatever our binary is called.
fn role_by_words(words: &[&str]) -> Role {
    let name = |at: usize| words.get(at).and_then(|word| word.rsplit('/').next()).unwrap_or("");
    let role = |at: usize| match name(at) {
        "xe-agent" => Some(Role::Agent),
        "xhad" => Some(Role::Xhad),
        "xe-process-vm" => Some(Role::Vm),
        program if program.starts_with("qemu-system") => Some(Role::Vm),
        "lab" | "xe-lab" if name(at + 1) == "machine-init" => Some(Role::Init),
        _ => None,
    };
    role(0).or_else(|| role(1)).unwrap_or(Role::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    #[test]
    fn a_group_is_seen_alive_then_as_zombie_then_dead() {
        let mut child =
            std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let group = i32::try_from(child.id()).unwrap();
        let before = members(group);
        assert_eq!(before.iter().map(|m| m.life).collect::<Vec<_>>(), [Life::Alive]);
        child.kill().unwrap();
        while members(group)[0].life == Life::Alive {
            std::thread::yield_now();
        }
        assert_eq!(look_again(&before, group)[0].life, Life::Zombie);
        child.wait().unwrap();
        assert_eq!(look_again(&before, group)[0].life, Life::Dead);
    }

    #[test]
    fn programs_are_known_by_their_words() {
        let cases: [(&[&str], Role); 6] = [
            (&["xe-agent", "--state-dir", "/d"], Role::Agent),
            (&["/x/xe", "xe-agent", "--state-dir", "/d"], Role::Agent),
            (&["/proc/self/exe", "xe-process-vm", "run"], Role::Vm),
            (&["/x/another-name", "xhad", "--state-dir", "/d"], Role::Xhad),
            (&["qemu-system-x86_64", "-name", "x"], Role::Vm),
            (&["/x/xe", "lab", "machine-init", "/d"], Role::Init),
        ];
        for (words, role) in cases {
            assert_eq!(role_by_words(words), role, "{words:?}");
        }
    }
}
