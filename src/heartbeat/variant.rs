//! Deliberately wrong variants of the rules, for the proof that the simulator and the explorer
//! can fail. Without the feature `wrong-variants` none of them can be switched on, and the
//! compiler removes every trace of them. Where a second rule stands behind the broken one, that is
//! said here with the argument ([`Variant::covered`]).

macro_rules! variants {
    ($($name:ident $word:literal $what:literal)*) => {
        /// One rule broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Variant {
            $(#[doc = $what] $name,)*
        }

        impl Variant {
            /// Every variant.
            pub const ALL: &[Variant] = &[$(Variant::$name),*];

            /// Its name on the command line.
            pub fn word(self) -> &'static str {
                match self { $(Variant::$name => $word,)* }
            }

            /// What is broken.
            pub fn what(self) -> &'static str {
                match self { $(Variant::$name => $what,)* }
            }
        }
    };
}

impl Variant {
    /// Why breaking that rule alone harms nobody, for those that stand behind another one. They
    /// are not counted: no situation of the model can show them.
    pub fn covered(self) -> Option<&'static str> {
        match self {
            // Nothing renews between the echo and the view: both are taken in one step, and the
            // view leaves the host without a right to renew. A packet without the view comes only
            // from who knows that the receiver has it.
            Variant::EchoBeforeView => Some("whoever has decided a host out echoes it no more"),
            // The echo is worth nothing to its receiver, who has taken the view from the same
            // packet, or takes nothing of a packet of an epoch that it does not know.
            Variant::EchoesTheExcluded => Some("a receiver takes the view before the echo"),
            // The proposer's own round trip with a host is never newer than that host's last
            // report. Who has said nothing for G is out by that, whatever it last said of others;
            // before that its ages are wrong by less than G.
            Variant::StaleAgesTrusted => Some("silent hosts are out by the own round trip"),
            // The watchdog is programmed to the end of the lease, rounded down, and a step looks
            // at the lease before anything else: nobody is there to act when it is over. It would
            // show with a watchdog that does not fire, which the model rules out.
            Variant::NoLeaseCheck => Some("the watchdog fires by the end of the lease"),
            // A block that stood still while its host lived by a majority has moved before the way
            // back began, or is not counted on: the storage is back by signs begun under the view
            // in force, or a majority has had it for S, and then the still one is decided out while
            // the proof still needs a majority's words.
            Variant::NoFloor => Some("who has no disk is out before the way back is over"),
            _ => None,
        }
    }
}

variants! {
    ExcludeOneBeatEarly "exclude-one-beat-early"
        "the deadline of section 5 is two beats early (R5.1)"
    NoMargin "no-margin" "the deadline of section 5 has no margin for clock rates (R5.1)"
    RenewFromCycleEnd "renew-from-cycle-end" "disk evidence is dated by the end of the cycle (R2.3)"
    EvidenceByReception "evidence-by-reception" "network evidence is dated by its reception (R2.2)"
    EchoBeforeView "echo-before-view" "an echo counts before the view in the same packet (R2.1)"
    EchoesTheExcluded "echoes-the-excluded" "a host decided out is echoed on (R2.2)"
    OldEpochAccepted "old-epoch-accepted" "an older view is taken over (R3.1)"
    BallotTie "ballot-tie" "ballots are compared by number alone (R3.2)"
    ForeignValueDropped "foreign-value-dropped" "the value accepted before is not taken over (R3.2)"
    PhaseOneSkipped "phase-one-skipped" "a value is accepted without a promise (R3.2)"
    DecidedUnread "decided-unread" "a value is decided without the second read (R3.2)"
    NoBackOff "no-back-off" "proposers bid again at once (R3.2)"
    ViewsUndecided "views-undecided" "a membership is computed and used, not decided (R3.1)"
    StaleAgesTrusted "stale-ages-trusted" "the ages that peers report do not grow (R3.3)"
    ExcludedRenews "excluded-renews" "a host left out renews again (R3.4)"
    RenewsWithoutAll "renews-without-all" "evidence of a majority renews in disk mode (R4.1)"
    RenewsWithoutDisk "renews-without-disk" "no disk evidence is needed (R4.1)"
    LeaseFromNow "lease-from-now" "a renewal gives a lease from now on (R4.2)"
    WatchdogFromNow "watchdog-from-now" "the watchdog is set to T from now on (R4.3)"
    NoLeaseCheck "no-lease-check" "the master acts without a look at its lease (R4.4)"
    UnarmedPresumedDead "unarmed-presumed-dead" "an unarmed host is presumed dead (R5)"
    SessionIsBoot "session-is-boot" "a new session of the same boot counts as a reboot (R5.3b)"
    ReadBeforeDeadline "read-before-deadline"
        "a read begun before the deadline proves a death (R5.2)"
    StillOneAfterTheOther "still-one-after-the-other"
        "statefiles on which a block stood still at different times prove a death (R5.2)"
    NoFloor "no-floor" "a host admitted late judges at once (R5.2)"
    TombstoneFirst "tombstone-first" "the tombstone is written before the watchdog is cut (R5.4)"
    ActsBesideOldMaster "acts-beside-old-master" "a master acts while an earlier one lives (R6.1)"
    BootsUnordered "boots-unordered" "a boot number is taken again (R2.5)"
    BootsUnkept "boots-unkept" "boot numbers are counted by the statefiles alone (R2.5)"
    BallotsForgotten "ballots-forgotten" "a new boot starts with no ballots (R2.5)"
    FormsByMinority "forms-by-minority" "any booted host forms a view (R7.2)"
    FormsAtOnce "forms-at-once" "booted hosts form without a wait (R7.2)"
    DisarmsUnheard "disarms-unheard" "an emergency disable does not wait for echoes (R9.3)"
    OffUnsigned "off-unsigned" "an off record without the key is taken over (R9.2)"
    AnyDiskLives "any-disk-lives" "one of three statefiles renews the own lease (R2.3)"
    RewoundDiskTrusted "rewound-disk-trusted" "a disk that went back in time is trusted (R2.4)"
    EntersAlone "enters-alone" "network mode is entered on the own promise (R8.2)"
    PromiseBroken "promise-broken" "a promised host decides by disk (R8.2)"
    PromiseForgotten "promise-forgotten" "promises and votes do not outlive a boot (R8.2)"
    HalfIsEnough "half-is-enough" "half of the members live on in network mode (R8.3)"
    OneWordIsEnough "one-word-is-enough" "one member's word excludes in network mode (R5.1)"
    ReturnsAlone "returns-alone" "a host goes back to the disk by itself (R8.3)"
    DeclaredThoughSeen "declared-though-seen"
        "the operator's word stands against a life that shows itself (R5.3e)"
    FenceWordForAnyLife "fence-word-for-any-life"
        "the fence device's word counts for whatever life has left since (R5.3d)"
    RecordGoesBack "record-goes-back"
        "a boot that reads a statefile gone back in time forgets what was kept (R2.4)"
    BlankIsOff "blank-is-off"
        "an armed host that reads no view in the statefile runs without HA (R9.1)"
    UnarmedStarts "unarmed-starts" "an unarmed host starts VMs (R5)"
    BarrierSkipped "barrier-skipped" "a new master does not ask what runs (R6.3)"
    OwnerRowSkipped "owner-row-skipped" "a migration lets its target run first (R6.4)"
    StaleCommand "stale-command" "a command of an older epoch is carried out (R6.1)"
    MissingIsHalted "missing-is-halted" "a missing report is taken for halted (R6.5)"
}
