//! The program.

use std::process::ExitCode;

// training allocates and frees large buffers at every step, which the system's allocator hands back each time
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    triptych::cli::main()
}
