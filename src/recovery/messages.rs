//! The alerts of recovery and planning, with their priorities (1 is critical, 5 information).

use uuid::Uuid;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The pool.
    Pool,
    /// A host.
    Host(Uuid),
    /// A VM.
    Vm(Uuid),
}

/// An alert: a row of class message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name, such as `HA_HOST_FAILED`.
    pub name: &'static str,
    /// Its priority.
    pub priority: i64,
    /// What it is about.
    pub about: About,
    /// More, such as a cause; may be empty.
    pub body: String,
}

impl Message {
    /// A host left the view unannounced.
    pub fn host_failed(host: Uuid) -> Self {
        Self { name: "HA_HOST_FAILED", priority: 3, about: About::Host(host), body: String::new() }
    }

    /// A protected VM could not be restarted; sent once per VM and cause, an error code that more
    /// lines for people may follow.
    pub fn restart_failed(vm: Uuid, cause: &str) -> Self {
        Self {
            name: "HA_PROTECTED_VM_RESTART_FAILED",
            priority: 2,
            about: About::Vm(vm),
            body: cause.to_owned(),
        }
    }

    /// The pool no longer tolerates as many failures as configured.
    pub fn overcommitted() -> Self {
        let name = "HA_POOL_OVERCOMMITTED";
        Self { name, priority: 3, about: About::Pool, body: String::new() }
    }

    /// A host failed while no failure was tolerated: nothing is guaranteed to the VMs it ran.
    pub fn nothing_guaranteed() -> Self {
        let body = "a host failed while the pool tolerated no failure: its protected VMs are \
                    treated as best-effort until the pool tolerates failures again";
        Self { body: body.to_owned(), ..Self::overcommitted() }
    }

    /// The pool tolerates fewer failures than before.
    pub fn drop_in_plan(exists_for: u64) -> Self {
        Self {
            name: "HA_POOL_DROP_IN_PLAN_EXISTS_FOR",
            priority: 3,
            about: About::Pool,
            body: exists_for.to_string(),
        }
    }
}

/// What the pool row says about the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanStatus {
    /// `ha_plan_exists_for`.
    pub exists_for: u64,
    /// `ha_overcommitted`.
    pub overcommitted: bool,
}

/// The alerts of a new plan; only changes for the worse are news.
pub fn plan_messages(before: PlanStatus, after: PlanStatus) -> Vec<Message> {
    let mut messages = Vec::new();
    if after.overcommitted && !before.overcommitted {
        messages.push(Message::overcommitted());
    }
    if after.exists_for < before.exists_for {
        messages.push(Message::drop_in_plan(after.exists_for));
    }
    messages
}
