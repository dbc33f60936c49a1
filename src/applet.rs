//! The multicall registry: which program a name stands for.

use std::process::ExitCode;

/// What the binary has been asked to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applet {
    /// The command line, with the words after the program's name.
    Xe(Vec<String>),
    /// The agent: XenAPI server, database, planner, recovery.
    Agent(Vec<String>),
    /// The heartbeat and self-fencing daemon.
    Xhad(Vec<String>),
    /// A pool on one machine.
    Lab(Vec<String>),
    /// The failover planner on a case file.
    Plan(Vec<String>),
    /// Whole pools in simulated time, from seeds.
    Sim(Vec<String>),
    /// A program that a XenServer toolstack runs, by its name, with its words.
    ClusterStack(String, Vec<String>),
    /// A VM of the `process` driver (started by that driver only).
    ProcessVm(Vec<String>),
}

/// A program's name, its word behind `xe`, and what it stands for.
type Program = (&'static str, &'static str, fn(Vec<String>) -> Applet);

/// The programs that have a name of their own, also as a first word of `xe`.
const PROGRAMS: [Program; 6] = [
    ("xe-agent", "xe-agent", Applet::Agent),
    ("xhad", "xhad", Applet::Xhad),
    ("xe-lab", "lab", Applet::Lab),
    ("xe-plan", "plan", Applet::Plan),
    ("xe-sim", "sim", Applet::Sim),
    ("xe-process-vm", "xe-process-vm", Applet::ProcessVm),
];

/// Decides from argv what to run: argv[0] first, then the first word.
pub fn choose(argv: &[String]) -> Applet {
    let name = argv.first().map_or("xe", |path| path.rsplit('/').next().unwrap_or(path.as_str()));
    let rest = argv.get(1..).unwrap_or_default();
    for (program, _, make) in PROGRAMS {
        if name == program {
            return make(rest.to_vec());
        }
    }
    if crate::clusterstack::is_program(name) {
        return Applet::ClusterStack(name.to_owned(), rest.to_vec());
    }
    if name != "xe" && crate::cli::is_command(name) {
        let mut words = vec![name.to_owned()];
        words.extend_from_slice(rest);
        return Applet::Xe(words);
    }
    if let Some(first) = rest.first() {
        for (program, word, make) in PROGRAMS {
            if first == word || first == program {
                return make(rest[1..].to_vec());
            }
        }
        if crate::clusterstack::is_program(first) {
            return Applet::ClusterStack(first.clone(), rest[1..].to_vec());
        }
        if let ("help", Some(name)) = (first.as_str(), rest.get(1)) {
            for (program, word, make) in PROGRAMS {
                if name == word || name == program {
                    let asked = rest[2..].iter().cloned();
                    return make(asked.chain(["--help".to_owned()]).collect());
                }
            }
        }
    }
    Applet::Xe(rest.to_vec())
}

/// Runs what argv asks for and gives its exit code.
pub fn run(argv: &[String]) -> ExitCode {
    let applet = choose(argv);
    if matches!(applet, Applet::Plan(_) | Applet::Sim(_)) {
        crate::host::pipes::end_with_their_reader();
    }
    match applet {
        Applet::Xe(words) => {
            if let [word, dir] = &words[..]
                && word == "man"
            {
                write_manual(dir);
            }
            crate::cli::main(words, crate::agent::in_process::open)
        }
        Applet::Agent(words) => crate::agent::main(words),
        Applet::Xhad(words) => crate::xhad::main(words),
        Applet::Lab(words) => crate::lab::main(words),
        Applet::Plan(words) => crate::plan::program::main(words),
        Applet::Sim(words) if words.first().is_some_and(|word| word == "explore") => {
            crate::explore::program::run(&words[1..])
        }
        Applet::Sim(words) => crate::sim::program::main(words),
        Applet::ClusterStack(name, words) => crate::clusterstack::main(&name, &words),
        Applet::ProcessVm(words) => crate::host::hypervisor::process_vm::main(words),
    }
}

/// The manual page of the lab, beside the one that the command line makes of its own commands.
/// A directory that cannot be written to is reported there.
fn write_manual(dir: &str) {
    let page = crate::lab::manual::page();
    let file = std::path::Path::new(dir).join("xe-lab.1");
    let _told_below = page.and_then(|page| std::fs::write(file, page));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(line: &str) -> Applet {
        choose(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_program_of_the_cluster_stack_is_known_by_its_link_and_as_a_first_word() {
        let (name, words) = ("ha_set_pool_state".to_owned(), vec!["invalid".to_owned()]);
        let wanted = Applet::ClusterStack(name, words);
        assert_eq!(
            chosen("/usr/libexec/xapi/cluster-stack/xhad/ha_set_pool_state invalid"),
            wanted
        );
        assert_eq!(chosen("xe ha_set_pool_state invalid"), wanted);
        let other = chosen("xe vm-list ha_set_pool_state");
        assert!(matches!(other, Applet::Xe(words) if words.len() == 2));
    }
}
