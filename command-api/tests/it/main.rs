//! The command side as clients meet it, on a real log in a folder of its own.

// The attribute tells the linter that this is test code.
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod overload;
#[cfg(test)]
mod payments;
#[cfg(test)]
mod races;
#[cfg(test)]
mod support;
#[cfg(test)]
mod two_nodes;
