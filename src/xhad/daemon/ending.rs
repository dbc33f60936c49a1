//! The daemon is asked to end, and the next one goes on (see [`upgrade`]).

use std::sync::mpsc::sync_channel;

use super::{Daemon, Ending};
use crate::heartbeat::node::Control;
use crate::host::boot_id;
use crate::host::clock::boottime_ns;
use crate::xhad::control::Response;
use crate::xhad::upgrade;

impl Daemon {
    /// Takes up the session that an earlier daemon of this boot has ended in order.
    pub(super) fn take_up(&mut self) {
        let Ok(boot) = boot_id::current(&self.around.faults) else { return };
        let Some(config) = upgrade::take(&self.around.state_dir, &boot) else { return };
        self.around.history.note("taken-up", "a new daemon goes on where the last one ended");
        let (reply, refusal) = sync_channel(1);
        self.start(config, reply);
        if let Ok(Response::Refused(refused)) = refusal.try_recv() {
            self.around.history.note("not-taken-up", &refused.sentence);
        }
    }

    /// The system wants this process to end. An armed one disarms first, once all others know.
    pub(super) fn end(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let (reply, outcome) = sync_channel(1);
        let says_at = match self.session.as_mut().filter(|session| session.is_armed()) {
            None => {
                let _unarmed = reply.try_send(Response::Done);
                None
            }
            Some(session) => {
                self.around.history.note("ending", "asked to end: the others are told first");
                session.control(Control::Disarm { force: false }, reply);
                Some(boottime_ns() + session.timeout() / 2)
            }
        };
        self.ending = Some(Ending { outcome, says_at, was_armed: says_at.is_some() });
    }

    /// Whether this process may end now.
    pub(super) fn has_ended(&mut self) -> bool {
        let Some(ending) = &mut self.ending else { return false };
        let history = &self.around.history;
        match ending.outcome.try_recv() {
            Ok(Response::Refused(refused)) => {
                let why = format!("this host stays armed, and the daemon goes on: {refused}");
                history.note("not-ended", &why);
                self.ending = None;
                false
            }
            Ok(_) => {
                self.leave_record();
                true
            }
            Err(_) => {
                if ending.says_at.is_some_and(|at| boottime_ns() >= at) {
                    ending.says_at = None;
                    let why = "this host stays armed until every other member knows of it";
                    history.note("not-ended-yet", why);
                }
                false
            }
        }
    }

    /// For the next daemon of this boot, when this one was armed.
    fn leave_record(&self) {
        let armed_before = self.ending.as_ref().is_some_and(|ending| ending.was_armed);
        let Some(session) = self.session.as_ref().filter(|_| armed_before) else { return };
        let left = boot_id::current(&self.around.faults)
            .and_then(|boot| upgrade::leave(&self.around.state_dir, &boot, session.config()));
        match left {
            Ok(()) => self.around.history.note("ended", "disarmed; the next daemon rejoins"),
            Err(error) => self.around.history.note("ended", &format!("no record: {error}")),
        }
    }
}
