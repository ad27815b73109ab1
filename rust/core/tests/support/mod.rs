//! What the randomized tests share: programs of operations, a plain model of the engine, and the
//! trial that runs one against the other.
//!
//! Nothing here knows how the engine works. The model keeps sorted sets and counts occurrences one
//! by one; where it and the engine differ, one of them contradicts the documentation.

pub mod occurrences;
pub mod operations;
pub mod reference;
pub mod trial;
