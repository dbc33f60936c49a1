//! What a host does about HA when it has booted, by [`crate::ha::boot`].

use super::disk::Copy;
use super::machine::What;
use super::{Path, World};
use crate::ha::boot::{Action, Facts, Statefile, decide};
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::timing::SECOND;
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::Mode;

impl World {
    /// Decides and does what is due; gives the ticket of a daemon's start, else zero.
    pub(super) fn settle(&mut self, host: usize) -> u64 {
        let machine = &self.machines[host];
        let master = self.acting().first().copied().or_else(|| self.master_without_ha(host));
        let cut = |master: usize| self.net.calls[host][master] || self.net.calls[master][host];
        // One that takes part goes by its session, whoever its configuration names.
        let named = !machine.takes_part && self.pool_on && self.named_master == Some(host);
        let is_master = named && master.is_none();
        let told = master.filter(|master| !cut(*master)).map(|_| self.pool_on);
        let facts = Facts {
            local_flag: machine.takes_part,
            statefile: self.statefile_word(host),
            pool_flag: if is_master { Some(self.pool_on) } else { told },
            is_master,
            session_runs: machine.node.is_some() && self.phase(host) != Phase::Off,
            vms_here: !machine.guests.executing.is_empty(),
        };
        let unreadable = matches!(facts.statefile, Statefile::Unreadable(_));
        let blank = facts.statefile == Statefile::Init && self.wrong(Variant::BlankIsOff);
        match if blank { Action::RunWithoutHa } else { decide(&facts) } {
            Action::Join => {
                let current = self.machines[host].session == self.sessions;
                self.require(current, || format!("h{} joins a session that is over", host + 1));
                return self.start(host, false);
            }
            Action::FetchAndJoin => return self.start(host, false),
            Action::RunWithoutHa => {
                self.tell(format_args!("h{} runs without HA", host + 1));
                self.machines[host].takes_part = false;
                let off = !self.pool_on || self.newest_mode() == Some(Mode::Off);
                self.require(off, || format!("h{} runs without HA, and HA is on", host + 1));
            }
            // A path may break after the statefile was read, and not every toolstack reads it.
            Action::Wait(_) if unreadable && self.chance(2) == 0 => return self.start(host, false),
            Action::Wait(why) => {
                self.tell(format_args!("h{} waits: {why}", host + 1));
                self.push(self.now + SECOND, host, What::Settle);
            }
            Action::AskAdministrator(why) => {
                self.tell(format_args!("h{} asks its administrator: {why}", host + 1));
                self.push(self.now + SECOND, host, What::Settle);
            }
            Action::CarryOn => {}
        }
        0
    }

    /// The host that is master while HA is off; any of them will do.
    fn master_without_ha(&self, asking: usize) -> Option<usize> {
        let is_up = |host: usize| {
            let machine = &self.machines[host];
            machine.alive && !machine.paused && !machine.takes_part && host != asking
        };
        (0..self.machines.len()).find(|host| !self.pool_on && is_up(*host))
    }

    /// What a host reads of the newest view.
    fn statefile_word(&self, host: usize) -> Statefile {
        let machine = &self.machines[host];
        if !machine.takes_part {
            return Statefile::Unknown;
        }
        let readable = (0..self.disks.len()).filter(|disk| machine.paths[*disk] == Path::Fine);
        let shown: Vec<_> = readable.map(|disk| self.disks[disk].shown(host)).collect();
        if shown.is_empty() {
            return Statefile::Unreadable("no path to it".to_owned());
        }
        if machine.session != self.sessions {
            return Statefile::OtherSession;
        }
        let copies = shown.iter().flat_map(|content| content.decisions.iter().flatten());
        let views = copies.filter_map(|copy| match copy {
            Copy::Whole(decision) => decision.decided.as_deref(),
            Copy::Blank | Copy::Broken => None,
        });
        match views.max_by_key(|view| view.epoch).map(|view| view.mode) {
            None => Statefile::Init,
            Some(Mode::Off) => Statefile::Off,
            Some(_) => Statefile::Active,
        }
    }
}
