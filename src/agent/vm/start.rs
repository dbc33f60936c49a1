//! Starting a VM: where, and then intent, command, result.

use super::{intent_of, master_epoch, message, uuid_of};
use crate::agent::agility::{assert_can_boot_here, assert_room};
use crate::agent::capacity::footprint;
use crate::agent::jobs::{self, Job, JobDisk, JobVm};
use crate::agent::recover::Starting;
use crate::agent::{Agent, guard, tasks};
use crate::pool::rows::{Vbd, Vdi, Vm};
use crate::pool::{Database, Transaction};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};

/// The key of a VM's other-config that names its driver, where a host has more than one.
pub const DRIVER: &str = "xe-driver";

/// How a VM comes to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// From its disks.
    Boot,
    /// From its disks, but executing nothing yet.
    BootPaused,
    /// From the image of its suspend.
    Resume,
}

/// Starts or resumes a VM for a user: on the host named, or on the best one.
pub fn start(
    agent: &Agent,
    vm: &str,
    on: Option<&str>,
    begin: Begin,
    (task, force): (Option<&str>, bool),
) -> Answer<()> {
    master_epoch(agent)?;
    let admitted = guard::admit(agent);
    let db = agent.store.read();
    let row = Vm::get(&db, vm)?;
    super::assert_machine(&row)?;
    let from = if begin == Begin::Resume { "Suspended" } else { "Halted" };
    super::assert_power(&row, &[from])?;
    agent.tasks.check(task)?;
    let host = match on {
        Some(host) => {
            assert_can_boot_here(&db, &row, host, agent.host_memory())?;
            super::choose::goes_on(&db, &row, host)?;
            if !force {
                guard::start_on(agent, &db, vm, host)?;
            }
            host.to_owned()
        }
        None => super::choose::choose(agent, &db, &row, force)?,
    };
    tasks::progress(agent, task, 0.1);
    let pending = prepare(agent, vm, &host, begin, "asked for by a user")?;
    drop(admitted);
    pending.execute(agent)?;
    let db = agent.store.read();
    let delay = db.int("VM", vm, "start_delay");
    if delay > 0 && !agent.is_simulated() {
        std::thread::sleep(std::time::Duration::from_secs(u64::try_from(delay).unwrap_or(0)));
    }
    Ok(())
}

/// A start whose intent row is acknowledged and whose command is still to come.
pub struct Pending {
    vm: String,
    /// Its intent row.
    intent: String,
    host: String,
    begin: Begin,
    epoch: u64,
    job: JobVm,
    mark: u64,
}

impl Pending {
    /// The run that is to start.
    pub fn run(&self) -> u64 {
        self.job.run
    }

    /// Has the host start the VM and writes the result (R6.4).
    pub fn execute(self, agent: &Agent) -> Answer<()> {
        let _waiting = Starting::take_over(agent, &self.vm, self.mark);
        let outcome = order(agent, &self)
            .and_then(|order| jobs::on_host(agent, &self.host, self.epoch, &order));
        settle(agent, &self, outcome.map(|_| ()))
    }
}

fn order(agent: &Agent, pending: &Pending) -> Answer<Job> {
    let vm = pending.job.clone();
    Ok(match pending.begin {
        Begin::Boot => Job::Start { vm, paused: false },
        Begin::BootPaused => Job::Start { vm, paused: true },
        Begin::Resume => {
            let (sr, image) = suspend_image(&agent.store.read(), &pending.vm)?;
            Job::Resume { vm, sr, image }
        }
    })
}

/// Starts a VM on a host that has been chosen: intent row, command, result row (R6.4).
pub fn start_on(agent: &Agent, vm: &str, host: &str, begin: Begin, why: &str) -> Answer<()> {
    prepare(agent, vm, host, begin, why)?.execute(agent)
}

/// Writes the intent row of a start. From here on this agent waits for its outcome.
pub fn prepare(agent: &Agent, vm: &str, host: &str, begin: Begin, why: &str) -> Answer<Pending> {
    prepare_after(agent, (vm, host), begin, why, |_| {})
}

/// The same after other changes, in one transaction with them: the end of the VM's last run.
pub fn prepare_after(
    agent: &Agent,
    (vm, host): (&str, &str),
    begin: Begin,
    why: &str,
    change: impl FnOnce(&mut Transaction),
) -> Answer<Pending> {
    let epoch = master_epoch(agent)?;
    let waiting = Starting::mark(agent, vm)?;
    let (intent, job) = agent.store.commit(|tx| {
        change(tx);
        // Others may have taken the room since this host was chosen.
        assert_room(tx.db(), &Vm::get(tx.db(), vm)?, host, agent.host_memory())?;
        intend(tx, vm, host, epoch, begin)
    })?;
    let db = agent.store.read();
    agent.history.note(
        "vm-start-intent",
        why,
        serde_json::json!({
            "vm": job.vm, "name": db.text("VM", vm, "name_label"), "run": job.run,
            "host": db.text("host", host, "uuid"), "epoch": epoch,
        }),
    );
    let mark = waiting.hand_over();
    Ok(Pending { vm: vm.to_owned(), intent, host: host.to_owned(), begin, epoch, job, mark })
}

fn suspend_image(db: &Database, vm: &str) -> Answer<(uuid::Uuid, uuid::Uuid)> {
    let image = Vm::get(db, vm)?.suspend_VDI().unwrap_or("");
    let row = Vdi::get(db, image)?;
    Ok((uuid_of(db, "SR", row.SR().unwrap_or(""))?, uuid_of(db, "VDI", image)?))
}

/// Writes the intent, after checking under the writer's lock that nobody else starts the VM.
fn intend(
    tx: &mut Transaction,
    vm: &str,
    host: &str,
    epoch: u64,
    begin: Begin,
) -> Answer<(String, JobVm)> {
    let db = tx.db().clone();
    let row = Vm::get(&db, vm)?;
    let from = if begin == Begin::Resume { "Suspended" } else { "Halted" };
    super::assert_power(&row, &[from])?;
    let run = db.int("VM", vm, "xe_run") + 1;
    let boot = db.text("host", host, "xe_boot").to_owned();
    let job = job_vm(&db, vm, run, &boot)?;
    let intent = write_intent(tx, vm, (host, &boot), run, epoch)?;
    own_disks(tx, &row, host, &boot, epoch, run)?;
    tx.set("VM", vm, "xe_run", run);
    Ok((intent, job))
}

/// Writes an intent row for a host in one of its boots; refused while the VM has one.
pub fn write_intent(
    tx: &mut Transaction,
    vm: &str,
    (host, boot): (&str, &str),
    run: i64,
    epoch: u64,
) -> Answer<String> {
    if intent_of(tx.db(), vm).is_some() {
        return Err(Failure::new("OTHER_OPERATION_IN_PROGRESS", ["VM", vm]));
    }
    let intent = crate::agent::new_reference();
    tx.set("VM", vm, "scheduled_to_be_resident_on", host);
    tx.create(
        "xe_intent",
        &intent,
        [
            ("uuid", Value::from(crate::agent::new_uuid())),
            ("VM", Value::from(vm)),
            ("host", Value::from(host)),
            ("boot", Value::from(boot)),
            ("run", Value::Int(run)),
            ("epoch", Value::Int(i64::try_from(epoch).unwrap_or(i64::MAX))),
        ],
    );
    Ok(intent)
}

/// Puts the VM's name on its writable disks; refuses when another VM's name stands there.
pub fn own_disks(
    tx: &mut Transaction,
    vm: &Vm<'_>,
    host: &str,
    boot: &str,
    epoch: u64,
    run: i64,
) -> Answer<()> {
    let db = tx.db().clone();
    let host_uuid = db.text("host", host, "uuid").to_owned();
    for vbd in vm.VBDs().into_iter().filter_map(|vbd| Vbd::get(&db, vbd).ok()) {
        let Some(vdi) = vbd.VDI().filter(|_| !vbd.empty() && vbd.mode() != "RO") else { continue };
        let owner: serde_json::Value =
            serde_json::from_str(db.text("VDI", vdi, "xe_owner")).unwrap_or_default();
        let other = owner["vm"].as_str().filter(|owner| *owner != vm.uuid());
        if let Some(other) = other.filter(|_| !db.flag("VDI", vdi, "sharable")) {
            return Err(Failure::new("VDI_IN_USE", [vdi, &format!("in use by VM {other}")]));
        }
        let name = serde_json::json!({
            "vm": vm.uuid(), "host": host_uuid, "boot": boot, "epoch": epoch, "run": run,
        });
        tx.set("VDI", vdi, "xe_owner", name.to_string());
    }
    Ok(())
}

/// The VM as a host is told of it, in that boot of the host.
pub fn job_vm(db: &Database, vm: &str, run: i64, boot: &str) -> Answer<JobVm> {
    let row = Vm::get(db, vm)?;
    let mut disks = Vec::new();
    for vbd in row.VBDs().into_iter().filter_map(|vbd| Vbd::get(db, vbd).ok()) {
        let Some(vdi) = vbd.VDI().filter(|_| !vbd.empty()) else { continue };
        let sr = Vdi::get(db, vdi)?.SR().unwrap_or("").to_owned();
        disks.push(JobDisk {
            sr: uuid_of(db, "SR", &sr)?,
            vdi: uuid_of(db, "VDI", vdi)?,
            read_only: vbd.mode() == "RO",
            device: vbd.userdevice().to_owned(),
        });
    }
    disks.sort_by_key(|disk| disk.device.parse::<u32>().unwrap_or(u32::MAX));
    Ok(JobVm {
        vm: uuid_of(db, "VM", vm)?,
        run: u64::try_from(run).unwrap_or(0),
        boot: boot.to_owned(),
        name: row.name_label().to_owned(),
        memory: footprint(&row),
        vcpus: u32::try_from(row.VCPUs_max()).unwrap_or(1).max(1),
        disks,
        // A word that is no driver must not keep a VM from being restarted.
        driver: db.key("VM", vm, "other_config", DRIVER).and_then(|word| word.parse().ok()),
    })
}

/// Writes the result of a start. A result that is not known leaves the intent open: the VM is
/// "unknown" until its host's scan or that boot's death says more.
fn settle(agent: &Agent, start: &Pending, outcome: Answer<()>) -> Answer<()> {
    let (vm, host, job) = (&start.vm, &start.host, &start.job);
    let note = |event: &str, why: &str, host: &str| {
        let mut about = serde_json::json!({ "vm": job.vm, "run": job.run });
        if !host.is_empty() {
            about["host"] = host.into();
        }
        agent.history.note(event, why, about);
    };
    match outcome {
        Ok(()) => {
            let state = if start.begin == Begin::BootPaused { "Paused" } else { "Running" };
            agent.store.commit(|tx| {
                assert_intent(tx.db(), vm, &start.intent)?;
                record_running(tx, vm, (host, &job.boot), state, job.run);
                Ok(())
            })?;
            let name = if start.begin == Begin::Resume { "VM_RESUMED" } else { "VM_STARTED" };
            note("vm-started", name, agent.store.read().text("host", host, "uuid"));
            crate::agent::recover::wake(agent);
            message(agent, name, 5, "VM", &job.vm.to_string(), "");
            Ok(())
        }
        Err(failure) if jobs::is_undecided(&failure) => {
            note("vm-start-undecided", &failure.to_string(), "");
            Err(failure)
        }
        Err(failure) => {
            agent.store.commit(|tx| {
                assert_intent(tx.db(), vm, &start.intent)?;
                tx.delete("xe_intent", &start.intent);
                if start.begin != Begin::Resume {
                    super::set_halted(tx, vm);
                }
                Ok(())
            })?;
            note("vm-start-failed", &failure.to_string(), "");
            Err(failure)
        }
    }
}

/// Refuses once the intent is over: recovery has judged the VM since, for its boot died.
pub fn assert_intent(db: &Database, vm: &str, intent: &str) -> Answer<()> {
    if intent_of(db, vm).as_deref() == Some(intent) {
        return Ok(());
    }
    Err(Failure::new("OTHER_OPERATION_IN_PROGRESS", ["VM", vm]))
}

/// Records that a VM runs on a host, in that boot of it: the one that the job named or that was
/// scanned, for the host's own row may name an older or a later one.
pub fn record_running(
    tx: &mut Transaction,
    vm: &str,
    (host, boot): (&str, &str),
    state: &str,
    run: u64,
) {
    let db = tx.db().clone();
    if let Some(intent) = intent_of(&db, vm) {
        tx.delete("xe_intent", &intent);
    }
    tx.set("VM", vm, "power_state", state);
    tx.set("VM", vm, "xe_loss", "");
    tx.set("VM", vm, "resident_on", host);
    tx.set("VM", vm, "scheduled_to_be_resident_on", crate::xenapi::NULL_REF);
    tx.set("VM", vm, "xe_boot", boot);
    let run = i64::try_from(run).unwrap_or(i64::MAX);
    tx.set("VM", vm, "xe_run", run);
    tx.set("VM", vm, "domid", run);
    if db.text("VM", vm, "ha_restart_priority") == "restart" {
        tx.set("VM", vm, "ha_always_run", true);
    }
    if let Some(image) = db.target("VM", vm, "suspend_VDI") {
        tx.set("VM", vm, "suspend_VDI", crate::xenapi::NULL_REF);
        tx.delete("VDI", image);
    }
    for (number, vbd) in db.set_of("VM", vm, "VBDs").into_iter().enumerate() {
        let attached = !db.flag("VBD", vbd, "empty");
        tx.set("VBD", vbd, "currently_attached", attached);
        if db.text("VBD", vbd, "device").is_empty() {
            tx.set("VBD", vbd, "device", device_name(db.text("VBD", vbd, "userdevice"), number));
        }
    }
    for vif in db.set_of("VM", vm, "VIFs") {
        tx.set("VIF", vif, "currently_attached", true);
    }
    if let Some(metrics) = db.target("VM", vm, "metrics") {
        tx.set("VM_metrics", metrics, "start_time", crate::agent::now());
        tx.set("VM_metrics", metrics, "memory_actual", db.int("VM", vm, "memory_static_max"));
        tx.set("VM_metrics", metrics, "VCPUs_number", db.int("VM", vm, "VCPUs_max"));
    }
}

/// `xvda` for position 0 and so on.
pub fn device_name(userdevice: &str, number: usize) -> String {
    let position = userdevice.parse::<usize>().unwrap_or(number);
    let letter =
        u8::try_from(position).ok().filter(|p| *p < 26).map_or('z', |p| (b'a' + p) as char);
    format!("xvd{letter}")
}
