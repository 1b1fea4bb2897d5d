//! What processors can do at most.

/// A processor with its memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hardware {
    /// As `--hardware` names it.
    pub(crate) name: &'static str,
    /// Dense matrix products with 16-bit inputs, operations a second.
    pub(crate) flops_per_s: f64,
    /// In bytes.
    pub(crate) memory_bytes: f64,
}

const GIB: f64 = (1u64 << 30) as f64;

/// From the data sheets of the maker: tensor cores, dense, 16-bit inputs with 32-bit sums.
pub(crate) const HARDWARE: &[Hardware] = &[
    Hardware { name: "v100", flops_per_s: 125e12, memory_bytes: 32.0 * GIB },
    Hardware { name: "a100", flops_per_s: 312e12, memory_bytes: 80.0 * GIB },
    Hardware { name: "h100", flops_per_s: 989e12, memory_bytes: 80.0 * GIB },
    Hardware { name: "h200", flops_per_s: 989e12, memory_bytes: 141.0 * GIB },
    Hardware { name: "l40s", flops_per_s: 362e12, memory_bytes: 48.0 * GIB },
    Hardware { name: "rtx4090", flops_per_s: 165e12, memory_bytes: 24.0 * GIB },
];
