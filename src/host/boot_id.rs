//! Which boot of this machine runs.

use super::faults::Faults;

/// The kernel's boot id; in the lab, and only there, the one of the simulated machine
/// (`XE_LAB_BOOT_ID`, taken only together with a valid fault channel).
pub fn current(faults: &Faults) -> std::io::Result<String> {
    if faults.is_lab()
        && let Ok(id) = std::env::var("XE_LAB_BOOT_ID")
    {
        return Ok(id.trim().to_owned());
    }
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// When this boot began, CLOCK_BOOTTIME in nanoseconds: at zero, but for a machine of the lab,
/// which shares its clock with all others (`XE_LAB_BOOTED_NS`, taken as above).
pub fn began_ns(faults: &Faults) -> u64 {
    let lab = std::env::var("XE_LAB_BOOTED_NS").ok().filter(|_| faults.is_lab());
    lab.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_fault_channel_the_kernel_is_asked() {
        let id = current(&Faults::none()).unwrap();
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().to_string(), id);
    }
}
