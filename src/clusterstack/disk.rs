//! The statefile while no session runs here: is it this session's, what does it say, and the
//! initial state.

use super::config::Config;
use super::exit::{Exit, Failure};
use super::key::KeyText;
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

/// Writes the initial state for the hosts of the configuration over whatever is there.
pub fn format(config: &Config, key: &KeyText) -> Result<(), Failure> {
    let hosts: Vec<_> = config.hosts.iter().map(|host| host.uuid).collect();
    statefile::prepare(&config.statefile, config.generation, &key.key()?, &hosts)?;
    Ok(())
}
