//! What the planner was asked about last, kept for the next question.
//!
//! From one question to the next little changes: a VM started, a host was disabled. What was made
//! of the rows is kept with them and follows the rows of the next question. Whoever asks takes it
//! along, so nobody waits for a search of another; who finds it gone builds it anew.

use super::capacity::Capacity;
use crate::plan::{Budget, Standing};
use crate::pool::Database;
use crate::xenapi::failure::Answer;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The last question, unless somebody is asking.
#[derive(Debug, Default)]
pub struct Abreast {
    last: Mutex<Option<Box<Known>>>,
}

/// Rows and what was made of them.
#[derive(Debug)]
struct Known {
    db: Database,
    capacity: Capacity,
    /// The planner's question about the capacity, once it was asked.
    standing: Option<Standing>,
}

impl Abreast {
    /// Asks about the rows as they are.
    pub fn ask<T>(
        &self,
        db: &Database,
        given: &BTreeMap<String, u64>,
        question: impl FnOnce(&Capacity) -> T,
    ) -> Answer<T> {
        let known = self.take(db, given)?;
        let answer = question(&known.capacity);
        self.keep(known);
        Ok(answer)
    }

    /// The same with the planner's question whether `failures` hosts may fail.
    pub fn ask_whether<T>(
        &self,
        (db, failures): (&Database, usize),
        given: &BTreeMap<String, u64>,
        question: impl FnOnce(&Capacity, &mut Standing) -> T,
    ) -> Answer<T> {
        let mut known = self.take(db, given)?;
        let standing = known.standing.take().filter(|it| it.failures() == failures);
        let mut standing = standing.unwrap_or_else(|| {
            Standing::new(known.capacity.problem.clone(), failures, Budget::default())
        });
        let answer = question(&known.capacity, &mut standing);
        known.standing = Some(standing);
        self.keep(known);
        Ok(answer)
    }

    fn keep(&self, known: Box<Known>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// What is known of these rows.
    fn take(&self, db: &Database, given: &BTreeMap<String, u64>) -> Answer<Box<Known>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut known) = last
            && let Some(changes) = known.capacity.follow((&known.db, db), given)?
        {
            known.db = db.clone();
            if let Some(standing) = &mut known.standing {
                for change in changes {
                    standing.change(change);
                }
            }
            return Ok(known);
        }
        let capacity = Capacity::of(db, given)?;
        Ok(Box::new(Known { db: db.clone(), capacity, standing: None }))
    }
}
