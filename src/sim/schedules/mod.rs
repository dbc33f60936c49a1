//! Random schedules from a seed: families of faults, each of which aims at one kind of race.

mod pen;
mod weights;

use std::collections::BTreeMap;
use std::fmt;

use super::script::Script;
use super::world::{FenceDevice, Setting, Wish};
use crate::heartbeat::timing::{MILLISECOND, SECOND, Timing};
use pen::{Dice, Pen};
use weights::{ADMIN, DISKS, LINKS, STORM};

/// A family of schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// One fault of one host.
    Single,
    /// Faults of all kinds, several at a time.
    Storm,
    /// Two faults at once, and a third at the moment of the decision.
    Duel,
    /// The storage is lost by all, then hosts are.
    Lost,
    /// Statefiles that go back, break, or show what was.
    Disks,
    /// Administrators at bad moments.
    Admin,
    /// Links that work one way, lose, delay and repeat.
    Links,
    /// Hosts that boot, some of them, some together.
    Boots,
    /// Hosts and daemons that stand still for about as long as a lease.
    Pauses,
    /// VMs that are moved and restarted while masters change.
    Guests,
}

use Schedule::{Admin, Boots, Disks, Duel, Guests, Links, Lost, Pauses, Single, Storm};

impl Schedule {
    /// All families.
    pub const ALL: [Schedule; 10] =
        [Single, Storm, Duel, Lost, Disks, Admin, Links, Boots, Pauses, Guests];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Single => "single",
            Storm => "storm",
            Duel => "duel",
            Lost => "lost",
            Disks => "disks",
            Admin => "admin",
            Links => "links",
            Boots => "boots",
            Pauses => "pauses",
            Guests => "guests",
        }
    }

    /// The family of that name.
    pub fn named(word: &str) -> Option<Schedule> {
        Self::ALL.into_iter().find(|schedule| schedule.word() == word)
    }

    fn index(self) -> u64 {
        Self::ALL.iter().position(|other| *other == self).unwrap_or(0) as u64
    }

    /// What that seed is played in, without regard to what was asked for.
    pub fn setting(self, seed: u64) -> Setting {
        let mut dice = Dice::new(seed, self.index() + 100);
        let hosts = match self {
            Single => 2 + (seed % 4) as usize,
            Boots | Lost => 2 + dice.below(4) as usize,
            _ => [2, 3, 3, 3, 4, 5][dice.below(6) as usize],
        };
        let timeout_s = match self {
            Single => [3, 10, 30][(seed % 3) as usize],
            _ => [3, 5, 7, 10, 30][dice.pick(&[6, 4, 3, 2, 1])],
        };
        let plain = self == Single;
        let takes = [1, 3, 40][(seed % 3) as usize] * SECOND;
        let mut setting = Setting {
            statefiles: if plain { 1 } else { [1, 3, 5][dice.pick(&[6, 3, 1])] },
            stop_vms: !plain && dice.below(6) == 0,
            fence_device: (!plain && dice.below(6) == 0).then_some(FenceDevice { takes, fails: 3 }),
            braked: !plain && dice.below(6) == 0,
            vms: if self == Guests || dice.below(2) == 0 { 2 * hosts } else { 0 },
            bytes: seed % 100 == 99,
            ..Setting::of(hosts, timeout_s)
        };
        setting.witness = !plain && dice.below(5) == 0;
        if setting.witness && dice.below(2) == 0 {
            setting.statefiles = 2;
        }
        if self == Guests && dice.below(2) == 0 {
            setting.wishes = wishes(&mut dice, setting.vms);
        }
        setting
    }

    /// The deeds of that seed.
    pub fn script(self, setting: &Setting, seed: u64) -> Script {
        let timing = Timing::new(setting.timeout_s, setting.hosts, 0, 10 * MILLISECOND);
        let ms = |nanos: u64| nanos / MILLISECOND;
        let (s, l, t) = timing.map_or((8000, 2000, 10_000), |t| (ms(t.s), ms(t.l), ms(t.t)));
        let dice = Dice::new(seed, self.index());
        let mut pen = Pen { dice, setting, script: Vec::new(), s, l, t };
        match self {
            Single => pen.single(),
            Storm => pen.chaos(STORM, 40, 4000),
            Duel => pen.duel(),
            Lost => pen.lost(),
            Disks => pen.chaos(DISKS, 24, 3000),
            Admin => pen.chaos(ADMIN, 24, 4000),
            Links => pen.chaos(LINKS, 24, 3000),
            Boots => pen.boots(),
            Pauses => pen.pauses(),
            Guests => pen.guests(),
        }
        pen.script.sort_by_key(|(at, _)| *at);
        pen.script
    }
}

/// VMs with orders, delays and groups of their own.
fn wishes(dice: &mut Dice, vms: usize) -> BTreeMap<usize, Wish> {
    let wish = |vm| Wish {
        order: dice.below(4) as i64,
        delay_s: [0, 0, 2, 15][dice.below(4) as usize],
        group: (dice.below(3) == 0).then(|| dice.below(2)),
        ..Wish::of(vm)
    };
    (0..vms).zip((0..vms).map(wish)).collect()
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
