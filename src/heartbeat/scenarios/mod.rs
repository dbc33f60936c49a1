//! The scenarios, one test each, in the world of [`super::world`].

mod loss;
mod processes;
mod random;
mod switch;
