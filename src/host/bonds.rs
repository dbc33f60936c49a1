//! Bonded interfaces, as the kernel shows them: which of their legs have no link.

use std::path::Path;

/// The legs without a link of all bonds in a directory such as `/sys/class/net`, in words.
pub fn legs_down(net: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(net).into_iter().flatten().flatten() {
        let legs = std::fs::read_to_string(entry.path().join("bonding/slaves")).unwrap_or_default();
        for leg in legs.split_whitespace() {
            let status = std::fs::read_to_string(net.join(leg).join("bonding_slave/mii_status"));
            if status.is_ok_and(|status| status.trim() == "down") {
                found.push(format!("{leg} of {}", entry.file_name().to_string_lossy()));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s19_a_leg_without_a_link_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("bond0/bonding/slaves", "eth0 eth1\n");
        write("eth0/bonding_slave/mii_status", "up\n");
        write("eth1/bonding_slave/mii_status", "up\n");
        write("eth2/operstate", "down\n");
        assert!(legs_down(dir.path()).is_empty());
        write("eth1/bonding_slave/mii_status", "down\n");
        assert_eq!(legs_down(dir.path()), ["eth1 of bond0"]);
        assert!(legs_down(&dir.path().join("nothing")).is_empty());
    }
}
