//! The way from nothing to a pool with VMs, through the product's own front door.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::api::{at, until};
use super::fleet::{Fleet, Machine};
use super::setting::{Lab, LabHost};
use crate::agent::config::Config;
use crate::agent::vm::start::DRIVER;
use crate::client::Session;
use crate::host::hypervisor::Kind;
use crate::host::watchdog::WatchdogConfig;
use crate::xenapi::Value;

/// How long each step may take on a busy computer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A VM's memory in bytes: enough for a guest that only writes canaries.
const VM_MEMORY: i64 = 32 << 20;

/// Writes root's password, a new random one.
pub fn make_password(lab: &Lab) -> anyhow::Result<()> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    crate::agent::config::write_bytes(&lab.password_file(), format!("{text}\n").as_bytes())
}

/// Sets a host up with `xe-agent init` and gives its uuid.
pub fn init_host(lab: &Lab, host: &LabHost) -> anyhow::Result<uuid::Uuid> {
    let setting = &lab.setting;
    let state_dir = lab.state_dir(&host.name);
    std::fs::create_dir_all(lab.machine_dir(&host.name))?;
    let kind = setting.hypervisor.name();
    // Room for every VM of the lab on one host and as many of the user's own.
    let vms = i64::try_from(setting.vms.max(8))?;
    let made = Command::new(std::env::current_exe()?)
        .args(["xe-agent", "--state-dir"])
        .arg(&state_dir)
        .args(["init", "--name", &host.name, "--address", &host.address.to_string()])
        .args(["--memory", &(2 * vms * VM_MEMORY).to_string(), "--hypervisor", kind])
        .args(["--https-port", &setting.https_port.to_string()])
        .args(["--http-port", &setting.http_port.to_string()])
        .args(["--udp-port", &setting.udp_port.to_string()])
        .arg("--socket")
        .arg(lab.socket(&host.name))
        .arg("--password-file")
        .arg(lab.password_file())
        .stdin(Stdio::null())
        .output()
        .context("xe-agent init")?;
    if !made.status.success() {
        bail!("{}: {}", host.name, String::from_utf8_lossy(&made.stderr).trim());
    }
    let mut config = Config::load(&state_dir)?;
    let socket = lab.machine_dir(&host.name).join(super::boot::WATCHDOG_SOCKET);
    config.watchdog = serde_json::to_value(WatchdogConfig::Exec { socket })?;
    config.save(&state_dir)?;
    super::boot::write_power_script(&lab.machine_dir(&host.name))?;
    Ok(config.host)
}

/// Makes one pool of the hosts, whose machines run.
pub fn join(lab: &Lab, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let [first, others @ ..] = lab.setting.hosts.as_slice() else { bail!("a lab without hosts") };
    let all = || lab.setting.hosts.iter();
    for host in all() {
        let answers = || at(&lab.socket(&host.name), |_| Ok(Some(())));
        until(&format!("the agent of {}", host.name), PATIENCE, answers)?;
    }
    let password = lab.password()?;
    for (number, host) in others.iter().enumerate() {
        say(&format!("{} joins the pool of {}", host.name, first.name));
        let master = first.address.to_string();
        at(&lab.socket(&host.name), |session| {
            let params = [Value::from(master), "root".into(), Value::from(password.as_str())];
            Ok(session.call("pool.join", &params)?)
        })
        .with_context(|| format!("{} joins", host.name))?;
        // One after the other: a host that is not up yet would miss what the next one changes.
        until("members of the pool", PATIENCE, || {
            at(&lab.socket(&host.name), |session| Ok(session.records("host")?.len()))
                .map(|hosts| (hosts == number + 2).then_some(()))
        })?;
    }
    until("live hosts", PATIENCE, || {
        at(&lab.socket(&first.name), |session| {
            let live =
                session.records("host_metrics")?.values().filter(|m| flag(m, "live")).count();
            let hosts = session.records("host")?;
            // A host that has only just joined counts as enabled before its agent has said in which
            // boot it is, and takes no VM until then.
            let said = |host: &&Value| {
                host.get("other_config").is_some_and(|config| config.get("boot_time").is_some())
            };
            let booted = hosts.values().filter(|h| flag(h, "enabled")).filter(said).count();
            Ok((live == all().count() && booted == live).then_some(()))
        })
    })
}

fn flag(record: &Value, field: &str) -> bool {
    record.get(field).and_then(Value::as_bool) == Some(true)
}

/// Makes the shared SR and gives its reference.
pub fn make_sr(lab: &Lab) -> anyhow::Result<String> {
    let first = &lab.setting.hosts[0];
    std::fs::create_dir_all(lab.sr_dir())?;
    at(&lab.socket(&first.name), |session| {
        let host = session.by_uuid("host", &first.uuid.to_string())?;
        let location = lab.sr_dir().display().to_string();
        let params = [
            host.into(),
            Value::text_map([("location", location)]),
            Value::Int(0),
            "Shared storage".into(),
            "".into(),
            "file".into(),
            "".into(),
            Value::Bool(true),
            Value::Struct(Default::default()),
        ];
        let sr = session.text("SR.create", &params)?;
        let pool = only(session, "pool")?;
        session.call("pool.set_default_SR", &[pool.into(), sr.as_str().into()])?;
        let plugged = session.records("PBD")?;
        let missing = plugged.values().filter(|pbd| !flag(pbd, "currently_attached")).count();
        ensure!(missing == 0, "{missing} hosts could not attach the shared storage");
        Ok(sr)
    })
}

fn only(session: &Session<'_>, class: &str) -> anyhow::Result<String> {
    session.records(class)?.keys().next().cloned().with_context(|| format!("no {class}"))
}

/// Makes the default template.
fn make_template(session: &Session<'_>) -> anyhow::Result<String> {
    let disk = r#"<disk device="0" size="1048576" sr="" bootable="true" type="system"/>"#;
    let disks = format!("<provision>{disk}</provision>");
    let text = |text: &str| Value::from(text);
    let record = [
        ("name_label", text("Lab guest")),
        ("name_description", text("A guest that proves its life on its disk")),
        ("user_version", Value::Int(1)),
        ("is_a_template", Value::Bool(true)),
        ("affinity", text(crate::xenapi::NULL_REF)),
        ("memory_static_max", Value::Int(VM_MEMORY)),
        ("memory_static_min", Value::Int(VM_MEMORY)),
        ("memory_dynamic_max", Value::Int(VM_MEMORY)),
        ("memory_dynamic_min", Value::Int(VM_MEMORY)),
        ("VCPUs_max", Value::Int(1)),
        ("VCPUs_at_startup", Value::Int(1)),
        ("other_config", Value::text_map([("disks", disks)])),
    ];
    let record = record.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    Ok(session.text("VM.create", &[Value::Struct(record)])?)
}

/// Installs the VMs from the template and starts them where they belong.
pub fn make_vms(lab: &Lab, fleet: Fleet, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let first = &lab.setting.hosts[0];
    at(&lab.socket(&first.name), |session| {
        let template = make_template(session)?;
        for machine in fleet.machines(lab.setting.vms, lab.setting.hosts.len()) {
            let host = &lab.setting.hosts[machine.host];
            say(&format!("{} starts on {}", machine.name, host.name));
            let vm = install(session, &template, &machine)?;
            if lab.setting.hypervisor == Kind::Mixed {
                let params = [vm.as_str(), DRIVER, machine.driver.name()].map(Value::from);
                session.call("VM.add_to_other_config", &params)?;
            }
            let host = session.by_uuid("host", &host.uuid.to_string())?;
            let no = || Value::Bool(false);
            session
                .call("VM.start_on", &[vm.into(), host.into(), no(), no()])
                .with_context(|| format!("start of {}", machine.name))?;
        }
        Ok(())
    })
}

fn install(session: &Session<'_>, template: &str, machine: &Machine) -> anyhow::Result<String> {
    let vm = session.text("VM.clone", &[template.into(), machine.name.as_str().into()])?;
    let set = |field: &str, value: Value| {
        session.call(&format!("VM.set_{field}"), &[vm.as_str().into(), value])
    };
    session.call("VM.provision", &[vm.as_str().into()])?;
    set("is_a_template", Value::Bool(false))?;
    set("order", Value::Int(machine.order))?;
    set("ha_restart_priority", machine.priority.into())?;
    Ok(vm)
}

/// Limits the starts in flight on a host; the pool's own limit leaves room for them on every host.
pub fn limit_starts(lab: &Lab, per_host: u32) -> anyhow::Result<()> {
    at(&lab.socket(&lab.setting.hosts[0].name), |session| {
        let pool = only(session, "pool")?;
        let per_pool = u64::from(per_host) * u64::try_from(lab.setting.hosts.len())?;
        let keys =
            [("ha-starts-per-host", u64::from(per_host)), ("ha-starts-per-pool", per_pool.max(32))];
        for (key, number) in keys {
            let params = [pool.as_str().into(), key.into(), number.to_string().as_str().into()];
            session.call("pool.add_to_other_config", &params)?;
        }
        Ok(())
    })
}

/// Switches HA on.
pub fn enable_ha(lab: &Lab, sr: &str) -> anyhow::Result<()> {
    let first = &lab.setting.hosts[0];
    at(&lab.socket(&first.name), |session| {
        let pool = only(session, "pool")?;
        let survives = i64::from(lab.setting.hosts.len() > 1);
        session.call(
            "pool.set_ha_host_failures_to_tolerate",
            &[pool.as_str().into(), Value::Int(survives)],
        )?;
        let config = Value::text_map([("timeout", lab.setting.timeout.to_string())]);
        session.call("pool.enable_ha", &[Value::text_set([sr]), config])?;
        Ok(())
    })
    .context("HA could not be switched on")
}

/// The last lines of a machine's console: why its agent did not come up.
pub fn last_words(machine_dir: &Path) -> String {
    let text = std::fs::read_to_string(machine_dir.join("console.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
