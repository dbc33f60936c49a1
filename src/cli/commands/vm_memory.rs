//! How much memory and how many CPUs a VM may have.

use super::context::Context;
use super::table::{Command, Kind, Outcome, Selector, VMS, command, may, needs};
use crate::cli::dialect::values;
use crate::cli::errors::CliError;
use crate::cli::printing::spelling;
use crate::xenapi::Value;

const ANY: Selector = Selector::Vms { control_domains: true, templates: true };
const RUNNING: Selector = Selector::Vms { control_domains: true, templates: false };

/// The commands.
pub const COMMANDS: &[Command] = &[
    command("vm-memory-limits-set", "Set all four memory limits of a VM.", |ctx| {
        set(
            ctx,
            "VM.set_memory_limits",
            &["static-min", "static-max", "dynamic-min", "dynamic-max"],
        )
    })
    .takes(&[
        needs("static-min", Kind::Size),
        needs("static-max", Kind::Size),
        needs("dynamic-min", Kind::Size),
        needs("dynamic-max", Kind::Size),
    ])
    .on(ANY),
    command("vm-memory-set", "Give a VM this much memory.", |ctx| {
        set(ctx, "VM.set_memory", &["memory"])
    })
    .takes(&[needs("memory", Kind::Size)])
    .on(ANY),
    command("vm-memory-dynamic-range-set", "Set how far a VM's memory may go.", |ctx| {
        set(ctx, "VM.set_memory_dynamic_range", &["min", "max"])
    })
    .takes(&[needs("min", Kind::Size), needs("max", Kind::Size)])
    .on(ANY),
    command("vm-memory-static-range-set", "Set the outer limits of a VM's memory.", |ctx| {
        set(ctx, "VM.set_memory_static_range", &["min", "max"])
    })
    .takes(&[needs("min", Kind::Size), needs("max", Kind::Size)])
    .on(ANY),
    command("vm-memory-target-set", "Set the memory that a VM should have now.", |ctx| {
        set(ctx, "VM.set_memory_dynamic_range", &["target", "target"])
    })
    .takes(&[needs("target", Kind::Size)])
    .on(RUNNING),
    command("vm-compute-memory-overhead", "Show the memory that a VM costs besides.", |ctx| {
        let answers = ctx.on_each(RUNNING, |ctx, row| {
            ctx.call("VM.compute_memory_overhead", &[row.reference.as_str().into()])
        })?;
        let texts: Vec<String> = answers.iter().map(spelling::plain).collect();
        ctx.console.list(&texts);
        Ok(())
    })
    .on(RUNNING),
    command("vm-compute-maximum-memory", "Show how much memory fits a total.", maximum)
        .takes(&[needs("total", Kind::Size), may("approximate", Kind::Bool)])
        .on(VMS)
        .standard(),
    command("vm-vcpu-hotplug", "Give a running VM another number of CPUs.", hotplug)
        .takes(&[needs("new-vcpus", Kind::Int)])
        .on(VMS),
];

fn set(ctx: &mut Context<'_, '_>, method: &str, names: &[&str]) -> Outcome {
    let sizes = names
        .iter()
        .map(|name| Ok(values::size(name, ctx.params.need(name)?)?.into()))
        .collect::<Result<Vec<Value>, CliError>>()?;
    ctx.on_each(ANY, |ctx, row| {
        let mut params = vec![row.reference.as_str().into()];
        params.extend_from_slice(&sizes);
        ctx.call(method, &params)
    })?;
    Ok(())
}

fn maximum(ctx: &mut Context<'_, '_>) -> Outcome {
    let total = values::size("total", ctx.params.need("total")?)?;
    let approximate = ctx.params.flag("approximate", false)?;
    let answers = ctx.on_each(VMS, |ctx, row| {
        let params = [row.reference.as_str().into(), total.into(), approximate.into()];
        ctx.call("VM.maximise_memory", &params)
    })?;
    let texts: Vec<String> = answers.iter().map(spelling::plain).collect();
    ctx.console.list(&texts);
    Ok(())
}

fn hotplug(ctx: &mut Context<'_, '_>) -> Outcome {
    let count = ctx.params.int("new-vcpus", 1)?;
    ctx.on_each(VMS, |ctx, row| {
        ctx.call("VM.set_VCPUs_number_live", &[row.reference.as_str().into(), count.into()])
    })?;
    Ok(())
}
