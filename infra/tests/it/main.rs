//! Adapters against what they adapt.

// The attribute tells the linter that this is test code.
#[cfg(test)]
mod child;
#[cfg(test)]
mod data_folder;
#[cfg(test)]
mod log;
