//! What this process runs on.

use crate::report::Machine;

/// The machine, as far as the system tells; `device` is what computed.
pub(crate) fn describe(device: &str) -> Machine {
    Machine {
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_default(),
        cores: std::thread::available_parallelism().ok().map(usize::from),
        memory_bytes: kibibytes("/proc/meminfo", "MemTotal"),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: device.to_owned(),
        threads: Some(rayon::current_num_threads()),
    }
}

/// The most memory that this process has held, where the system tells.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM")
}

fn kibibytes(path: &str, name: &str) -> Option<u64> {
    let value = field(path, name)?;
    value.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|n| n * 1024)
}

/// The value behind `name:` in a file of such lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}
