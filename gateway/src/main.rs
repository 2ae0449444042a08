//! `portcullis`: the command line.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes and drops some hundreds of small values, of which many go from a worker's
/// thread to the ledger's and back: the system's allocator took a tenth of the whole time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    gateway::cli::main()
}
