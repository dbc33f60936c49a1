//! The words of the command line.

use std::ops::Range;

use crate::heartbeat::variant::Variant;
use crate::sim::campaign::Wanted;
use crate::sim::schedules::Schedule;

/// Most hosts of a simulated pool.
const MOST_HOSTS: usize = 64;
/// Most VMs.
const MOST_VMS: usize = 10_000;

/// Everything that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Words {
    /// Seeds.
    pub(super) seeds: Option<Range<u64>>,
    /// What replaces the seed's own choice.
    pub(super) wanted: Wanted,
    /// One family only.
    pub(super) only: Option<Schedule>,
    /// Threads.
    pub(super) jobs: Option<u64>,
    /// One object instead of lines.
    pub(super) json: bool,
    /// The VMs of a pool.
    pub(super) vms: Option<usize>,
    /// The hosts of it that die.
    pub(super) dies: Option<usize>,
    pub(super) safety_only: bool,
    /// The deeds that are not left out.
    pub(super) keep: Option<Vec<usize>>,
    /// Most seeds for one variant.
    pub(super) most_seeds: Option<u64>,
    /// What stands alone.
    pub(super) names: Vec<String>,
}

/// Reads them.
pub(super) fn parse(words: &[String]) -> Result<Words, String> {
    let mut found = Words::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--safety-only" {
            found.safety_only = true;
            continue;
        }
        if word == "--json" {
            found.json = true;
            continue;
        }
        if !word.starts_with("--") {
            found.names.push(word.clone());
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{word} has no value"))?;
        take(&mut found, word, value)
            .ok_or_else(|| format!("{word} {value} was not understood"))?;
    }
    Ok(found)
}

fn take(found: &mut Words, word: &str, value: &str) -> Option<()> {
    let wanted = &mut found.wanted;
    match word {
        "--seeds" => found.seeds = Some(range(value)?),
        "--hosts" => {
            let hosts = value.parse().ok().filter(|n| (2..=MOST_HOSTS).contains(n));
            wanted.hosts = Some(hosts?);
        }
        "--timeout" => wanted.timeout_s = Some(value.parse().ok()?),
        "--statefiles" => wanted.statefiles = Some(value.parse().ok()?),
        "--variant" => wanted.variant = Some(variant(value)?),
        "--only" => match Schedule::named(value) {
            Some(schedule) => found.only = Some(schedule),
            None => wanted.variant = Some(variant(value)?),
        },
        "--vms" => found.vms = Some(value.parse().ok().filter(|n| *n <= MOST_VMS)?),
        "--dies" => found.dies = Some(value.parse().ok()?),
        "--jobs" => found.jobs = Some(value.parse().ok().filter(|jobs| *jobs > 0)?),
        "--most-seeds" => found.most_seeds = Some(value.parse().ok()?),
        "--keep" => {
            let numbers: Result<Vec<usize>, _> =
                value.split(',').filter(|word| !word.is_empty()).map(str::parse).collect();
            found.keep = Some(numbers.ok()?);
        }
        _ => return None,
    }
    Some(())
}

/// The variant of that name.
pub(super) fn variant(word: &str) -> Option<Variant> {
    Variant::ALL.iter().find(|variant| variant.word() == word).copied()
}

/// Reads `A..B`; an empty range is none.
fn range(text: &str) -> Option<Range<u64>> {
    let (first, end) = text.split_once("..")?;
    let range = first.parse().ok()?..end.parse().ok()?;
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Words, String> {
        parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_words_are_read() {
        let found = asked("--seeds 2..5 --hosts 3 --timeout 10 --json --only duel").unwrap();
        assert_eq!((found.seeds, found.json, found.only), (Some(2..5), true, Some(Schedule::Duel)));
        assert_eq!((found.wanted.hosts, found.wanted.timeout_s), (Some(3), Some(10)));
        assert_eq!(asked("7:duel --keep 1,4").unwrap().keep, Some(vec![1, 4]));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "--seeds 5..5",
            "--seeds 5..2",
            "--seeds x",
            "--hosts 1",
            "--hosts 65",
            "--vms 10001",
            "--dies many",
            "--timeout",
            "--what 3",
            "--only nothing",
            "--jobs 0",
        ] {
            assert!(asked(line).is_err(), "{line}");
        }
    }
}
