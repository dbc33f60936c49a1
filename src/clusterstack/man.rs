//! The manual page of the cluster stack, made from the tables of programs and exit codes.

use super::exit::Exit;

/// The page's name.
pub const PAGE: &str = "xe-cluster-stack.8";

/// A program, its words, and what it does.
type Program = (&'static str, &'static str, &'static str);

/// The programs in the order in which a session meets them.
const PROGRAMS: [Program; 10] = [
    (
        "ha_set_pool_state",
        "init | active | invalid",
        "init writes the initial state of a session over the statefile; no session may run on \
         this host. invalid switches HA off for the pool by two decided views; every host then \
         disarms itself. active takes a switch-off back that is not decided yet.",
    ),
    (
        "ha_start_daemon",
        "",
        "Starts the heartbeat daemon if none runs, begins the session of the configuration and \
         waits until this host is in the living set, at most EnableJoinTimeout or \
         BootJoinTimeout. Starts the process that watches the toolstack.",
    ),
    (
        "ha_query_liveset",
        "",
        "Prints the living set as XML. A host is shown with liveness FALSE only on the host that \
         may act as master, and only when it is dead for certain; known_dead says the second \
         alone. Elements for a person, which the toolstack passes over: why a host is not \
         simply live; the longest gaps and latencies of its paths as a share of the time after \
         which a path is suspect (..._of_suspect); and not_real_time, what the daemon lacks to \
         be in time under load.",
    ),
    (
        "ha_propose_master",
        "",
        "Prints TRUE when this host is the master and may act, FALSE when another host is or \
         when an earlier master is not dead for certain within T and 15 seconds.",
    ),
    (
        "ha_disarm_fencing",
        "[--force]",
        "Stops this host's watchdog. When no guest runs here, the host leaves the living set by \
         a decided view; else, or when nothing can be decided, it disarms as soon as every \
         other host knows, and nobody will take its guests for dead. When neither comes true in \
         T and 10 seconds, the host stays armed (3). --force, which no toolstack gives, disarms \
         at once: the others may then restart guests that still run here.",
    ),
    ("ha_stop_daemon", "", "Ends the session of a host that is not armed. The daemon stays, idle."),
    (
        "ha_set_excluded",
        "",
        "Says that this host has left cleanly. After ha_disarm_fencing that is a look at what \
         was decided; on an armed host without guests it is the leave itself.",
    ),
    (
        "ha_clear_excluded",
        "",
        "Takes back a leave that is not decided yet. A host that has left joins again by \
         ha_start_daemon alone.",
    ),
    (
        "ha_set_host_weight",
        "CLASS WEIGHT",
        "Sets a part of this host's weight, which counts when the pool breaks into parts of \
         equal size, from the next start of a session.",
    ),
    (
        "ha_declare_dead",
        "UUID",
        "For a person, and no toolstack: says that a host which is out of the living set is \
         dead, and waits until no lease of that host can be left. To be run on every host that is \
         left. Its guests are restarted elsewhere. If it still runs and was disarmed, they run \
         twice.",
    ),
];

const DESCRIPTION: &str = "A XenServer toolstack drives the heartbeat of its pool through \
programs in a folder of its own, one for each cluster stack. These programs let it use xhad, the \
heartbeat daemon of xe, without knowing it: the configuration that the toolstack writes, the \
words, the exit codes and the printed text are those that it expects. Make the folder with";

const DIFFERENCES: [&str; 14] = [
    "T is the smaller of HeartbeatTimeout and StateFileTimeout. All other times of the heartbeat \
     follow from it; the intervals and the two watchdog times of the file are checked and not \
     used.",
    "Beats and blocks carry a keyed code. The key is derived from the pool's token and the \
     generation, so that nobody has to hand it out; without a token nothing starts (16). \
     Changing the token while HA is on keeps hosts that restart from joining (9).",
    "The first master of a session is the one that the toolstack's pool.conf names. Later the \
     mastership follows decided views, not the first to ask.",
    "A toolstack that fails its health check is started again, after pauses that double from \
     two intervals up to an hour; XapiRestartAttempts is not used. It never costs a reset of \
     the host. While it is unwell for more than 15 seconds on the master, and another host has \
     a well one, the daemon ends the toolstack's process and the mastership moves.",
    "A toolstack that is gone from the master for more than 45 seconds costs the mastership in \
     the same way; a restart that is shorter does not, unless a host was lost just before. So \
     the toolstack's process must be known; where it cannot be told, nothing starts (16).",
    "A host disarms only in agreement with the others. ha_stop_daemon on an armed host is \
     refused (17); it does not lead to a reset.",
    "A host that was disarmed with guests on it, or that vanished without proof, stays alive in \
     the toolstack's eyes until it joins again or ha_declare_dead is run. If it was the \
     master, nobody else is told TRUE before that.",
    "statefile_corrupted is always FALSE: damage of a block is repaired by its owner and costs \
     nobody the disk.",
    "The lists of active hosts of other hosts are derived from what this host judges of them; \
     latencies are those of this host's own disk cycles and round trips, the newest and the \
     longest and shortest of the last five to ten minutes.",
    "On a master that runs no guest, ha_disarm_fencing and ha_set_excluded end the toolstack's \
     process before the host leaves the living set, since another host is told TRUE at once \
     then. The shutdown that has called them goes on without it; a toolstack that is started \
     again in the same boot joins as a member.",
    "A damaged record of what a host has promised (kept in the state directory) keeps it from \
     joining (12). Switch HA off and on again for the pool; then nothing in it counts.",
    "With WatchdogMode HYPERVISOR, and without any, the watchdog is /dev/watchdog, which on a \
     Xen host is the hypervisor's (module xen_wdt); USER takes a software watchdog too; with \
     NONE nothing starts (4).",
    "The statefile of the toolstack has 266240 bytes or more. A pool whose hosts need more is \
     refused at ha_set_pool_state init (9), with both numbers.",
    "The daemon does not watch interfaces; a bond is looked at when the living set is asked for.",
];

const LIMITS: [&str; 6] = [
    "No command of the toolstack carries an epoch. What a master has sent, and what arrives only \
     after another has taken its place, cannot be refused by anybody. The window is short: a \
     host that stalls is reset at most T later, a toolstack that stalls alone is ended before \
     the mastership moves, and a master that is none any more is told of no death. With xe-agent \
     in the place of the foreign toolstack there is no window.",
    "When all hosts shut down cleanly, the last one that did has to come back before the others \
     can form a living set.",
    "Whoever has the pool's token can speak for any host.",
    "The heartbeat uses the addresses of the configuration and no other path; \
     HeartbeatInterface is checked and not bound to.",
    "Hosts and their addresses stay the same while HA is on.",
    "After a restart of the whole pool the host with the lowest UUID becomes master, whoever \
     was before; the toolstacks follow.",
];

const FILES: [(&str, &str); 5] = [
    ("/etc/xensource/xhad.conf", "The configuration that the toolstack writes; -C names another."),
    ("/etc/xensource/ptoken", "The pool's token."),
    ("/etc/xensource/pool.conf", "The toolstack's word on who is master."),
    ("/var/lib/xe/cluster-stack", "The daemon's state, its log and history."),
    (
        "/etc/xe/cluster-stack.json",
        "Settings that differ: config, token, pool-role, state-dir, watchdog, health-check, \
         restart, toolstack-pid, guests, release-port, load-watchdog, bonding. Commands are lists \
         of words. guests prints the id of each domain that runs, one a line; any other than 0 \
         is a guest.",
    ),
];

/// The words behind a program's name.
pub fn words_of(name: &str) -> &'static str {
    PROGRAMS.iter().find(|(program, ..)| *program == name).map_or("", |(_, words, _)| words)
}

/// The manual page.
pub fn page() -> String {
    let mut page = String::from(".TH xe-cluster-stack 8 \"\" \"xe\" \"xe\"\n.SH NAME\n");
    page.push_str("xe\\-cluster\\-stack \\- xhad as the cluster stack of a XenServer toolstack\n");
    page.push_str(".SH SYNOPSIS\n.nf\n");
    for (name, words, _) in PROGRAMS {
        page.push_str(&escaped(format!("{name} {words}").trim_end()));
        page.push('\n');
    }
    page.push_str(".fi\n.SH DESCRIPTION\n");
    page.push_str(&paragraph(DESCRIPTION));
    page.push_str(".PP\n.nf\n");
    page.push_str(&escaped(
        "xe install-links --cluster-stack /usr/libexec/xapi/cluster-stack/xhad",
    ));
    page.push_str("\n.fi\n.SH PROGRAMS\n");
    for (name, _, text) in PROGRAMS {
        page.push_str(&entry(name, text));
    }
    page.push_str(".SH EXIT STATUS\n");
    page.push_str(&entry("0", "done"));
    for (exit, text) in Exit::ALL {
        page.push_str(&entry(&exit.code().to_string(), text));
    }
    page.push_str(".SH DIFFERENCES\n");
    page.extend(DIFFERENCES.map(paragraph));
    page.push_str(".SH LIMITS\n");
    page.extend(LIMITS.map(paragraph));
    page.push_str(".SH FILES\n");
    for (name, text) in FILES {
        page.push_str(&entry(name, text));
    }
    page.push_str(".SH ENVIRONMENT\n");
    page.push_str(&entry("XE_CLUSTER_STACK", "The settings file, if it is not the usual one."));
    page
}

fn entry(name: &str, text: &str) -> String {
    format!(".TP\n.B {}\n{}\n", escaped(name), escaped(text))
}

fn paragraph(text: &str) -> String {
    format!(".PP\n{}\n", escaped(text))
}

/// Text that roff does not take for a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_described() {
        let described: Vec<&str> = PROGRAMS.iter().map(|(name, ..)| *name).collect();
        let mut known = super::super::PROGRAMS.to_vec();
        known.push(super::super::PROGRAM_DECLARE_DEAD);
        assert_eq!(described.len(), known.len());
        assert!(known.iter().all(|name| described.contains(name)));
    }
}
