//! What administrators ask for, with what they do around it.

use super::World;
use crate::heartbeat::node::Control;

impl World {
    /// Sends a request, with what goes along with it; `other` is the host that it names.
    pub fn administer(&mut self, host: usize, other: usize, control: Control) {
        let machine = &self.machines[host];
        if !machine.alive || machine.paused || machine.stalled || machine.node.is_none() {
            return;
        }
        self.tell(format_args!("asked of h{}: {control:?}", host + 1));
        match &control {
            Control::Disarm { force: true } => self.machines[host].risk_taken = true,
            // Who declares a living host dead takes the risk that its VMs run twice.
            Control::DeclareDead(_) if self.machines[other].alive => {
                self.machines[other].risk_taken = true;
            }
            Control::Leave => {
                self.stop_vms(host);
                self.machines[host].guests.leaving = true;
                self.machines[host].leave_ticket = self.ticket + 1;
            }
            Control::Stay => self.machines[host].stay_ticket = self.ticket + 1,
            _ => {}
        }
        self.control(host, control);
    }

    /// The protected VMs that run nowhere.
    pub fn vms_missing(&self) -> Vec<usize> {
        let owed = |vm: &usize| self.rows.is_protected(*vm);
        (0..self.setting.vms).filter(|vm| owed(vm) && self.runs_on(*vm).is_none()).collect()
    }
}
