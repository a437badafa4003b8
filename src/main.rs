//! The binary: hands the arguments over and passes the exit code back.

use std::process::ExitCode;

fn main() -> ExitCode {
    whsec::cli::run(std::env::args_os())
}
