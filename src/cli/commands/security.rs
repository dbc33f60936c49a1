//! Accounts, certificates, and a host's emergency switches for them.

use super::table::{Arg, Command, Prints, call};

/// The commands.
pub const COMMANDS: &[Command] = &[
    call(
        "host-emergency-clear-mandatory-guidance",
        "Forget what an update still asked of this host.",
        "host.emergency_clear_mandatory_guidance",
        &[],
    )
    .local(),
    call(
        "host-emergency-disable-tls-verification",
        "Stop checking certificates on the host that you are on.",
        "host.emergency_disable_tls_verification",
        &[],
    )
    .local(),
    call(
        "host-emergency-reenable-tls-verification",
        "Check certificates again on the host that you are on.",
        "host.emergency_reenable_tls_verification",
        &[],
    )
    .local(),
    call(
        "host-emergency-reset-server-certificate",
        "Give the host that you are on a new certificate.",
        "host.emergency_reset_server_certificate",
        &[],
    )
    .local(),
    call(
        "host-emergency-management-reconfigure",
        "Manage the host that you are on through another interface.",
        "host.local_management_reconfigure",
        &[Arg::Text("interface")],
    )
    .local(),
    call(
        "host-management-disable",
        "Stop managing the host that you are on over the network.",
        "host.management_disable",
        &[],
    )
    .local(),
    call(
        "host-update-firewalld-service-status",
        "Bring the firewall of this host in line with its services.",
        "host.update_firewalld_service_status",
        &[],
    )
    .local(),
    call(
        "host-crashdump-destroy",
        "Remove a host's crash dump.",
        "host_crashdump.destroy",
        &[Arg::Object("host_crashdump", "host-crashdump", "uuid")],
    ),
    call(
        "host-send-debug-keys",
        "Send keys to a host's hypervisor.",
        "host.send_debug_keys",
        &[Arg::Object("host", "host", "host-uuid"), Arg::Text("keys")],
    )
    .local(),
    call("pool-certificate-list", "Show the pool's own authorities.", "pool.certificate_list", &[])
        .prints(Prints::Answer),
    call(
        "pool-crl-uninstall",
        "Remove a revocation list.",
        "pool.crl_uninstall",
        &[Arg::Text("name")],
    ),
    call("pool-deconfigure-wlb", "Stop using workload balancing.", "pool.deconfigure_wlb", &[]),
    call(
        "pool-send-test-post",
        "Try whether a server can be reached over TLS.",
        "pool.send_test_post",
        &[Arg::Text("dest-host"), Arg::Int("dest-port"), Arg::Text("body")],
    )
    .prints(Prints::Answer),
    call(
        "pool-send-wlb-configuration",
        "Send settings to the workload balancer.",
        "pool.send_wlb_configuration",
        &[Arg::Map("config")],
    ),
    call(
        "session-subject-identifier-list",
        "Show the directory users that are logged in.",
        "session.get_all_subject_identifiers",
        &[],
    )
    .prints(Prints::Answer),
    call(
        "session-subject-identifier-logout",
        "Log a directory user out.",
        "session.logout_subject_identifier",
        &[Arg::Text("subject-identifier")],
    ),
    call(
        "subject-remove",
        "Take a directory user's rights away.",
        "subject.destroy",
        &[Arg::Object("subject", "subject", "subject-uuid")],
    ),
    call(
        "sr-disable-database-replication",
        "Stop writing the database to storage.",
        "SR.disable_database_replication",
        &[Arg::Object("SR", "sr", "uuid")],
    ),
    call(
        "sr-enable-database-replication",
        "Write the database to storage for recovery.",
        "SR.enable_database_replication",
        &[Arg::Object("SR", "sr", "uuid")],
    ),
    call(
        "pool-disable-binary-storage",
        "Stop keeping binary objects.",
        "pool.disable_binary_storage",
        &[],
    )
    .hidden(),
    call("pool-enable-binary-storage", "Keep binary objects.", "pool.enable_binary_storage", &[])
        .hidden(),
];
