//! What the `qemu` driver does beside what every one does.

use xe::host::hypervisor::{DiskSpec, Format, Kind, canary};

use crate::bench::{VM, host, missing, spec, until};

/// The smallest qcow2 image of one mebibyte: header, reference table and block, empty map.
fn qcow2() -> Vec<u8> {
    const CLUSTER: usize = 1 << 16;
    let mut image = vec![0; 4 * CLUSTER];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &2u32.to_be_bytes());
    put(20, &16u32.to_be_bytes());
    put(24, &(1u64 << 20).to_be_bytes());
    put(36, &1u32.to_be_bytes());
    put(40, &(3 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes());
    put(56, &1u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    (0..4).for_each(|cluster| put(2 * CLUSTER + 2 * cluster, &1u16.to_be_bytes()));
    image
}

#[test]
fn a_qcow2_disk_before_the_raw_one_is_left_alone_by_the_canary() {
    if missing(Kind::Qemu) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let host = host(Kind::Qemu, &dir.path().join("vms"), "boot-1");
    let mut spec = spec(dir.path(), 3);
    let path = dir.path().join("first.qcow2");
    std::fs::write(&path, qcow2()).unwrap();
    let first = DiskSpec { path: path.clone(), format: Format::Qcow2, ..spec.disks[0].clone() };
    spec.disks.push(first);
    spec.disks.swap(0, 1);
    host.driver.start(&spec, false).unwrap();
    let raw = spec.disks[1].path.clone();
    until("a write", || canary::read(&raw).unwrap());
    host.driver.clean_shutdown(VM).unwrap();
    assert_eq!(std::fs::read(&path).unwrap()[..4], *b"QFI\xfb");
}
