//! The pool database as values.
