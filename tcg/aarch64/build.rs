//! Generates the decoder from the tables in `isa/`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    match tcg_decodegen::build(Path::new("isa"), &Path::new(&out).join("isa.rs")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}
