//! Requests of the control socket (sections 6 and 9).

use super::effect::{Answer, Control, Refusal};
use super::{Effect, Node, Stage};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Life, Mode, Proof, Slot, View};

/// What this host says of itself because it was asked to.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    /// Leaves cleanly (R9.4).
    pub leaving: bool,
    /// Wants to disarm without a decision (R9.3).
    pub unarmed: bool,
    /// Asks to be master when there is none.
    pub candidate: bool,
    /// The mode to be decided.
    pub mode: Option<Mode>,
    /// Hosts that the operator declared dead, and when.
    pub declared: Vec<(Slot, Nanos)>,
    /// The wait of a braked host is ended by the operator (R7.4).
    pub released: bool,
}

/// A request that waits for something.
#[derive(Debug, Clone)]
pub struct Pending {
    pub(super) ticket: u64,
    control: Control,
    since: Nanos,
}

impl Node {
    pub(super) fn take_control(&mut self, now: Nanos, ticket: u64, control: Control) {
        match self.begin(now, &control) {
            Ok(true) => self.fx.push(Effect::Answer(ticket, Ok(Answer::Done))),
            Ok(false) => self.pending.push(Pending { ticket, control, since: now }),
            Err(refusal) => self.fx.push(Effect::Answer(ticket, Err(refusal))),
        }
    }

    /// Starts what was asked; true when it is done already.
    fn begin(&mut self, now: Nanos, control: &Control) -> Result<bool, Refusal> {
        match control {
            Control::Started => Ok(false),
            Control::ProposeMaster => self.propose_master(),
            Control::GiveUpMastership(heir) => self.give_up(now, *heir),
            Control::SetMode(mode) => self.set_mode(*mode),
            Control::Leave => self.leave(now),
            Control::Stay => self.stay(),
            Control::Disarm { force } => self.disarm_by_emergency(now, *force),
            Control::DeclareDead(slot) => self.declare_dead(now, *slot),
            Control::ReleaseBrake => self.release_brake(),
        }
    }

    /// The operator has mended what this host was fenced for (R7.4).
    fn release_brake(&mut self) -> Result<bool, Refusal> {
        match self.stage {
            Stage::Held { .. } => self.marks.released = true,
            Stage::Reading { .. } if self.cfg.braked.is_some() => self.marks.released = true,
            _ => {
                let why = "this host is not held back after fences; there is nothing to release";
                return Err(Refusal::WrongState(why.to_owned()));
            }
        }
        Ok(true)
    }

    fn member_view(&self) -> Result<&View, Refusal> {
        let wrong = || Refusal::WrongState("this host is no member of a decided view".to_owned());
        self.view.as_deref().filter(|_| self.is_member()).ok_or_else(wrong)
    }

    fn propose_master(&mut self) -> Result<bool, Refusal> {
        match self.member_view()?.master {
            Some(slot) if slot == self.me() => Ok(true),
            Some(slot) => Err(Refusal::MasterIs(self.uuid(slot))),
            None => {
                self.marks.candidate = true;
                Ok(false)
            }
        }
    }

    fn give_up(&mut self, now: Nanos, heir: Option<Slot>) -> Result<bool, Refusal> {
        let view = self.member_view()?;
        if view.master != Some(self.me()) {
            return Err(Refusal::WrongState("this host is not the master".to_owned()));
        }
        if heir.is_some_and(|heir| view.member(heir).is_none()) {
            return Err(Refusal::WrongState("that host is not in the view".to_owned()));
        }
        if heir == Some(self.me()) {
            return Ok(true);
        }
        if self.successor_besides_me(now).is_none() {
            let why = "no other host of the view has an agent that is alive";
            return Err(Refusal::WrongState(why.to_owned()));
        }
        self.hand_over(now, heir, "asked to give the mastership up");
        Ok(false)
    }

    fn set_mode(&mut self, mode: Mode) -> Result<bool, Refusal> {
        let view = self.member_view()?;
        let present = view.mode;
        // "On" is by whatever way the members decide at the moment.
        let on = if self.by_network() { Mode::Network } else { Mode::Disk };
        let mode = if mode == Mode::Disk { on } else { mode };
        let allowed = match present {
            Mode::Disk | Mode::Network => mode == Mode::OffPending,
            Mode::OffPending => mode == Mode::Off || mode == on,
            Mode::Off => false,
        };
        if present == mode {
            return Ok(false);
        }
        if !allowed {
            let why = format!("the pool's state cannot go from {present:?} to {mode:?}");
            return Err(Refusal::WrongState(why));
        }
        self.marks.mode = Some(mode);
        Ok(false)
    }

    fn leave(&mut self, now: Nanos) -> Result<bool, Refusal> {
        match self.stage {
            Stage::Disarmed => Ok(true),
            Stage::Waiting => {
                self.disarm(now, "left before it was admitted");
                Ok(true)
            }
            _ => {
                let alone = self.member_view()?.members.len() == 1;
                if alone {
                    let why = "this is the last host of the view; switch HA off instead";
                    return Err(Refusal::WrongState(why.to_owned()));
                }
                self.marks.leaving = true;
                self.next_beat = now;
                Ok(false)
            }
        }
    }

    /// A mark that was shown cannot be taken back: a view that lets this host go may be on its
    /// way, and by the mark alone others may run its VMs at once (R5.3c).
    fn stay(&mut self) -> Result<bool, Refusal> {
        let wrong = |why: &str| Err(Refusal::WrongState(why.to_owned()));
        match self.stage {
            Stage::Disarmed => wrong("this host has left already; it must rejoin"),
            Stage::Member if self.marks.leaving => {
                wrong("the others know that this host leaves; it leaves, and may rejoin then")
            }
            _ => {
                self.marks.leaving = false;
                Ok(true)
            }
        }
    }

    fn disarm_by_emergency(&mut self, now: Nanos, force: bool) -> Result<bool, Refusal> {
        if matches!(self.stage, Stage::Disarmed | Stage::Failed) {
            return Ok(true);
        }
        if matches!(self.stage, Stage::Fencing { .. }) {
            // The others may have read that it dies: it must.
            return Err(Refusal::WrongState("this host is about to be reset".to_owned()));
        }
        if matches!(self.stage, Stage::Reading { .. }) {
            // It has written nothing, and must not begin to without having read (R2.5).
            let why = "switched off before the statefile was read";
            self.fail(now, Refusal::StartFailed(why.to_owned()));
            return Ok(true);
        }
        self.marks.unarmed = true;
        self.send_beat(now);
        let unheard = self.wrong(Variant::DisarmsUnheard);
        if force || unheard || !self.is_member() || self.unarmed_kept_by_all() {
            self.disarm(now, "disarmed as asked, without a decided view");
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether every other member has the mark on its own disk (R9.3): one that forgot it by a
    /// reboot might presume this host dead, which nothing resets.
    fn unarmed_kept_by_all(&self) -> bool {
        let Some(view) = &self.view else { return false };
        let kept = |slot: Slot| {
            let report = self.peer(slot).report.as_ref();
            let entry = report.and_then(|report| report.peers.get(self.me().index()));
            entry.is_some_and(|entry| entry.echo_life == self.life && entry.unarmed)
        };
        view.members.iter().all(|member| member.slot == self.me() || kept(member.slot))
    }

    fn declare_dead(&mut self, now: Nanos, slot: Slot) -> Result<bool, Refusal> {
        let view = self.view.as_ref();
        let live = self.is_member() && view.is_some_and(|view| view.member(slot).is_some());
        if live || slot == self.me() {
            let why = "that host is in the view; only a host that left can be declared dead";
            return Err(Refusal::WrongState(why.to_owned()));
        }
        let gone = view.and_then(|view| view.gone(slot)).cloned();
        let Some(gone) = gone.filter(|gone| self.known_proof(gone).is_none()) else {
            self.marks.declared.push((slot, now));
            return Ok(true);
        };
        let life = gone.member.life;
        let lease = gone.member.armed && !self.unarmed(slot, life);
        if lease {
            // People err. Whatever it does, its lease is over in T and margin from now.
            self.marks.declared.push((slot, now));
            return Ok(false);
        }
        self.declare(now, slot, life, Proof::Operator);
        Ok(true)
    }

    /// Whether the operator declared a host dead, so long ago that no lease outlives it, and
    /// nothing was seen of that life since: a host that shows itself lives, whatever is said.
    pub(super) fn declared_long_ago(&self, now: Nanos, slot: Slot, life: Life) -> bool {
        let wrong = self.wrong(Variant::DeclaredThoughSeen);
        let stands = |at: Nanos| wrong || !self.seen_since(slot, life, at);
        let over = |at: Nanos| now > at + self.cfg.timing.death();
        let mut words = self.marks.declared.iter().filter(|(declared, _)| *declared == slot);
        words.any(|(_, at)| over(*at) && stands(*at))
    }

    /// Whether that life, or an earlier one, has shown itself after this instant.
    fn seen_since(&self, slot: Slot, life: Life, at: Nanos) -> bool {
        let peer = self.peer(slot);
        peer.life <= life && peer.newest_sign().is_some_and(|seen| seen > at)
    }

    /// The last member of a view cannot leave it: nobody else decides, and nobody else reads its
    /// mark as a member. It goes on, and acts again.
    fn stay_as_the_last(&mut self, now: Nanos) {
        let alone = self.view.as_ref().is_some_and(|view| view.members.len() == 1);
        if self.marks.leaving && alone && self.is_member() {
            self.marks.leaving = false;
            let why = "stays: it is the last host of the view; switch HA off instead";
            self.note(now, "leave-refused", Some(self.me()), why.to_owned());
        }
    }

    /// Answers what has come true or has waited too long.
    pub(super) fn tick_pending(&mut self, now: Nanos) {
        self.stay_as_the_last(now);
        if self.marks.unarmed && self.armed && self.unarmed_kept_by_all() {
            self.disarm(now, "disarmed as asked, without a decided view; every other member knows");
        }
        let reached = self.view.as_ref().map(|view| view.mode);
        if self.marks.mode.is_some() && self.marks.mode == reached {
            self.marks.mode = None;
        }
        for pending in std::mem::take(&mut self.pending) {
            match self.outcome(now, &pending) {
                None => self.pending.push(pending),
                Some(answer) => {
                    if answer.is_err() {
                        self.withdraw(&pending.control);
                    }
                    self.fx.push(Effect::Answer(pending.ticket, answer));
                }
            }
        }
    }

    fn outcome(&self, now: Nanos, pending: &Pending) -> Option<Result<Answer, Refusal>> {
        let done = Some(Ok(Answer::Done));
        let view = self.view.as_ref();
        let late = now >= pending.since + self.cfg.timing.t + 10 * SECOND;
        match &pending.control {
            Control::Started => {
                let own = view.and_then(|view| view.member(self.me()));
                let armed = own.is_some_and(|m| m.life == self.life && m.armed);
                let leased = self.armed && self.lease_end.is_some();
                if self.stage == Stage::Member && leased && armed {
                    return done;
                }
                let why = "HA was switched off again before every host was armed";
                (self.stage == Stage::Disarmed).then(|| Err(Refusal::StartFailed(why.to_owned())))
            }
            Control::ProposeMaster => match view.and_then(|view| view.master) {
                Some(slot) if slot == self.me() => done,
                Some(slot) => Some(Err(Refusal::MasterIs(self.uuid(slot)))),
                None => self.timed_out(late),
            },
            Control::GiveUpMastership(_) => {
                let still = view.and_then(|view| view.master) == Some(self.me());
                if still { self.timed_out(late) } else { done }
            }
            Control::SetMode(mode) => {
                let same = |now: Mode| now == *mode || *mode == Mode::Disk && now == Mode::Network;
                if view.is_some_and(|v| same(v.mode)) && self.acknowledged(*mode) {
                    return done;
                }
                self.timed_out(late)
            }
            Control::Leave | Control::Disarm { .. } => {
                let refused = pending.control == Control::Leave && !self.marks.leaving;
                if self.stage == Stage::Disarmed {
                    done
                } else if refused {
                    let why = "this is the last host of the view; switch HA off instead";
                    Some(Err(Refusal::WrongState(why.to_owned())))
                } else {
                    self.timed_out(late)
                }
            }
            Control::DeclareDead(slot) => {
                let gone = view.and_then(|view| view.gone(*slot));
                let Some(gone) = gone.filter(|gone| self.known_proof(gone).is_none()) else {
                    return done;
                };
                if self.seen_since(*slot, gone.member.life, pending.since) {
                    let why = "that host has shown itself since: it lives, whatever is said of it";
                    return Some(Err(Refusal::WrongState(why.to_owned())));
                }
                self.timed_out(late)
            }
            Control::Stay | Control::ReleaseBrake => done,
        }
    }

    /// Whether every member has adopted the present view, where the mode needs that (R9.2).
    fn acknowledged(&self, mode: Mode) -> bool {
        let Some(view) = &self.view else { return false };
        mode != Mode::OffPending
            || view.members.iter().all(|member| {
                let report = self.peer(member.slot).report.as_ref();
                member.slot == self.me() || report.is_some_and(|r| r.epoch >= view.epoch)
            })
    }

    fn timed_out(&self, late: bool) -> Option<Result<Answer, Refusal>> {
        let why = match self.disk_lost_now() {
            true => "this host does not reach the statefile",
            false => "not every host needed has answered",
        };
        late.then(|| Err(Refusal::TimedOut(why.to_owned())))
    }

    fn disk_lost_now(&self) -> bool {
        self.disk_evidence().is_none() || self.disk_lost(self.next_beat)
    }

    /// Takes back what a request that failed had asked for.
    fn withdraw(&mut self, control: &Control) {
        match control {
            Control::SetMode(_) => self.marks.mode = None,
            // The mark "leaving" stays: it was shown.
            Control::ProposeMaster => self.marks.candidate = false,
            Control::Disarm { .. } => self.marks.unarmed = false,
            _ => {}
        }
    }
}
