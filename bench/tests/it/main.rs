//! The generator and the baselines against real servers.

mod load;
mod row_locks;
mod storm;
