//! Builds `configs/*.toml` into the program, so that the folder is the only list of experiments, and has it linked so that
//! it starts fast.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=configs");
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        // at a fixed address the tensor libraries' 40,000 pointers need no relocation, for which 2 MB would be read and
        // written at every start
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
    let manifest_dir = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out_dir = env::var("OUT_DIR").map_err(io::Error::other)?;

    let mut files: Vec<PathBuf> = match fs::read_dir(Path::new(&manifest_dir).join("configs")) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();

    let mut table = String::from("static BUILT_IN: &[BuiltIn] = &[\n");
    for path in &files {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        writeln!(table, "    BuiltIn {{ name: {name:?}, text: include_str!({path:?}) }},")
            .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    fs::write(Path::new(&out_dir).join("built_in_configs.rs"), table)
}
