//! HA paused: off by a decided view for some time, then on again as it was.
//!
//! Fencing cannot be held back while others may restart a host's VMs: a host that is cut off during
//! a pause would run them on while the master starts them elsewhere. So a pause is a planned "off":
//! nobody is armed, nobody is presumed dead, nothing is restarted, and an unknown VM is never taken
//! for halted. The pool's database remembers until when and with which settings; its master
//! switches HA on again with every check of a normal enable, and tries again for as long as one
//! fails. Meanwhile a lost master is replaced by nobody, as always without HA.

use super::{disable, enable};
use crate::agent::{Agent, pool_ref, vm, words};
use crate::pool::Database;
use crate::pool::rows::Pool;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The key of the pool's other-config.
const KEY: &str = "xe-ha-pause";
/// The longest pause in seconds.
const LONGEST: i64 = 86_400;
/// How often the master looks, and how long it waits after an enable that failed.
const PERIOD: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(10);
/// Figures that enable writes beside what the administrator said.
const FIGURES: [&str; 4] = ["bears-network", "bears-disk", "bears-stall", "warning"];

/// A pause as the database holds it. The time of day decides nothing but when HA is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pause {
    until: i64,
    seconds: i64,
    srs: Vec<String>,
    config: BTreeMap<String, String>,
}

impl Pause {
    fn of(db: &Database) -> Option<Self> {
        serde_json::from_str(db.key("pool", pool_ref(db)?, "other_config", KEY)?).ok()
    }

    /// What is left of it; never more than was asked for, whatever the clock does.
    fn left(&self) -> i64 {
        (self.until - clock()).clamp(0, self.seconds)
    }
}

fn clock() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// For how many more seconds HA is off by a pause.
pub fn left(db: &Database) -> Option<u64> {
    u64::try_from(Pause::of(db)?.left()).ok()
}

fn write(agent: &Agent, pause: Option<&Pause>) -> Answer<()> {
    let text = pause.map(serde_json::to_string).transpose();
    let text = text.map_err(|error| Failure::internal(error.to_string()))?;
    agent.store.commit(|tx| {
        let pool = pool_ref(tx.db()).unwrap_or("").to_owned();
        match text {
            Some(text) => tx.put_key("pool", &pool, "other_config", KEY, &text),
            None => tx.remove_key("pool", &pool, "other_config", KEY),
        }
        Ok(())
    })
}

/// Pauses HA for some seconds, or changes how long a pause lasts; zero ends it at once.
pub fn pause(agent: &Arc<Agent>, seconds: i64) -> Answer<()> {
    vm::master_epoch(agent)?;
    if !(0..=LONGEST).contains(&seconds) {
        let why = format!("0 to {LONGEST}");
        return Err(Failure::new("INVALID_VALUE", ["seconds", &seconds.to_string(), &why]));
    }
    let db = agent.store.read();
    let until = clock() + seconds;
    if let Some(running) = Pause::of(&db) {
        write(agent, Some(&Pause { until, seconds, ..running.clone() }))?;
        return if seconds == 0 { resume(agent, &running) } else { Ok(()) };
    }
    let pool = Pool::all(&db).find(Pool::ha_enabled);
    let pool = pool.ok_or_else(|| Failure::bare("HA_NOT_ENABLED"))?;
    if seconds == 0 {
        return Ok(());
    }
    let srs: BTreeSet<&str> =
        pool.ha_statefiles().into_iter().filter_map(|vdi| db.target("VDI", vdi, "SR")).collect();
    let config = db.get("pool", pool.reference, "ha_configuration");
    let config = config.and_then(crate::xenapi::Value::as_struct).into_iter().flatten();
    let config: BTreeMap<String, String> = config
        .filter(|(key, _)| !FIGURES.contains(&key.as_str()))
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    let srs: Vec<String> = srs.into_iter().map(str::to_owned).collect();
    // A pause that no enable could end would have no end.
    enable::assert_possible(agent, &db, &srs, &config)?;
    write(agent, Some(&Pause { until, seconds, srs, config }))?;
    agent.history.note("ha-paused", "asked for", serde_json::json!({ "seconds": seconds }));
    disable::disable(agent).inspect_err(|_| {
        let _ = write(agent, None);
    })
}

/// Forgets a pause: HA stays off. Whether there was one.
pub fn cancel(agent: &Agent) -> Answer<bool> {
    let paused = Pause::of(&agent.store.read()).is_some();
    if paused {
        write(agent, None)?;
        agent.history.note("ha-pause-forgotten", "HA stays off", serde_json::json!({}));
    }
    Ok(paused)
}

fn resume(agent: &Arc<Agent>, pause: &Pause) -> Answer<()> {
    enable::enable(agent, &pause.srs, &pause.config)?;
    agent.history.note("ha-pause-over", "HA is on again", serde_json::json!({}));
    write(agent, None)
}

/// Ends pauses that are over. Runs on a thread of its own.
pub fn watch(agent: &Arc<Agent>) {
    let mut told = false;
    loop {
        std::thread::sleep(PERIOD);
        if !agent.standing().is_master() {
            told = false;
            continue;
        }
        let db = agent.store.read();
        let Some(pause) = Pause::of(&db) else { continue };
        let Some(pool) = Pool::all(&db).next() else { continue };
        // Between the mark and the decided "off" HA is still on, for some seconds.
        if pool.ha_enabled() || pause.left() > 0 {
            continue;
        }
        let Err(failure) = resume(agent, &pause) else {
            told = false;
            continue;
        };
        if !std::mem::replace(&mut told, true) {
            let why = words::why(&db, &failure);
            let body = format!("the pause is over, but HA cannot be switched on: {why}");
            vm::message(agent, "HA_PAUSE_NOT_OVER", 2, "Pool", pool.uuid(), &body);
        }
        std::thread::sleep(AGAIN);
    }
}
