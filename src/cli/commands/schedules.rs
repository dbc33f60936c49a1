//! Groups and schedules of VMs, recovery tasks, PVS, observers, callers.

use super::context::Context;
use super::table::{Arg, Command, Kind, Outcome, Prints, call, command, may, needs};
use crate::xenapi::Value;

/// The commands.
pub const COMMANDS: &[Command] = &[
    call(
        "vmss-destroy",
        "Remove a snapshot schedule.",
        "VMSS.destroy",
        &[Arg::Object("VMSS", "vmss", "uuid")],
    ),
    command("vm-group-create", "Make a VM group; anti-affinity keeps its VMs apart.", vm_group)
        .takes(&[
            needs("name-label", Kind::Text),
            needs("placement", Kind::Word(&["anti-affinity", "normal"])),
            may("name-description", Kind::Text),
        ]),
    call(
        "vm-group-destroy",
        "Remove a VM group.",
        "VM_group.destroy",
        &[Arg::Object("VM_group", "vm-group", "uuid")],
    ),
    call(
        "pvs-cache-storage-destroy",
        "Remove a PVS cache.",
        "PVS_cache_storage.destroy",
        &[Arg::Object("PVS_cache_storage", "pvs-cache-storage", "uuid")],
    ),
    call(
        "pvs-proxy-create",
        "Make a PVS proxy for an interface.",
        "PVS_proxy.create",
        &[
            Arg::Object("PVS_site", "pvs-site", "pvs-site-uuid"),
            Arg::Object("VIF", "vif", "vif-uuid"),
        ],
    )
    .prints(Prints::UuidOf("PVS_proxy")),
    call(
        "pvs-proxy-destroy",
        "Remove a PVS proxy.",
        "PVS_proxy.destroy",
        &[Arg::Object("PVS_proxy", "pvs-proxy", "uuid")],
    ),
    call(
        "pvs-server-forget",
        "Forget a PVS server.",
        "PVS_server.forget",
        &[Arg::Object("PVS_server", "pvs-server", "uuid")],
    ),
    call(
        "pvs-site-forget",
        "Forget a PVS site.",
        "PVS_site.forget",
        &[Arg::Object("PVS_site", "pvs-site", "uuid")],
    ),
    call(
        "pvs-site-introduce",
        "Tell the pool of a PVS site.",
        "PVS_site.introduce",
        &[
            Arg::Text("name-label"),
            Arg::TextOr("name-description", ""),
            Arg::TextOr("pvs-uuid", ""),
        ],
    )
    .prints(Prints::UuidOf("PVS_site")),
    call(
        "observer-destroy",
        "Remove an observer.",
        "Observer.destroy",
        &[Arg::Object("Observer", "observer", "uuid")],
    ),
    call(
        "caller-destroy",
        "Forget an API caller.",
        "Caller.destroy",
        &[Arg::Object("Caller", "caller", "uuid")],
    ),
    call(
        "rate-limit-destroy",
        "Remove a rate limit.",
        "Rate_limit.destroy",
        &[Arg::Object("Rate_limit", "rate-limit", "uuid")],
    ),
    call(
        "rate-limit-add-caller",
        "Put a caller under a rate limit.",
        "Rate_limit.add_caller",
        &[
            Arg::Object("Rate_limit", "rate-limit", "uuid"),
            Arg::Object("Caller", "caller", "caller-uuid"),
        ],
    ),
    call(
        "rate-limit-remove-caller",
        "Take a caller out of a rate limit.",
        "Rate_limit.remove_caller",
        &[
            Arg::Object("Rate_limit", "rate-limit", "uuid"),
            Arg::Object("Caller", "caller", "caller-uuid"),
        ],
    ),
    call(
        "secret-destroy",
        "Remove a secret.",
        "secret.destroy",
        &[Arg::Object("secret", "secret", "uuid")],
    ),
];

fn vm_group(ctx: &mut Context<'_, '_>) -> Outcome {
    let placement = match ctx.params.need("placement")? {
        "anti-affinity" => "anti_affinity",
        other => other,
    };
    let record = [
        ("name_label", ctx.params.need("name-label")?),
        ("name_description", ctx.params.text("name-description")),
        ("placement", placement),
    ];
    let made = ctx.call("VM_group.create", &[Value::text_map(record)])?;
    let uuid = ctx.uuid("VM_group", &made)?;
    ctx.console.result(uuid);
    Ok(())
}
