//! What holds for the domain as a whole.

mod golden;
