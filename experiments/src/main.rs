//! The program.

use std::process::ExitCode;

// training allocates and frees large buffers at every step, which the system's allocator hands back each time
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // SAFETY: options may be set at any time; these two exist in every mimalloc of the pinned version
    unsafe {
        // what a step frees the next one needs: handing it back costs a fifth of the training time
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
        libmimalloc_sys::mi_option_set(libmimalloc_sys::mi_option_large_os_pages, 1);
    }
    triptych::cli::main()
}
