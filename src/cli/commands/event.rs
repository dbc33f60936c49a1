//! Waiting for something to become true.

use std::time::Duration;

use super::context::Context;
use super::table::{Command, Kind, Outcome, command, needs};
use crate::cli::errors::CliError;
use crate::cli::records::{self, Class, Row, Rows};
use crate::xenapi::Value;

/// The classes that can be waited for.
const CLASSES: [&str; 15] = [
    "vm", "vdi", "sr", "host", "network", "vif", "pif", "vbd", "pbd", "pool", "task", "subject",
    "role", "secret", "vmss",
];

/// The commands.
pub const COMMANDS: &[Command] =
    &[command("event-wait", "Wait until an object has all the given field values.", wait)
        .takes(&[needs("class", Kind::Word(&CLASSES))])
        .examples(&["event-wait class=vm name-label=web1 power-state=running"])];

/// A field, the text wanted, and whether it must differ instead.
struct Condition {
    field: &'static records::Field,
    text: String,
    differs: bool,
}

fn wait(ctx: &mut Context<'_, '_>) -> Outcome {
    let name = ctx.params.need("class")?;
    let class =
        records::class(name).filter(|class| CLASSES.contains(&class.name)).ok_or_else(|| {
            CliError::text(format!("Cli listening for class '{name}' not currently implemented"))
        })?;
    let conditions = conditions(ctx, class)?;
    let mut token = String::new();
    loop {
        // What other objects are called may have changed too.
        let rows = Rows::new(ctx.session, class);
        for row in rows.all()? {
            if holds(&rows, &row, &conditions)? {
                return Ok(());
            }
        }
        let classes = Value::text_set([class.api.to_lowercase()]);
        let params = [classes, token.as_str().into(), Value::Float(30.0)];
        match ctx.call("event.from", &params) {
            Ok(batch) => {
                token = batch.get("token").and_then(Value::as_str).unwrap_or("").to_owned();
            }
            Err(CliError::Server(_)) => std::thread::sleep(Duration::from_secs(1)),
            Err(broken) => return Err(broken),
        }
    }
}

fn conditions(ctx: &Context<'_, '_>, class: &'static Class) -> Result<Vec<Condition>, CliError> {
    let mut conditions = Vec::new();
    for param in ctx.params.all() {
        if param.key == "class" || !records::filter::is_filter(&param.key) {
            continue;
        }
        // `field=/=value` leaves `/=value` behind the first equals sign.
        let (text, differs) = match param.value.strip_prefix("/=") {
            Some(text) => (text, true),
            None => (param.value.as_str(), false),
        };
        let field = class
            .field(&param.key)
            .ok_or_else(|| CliError::text(format!("key missing: {}", param.key)))?;
        conditions.push(Condition { field, text: text.to_owned(), differs });
    }
    Ok(conditions)
}

fn holds(rows: &Rows<'_>, row: &Row, conditions: &[Condition]) -> Result<bool, CliError> {
    for condition in conditions {
        let equal = rows.shown(row, condition.field)? == condition.text;
        if equal == condition.differs {
            return Ok(false);
        }
    }
    Ok(true)
}
