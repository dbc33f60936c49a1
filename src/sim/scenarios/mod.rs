//! The scenarios, one test each, in the world of [`super::world`].

mod loss;
mod processes;
mod random;
mod switch;

use super::world::World;

/// A scenario in whose world something was violated fails, whatever else it asks.
impl Drop for World {
    fn drop(&mut self) {
        let violation = self.take_violation();
        if !std::thread::panicking() {
            assert!(violation.is_none(), "{}", self.story());
        }
    }
}
