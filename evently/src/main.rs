//! The program `evently`.

use std::process::ExitCode;

/// Requests and records are allocated on one thread and freed on another, which the system's
/// allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    evently::cli::main(std::env::args_os())
}
