//! How the scripts of the families are written.

use super::weights::Weights;
use crate::sim::script::{Deed, Script, Verb};
use crate::sim::world::Setting;

/// Random numbers that have nothing to do with the world's own.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, salt: u64) -> Self {
        Dice(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ salt.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(super) fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below.max(1)
    }

    /// A place, by weight.
    pub(super) fn pick(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            if left < *weight {
                return place;
            }
            left -= weight;
        }
        0
    }
}

/// What guests and users do while VMs are being recovered.
const PEOPLE: [Verb; 9] = [
    Verb::CrashVm,
    Verb::ShutVm,
    Verb::StopVm,
    Verb::BreakVm,
    Verb::MendVm,
    Verb::LoopVm,
    Verb::Disable,
    Verb::Enable,
    Verb::Tolerate,
];

/// Writes a script.
pub(super) struct Pen<'a> {
    pub(super) dice: Dice,
    pub(super) setting: &'a Setting,
    pub(super) script: Script,
    /// S, L and T in milliseconds.
    pub(super) s: u64,
    pub(super) l: u64,
    pub(super) t: u64,
}

impl Pen<'_> {
    fn at(&mut self, at: u64, verb: Verb, a: usize, b: usize) {
        self.script.push((at, Deed::new(verb, a, b)));
    }

    fn host(&mut self) -> usize {
        self.dice.below(self.setting.hosts as u64) as usize
    }

    fn disk(&mut self) -> usize {
        self.dice.below(self.setting.statefiles as u64) as usize
    }

    fn vm(&mut self) -> usize {
        self.dice.below(self.setting.vms as u64) as usize
    }

    /// A random deed of that kind; where there is a witness, now and then one to that.
    fn any(&mut self, at: u64, verb: Verb) {
        const WITNESS: [Verb; 4] =
            [Verb::EndWitness, Verb::StartWitness, Verb::CutWitness, Verb::HealWitness];
        if self.setting.witness && self.dice.below(5) == 0 {
            let (verb, host) = (WITNESS[self.dice.below(4) as usize], self.host());
            self.at(at, verb, host, 0);
        }
        let (a, b) = match verb {
            Verb::Loss | Verb::Twice => ([0, 0, 20, 60][self.dice.below(4) as usize], 0),
            Verb::Delay => ([0, 0, 500, 4000][self.dice.below(4) as usize], 0),
            Verb::Late => (self.host(), [0, 0, 300, 4000][self.dice.below(4) as usize]),
            Verb::Rewind => (self.disk(), 1 + self.dice.below(40) as usize),
            Verb::EndVm | Verb::CrashVm | Verb::ShutVm | Verb::StopVm => (self.vm(), 0),
            Verb::MoveVm | Verb::BreakVm | Verb::MendVm => (self.vm(), self.host()),
            Verb::LoopVm => (self.vm(), [0, 1, 7, 40][self.dice.below(4) as usize]),
            Verb::Tolerate => (self.dice.below(self.setting.hosts as u64) as usize, 0),
            Verb::PathFails
            | Verb::PathHangs
            | Verb::PathFine
            | Verb::Freeze
            | Verb::Thaw
            | Verb::Scramble => (self.host(), self.disk()),
            _ => (self.host(), self.host()),
        };
        self.at(at, verb, a, b);
    }

    pub(super) fn chaos(&mut self, weights: Weights, most: u64, gap: u64) {
        let count = most / 3 + self.dice.below(most);
        let mut at = self.dice.below(2 * self.t);
        let odds: Vec<u64> = weights.iter().map(|(_, weight)| *weight).collect();
        for _ in 0..count {
            at += match self.dice.below(5) {
                0 => self.dice.below(100),
                1 => self.s / 2 + self.dice.below(self.s),
                _ => self.dice.below(gap),
            };
            let verb = weights[self.dice.pick(&odds)].0;
            self.any(at, verb);
            if verb == Verb::DiskFails && self.dice.below(3) == 0 {
                (0..self.setting.hosts).for_each(|host| self.at(at + 10, verb, host, 0));
            }
        }
    }

    pub(super) fn single(&mut self) {
        let at = self.t + self.dice.below(5000);
        let victim = self.host();
        let mut faults = vec![Verb::Crash, Verb::DiskFails, Verb::DiskHangs, Verb::KillDaemon];
        faults.extend([Verb::Pause, Verb::Stall]);
        if self.setting.hosts > 2 {
            faults.push(Verb::Isolate);
        }
        let verb = faults[self.dice.below(faults.len() as u64) as usize];
        self.at(at, verb, victim, 0);
    }

    pub(super) fn duel(&mut self) {
        let begin = self.t + self.dice.below(self.t);
        let faults = [Verb::Isolate, Verb::CutWay, Verb::Cut, Verb::Cut, Verb::DiskFails];
        for _ in 0..2 + self.dice.below(2) {
            let verb = faults[self.dice.below(5) as usize];
            let at = begin + self.dice.below(300);
            self.any(at, verb);
        }
        let later = [Verb::Crash, Verb::Isolate, Verb::Cut, Verb::DiskHangs, Verb::Stall];
        let decision = begin + self.s;
        for _ in 0..1 + self.dice.below(3) {
            let verb = later[self.dice.below(5) as usize];
            let at = decision + self.dice.below(self.l);
            self.any(at, verb);
        }
        let heals = [Verb::Rejoin, Verb::DiskFine, Verb::Heal, Verb::Boot, Verb::Resume];
        for _ in 0..6 {
            let verb = heals[self.dice.below(5) as usize];
            let at = decision + self.dice.below(2 * self.t);
            self.any(at, verb);
        }
    }

    pub(super) fn lost(&mut self) {
        let begin = self.t + self.dice.below(self.t);
        for host in 0..self.setting.hosts {
            let at = begin + self.dice.below(400);
            let verb = if self.dice.below(3) == 0 { Verb::DiskHangs } else { Verb::DiskFails };
            self.at(at, verb, host, 0);
        }
        let verbs = [
            Verb::Crash,
            Verb::Boot,
            Verb::Boot,
            Verb::Isolate,
            Verb::Rejoin,
            Verb::Cut,
            Verb::CutWay,
            Verb::Heal,
            Verb::DiskFine,
            Verb::PathFine,
            Verb::DiskFails,
            Verb::Pause,
            Verb::Resume,
            Verb::Rewind,
            Verb::HandOver,
            Verb::Disarm,
        ];
        let mut at = begin + self.s / 2;
        for _ in 0..4 + self.dice.below(14) {
            let gap = if self.dice.below(3) == 0 { self.t } else { self.l };
            at += self.dice.below(gap);
            let verb = verbs[self.dice.below(verbs.len() as u64) as usize];
            self.any(at, verb);
        }
    }

    pub(super) fn boots(&mut self) {
        let mut at = self.t + self.dice.below(self.t);
        for _ in 0..2 + self.dice.below(3) {
            let whole = self.dice.below(2) == 0;
            for host in 0..self.setting.hosts {
                if whole || self.dice.below(2) == 0 {
                    let when = at + self.dice.below(if whole { 500 } else { self.t });
                    self.at(when, Verb::Crash, host, 0);
                }
            }
            let cut = [Verb::Cut, Verb::CutWay, Verb::Isolate, Verb::DiskHangs, Verb::Heal];
            for _ in 0..self.dice.below(4) {
                let verb = cut[self.dice.below(5) as usize];
                self.any(at, verb);
            }
            at += 500 + self.dice.below(self.t);
            for _ in 0..1 + self.dice.below(2 * self.setting.hosts as u64) {
                at += self.dice.below(self.t);
                self.any(at, Verb::Boot);
            }
            let heal = [Verb::Rejoin, Verb::DiskFine, Verb::Heal, Verb::Declare, Verb::Rejoin];
            for _ in 0..self.dice.below(5) {
                at += self.dice.below(self.s);
                let verb = heal[self.dice.below(5) as usize];
                self.any(at, verb);
            }
            at += self.dice.below(2 * self.t);
        }
    }

    pub(super) fn pauses(&mut self) {
        let mut at = self.t;
        for _ in 0..3 + self.dice.below(6) {
            let verb = if self.dice.below(2) == 0 { Verb::Pause } else { Verb::Stall };
            let host = self.host();
            self.at(at, verb, host, 0);
            if self.dice.below(3) == 0 {
                self.any(at, Verb::Stall);
            }
            if self.dice.below(3) == 0 {
                self.any(at + self.s, Verb::Isolate);
            }
            let long = match self.dice.below(4) {
                0 => self.dice.below(self.s),
                1 => self.s + self.dice.below(self.l),
                2 => self.t - 200 + self.dice.below(400),
                _ => self.t + self.dice.below(self.t),
            };
            self.at(at + long, Verb::Resume, host, 0);
            at += long + self.dice.below(self.t);
            self.any(at, Verb::Rejoin);
            self.any(at, Verb::Boot);
            self.any(at, Verb::Resume);
        }
    }

    pub(super) fn guests(&mut self) {
        let mut at = self.t;
        let slow = self.dice.below(2) == 0;
        if slow {
            self.at(at, Verb::Delay, 3000, 0);
        }
        for _ in 0..4 + self.dice.below(8) {
            let (victim, other) = (self.host(), self.host());
            let begin = at;
            match self.dice.below(6) {
                0 => self.at(at, Verb::Crash, victim, 0),
                1 => self.any(at, Verb::MoveVm),
                2 => self.at(at, Verb::HandOver, victim, other),
                3 => self.any(at, Verb::EndVm),
                4 => self.any(at, Verb::CutBeats),
                _ => self.any(at, Verb::Isolate),
            }
            let next = [Verb::HandOver, Verb::MoveVm, Verb::KillAgent, Verb::HangAgent, Verb::Cut];
            for _ in 0..self.dice.below(4) {
                let verb = next[self.dice.below(5) as usize];
                let when = begin + self.dice.below(self.t + 6000);
                self.any(when, verb);
            }
            for _ in 0..self.dice.below(4) {
                let verb = PEOPLE[self.dice.below(PEOPLE.len() as u64) as usize];
                let when = begin + self.dice.below(self.t + 6000);
                self.any(when, verb);
            }
            let calm = [Verb::Boot, Verb::Rejoin, Verb::WakeAgent, Verb::Heal, Verb::HealBeats];
            for _ in 0..self.dice.below(6) {
                let verb = calm[self.dice.below(5) as usize];
                let when = begin + self.s + self.dice.below(self.t + 5000);
                self.any(when, verb);
            }
            at += self.dice.below(self.t + 8000);
        }
    }
}
