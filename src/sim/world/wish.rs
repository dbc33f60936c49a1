//! What a VM of the world is like, where it is not like the others.

use crate::recovery::Power;

/// How a VM is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// `ha_restart_priority`.
    pub priority: &'static str,
    /// `order`.
    pub order: i64,
    /// `start_delay` in seconds.
    pub delay_s: u64,
    /// Its memory in GiB.
    pub size: u64,
    /// The host that it is on at first.
    pub on: Option<usize>,
    /// The hosts that can run it; all when there are none.
    pub only: Vec<usize>,
    /// Its anti-affinity group.
    pub group: Option<u64>,
    /// Its state at first.
    pub power: Power,
    /// It is a template.
    pub template: bool,
}

impl Wish {
    /// The VM of that number, unless something else is said: one of four is best-effort, and the
    /// odd ones are of order 1.
    pub fn of(vm: usize) -> Self {
        Wish {
            priority: if vm % 4 == 3 { "best-effort" } else { "restart" },
            order: (vm % 2) as i64,
            delay_s: 0,
            size: 1,
            on: None,
            only: Vec::new(),
            group: None,
            power: Power::Running,
            template: false,
        }
    }

    /// Whether it runs when the world begins.
    pub(super) fn begins_up(&self) -> bool {
        !self.template && matches!(self.power, Power::Running | Power::Paused)
    }

    /// Takes words such as `order=2`, `delay=30`, `size=4`, `priority=none`, `on=h1`,
    /// `only=h1,h2`, `group=1`, `paused`, `suspended`, `template`.
    pub fn take(&mut self, words: &[&str]) -> Result<(), String> {
        for word in words {
            self.take_one(word).ok_or_else(|| format!("{word} was not understood"))?;
        }
        Ok(())
    }

    fn take_one(&mut self, word: &str) -> Option<()> {
        let host = |name: &str| name.strip_prefix('h')?.parse::<usize>().ok()?.checked_sub(1);
        match word.split_once('=').unwrap_or((word, "")) {
            ("order", n) => self.order = n.parse().ok()?,
            ("delay", n) => self.delay_s = n.parse().ok()?,
            ("size", n) => self.size = n.parse().ok()?,
            ("group", n) => self.group = Some(n.parse().ok()?),
            ("priority", "restart") => self.priority = "restart",
            ("priority", "best-effort") => self.priority = "best-effort",
            ("priority", "none") => self.priority = "",
            ("on", name) => self.on = Some(host(name)?),
            ("only", names) => self.only = names.split(',').map(host).collect::<Option<_>>()?,
            ("paused", "") => self.power = Power::Paused,
            ("suspended", "") => self.power = Power::Suspended,
            ("template", "") => self.template = true,
            _ => return None,
        }
        Some(())
    }
}
