//! The shell of the recovery: feeds [`crate::recovery`] and does what it says.
//!
//! One thread runs the policy. It looks whenever something woke it, and at the times that the
//! policy names; starts run on threads of their own and report back.

use super::hooks::{self, Hook};
use super::marks::Marks;
pub use super::marks::Starting;
pub(super) use super::recovery_rows::view;
use super::vm::{self, start};
use super::{Agent, alerts, ha, maintenance, messages, pool_ref};
use crate::host::clock::boottime_ns;
use crate::pool::Database;
use crate::recovery::messages::About;
use crate::recovery::{self, Action, Event, Intent, Loss, Message, Recovery, StartResult};
use crate::xenapi::failure::Answer;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// The longest time between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// What wakes the recovery, and what it is told.
#[derive(Debug, Default)]
pub struct Wake {
    inbox: Mutex<Inbox>,
    called: Condvar,
    pub(super) marks: Mutex<Marks>,
}

#[derive(Debug, Default)]
struct Inbox {
    woken: bool,
    events: VecDeque<Event>,
    /// Of which hosts the hooks are still to be told.
    news: Vec<News>,
    hold_until: Duration,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time as the policy counts it.
fn now() -> Duration {
    Duration::from_nanos(boottime_ns())
}

/// Has the recovery look again.
pub fn wake(agent: &Agent) {
    lock(&agent.wake.inbox).woken = true;
    agent.wake.called.notify_all();
}

/// Tells the recovery what happened.
pub fn push(agent: &Agent, event: Event) {
    lock(&agent.wake.inbox).events.push_back(event);
    wake(agent);
}

/// Something that hooks are told of a host.
#[derive(Debug, Clone, Copy)]
pub struct News {
    /// The occasion: it failed, or it is dead.
    pub hook: Hook,
    /// The host.
    pub host: Uuid,
    /// Why.
    pub reason: &'static str,
    /// The epoch of the living set that says so.
    pub epoch: u64,
}

/// Has the hooks told of hosts, before anything that follows from it: it must be called before the
/// living set that says so is shown.
pub fn announce(agent: &Agent, news: impl Iterator<Item = News>) {
    lock(&agent.wake.inbox).news.extend(news);
}

/// Holds restarts back for a time; zero ends that.
pub fn prevent_for(agent: &Agent, time: Duration) {
    lock(&agent.wake.inbox).hold_until = now() + time;
    wake(agent);
}

/// For how long restarts are still held back; none when they are not.
pub fn held_for(agent: &Agent) -> Option<Duration> {
    let until = lock(&agent.wake.inbox).hold_until;
    until.checked_sub(now()).filter(|left| !left.is_zero())
}

/// Until when restarts are held back, as the policy counts time.
pub(super) fn hold_until(agent: &Agent) -> Duration {
    lock(&agent.wake.inbox).hold_until
}

/// Whether this agent is waiting for the outcome of a start right now.
pub fn is_starting(agent: &Agent, vm: &str) -> bool {
    lock(&agent.wake.marks).holds(vm)
}

/// Gives up waiting for a start or a move of which nothing can come any more: its boot is dead.
/// Its thread may wait long for an answer from there; whatever it hears changes no row then.
fn forsake(agent: &Agent, vm: &str) {
    lock(&agent.wake.marks).forsake(vm);
}

/// Runs the recovery. Runs on a thread of its own.
pub fn run(agent: &Arc<Agent>) {
    let mut policy: Option<Recovery> = None;
    loop {
        let wait = match policy.as_ref().and_then(Recovery::wake_at) {
            Some(at) => at.saturating_sub(now()).min(LOOK),
            None => LOOK,
        };
        let master = agent.standing().is_master();
        let events = next_events(agent, wait, master);
        if !master {
            policy = None;
            continue;
        }
        let policy = policy.get_or_insert_with(Recovery::default);
        for event in events {
            if let Err(failure) = attempt(policy, |policy| step(agent, policy, event)) {
                agent.history.note("recovery-stuck", &failure.to_string(), json!({}));
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        if let Err(failure) = ha::plan::update(agent) {
            tracing::debug!("the plan was not computed: {failure}");
        }
        ha::takeover::hand_on_if_broken(agent);
        messages::post_late(agent);
        alerts::tell_lost_copy(agent);
        if let Err(failure) = maintenance::clear_stale(agent) {
            tracing::debug!("stale marks are still there: {failure}");
        }
        alerts::withdraw(agent);
    }
}

/// What happened since the last look. What a host learns just before it becomes master waits.
fn next_events(agent: &Agent, wait: Duration, master: bool) -> Vec<Event> {
    let inbox = lock(&agent.wake.inbox);
    let idle = |inbox: &mut Inbox| !inbox.woken && (inbox.events.is_empty() || !master);
    let (mut inbox, _) = agent
        .wake
        .called
        .wait_timeout_while(inbox, wait, idle)
        .unwrap_or_else(PoisonError::into_inner);
    inbox.woken = false;
    if !master {
        return Vec::new();
    }
    let mut events: Vec<Event> = inbox.events.drain(..).collect();
    if events.is_empty() {
        events.push(Event::Tick);
    }
    events
}

/// Has the policy say what to do and does it. The policy takes for done what it says: after a
/// failure a new one begins, which knows what the rows say and waits for nothing else.
fn attempt(policy: &mut Recovery, step: impl FnOnce(&mut Recovery) -> Answer<()>) -> Answer<()> {
    step(policy).inspect_err(|_| *policy = Recovery::default())
}

fn step(agent: &Arc<Agent>, policy: &mut Recovery, event: Event) -> Answer<()> {
    let db = agent.store.read();
    let pool = view(agent, &db)?;
    tell_hooks(agent);
    let actions = policy.step(now(), &pool, event);
    if actions.iter().any(|action| matches!(action, Action::Start { .. })) {
        hooks::before_restarts(agent);
    }
    let mut halted = Vec::new();
    for action in actions {
        // Those of one lost host follow each other; the first start waits for them all.
        if let Action::MarkHalted { vm, loss } = action {
            halted.push((vm, loss));
            continue;
        }
        mark_halted(agent, &db, &std::mem::take(&mut halted))?;
        act(agent, &db, action)?;
    }
    mark_halted(agent, &db, &halted)
}

/// Runs the programs for what the rows just read may say for the first time. What a program for a
/// dead host does, such as taking its locks away, is done before a VM of that host starts.
fn tell_hooks(agent: &Agent) {
    let Some(set) = agent.ha.liveset() else {
        // The session is over, and with it what it said.
        return lock(&agent.wake.inbox).news.clear();
    };
    // What is not shown yet waits. A mastership that took long to begin may find a host back:
    // nothing is true of it any more.
    let due = |news: &News| news.epoch <= set.epoch;
    let due: Vec<News> = {
        let mut inbox = lock(&agent.wake.inbox);
        let (now, later) = std::mem::take(&mut inbox.news).into_iter().partition(due);
        inbox.news = later;
        now
    };
    for hook in [Hook::HostPreDeclareDead, Hook::HostPostDeclareDead] {
        let of_it = due.iter().filter(|it| it.hook == hook && !set.members.contains(&it.host));
        let hosts: Vec<_> = of_it.map(|it| (it.host, it.reason)).collect();
        hooks::around_death(agent, hook, &hosts);
    }
}

fn act(agent: &Arc<Agent>, seen: &Database, action: Action) -> Answer<()> {
    let row = |uuid: Uuid| seen.by_uuid("VM", &uuid.to_string()).unwrap_or("").to_owned();
    match action {
        Action::MarkHalted { vm, loss } => mark_halted(agent, seen, &[(vm, loss)])?,
        // A start that succeeded has recorded this itself.
        Action::MarkRunning { .. } => {}
        Action::ClearIntent { vm } => clear_intent(agent, seen, &row(vm))?,
        Action::SetLoss { vm, loss } => agent.store.commit(|tx| {
            tx.set("VM", &row(vm), "xe_loss", loss.word());
            Ok(())
        })?,
        Action::SetTries { vm, tries } => agent.store.commit(|tx| {
            tx.set("VM", &row(vm), "xe_tries", tries.text());
            Ok(())
        })?,
        Action::SetPromise { host, promise } => {
            let host = seen.by_uuid("host", &host.to_string()).unwrap_or_default().to_owned();
            agent.store.commit(|tx| {
                tx.row("host", &host)?;
                tx.set("host", &host, "xe_promise", recovery::promise_word(promise));
                Ok(())
            })?;
        }
        Action::StayOff { vm } => agent.store.commit(|tx| {
            tx.set("VM", &row(vm), "ha_always_run", false);
            Ok(())
        })?,
        Action::Start { vm, intent } => begin_start(agent, seen, vm, &intent),
        Action::Tell(message) => tell(agent, seen, &message),
        Action::Note { vm, text } => agent.history.note("recovery", &text, json!({ "vm": vm })),
    }
    Ok(())
}

/// How many VMs one transaction records as halted: a record of the journal stays of modest size.
const HALTED_AT_ONCE: usize = 128;

/// Records VMs as halted, but for those whose rows changed since the policy saw them: many in one
/// transaction, for a lost host's VMs wait for each other's records otherwise.
fn mark_halted(agent: &Agent, seen: &Database, vms: &[(Uuid, Loss)]) -> Answer<()> {
    let place = |db: &Database, vm: &str| {
        let text = |field: &str| db.text("VM", vm, field).to_owned();
        (text("resident_on"), text("xe_boot"), db.int("VM", vm, "xe_run"))
    };
    for vms in vms.chunks(HALTED_AT_ONCE) {
        let marked = agent.store.commit(|tx| {
            let mut marked = Vec::new();
            for (uuid, loss) in vms {
                let uuid = uuid.to_string();
                let same = |vm: &&str| place(seen, vm) == place(tx.db(), vm);
                let Some(vm) = seen.by_uuid("VM", &uuid).filter(same) else { continue };
                if let Some(intent) = vm::intent_of(tx.db(), vm) {
                    tx.delete("xe_intent", &intent);
                }
                vm::set_halted(tx, vm);
                tx.set("VM", vm, "xe_loss", loss.word());
                marked.push((vm.to_owned(), uuid));
            }
            Ok(marked)
        })?;
        for (vm, uuid) in marked {
            forsake(agent, &vm);
            let why = "its host is dead or says so";
            agent.history.note("vm-halted", why, json!({ "vm": uuid }));
        }
    }
    Ok(())
}

/// Ends an intent that the policy saw and that is the same still.
fn clear_intent(agent: &Agent, seen: &Database, vm: &str) -> Answer<()> {
    let Some(intent) = vm::intent_of(seen, vm) else { return Ok(()) };
    let was_start = agent.store.commit(|tx| {
        if vm::intent_of(tx.db(), vm).as_ref() != Some(&intent) {
            return Ok(false);
        }
        tx.delete("xe_intent", &intent);
        let nowhere = tx.db().target("VM", vm, "resident_on").is_none();
        if nowhere {
            vm::release(tx, vm);
        }
        Ok(nowhere)
    })?;
    // A move goes on at the source, which lives: whoever makes it ends it there.
    if was_start {
        forsake(agent, vm);
    }
    Ok(())
}

/// Writes the intent row, then starts the VM on a thread of its own and reports what came of it.
fn begin_start(agent: &Arc<Agent>, seen: &Database, uuid: Uuid, intent: &Intent) {
    let vm = seen.by_uuid("VM", &uuid.to_string()).unwrap_or("").to_owned();
    let host = seen.by_uuid("host", &intent.at.host.to_string()).unwrap_or("").to_owned();
    let run = intent.run;
    let failed = |cause: &str| {
        let result = StartResult::Failed(cause.to_owned());
        push(agent, Event::Started { vm: uuid, run, result });
    };
    let pending = match start::prepare(agent, &vm, &host, start::Begin::Boot, "recovery") {
        Ok(pending) => pending,
        Err(failure) => return failed(&failure.code),
    };
    let worker = Arc::clone(agent);
    let work = move || {
        let result = match pending.execute(&worker) {
            Ok(()) => StartResult::Running,
            Err(failure) if super::jobs::is_undecided(&failure) => StartResult::Unknown,
            Err(failure) => StartResult::Failed(failure.code),
        };
        push(&worker, Event::Started { vm: uuid, run, result });
    };
    if std::thread::Builder::new().name("start".to_owned()).spawn(work).is_err() {
        failed("no thread");
    }
}

fn tell(agent: &Agent, db: &Database, told: &Message) {
    let (class, uuid) = match told.about {
        About::Pool => ("Pool", db.text("pool", pool_ref(db).unwrap_or(""), "uuid").to_owned()),
        About::Host(host) => ("Host", host.to_string()),
        About::Vm(vm) => ("VM", vm.to_string()),
    };
    // The policy says what follows from a loss; why the host was lost, the heartbeat knows.
    let body = match told.about {
        About::Host(host) if told.body.is_empty() => ha::view::why_out(agent, host),
        _ => told.body.clone(),
    };
    vm::message(agent, told.name, told.priority, class, &uuid, &body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::{Power, Priority, Vm, example};

    #[test]
    fn a_start_that_could_not_be_begun_is_asked_for_again() {
        let off = |number, order| Vm {
            power: Power::Halted,
            residence: None,
            order,
            ..example::vm(number, 1, Priority::Restart)
        };
        let pool = example::pool(vec![example::host(1, 8)], vec![off(3, 1), off(2, 0)]);
        let mut policy = Recovery::default();
        let starts = |policy: &mut Recovery| {
            let actions = policy.step(Duration::from_secs(1), &pool, Event::Tick);
            actions.iter().filter(|action| matches!(action, Action::Start { .. })).count()
        };
        let failed = attempt(&mut policy, |policy| {
            assert_eq!(starts(policy), 1);
            Err(crate::xenapi::Failure::bare("HA_LOST_STATEFILE"))
        });
        assert!(failed.is_err());
        assert_eq!(starts(&mut policy), 1, "nobody has begun it");
    }
}
