//! Words of enumerations: how they are shown, and what setters take.

use crate::cli::printing::spelling::Words;

/// Shown otherwise than on the wire.
pub const SHOW_ALLOCATION_ALGORITHM: Words =
    &[("depth_first", "depth-first"), ("breadth_first", "breadth-first")];

/// Shown otherwise than on the wire.
pub const SHOW_DOMAIN_TYPE: Words = &[("pv_in_pvh", "pv-in-pvh")];

/// Shown otherwise than on the wire.
pub const SHOW_HOST_OPERATION: Words =
    &[("vm_start", "VM.start"), ("vm_resume", "VM.resume"), ("vm_migrate", "VM.migrate")];

/// Shown otherwise than on the wire.
pub const SHOW_ON_CRASH_BEHAVIOUR: Words = &[
    ("destroy", "Destroy"),
    ("coredump_and_destroy", "Core dump and destroy"),
    ("restart", "Restart"),
    ("coredump_and_restart", "Core dump and restart"),
    ("preserve", "Preserve"),
    ("rename_restart", "Rename restart"),
];

/// Shown otherwise than on the wire.
pub const SHOW_ON_NORMAL_EXIT: Words = &[("destroy", "Destroy"), ("restart", "Restart")];

/// Shown otherwise than on the wire.
pub const SHOW_ON_SOFTREBOOT_BEHAVIOUR: Words = &[
    ("destroy", "Destroy"),
    ("restart", "Restart"),
    ("preserve", "Preserve"),
    ("soft_reboot", "Soft reboot"),
];

/// Shown otherwise than on the wire.
pub const SHOW_PROTOCOL: Words = &[("vt100", "VT100"), ("rfb", "RFB"), ("rdp", "RDP")];

/// Shown otherwise than on the wire.
pub const SHOW_PVS_PROXY_STATUS: Words = &[
    ("incompatible_write_cache_mode", "incompatible-write-cache-mode"),
    ("incompatible_protocol_version", "incompatible-protocol-version"),
];

/// Shown otherwise than on the wire.
pub const SHOW_SR_OPERATION: Words = &[
    ("vdi_create", "VDI.create"),
    ("vdi_introduce", "VDI.introduce"),
    ("vdi_destroy", "VDI.destroy"),
    ("vdi_resize", "VDI.resize"),
    ("vdi_clone", "VDI.clone"),
    ("vdi_snapshot", "VDI.snapshot"),
    ("vdi_mirror", "VDI.mirror"),
    ("vdi_enable_cbt", "VDI.enable_cbt"),
    ("vdi_disable_cbt", "VDI.disable_cbt"),
    ("vdi_set_on_boot", "VDI.set_on_boot"),
    ("vdi_data_destroy", "VDI.data_destroy"),
    ("vdi_list_changed_blocks", "VDI.list_changed_blocks"),
    ("vdi_blocked", "VDI.blocked"),
    ("vdi_copy", "VDI.copy"),
    ("vdi_force_unlock", "VDI.force_unlock"),
    ("vdi_forget", "VDI.forget"),
    ("vdi_generate_config", "VDI.generate_config"),
    ("vdi_resize_online", "VDI.resize_online"),
    ("vdi_update", "VDI.update"),
    ("vdi_revert", "VDI.revert"),
    ("pbd_create", "PBD.create"),
    ("pbd_destroy", "PBD.destroy"),
];

/// Shown otherwise than on the wire.
pub const SHOW_TASK_ALLOWED_OPERATIONS: Words = &[("cancel", "Cancel"), ("destroy", "Destroy")];

/// Shown otherwise than on the wire.
pub const SHOW_TRISTATE: Words = &[("yes", "true"), ("no", "false")];

/// Shown otherwise than on the wire.
pub const SHOW_VDI_TYPE: Words = &[
    ("system", "System"),
    ("user", "User"),
    ("ephemeral", "Ephemeral"),
    ("suspend", "Suspend"),
    ("crashdump", "Crashdump"),
    ("ha_statefile", "HA statefile"),
    ("metadata", "Metadata"),
    ("redo_log", "Redo log"),
    ("pvs_cache", "PVS cache"),
    ("cbt_metadata", "CBT metadata"),
];

/// Shown otherwise than on the wire.
pub const SHOW_VM_OPERATION: Words =
    &[("assert_operation_valid", "assertoperationvalid"), ("data_source_op", "data_sources_op")];

/// Shown otherwise than on the wire.
pub const SHOW_VM_PLACEMENT_POLICY: Words = &[("anti_affinity", "anti-affinity")];

/// Shown otherwise than on the wire.
pub const SHOW_VM_POWER_STATE_TO_LOWERCASE_STRING: Words = &[
    ("Halted", "halted"),
    ("Paused", "paused"),
    ("Running", "running"),
    ("Suspended", "suspended"),
];

/// The wire's words.
pub const ALLOCATION_ALGORITHM: &[&str] = &["breadth_first", "depth_first"];

/// The wire's words.
pub const DOMAIN_TYPE: &[&str] = &["hvm", "pv", "pv_in_pvh", "pvh", "unspecified"];

/// The wire's words.
pub const HOST_NTP_MODE: &[&str] = &["DHCP", "Custom", "Factory", "Disabled"];

/// The wire's words.
pub const HOST_NUMA_AFFINITY_POLICY: &[&str] = &["any", "best_effort", "default_policy"];

/// The wire's words.
pub const NETWORK_DEFAULT_LOCKING_MODE: &[&str] = &["unlocked", "disabled"];

/// The wire's words.
pub const ON_BOOT: &[&str] = &["reset", "persist"];

/// The wire's words.
pub const ON_CRASH_BEHAVIOUR: &[&str] = &[
    "destroy",
    "coredump_and_destroy",
    "restart",
    "coredump_and_restart",
    "preserve",
    "rename_restart",
];

/// The wire's words.
pub const ON_NORMAL_EXIT: &[&str] = &["destroy", "restart"];

/// The wire's words.
pub const ON_SOFTREBOOT_BEHAVIOR: &[&str] = &["soft_reboot", "destroy", "restart", "preserve"];

/// The wire's words.
pub const VBD_MODE: &[&str] = &["RO", "RW"];

/// The wire's words.
pub const VBD_TYPE: &[&str] = &["CD", "Disk", "Floppy"];

/// The wire's words.
pub const VIF_LOCKING_MODE: &[&str] = &["network_default", "locked", "unlocked", "disabled"];

/// The wire's words.
pub const VMSS_FREQUENCY: &[&str] = &["hourly", "daily", "weekly"];

/// The wire's words.
pub const VMSS_TYPE: &[&str] = &["snapshot", "checkpoint", "snapshot_with_quiesce"];
