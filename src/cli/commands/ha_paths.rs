//! How near the paths of the heartbeat came to their limits, host by host, as their metrics say.

use comfy_table::{Table, presets};

use super::context::Context;
use super::table::{Command, Outcome, command};
use crate::xenapi::Value;

/// The commands.
pub const COMMANDS: &[Command] = &[command(
    "host-ha-paths",
    "Show how near the paths of each host's heartbeat came to their limits in the last five to \
     ten minutes: the longest gap and the longest round trip or disk cycle, in per cent of the \
     time after which a path counts as suspect. Above 50 % a message is sent. With --minimal: the \
     hosts that were above.",
    paths,
)];

/// The figures in the order of the columns.
const KEYS: [&str; 4] =
    ["ha-network-gap", "ha-network-latency", "ha-statefile-gap", "ha-statefile-latency"];
const HEADS: [&str; 6] =
    ["host", "network gap", "round trip", "statefile gap", "disk cycle", "real time"];
/// A path that came so near is told of.
const NEAR: f64 = 0.5;

/// One host's figures.
#[derive(Debug, PartialEq)]
struct Paths {
    uuid: String,
    name: String,
    shares: [Option<f64>; 4],
    lacks: Option<String>,
}

fn paths(ctx: &mut Context<'_, '_>) -> Outcome {
    let hosts = ctx.session.records_once("host")?;
    let metrics = ctx.session.records_once("host_metrics")?;
    let text = |record: &Value, field: &str| {
        record.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut found: Vec<Paths> = Vec::new();
    for host in hosts.values() {
        let config =
            metrics.get(&text(host, "metrics")).and_then(|metrics| metrics.get("other_config"));
        let value = |key: &str| config.and_then(|config| config.get(key)).and_then(Value::as_str);
        found.push(Paths {
            uuid: text(host, "uuid"),
            name: text(host, "name_label"),
            shares: KEYS.map(|key| value(key)?.parse().ok()),
            lacks: value("ha-not-real-time").map(str::to_owned),
        });
    }
    found.sort_by(|a, b| (&a.name, &a.uuid).cmp(&(&b.name, &b.uuid)));
    if ctx.console.is_minimal() {
        let near = |paths: &&Paths| paths.shares.iter().flatten().any(|share| *share >= NEAR);
        let near: Vec<String> = found.iter().filter(near).map(|p| p.uuid.clone()).collect();
        ctx.console.list(&near);
        return Ok(());
    }
    ctx.console.direct(&format!("{}\n", table(&found)));
    Ok(())
}

fn table(found: &[Paths]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(HEADS);
    for paths in found {
        let known = paths.shares.iter().any(Option::is_some);
        let share = |share: &Option<f64>| {
            share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0))
        };
        let real_time = match &paths.lacks {
            Some(lacks) => format!("no: {lacks}"),
            None if known => "yes".to_owned(),
            None => "-".to_owned(),
        };
        let shares = paths.shares.iter().map(share);
        let cells = std::iter::once(paths.name.clone()).chain(shares).chain([real_time]);
        table.add_row(cells.collect::<Vec<_>>());
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_figures_shows_none() {
        let paths = |shares, lacks: Option<&str>| Paths {
            uuid: String::new(),
            name: "anna".to_owned(),
            shares,
            lacks: lacks.map(str::to_owned),
        };
        let well = table(&[paths([Some(0.07), Some(0.01), Some(0.832), None], None)]);
        assert!(well.contains("│ anna ┆ 7 %         ┆ 1 %        ┆ 83 %          ┆ -"), "{well}");
        assert!(well.contains("yes"), "{well}");
        let off = table(&[paths([None; 4], None)]);
        assert!(!off.contains('%') && !off.contains("yes"), "{off}");
        let slow = table(&[paths([Some(0.1); 4], Some("memory cannot be locked"))]);
        assert!(slow.contains("no: memory cannot be locked"), "{slow}");
    }
}
