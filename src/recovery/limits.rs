//! How much the recovery does at once and how often: settings of the pool's other-config.

/// The key of [`Limits::starts_per_host`].
const PER_HOST: &str = "ha-starts-per-host";
/// The key of [`Limits::starts_per_pool`].
const PER_POOL: &str = "ha-starts-per-pool";
/// The key of [`Limits::attempts`].
const ATTEMPTS: &str = "ha-best-effort-attempts";
/// The largest number that is taken.
const MOST: u32 = 1000;

/// The limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Starts in flight on one host.
    pub starts_per_host: usize,
    /// Starts in flight in the pool: all of them read from the same storage.
    pub starts_per_pool: usize,
    /// Attempts for a best-effort VM after the loss of its host, and for a protected one while
    /// nothing is guaranteed.
    pub attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { starts_per_host: 4, starts_per_pool: 32, attempts: 1 }
    }
}

impl Limits {
    /// The limits that a pool's other-config gives; a value that is no number from 1 to 1000
    /// leaves the default.
    pub fn of<'a>(setting: impl Fn(&str) -> Option<&'a str>) -> Self {
        let number = |key: &str, default: u32| {
            let given = setting(key).and_then(|word| word.trim().parse::<u32>().ok());
            given.filter(|number| (1..=MOST).contains(number)).unwrap_or(default)
        };
        let default = Self::default();
        let starts = |key: &str, default: usize| {
            let given = number(key, u32::try_from(default).unwrap_or(MOST));
            usize::try_from(given).unwrap_or(default)
        };
        Self {
            starts_per_host: starts(PER_HOST, default.starts_per_host),
            starts_per_pool: starts(PER_POOL, default.starts_per_pool),
            attempts: number(ATTEMPTS, default.attempts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_nonsense_leaves_the_default() {
        let of = |given: &'static [(&'static str, &'static str)]| {
            Limits::of(|key| given.iter().find(|(known, _)| *known == key).map(|(_, word)| *word))
        };
        assert_eq!(of(&[]), Limits::default());
        let asked = of(&[(PER_HOST, "1"), (PER_POOL, " 16 "), (ATTEMPTS, "3")]);
        assert_eq!(asked, Limits { starts_per_host: 1, starts_per_pool: 16, attempts: 3 });
        for word in ["0", "-1", "many", "1001", ""] {
            let given = [(PER_HOST, word), (PER_POOL, word), (ATTEMPTS, word)];
            let found = Limits::of(|key| {
                given.iter().find(|(known, _)| *known == key).map(|(_, word)| *word)
            });
            assert_eq!(found, Limits::default(), "{word}");
        }
    }
}
