//! `--device`: read once, checked before any tensor exists.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use miette::Diagnostic;

/// Where a command computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum DeviceError {
    /// Neither `cpu` nor `cuda` nor `cuda:N`.
    #[error("there is no device `{0}`, expected cpu, cuda or cuda:N")]
    Unknown(String),
    /// The program was built without GPUs.
    #[error("this build has no GPU support, `--device cuda` needs it")]
    #[diagnostic(help("build it with `cargo build --release --features cuda`, or use `--device cpu`"))]
    NotBuilt,
    /// No driver on this machine.
    #[error("no NVIDIA driver was found on this machine")]
    #[diagnostic(help("install the driver, or use `--device cpu`"))]
    NoDriver,
    /// The driver is there, this GPU is not.
    #[error("there is no GPU {wanted}: the NVIDIA driver sees {found}")]
    #[diagnostic(help("GPUs are numbered from 0; CUDA_VISIBLE_DEVICES hides some"))]
    NoSuchGpu {
        /// The number that was asked for.
        wanted: usize,
        /// How many there are.
        found: usize,
    },
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(DeviceChoice::Cpu),
            None if text == "cuda" => Ok(DeviceChoice::Cuda(0)),
            Some(("cuda", number)) => {
                number.parse().map(DeviceChoice::Cuda).map_err(|_| DeviceError::Unknown(text.to_owned()))
            }
            _ => Err(DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceChoice {
    /// The device, after checking that it is there: the tensor library itself only finds out when it computes.
    ///
    /// # Errors
    /// Where this build or this machine cannot compute on it.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            DeviceChoice::Cpu => Ok(Device::flex()),
            DeviceChoice::Cuda(number) => open_cuda(number),
        }
    }

    /// Makes this device the one that the tensor library takes where it is told none, as it does when it loads an
    /// optimizer's record. It reads the choice from the environment.
    ///
    /// # Safety
    /// Only while the program has one thread.
    pub(crate) unsafe fn make_default(self) {
        let name = match self {
            DeviceChoice::Cpu => "flex",
            DeviceChoice::Cuda(_) => "cuda",
        };
        // SAFETY: the caller vouches that no other thread reads the environment
        unsafe { std::env::set_var("BURN_DEVICE", name) };
    }
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt)
}

#[cfg(feature = "cuda")]
fn open_cuda(number: usize) -> Result<Device, DeviceError> {
    let found = count_gpus().ok_or(DeviceError::NoDriver)?;
    if number >= found {
        return Err(DeviceError::NoSuchGpu { wanted: number, found });
    }
    Ok(Device::cuda(number))
}

/// How many GPUs the driver sees; none without a working driver.
#[cfg(feature = "cuda")]
fn count_gpus() -> Option<usize> {
    use std::ffi::{c_int, c_uint};

    const NAMES: [&str; 3] = ["libcuda.so.1", "libcuda.so", "nvcuda.dll"];
    const SUCCESS: c_int = 0;
    /// The driver's own word for "there is a driver and no GPU".
    const NO_DEVICE: c_int = 100;

    // SAFETY: loading the driver runs its initialisers, as computing on it does later
    let driver = NAMES.iter().find_map(|name| unsafe { libloading::Library::new(*name) }.ok())?;
    let mut count: c_int = 0;
    // SAFETY: the signatures are those of cuda.h, and the library outlives the calls
    unsafe {
        let init: libloading::Symbol<'_, unsafe extern "C" fn(c_uint) -> c_int> =
            driver.get(b"cuInit\0").ok()?;
        let count_devices: libloading::Symbol<'_, unsafe extern "C" fn(*mut c_int) -> c_int> =
            driver.get(b"cuDeviceGetCount\0").ok()?;
        match init(0) {
            SUCCESS => {}
            NO_DEVICE => return Some(0),
            _ => return None,
        }
        if count_devices(&mut count) != SUCCESS {
            return None;
        }
    }
    usize::try_from(count).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_shown() {
        for text in ["cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(0));
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0"] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("there is no device `{text}`, expected cpu, cuda or cuda:N")
            );
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_build_without_gpus_says_so_in_one_line() {
        let error = DeviceChoice::Cuda(0).open().unwrap_err();
        assert_eq!(error.to_string(), "this build has no GPU support, `--device cuda` needs it");
    }
}
