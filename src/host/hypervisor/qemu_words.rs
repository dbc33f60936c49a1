//! The words of QEMU's command line for a machine.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{DiskSpec, MachineSpec, qmp};

/// The boot floppy's name in the VM's directory, which is QEMU's working directory.
pub const FLOPPY: &str = "boot.img";
/// What an IDE bus pair of the PC machine holds.
const IDE_DISKS: usize = 4;

/// Where a machine's first state comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// From its boot.
    None,
    /// From a source that will connect.
    Socket,
    /// From a suspend image.
    File(PathBuf),
}

/// All words after the program's name. The machine executes nothing before it is told to.
pub fn words(spec: &MachineSpec, accelerator: &str, incoming: &Incoming) -> Vec<String> {
    let mut words: Vec<String> = [
        "-nodefaults",
        "-no-user-config",
        "-no-shutdown",
        "-S",
        "-display",
        "none",
        "-machine",
        "pc",
        "-accel",
        accelerator,
    ]
    .map(str::to_owned)
    .to_vec();
    let mut add = |switch: &str, value: String| words.extend([switch.to_owned(), value]);
    add("-name", format!("guest={}", spec.name.replace(',', ",,")));
    add("-uuid", spec.vm.to_string());
    add("-m", format!("{}k", (spec.memory_bytes / 1024).max(1024)));
    add("-smp", spec.vcpus.max(1).to_string());
    for socket in [qmp::TASKS, qmp::LOOKS] {
        add("-qmp", format!("unix:{socket},server=on,wait=off"));
    }
    let canary = spec.canary_disk();
    if canary.is_some() {
        let floppy = json!({
            "driver": "raw", "node-name": "boot", "read-only": true,
            "file": {"driver": "file", "filename": FLOPPY, "locking": "off"},
        });
        add("-blockdev", floppy.to_string());
        add("-device", "floppy,drive=boot".to_owned());
        add("-global", "isa-fdc.bootindexA=0".to_owned());
    }
    for (index, disk) in spec.disks.iter().enumerate() {
        add("-blockdev", image(index, disk));
        add("-device", device(index, disk, canary.is_some_and(|canary| canary == disk)));
    }
    match incoming {
        Incoming::None => {}
        Incoming::Socket => add("-incoming", "defer".to_owned()),
        Incoming::File(path) => add("-incoming", format!("exec:cat {}", quoted(path))),
    }
    words
}

/// An image without the file system's locks and without the page cache.
fn image(index: usize, disk: &DiskSpec) -> String {
    json!({
        "driver": disk.format.name(), "node-name": format!("disk{index}"),
        "read-only": disk.read_only, "cache": {"direct": true},
        "file": {
            "driver": "file", "filename": disk.path, "locking": "off",
            "cache": {"direct": true},
        },
    })
    .to_string()
}

/// The canary's disk must be the BIOS's first one: it alone has an index after the floppy's.
fn device(index: usize, disk: &DiskSpec, canary: bool) -> String {
    let kind = match (disk.read_only, index < IDE_DISKS) {
        (true, true) => format!("ide-cd,bus=ide.{},unit={}", index / 2, index % 2),
        (false, true) => format!("ide-hd,bus=ide.{},unit={}", index / 2, index % 2),
        (_, false) => "virtio-blk-pci".to_owned(),
    };
    let boot = if canary { ",bootindex=1" } else { "" };
    format!("{kind},drive=disk{index}{boot}")
}

/// The migration target that is a file.
pub fn to_file(path: &Path) -> String {
    format!("exec:cat > {}", quoted(path))
}

/// A path for the shell that QEMU's `exec:` starts.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_for_the_shell() {
        let path = Path::new("/a b/it's; rm $X");
        let said = std::process::Command::new("sh")
            .args(["-c", &format!("printf %s {}", quoted(path))])
            .output()
            .unwrap();
        assert_eq!(said.stdout, path.to_string_lossy().as_bytes());
    }
}
