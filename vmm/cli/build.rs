//! Assembles the guest of `mimic run hello`, which becomes a part of the program.

#[path = "build/assemble.rs"]
mod assemble;

use std::path::Path;

fn main() {
    const SOURCE: &str = "hello/hello.s";
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build");
    let source = std::fs::read_to_string(SOURCE).expect("the guest's source is part of this crate");
    let image = match assemble::assemble(&source) {
        Ok(image) => image,
        Err(fault) => panic!("{SOURCE}:{fault}"),
    };
    let out = std::env::var_os("OUT_DIR").expect("cargo says where to write");
    std::fs::write(Path::new(&out).join("hello.bin"), image).expect("cargo has made the folder");
}
