//! One host's driver for a test, a disk, and patience.

use std::path::Path;
use std::time::{Duration, Instant};

use uuid::Uuid;
use xe::host::hypervisor::{
    DiskSpec, Format, Hypervisor, Kind, MachineSpec, RunState, Settings, canary, open,
};

/// The VM of every test.
pub const VM: Uuid = Uuid::from_u128(0xfeed_0001);

/// One host's driver; everything that it runs is stopped when the test ends.
pub struct Host {
    pub driver: Box<dyn Hypervisor>,
}

impl Drop for Host {
    fn drop(&mut self) {
        for found in self.driver.scan().unwrap_or_default() {
            let _ = self.driver.hard_stop(found.vm);
        }
    }
}

pub fn host(kind: Kind, dir: &Path, boot: &str) -> Host {
    let mut settings = Settings::new(dir, boot);
    settings.program = env!("CARGO_BIN_EXE_xe").into();
    settings.patience = Duration::from_secs(20);
    Host { driver: open(kind, settings).unwrap() }
}

/// Whether what the driver runs is not there; says so.
pub fn missing(kind: Kind) -> bool {
    let qemu = || std::process::Command::new("qemu-system-x86_64").arg("--version").output();
    let missing = kind != Kind::Process && qemu().is_err();
    if missing {
        crate::skip::skipped("qemu-system-x86_64 is not installed");
    }
    missing
}

/// Kills the process of the host's one VM.
pub fn crash(host: &Host) {
    let pid = host.driver.scan().unwrap()[0].pid.to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
}

pub fn spec(dir: &Path, run: u64) -> MachineSpec {
    let path = dir.join("disk.raw");
    if !path.exists() {
        std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
    }
    let disk = DiskSpec { path, format: Format::Raw, read_only: false, device: "0".into() };
    MachineSpec {
        vm: VM,
        run,
        name: "guest".into(),
        memory_bytes: 64 << 20,
        vcpus: 1,
        disks: vec![disk],
        driver: None,
        canary: true,
    }
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn counter(spec: &MachineSpec, run: u64) -> Option<u64> {
    let canary = canary::read(&spec.disks[0].path).unwrap()?;
    (canary.vm == spec.vm && canary.run == run).then_some(canary.counter)
}

pub fn state(host: &Host) -> Option<RunState> {
    host.driver.scan().unwrap().first().map(|found| found.state)
}

/// The process is nobody's child who could take it along, but dies with our process group.
pub fn lives_beside_us(pid: u32) {
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = |pid: u32| {
        let stat = stat(pid);
        let mut fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(1);
        let mut next = || fields.next().unwrap().parse::<u32>().unwrap();
        (next(), next())
    };
    let (parent, group) = fields(pid);
    assert_ne!(parent, std::process::id());
    assert_eq!(group, fields(std::process::id()).1);
}
