//! `cargo run --release -p bench`

use std::io::{self, Write};
use std::process::ExitCode;

use bench::args::Args;
use bench::log_server::AS_THE_PRODUCT;
use clap::Parser;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.peek().is_some_and(|first| first == AS_THE_PRODUCT) {
        return evently::cli::main(args);
    }
    match bench::run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench: {}", infra::errors::chain(&error));
            ExitCode::FAILURE
        }
    }
}
