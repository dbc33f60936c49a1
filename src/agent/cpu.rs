//! CPU features: a VM that runs, or was suspended, goes on only where its CPU can. One that boots
//! takes what its host has, so restarts ask nothing of this.

use crate::pool::Database;
use crate::pool::rows::{Host, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;

/// A set of features as `cpu_info` has it: words of 32 bits, in hexadecimal, with dashes between.
fn words(text: &str) -> Option<Vec<u32>> {
    text.split('-').map(|word| u32::from_str_radix(word, 16).ok()).collect()
}

/// The features of a host: newer rows tell those of HVM guests apart.
fn of_host<'a>(host: &Host<'a>) -> Option<&'a str> {
    host.key("cpu_info", "features_hvm").or_else(|| host.key("cpu_info", "features"))
}

/// What a VM uses that a host lacks, in words; nothing where a row does not say enough to know.
fn lacking(vm: &Vm<'_>, host: &Host<'_>) -> Option<&'static str> {
    let of_vm = |key| vm.key("last_boot_CPU_flags", key);
    let vendors = of_vm("vendor").zip(host.key("cpu_info", "vendor"));
    if vendors.is_some_and(|(vm, host)| vm != host) {
        return Some("its CPU is of another vendor");
    }
    let (used, there) = (words(of_vm("features")?)?, words(of_host(host)?)?);
    let has = |(at, word): (usize, &u32)| word & !there.get(at).copied().unwrap_or(0) == 0;
    (!used.iter().enumerate().all(has)).then_some("its CPU lacks features that the VM uses")
}

/// Whether a VM that runs could go on there.
pub fn suits(db: &Database, vm: &Vm<'_>, host: &str) -> bool {
    Host::get(db, host).is_ok_and(|host| lacking(vm, &host).is_none())
}

/// Refuses a host on which a VM that runs, or was suspended, could not go on.
pub fn assert_goes_on(db: &Database, vm: &Vm<'_>, host: &str) -> Answer<()> {
    match lacking(vm, &Host::get(db, host)?) {
        None => Ok(()),
        Some(why) => Err(Failure::new("VM_INCOMPATIBLE_WITH_THIS_HOST", [vm.reference, host, why])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::evacuate::planned;
    use crate::agent::in_process::of_two_hosts;
    use crate::xenapi::Value;

    const ANNA: &str = "OpaqueRef:host-anna";
    const BERT: &str = "OpaqueRef:host-bert";

    #[test]
    fn a_running_vm_goes_only_where_its_cpu_can_go_on_and_a_start_may_be_anywhere() {
        let agent = of_two_hosts();
        let vm = {
            let db = agent.store.read();
            let there = |vm: &Vm<'_>| {
                let machine = crate::agent::capacity::is_machine(vm);
                machine && vm.resident_on() == Some(ANNA) && planned_for(&agent, &db, vm).is_ok()
            };
            Vm::all(&db).find(there).unwrap().reference.to_owned()
        };
        let with = |host: &[(&str, &str)]| {
            agent
                .store
                .commit(|tx| {
                    let used = [("vendor", "A"), ("features", "0000000f-80000000")];
                    tx.set("VM", &vm, "last_boot_CPU_flags", Value::text_map(used));
                    tx.set("host", BERT, "cpu_info", Value::text_map(host.to_vec()));
                    Ok(())
                })
                .unwrap();
            let db = agent.store.read();
            let row = Vm::get(&db, &vm).unwrap();
            assert!(crate::agent::agility::possible_hosts(&db, &row).contains(&BERT.to_owned()));
            let refused = assert_goes_on(&db, &row, BERT).err().map(|why| why.params[2].clone());
            (planned_for(&agent, &db, &row).is_ok(), refused)
        };
        let features = |features| with(&[("vendor", "A"), ("features_hvm", features)]);
        assert_eq!(features("0000001f-80000000-00000001"), (true, None));
        let lacks = Some("its CPU lacks features that the VM uses".to_owned());
        assert_eq!(features("0000000f"), (false, lacks.clone()));
        assert_eq!(features("00000007-80000000"), (false, lacks));
        let other = with(&[("vendor", "B"), ("features", "ffffffff-ffffffff")]);
        assert_eq!(other, (false, Some("its CPU is of another vendor".to_owned())));
        assert_eq!(with(&[("cpu_count", "4")]), (true, None), "what is not known refuses nothing");
    }

    fn planned_for(agent: &crate::agent::Agent, db: &Database, vm: &Vm<'_>) -> Answer<String> {
        let all = planned(agent, db, ANNA).unwrap();
        all.into_iter().find(|(row, _)| row == vm.reference).unwrap().1
    }
}
