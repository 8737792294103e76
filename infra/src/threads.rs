//! Threads that let others go first.

/// Has this thread, and those it starts, step back behind the others of this machine: by this nice
/// value, of at most 19. Only Linux knows priorities of threads; elsewhere, and where it is not
/// allowed, nothing happens. `what` says in the log whose threads they are.
pub fn step_back(nice: i32, what: &str) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        tracing::debug!(%error, what, "threads run at the same priority as all else");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (nice, what);
}
