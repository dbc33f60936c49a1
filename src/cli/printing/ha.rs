//! The tables of the commands that tell of HA: status, what-if, explanation.

use comfy_table::{CellAlignment, Table, presets};

use super::table::{Record, layout};
use crate::xenapi::ha_view::{Down, Explanation, Host, Status, Timers, WhatIf, Witness};

fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(heads);
    table
}

fn right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Bytes as a person reads them.
pub fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        0 => "0".to_owned(),
        _ if bytes >= 10 * 1024 * MIB => format!("{:.1} GiB", bytes as f64 / (1024 * MIB) as f64),
        _ => format!("{} MiB", bytes / MIB),
    }
}

fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        format!("{} s", ms / 1000)
    } else {
        format!("{:.2} s", ms as f64 / 1000.0)
    }
}

fn age(ms: Option<u64>) -> String {
    ms.map_or_else(|| "-".to_owned(), seconds)
}

fn per_cent(share: Option<i64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{share} %"))
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn count(number: i64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn names(named: &[crate::xenapi::ha_view::Named]) -> String {
    named.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The whole status.
pub fn status(status: &Status) -> String {
    let mut text = layout(&overview(status)).trim_end().to_owned() + "\n\n";
    if status.enabled {
        text += &format!("{}\n\n", hosts(status));
    }
    if !status.statefiles.is_empty() {
        text += &format!("{}\n\n", statefiles(status));
    }
    text += &format!("{}\n", memory(&status.hosts));
    for (head, vms) in [("protected VM that is down", &status.down), ("VM", &status.unknown)] {
        if !vms.is_empty() {
            text += &format!("\n{}\n", down(head, vms));
        }
    }
    if !status.unprotected.is_empty() {
        text += &format!("\n{}\n", unprotected(status));
    }
    text
}

fn overview(status: &Status) -> Record {
    let capacity = &status.capacity;
    let mut record = vec![
        ("HA".to_owned(), if status.enabled { "on" } else { "off" }.to_owned()),
        ("pool".to_owned(), status.pool.to_string()),
        ("master".to_owned(), status.master.to_string()),
    ];
    let mut line = |label: &str, value: String| record.push((label.to_owned(), value));
    if let Some(epoch) = status.epoch {
        let mode = status.mode.as_deref().map_or(String::new(), |mode| format!(", by {mode}"));
        line("view", format!("epoch {epoch}{mode}"));
    } else if status.enabled {
        line("view", "unknown: a saved database holds no heartbeat".to_owned());
    }
    if status.figures_old {
        line("figures", "older ones: the heartbeat daemon does not answer".to_owned());
    }
    if status.storage_lost_by_all {
        line("storage", "every host has lost the statefiles; decided by the network".to_owned());
    }
    if let Some((well, all)) = status.copies.filter(|(well, all)| all > &1 || well < all) {
        line("database copies", format!("{well} of {all} on shared storage are well"));
    }
    if !status.not_real_time.is_empty() {
        line("not real-time", status.not_real_time.join(", "));
    }
    if let Some(witness) = &status.witness {
        line("witness", witness_line(witness));
    }
    line("configured to survive", count(capacity.configured, "host failure"));
    let proved = if capacity.proved { "" } else { " (more was not proved in time)" };
    line("survives now", format!("{}{proved}", count(capacity.current, "host failure")));
    line("overcommitted", overcommitted(status));
    if let Some(vm) = &capacity.breaking_vm {
        let (hosts, one) = (names(&capacity.breaking_hosts), capacity.breaking_hosts.len() == 1);
        let fail = if one { "fails" } else { "fail together" };
        line("limit", format!("when {hosts} {fail}, {vm} finds no place"));
    }
    if capacity.one_by_one < capacity.current {
        let count = count(capacity.one_by_one, "host failure");
        line("one after the other", format!("{count} for certain"));
    }
    for vm in &capacity.doomed {
        line("not to be saved", format!("{vm}: no other host could run it (vm-ha-explain)"));
    }
    if let Some(timers) = &status.timers {
        line("timers", timer_line(timers));
        line("harmless", harmless(timers));
    }
    if let Some(left) = status.paused_s {
        let what = if status.enabled { "restarts are" } else { "fencing and restarts are" };
        line("paused", format!("{what} held back for {left} s more"));
    }
    record
}

fn down(head: &str, vms: &[Down]) -> Table {
    let mut table = table(&[head, "why"]);
    for down in vms {
        table.add_row([down.vm.to_string(), down.why.clone()]);
    }
    table
}

fn witness_line(witness: &Witness) -> String {
    let heard = match witness.age_ms {
        Some(ms) => format!("heard {} ago", seconds(ms)),
        None => "never heard".to_owned(),
    };
    let answers = match witness.answers {
        Some(true) => "answers, ",
        Some(false) => "does not answer, ",
        None => return format!("{}; nobody tells whether it answers", witness.address),
    };
    format!("{}: {answers}{heard}", witness.address)
}

fn overcommitted(status: &Status) -> String {
    let capacity = &status.capacity;
    let short = capacity.configured - capacity.current;
    if capacity.overcommitted && short <= 0 {
        return "yes: not every protected VM that is off could be started".to_owned();
    }
    if capacity.overcommitted {
        return format!("yes, by {}", count(short, "host failure"));
    }
    if capacity.allow_overcommit { "no, but allowed" } else { "no" }.to_owned()
}

fn timer_line(timers: &Timers) -> String {
    format!(
        "T {}, beat {}, suspect after {}, dead after {}",
        seconds(timers.t),
        seconds(timers.beat),
        seconds(timers.suspect),
        seconds(timers.dead)
    )
}

fn harmless(timers: &Timers) -> String {
    format!(
        "network {}, disk {}, stall {}",
        seconds(timers.bears_network),
        seconds(timers.bears_disk),
        seconds(timers.bears_stall)
    )
}

fn hosts(status: &Status) -> Table {
    let heads =
        ["host", "state", "takes VMs", "network age", "margin", "disk age", "margin", "note"];
    let mut table = table(&heads);
    for host in &status.hosts {
        let mut notes: Vec<String> = host.why.iter().cloned().collect();
        if host.maintenance {
            notes.push("in maintenance".to_owned());
        }
        if host.links_ms.len() > 1 {
            let links = host.links_ms.iter();
            let links: Vec<String> =
                links.map(|(at, ms)| format!("{at}: {}", seconds(*ms))).collect();
            notes.push(format!("links {}", links.join(", ")));
        }
        table.add_row([
            host.host.to_string(),
            host.state.clone(),
            yes(host.enabled).to_owned(),
            age(host.network_age_ms),
            per_cent(host.network_margin),
            age(host.disk_age_ms),
            per_cent(host.disk_margin),
            notes.join("; "),
        ]);
    }
    right(&mut table, &[3, 4, 5, 6]);
    table
}

fn statefiles(status: &Status) -> Table {
    let mut table = table(&["statefile", "SR", "last cycle", "longest at enable", "counts"]);
    for file in &status.statefiles {
        let cycle = file.cycle_us.map(|us| format!("{:.1} ms", us as f64 / 1000.0));
        table.add_row([
            file.vdi.clone(),
            file.sr.to_string(),
            age(file.age_ms),
            cycle.unwrap_or_else(|| "-".to_owned()),
            file.trusted.map_or("-", yes).to_owned(),
        ]);
    }
    right(&mut table, &[2, 3]);
    table
}

fn memory(hosts: &[Host]) -> Table {
    let mut table = table(&["memory", "for VMs", "restart", "best-effort", "unprotected", "free"]);
    let row = |name: String, of: &dyn Fn(fn(&Host) -> u64) -> u64| {
        [
            name,
            size(of(|host| host.memory)),
            size(of(|host| host.restart)),
            size(of(|host| host.best_effort)),
            size(of(|host| host.unprotected)),
            size(of(|host| host.free)),
        ]
    };
    for host in hosts {
        table.add_row(row(host.host.to_string(), &|field| field(host)));
    }
    table.add_row(row("pool".to_owned(), &|field| hosts.iter().map(field).sum()));
    right(&mut table, &[1, 2, 3, 4, 5]);
    table
}

fn unprotected(status: &Status) -> Table {
    let mut table = table(&["running, not protected", "host", "priority", "why it could not be"]);
    for one in &status.unprotected {
        table.add_row([
            one.vm.to_string(),
            one.host.to_string(),
            if one.priority.is_empty() { "none".to_owned() } else { one.priority.clone() },
            one.reasons.join("; "),
        ]);
    }
    table
}

/// What would happen.
pub fn what_if(told: &WhatIf) -> String {
    let mut record: Record = vec![("if".to_owned(), told.question.clone())];
    record.push(("answer".to_owned(), told.verdict.clone()));
    record.push(("survives now".to_owned(), count(told.survives_before, "host failure")));
    // What is refused, forced or not, leaves everything as it is.
    let then = if told.refusal.is_some() { "survives if forced" } else { "survives then" };
    if told.refusal.is_none() || told.survives_after != told.survives_before {
        record.push((then.to_owned(), count(told.survives_after, "host failure")));
    }
    let mut text = layout(&record).trim_end().to_owned() + "\n";
    if !told.steps.is_empty() {
        text += &format!("\n{}\n", steps(told));
    }
    if !told.left.is_empty() {
        let mut table = table(&["stays away", "priority", "why"]);
        for left in &told.left {
            let priority = if left.priority.is_empty() { "none" } else { &left.priority };
            table.add_row([left.vm.to_string(), priority.to_owned(), left.why.clone()]);
        }
        text += &format!("\n{table}\n");
    }
    text
}

fn steps(told: &WhatIf) -> Table {
    let heads = ["#", "begins", "VM", "from", "to", "priority", "order", "start-delay", "memory"];
    let mut table = table(&heads);
    for (at, step) in told.steps.iter().enumerate() {
        table.add_row([
            (at + 1).to_string(),
            format!("+{}", seconds(step.at_ms)),
            step.vm.to_string(),
            step.from.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            step.to.to_string(),
            if step.priority.is_empty() { "none".to_owned() } else { step.priority.clone() },
            step.order.to_string(),
            format!("{} s", step.start_delay),
            size(step.memory),
        ]);
    }
    right(&mut table, &[0, 1, 6, 7, 8]);
    table
}

/// Why a VM is not agile or not protected.
pub fn explanation(told: &Explanation) -> String {
    let priority = if told.priority.is_empty() { "none" } else { &told.priority };
    let record: Record = vec![
        ("VM".to_owned(), told.vm.to_string()),
        ("protected".to_owned(), yes(told.protected).to_owned()),
        ("agile".to_owned(), yes(told.agile).to_owned()),
        ("restart priority".to_owned(), priority.to_owned()),
        ("can run on".to_owned(), names(&told.possible_hosts)),
    ];
    let mut text = layout(&record).trim_end().to_owned() + "\n";
    if told.reasons.is_empty() {
        return text + "\nNothing keeps it from being protected.\n";
    }
    for reason in &told.reasons {
        text += &format!("\n{} {}: {}\n", reason.class, reason.object, reason.why);
        for command in &reason.mend {
            text += &format!("    xe {command}\n");
        }
    }
    text
}
