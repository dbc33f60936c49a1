//! Messages: what the pool has to say about its objects.

use super::context::Context;
use super::table::{Command, Kind, Outcome, command, may, needs};
use crate::cli::errors::CliError;
use crate::xenapi::Value;

/// The objects that a message may be about: parameter and word of the wire.
const ABOUT: [(&str, &str); 4] =
    [("vm-uuid", "VM"), ("host-uuid", "Host"), ("sr-uuid", "SR"), ("pool-uuid", "Pool")];

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("message-create", "Write a message about an object.", create)
        .takes(&[
            needs("name", Kind::Text),
            needs("priority", Kind::Int),
            needs("body", Kind::Text),
            may("vm-uuid", Kind::Uuid("vm")),
            may("host-uuid", Kind::Uuid("host")),
            may("sr-uuid", Kind::Uuid("sr")),
            may("pool-uuid", Kind::Uuid("pool")),
        ])
        .examples(&["message-create name=MAINTENANCE priority=4 body=tonight \
             host-uuid=888254e8-da05-4f86-ad37-979b8d6bad04"]),
    command("message-destroy", "Remove messages.", destroy)
        .takes(&[may("uuid", Kind::Uuid("message")), may("uuids", Kind::Uuids("message"))])
        .examples(&["message-destroy uuid=dadd7cbc-cb4e-5a56-eb0b-0bb31c102c94"]),
    command("message-destroy-all", "Remove all messages, or those of a time.", destroy_all)
        .takes(&[may("before", Kind::Text), may("after", Kind::Text), may("priority", Kind::Int)]),
];

fn create(ctx: &mut Context<'_, '_>) -> Outcome {
    let given: Vec<_> = ABOUT.iter().filter(|(key, _)| ctx.params.has(key)).collect();
    let [(key, class)] = given.as_slice() else {
        return Err(CliError::text(
            "a message is about one object: give one of vm-uuid, host-uuid, sr-uuid, pool-uuid",
        ));
    };
    let params = [
        ctx.params.need("name")?.into(),
        ctx.params.int("priority", 5)?.into(),
        (*class).into(),
        ctx.params.need(key)?.into(),
        ctx.params.need("body")?.into(),
    ];
    ctx.call("message.create", &params)?;
    Ok(())
}

fn destroy(ctx: &mut Context<'_, '_>) -> Outcome {
    let uuids = match (ctx.params.get("uuids"), ctx.params.get("uuid")) {
        (Some(uuids), _) | (None, Some(uuids)) => uuids,
        (None, None) => return Err(CliError::text("Required parameter not found: uuid")),
    };
    let messages = ctx.objects("message", uuids)?;
    ctx.call("message.destroy_many", &[Value::Array(messages)])?;
    Ok(())
}

fn destroy_all(ctx: &mut Context<'_, '_>) -> Outcome {
    let given = ["before", "after", "priority"]
        .into_iter()
        .filter_map(|key| Some((key, ctx.params.get(key)?)));
    ctx.call("message.destroy_all", &[Value::text_map(given)])?;
    Ok(())
}
