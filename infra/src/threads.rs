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

/// Has this thread, and those it starts, run only while a processor has nothing else to do, and leave
/// it at once: with any nice value it keeps a processor for some milliseconds from whoever wakes up.
/// It may get no time at all. Where that is not to be had it steps back as far as it can.
pub fn run_last(what: &str) {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(Idle);
        let refused = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
        let Err(error) = refused else { return };
        tracing::debug!(%error, what, "threads cannot wait for idle processors");
    }
    step_back(19, what);
}
