//! How time passes: from one event to the next.

use super::World;
use crate::heartbeat::node::Input;
use crate::heartbeat::timing::{Nanos, SECOND};

impl World {
    /// Runs for so many seconds.
    pub fn run(&mut self, seconds: u64) {
        self.run_for(seconds * SECOND);
    }

    /// Runs until the condition holds (looked at ten times a second) or the time is over.
    pub fn run_until(&mut self, seconds: u64, mut done: impl FnMut(&World) -> bool) -> bool {
        let end = self.now + seconds * SECOND;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.run_for((SECOND / 10).min(end - self.now));
        }
        done(self)
    }

    /// Runs for exactly so many nanoseconds.
    pub fn run_for(&mut self, span: Nanos) {
        let end = self.now + span;
        if self.remembers && end >= self.remembered + SECOND {
            self.remembered = self.now;
            self.disks.iter_mut().for_each(|disk| disk.remember(self.now));
        }
        while self.now < end {
            self.turn(end);
        }
    }

    fn turn(&mut self, end: Nanos) {
        if self.violation.is_some() {
            self.now = end;
            return;
        }
        let (mut at, mut of) = (self.queue.first(), None);
        for (host, machine) in self.machines.iter().enumerate() {
            let first = machine.first();
            if first < at {
                (at, of) = (first, Some(host));
            }
        }
        if at > end {
            self.now = end;
            return;
        }
        self.now = self.now.max(at);
        match of {
            Some(host) => self.timer(host),
            None => {
                let Some((host, boot, what)) = self.queue.pop() else { return };
                if boot == self.machines[host].boot || what.outlives() {
                    self.happen(host, what);
                }
            }
        }
    }

    /// One of a machine's timers has come.
    fn timer(&mut self, host: usize) {
        let now = self.now;
        let machine = &mut self.machines[host];
        if machine.watchdog <= now {
            machine.watchdog = Nanos::MAX;
            self.reset(host);
        } else if machine.wake <= now {
            machine.wake = Nanos::MAX;
            self.step(host, Input::Timer);
        } else {
            machine.agent_tick = now + SECOND;
            self.agent_tick(host);
        }
    }
}
