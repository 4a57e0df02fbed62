//! The binary `cxlake`.

use std::process::ExitCode;

/// Pages and batches of megabytes are made on one thread and freed on another. With the system's
/// allocator the memory of a run grows by half over its first windows; with this one and the
/// settings in `.cargo/config.toml` it stays what one window needs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cxlake::cli::main()
}
