//! Patches, updates, repositories.

use super::table::{Arg, Command, Prints, call};

/// The commands.
pub const COMMANDS: &[Command] = &[
    call(
        "patch-apply",
        "Apply a patch to a host.",
        "pool_patch.apply",
        &[Arg::Object("pool_patch", "patch", "uuid"), Arg::Object("host", "host", "host-uuid")],
    )
    .prints(Prints::Answer),
    call(
        "patch-clean",
        "Drop a patch's files on a host.",
        "pool_patch.clean",
        &[Arg::Object("pool_patch", "patch", "uuid")],
    ),
    call(
        "patch-destroy",
        "Remove a patch that no host has.",
        "pool_patch.destroy",
        &[Arg::Object("pool_patch", "patch", "uuid")],
    ),
    call(
        "patch-pool-apply",
        "Apply a patch to every host.",
        "pool_patch.pool_apply",
        &[Arg::Object("pool_patch", "patch", "uuid")],
    ),
    call(
        "patch-pool-clean",
        "Drop a patch's files on every host.",
        "pool_patch.pool_clean",
        &[Arg::Object("pool_patch", "patch", "uuid")],
    ),
    call(
        "patch-precheck",
        "Try whether a patch can be applied.",
        "pool_patch.precheck",
        &[Arg::Object("pool_patch", "patch", "uuid"), Arg::Object("host", "host", "host-uuid")],
    )
    .prints(Prints::Answer),
    call(
        "update-destroy",
        "Remove an update that no host has.",
        "pool_update.destroy",
        &[Arg::Object("pool_update", "update", "uuid")],
    ),
    call(
        "update-introduce",
        "Tell the pool of an update on a disk.",
        "pool_update.introduce",
        &[Arg::Object("VDI", "vdi", "vdi-uuid")],
    )
    .prints(Prints::UuidOf("pool_update")),
    call(
        "update-pool-apply",
        "Apply an update to every host.",
        "pool_update.pool_apply",
        &[Arg::Object("pool_update", "update", "uuid")],
    ),
    call(
        "update-pool-clean",
        "Drop an update's files on every host.",
        "pool_update.pool_clean",
        &[Arg::Object("pool_update", "update", "uuid")],
    ),
    call(
        "repository-forget",
        "Forget a package repository.",
        "Repository.forget",
        &[Arg::Object("Repository", "repository", "uuid")],
    ),
    call(
        "repository-introduce",
        "Tell the pool of a package repository.",
        "Repository.introduce",
        &[
            Arg::Text("name-label"),
            Arg::TextOr("name-description", ""),
            Arg::Text("binary-url"),
            Arg::Text("source-url"),
            Arg::NeededFlag("update"),
            Arg::TextOr("gpgkey-path", ""),
        ],
    )
    .prints(Prints::UuidOf("Repository")),
    call(
        "repository-introduce-bundle",
        "Tell the pool of a repository that comes as a bundle.",
        "Repository.introduce_bundle",
        &[Arg::Text("name-label"), Arg::TextOr("name-description", "")],
    )
    .prints(Prints::UuidOf("Repository")),
    call(
        "repository-set-gpgkey-path",
        "Set where a repository's key lies.",
        "Repository.set_gpgkey_path",
        &[Arg::Object("Repository", "repository", "uuid"), Arg::Text("gpgkey-path")],
    ),
    call(
        "host-refresh-pack-info",
        "Read a host's packs again.",
        "host.refresh_pack_info",
        &[Arg::Object("host", "host", "host-uuid")],
    )
    .hidden(),
];
