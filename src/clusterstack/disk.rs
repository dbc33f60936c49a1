//! The statefile while no session runs here: is it this session's, what does it say, and the
//! initial state.

use super::config::Config;
use super::exit::{Exit, Failure};
use super::key::KeyText;
use crate::heartbeat::view::MOST_HOSTS;
use crate::xhad::control::PoolState;
use crate::xhad::statefile;

/// The state of the pool as the statefile shows it: 8 when it cannot be read, 9 when it holds
/// something else, 10 when it is another session's.
pub fn pool_state(config: &Config, key: &KeyText) -> Result<PoolState, Failure> {
    let found = statefile::generation(&config.statefile)?;
    if found != config.generation {
        let sentence = format!(
            "{} belongs to generation {found}, the configuration to {}",
            config.statefile.display(),
            config.generation
        );
        return Err(Failure::new(Exit::Generation, sentence));
    }
    let (state, _) = statefile::read_pool_state(&config.statefile, &key.key()?)?;
    Ok(state)
}

/// Writes the initial state for the hosts of the configuration over whatever is there: 7 when
/// the heartbeat cannot hold so many, 9 when the statefile is too small for them.
pub fn format(config: &Config, key: &KeyText) -> Result<(), Failure> {
    let count = config.hosts.len();
    if count > MOST_HOSTS {
        let sentence = format!("{count} hosts are named; this heartbeat holds {MOST_HOSTS}");
        return Err(Failure::new(Exit::ConfigInvalid, sentence));
    }
    let hosts: Vec<_> = config.hosts.iter().map(|host| host.uuid).collect();
    statefile::prepare(&config.statefile, config.generation, &key.key()?, &hosts)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clusterstack::key;

    /// The bytes of the smallest statefile that the toolstack makes.
    const SMALLEST: u64 = 4096 * 65;

    /// Formats a statefile of that size for so many hosts.
    fn formatted(count: u128) -> Result<(), Failure> {
        let host = |n: u128| {
            let (uuid, low) = (Uuid::from_u128(n), n as u8);
            format!("<host><HostID>{uuid}</HostID><IPaddress>10.0.0.{low}</IPaddress></host>")
        };
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(SMALLEST).unwrap();
        let text = format!(
            "<xhad-config version=\"1.0\"><common-config><GenerationUUID>{}</GenerationUUID>\
             <UDPport>694</UDPport>{}</common-config><local-config><localhost><HostID>{}</HostID>\
             <HeartbeatInterface>x</HeartbeatInterface><StateFile>{}</StateFile></localhost>\
             </local-config></xhad-config>",
            Uuid::from_u128(9),
            (1..=count).map(host).collect::<String>(),
            Uuid::from_u128(1),
            disk.path().display()
        );
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "0123456789abcdef").unwrap();
        let config = Config::parse(&text)?;
        let key = key::of_pool(token.path(), config.generation)?;
        format(&config, &key)?;
        assert_eq!(pool_state(&config, &key), Ok(PoolState::Init));
        Ok(())
    }

    #[test]
    fn what_the_toolstacks_statefile_cannot_hold_is_refused_with_the_numbers() {
        assert_eq!(formatted(16), Ok(()));
        for count in 1..=64 {
            let fits = statefile::needed_bytes(count) <= SMALLEST && count <= MOST_HOSTS;
            match formatted(count as u128) {
                Ok(()) => assert!(fits, "{count} hosts"),
                Err(failure) => {
                    let codes = [Exit::StatefileInvalid, Exit::ConfigInvalid];
                    assert!(!fits && codes.contains(&failure.exit), "{count} hosts: {failure}");
                    let numbers = ["266240", &format!("{count} hosts")];
                    assert!(numbers.iter().any(|n| failure.sentence.contains(*n)), "{failure}");
                }
            }
        }
    }
}
