//! What holds for the domain as a whole.

// The attribute tells the linter that this is test code.
#[cfg(test)]
mod golden;
#[cfg(test)]
mod law;
#[cfg(test)]
mod model;
#[cfg(test)]
mod schemas;
