//! A script of faults and of what administrators do, as a list and as text: one line each, such
//! as `12.5 cut h1 h2`. Times are seconds after the pool has formed.

use std::fmt;

macro_rules! verbs {
    ($($name:ident $word:literal $kinds:literal $what:literal)*) => {
        /// What is done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Verb {
            $(#[doc = $what] $name,)*
        }

        impl Verb {
            /// Every verb.
            pub const ALL: &[Verb] = &[$(Verb::$name),*];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $(Verb::$name => $word,)* }
            }

            /// What it is done to: h a host, d a statefile, v a VM, n a number.
            fn kinds(self) -> &'static str {
                match self { $(Verb::$name => $kinds,)* }
            }

            /// What it does.
            pub fn what(self) -> &'static str {
                match self { $(Verb::$name => $what,)* }
            }
        }
    };
}

verbs! {
    Crash "crash" "h" "the host loses its power"
    Boot "boot" "h" "a host that is down boots"
    Pause "pause" "h" "the whole machine stands still"
    Stall "stall" "h" "its daemon alone stands still"
    Resume "resume" "h" "machine and daemon go on"
    KillDaemon "kill-daemon" "h" "its daemon is killed"
    StartDaemon "start-daemon" "h" "its daemon is started in the same boot"
    KillAgent "kill-agent" "h" "its agent is killed"
    HangAgent "hang-agent" "h" "its agent hangs"
    WakeAgent "wake-agent" "h" "its agent goes on"
    Isolate "isolate" "h" "all its links are cut"
    Rejoin "rejoin" "h" "all its links are healed"
    Cut "cut" "hh" "a link is cut both ways"
    Heal "heal" "hh" "a link is healed both ways"
    CutWay "cut-way" "hh" "a link is cut from the first to the second"
    HealWay "heal-way" "hh" "a link is healed from the first to the second"
    CutBeats "cut-beats" "hh" "heartbeats are lost one way, the agents' calls pass"
    HealBeats "heal-beats" "hh" "heartbeats pass that way again"
    Loss "loss" "n" "packets lost anywhere, in percent"
    Twice "twice" "n" "packets that come twice, in percent"
    Delay "delay" "n" "packets take up to so many milliseconds"
    DiskFails "disk-fails" "h" "its paths to all statefiles fail"
    DiskHangs "disk-hangs" "h" "its paths to all statefiles hang"
    DiskFine "disk-fine" "h" "its paths to all statefiles are fine"
    PathFails "path-fails" "hd" "its path to one statefile fails"
    PathHangs "path-hangs" "hd" "its path to one statefile hangs"
    PathFine "path-fine" "hd" "its path to one statefile is fine"
    Tear "tear" "h" "its next write breaks off"
    BreakWatchdog "break-watchdog" "h" "its watchdog takes no new time any more"
    MendWatchdog "mend-watchdog" "h" "its watchdog takes a new time again"
    OtherProtocol "other-protocol" "h" "from its next start on its daemon is of another protocol"
    SameProtocol "same-protocol" "h" "from its next start on its daemon is of the pool's protocol"
    Forget "forget" "h" "while it is down its files lose that it takes part in HA"
    GoBack "go-back" "h" "while it is down its files become those of the session before"
    Copy "copy" "h" "a copy of its machine, disk and all, is started beside it"
    Late "late" "hn" "its writes land up to so many milliseconds late"
    Freeze "freeze" "hd" "its reads show what the statefile holds now"
    Thaw "thaw" "hd" "its reads are fresh again"
    Rewind "rewind" "dn" "a statefile goes back by so many seconds"
    Scramble "scramble" "hd" "its blocks on a statefile become unreadable"
    SwitchOn "switch-on" "h" "asked there: HA on for the pool, step by step"
    SwitchOff "switch-off" "h" "asked there: HA off for the pool, step by step"
    Emergency "emergency" "h" "emergency disable there, step by step"
    ShutDown "shut-down" "h" "its VMs are shut down, then it leaves and goes down"
    OffPending "off-pending" "h" "asked there: no failover decisions any more"
    Off "off" "h" "asked there: HA off"
    On "on" "h" "asked there: HA on again"
    Disarm "disarm" "h" "its daemon is to disarm alone"
    DisarmForce "disarm-force" "h" "its daemon disarms at once, whoever knows"
    Leave "leave" "h" "its VMs are shut down, then it leaves cleanly"
    Stay "stay" "h" "the wish to leave is taken back"
    Declare "declare" "hh" "asked at the first: the second is dead"
    HandOver "hand-over" "hh" "the first gives the mastership to the second"
    ProposeMaster "propose-master" "h" "it asks to be master"
    ReleaseBrake "release-brake" "h" "a braked host need not wait any more"
    EndVm "end-vm" "v" "a guest ends by itself"
    CrashVm "crash-vm" "v" "a guest crashes, and its host says so"
    ShutVm "shut-vm" "v" "a guest switches itself off, and its host says so"
    StopVm "stop-vm" "v" "a user shuts a VM down, or ends its waiting"
    Unprotect "unprotect" "v" "a user takes a VM's priority away"
    DeleteVm "delete-vm" "v" "a user deletes a VM's record"
    BreakVm "break-vm" "vh" "a VM cannot be started on a host"
    MendVm "mend-vm" "vh" "a VM can be started on a host again"
    LoopVm "loop-vm" "vn" "a VM crashes so many seconds after each start; 0 ends that"
    Disable "disable" "h" "nothing may be started on a host"
    Enable "enable" "h" "VMs may be started on a host again"
    Tolerate "tolerate" "n" "the pool tolerates so many failures"
    MoveVm "move-vm" "vh" "a VM is moved to a host"
    EndWitness "end-witness" "" "the witness ends"
    StartWitness "start-witness" "" "the witness starts again"
    CutWitness "cut-witness" "h" "it does not reach the witness"
    HealWitness "heal-witness" "h" "it reaches the witness again"
    ForgeOff "forge-off" "h" "it hears that HA is off, from somebody without the key"
    Calm "calm" "" "all faults end"
}

/// One thing done to something; hosts, statefiles and VMs count from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed {
    /// What.
    pub verb: Verb,
    /// To what, and how much; zero where the verb wants less.
    pub args: [u64; 2],
}

impl Deed {
    /// A deed.
    pub fn new(verb: Verb, a: usize, b: usize) -> Self {
        Deed { verb, args: [a as u64, b as u64] }
    }

    /// Reads a deed from words such as `cut h1 h2`.
    pub fn parse(words: &[&str]) -> Result<Deed, String> {
        let (word, rest) = words.split_first().ok_or("a verb is missing")?;
        let verb = Verb::ALL.iter().find(|verb| verb.word() == *word);
        let verb = *verb.ok_or_else(|| format!("{word} is no verb"))?;
        if rest.len() != verb.kinds().len() {
            return Err(format!("{word} takes {} words", verb.kinds().len()));
        }
        let mut args = [0; 2];
        for ((arg, kind), word) in args.iter_mut().zip(verb.kinds().chars()).zip(rest) {
            *arg = argument(kind, word).ok_or_else(|| format!("{word} was not understood"))?;
        }
        Ok(Deed { verb, args })
    }

    /// Whether everything that it names is there.
    pub fn fits(&self, hosts: usize, statefiles: usize, vms: usize) -> bool {
        self.verb.kinds().chars().zip(self.args).all(|(kind, arg)| match kind {
            'h' => arg < hosts as u64,
            'd' => arg < statefiles as u64,
            'v' => arg < vms as u64,
            _ => true,
        })
    }
}

fn argument(kind: char, word: &str) -> Option<u64> {
    match kind {
        'h' => word.strip_prefix('h')?.parse::<u64>().ok()?.checked_sub(1),
        'd' => word.strip_prefix('s')?.parse::<u64>().ok()?.checked_sub(1),
        'v' => word.strip_prefix("vm")?.parse().ok(),
        _ => word.parse().ok(),
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb.word())?;
        for (kind, arg) in self.verb.kinds().chars().zip(self.args) {
            match kind {
                'h' => write!(f, " h{}", arg + 1)?,
                'd' => write!(f, " s{}", arg + 1)?,
                'v' => write!(f, " vm{arg}")?,
                _ => write!(f, " {arg}")?,
            }
        }
        Ok(())
    }
}

/// Deeds with their times in milliseconds after the pool has formed, in order.
pub type Script = Vec<(u64, Deed)>;

/// A time in seconds as milliseconds.
pub fn time(word: &str) -> Option<u64> {
    let (whole, part) = word.split_once('.').unwrap_or((word, "0"));
    let digits = part.len() <= 3 && part.chars().all(|c| c.is_ascii_digit());
    let part: u64 = format!("{part:0<3}").parse().ok().filter(|_| digits)?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

/// A script as text, one deed a line.
pub fn text(script: &Script) -> String {
    let line = |(at, deed): &(u64, Deed)| format!("{}.{:03} {deed}\n", at / 1000, at % 1000);
    script.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deed_is_read_back_from_its_text() {
        for verb in Verb::ALL {
            let deed = Deed { verb: *verb, args: [1, 2] };
            let printed = deed.to_string();
            let read = Deed::parse(&printed.split(' ').collect::<Vec<_>>()).unwrap();
            assert_eq!(read.to_string(), printed);
            assert!(!verb.what().is_empty());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [&["fly"][..], &["cut", "h1"], &["crash", "h0"], &["crash", "3"], &[]] {
            assert!(Deed::parse(words).is_err(), "{words:?}");
        }
        assert_eq!((time("12"), time("12.5"), time("12.0625")), (Some(12_000), Some(12_500), None));
    }
}
