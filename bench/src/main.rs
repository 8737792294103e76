//! `cargo run --release -p bench`

use std::io::{self, Write};
use std::process::ExitCode;

use bench::args::Args;
use clap::Parser;

fn main() -> ExitCode {
    match bench::run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench: {}", bench::measure::chain(&error));
            ExitCode::FAILURE
        }
    }
}
