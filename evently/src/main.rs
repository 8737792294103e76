//! The program `evently`.

use std::process::ExitCode;

fn main() -> ExitCode {
    evently::cli::main(std::env::args_os())
}
