//! The programs: what they are, and their building for the host and for a guest.

use guest_images::cpio;
use guest_images::tree::{Kind, Node, Tree};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of `programs/`.
#[derive(Debug)]
pub struct Program {
    /// Name of the file.
    pub name: &'static str,
    /// What it is an example of.
    pub class: &'static str,
}

/// All programs, those of a class together.
pub static PROGRAMS: &[Program] = &[
    Program { name: "sha256", class: "integer" },
    Program { name: "sort", class: "integer" },
    Program { name: "lanes", class: "integer" },
    Program { name: "recursion", class: "control" },
    Program { name: "threaded", class: "control" },
    Program { name: "objects", class: "control" },
    Program { name: "chase", class: "memory" },
    Program { name: "lz", class: "memory" },
    Program { name: "hash", class: "memory" },
    Program { name: "nbody", class: "float" },
    Program { name: "mandelbrot", class: "float" },
    Program { name: "matmul", class: "float" },
    Program { name: "vectors", class: "vector" },
    Program { name: "stripmine", class: "vector" },
    Program { name: "strings", class: "string" },
    Program { name: "calls", class: "system" },
    Program { name: "pages", class: "system" },
    Program { name: "switches", class: "system" },
];

/// Equal results on every CPU need every rounding to be where the source has it.
const FLAGS: [&str; 4] = ["-O2", "-static", "-ffp-contract=off", "-fno-math-errno"];

/// A program that was built.
pub struct Built {
    /// Which it is.
    pub program: &'static Program,
    /// For the host.
    pub native: PathBuf,
    /// For the guest.
    pub guest: PathBuf,
}

/// The folder of this benchmark.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench");

/// Builds `programs` in `folder`, for the host and for the guest whose GNU name is `guest`.
pub fn build(programs: &[&'static Program], guest: &str, folder: &Path) -> Result<Vec<Built>, String> {
    let compiler = compiler(guest);
    let mut built = Vec::new();
    for program in programs {
        let source = Path::new(SOURCES).join("programs").join(program.name).with_extension("c");
        let native = folder.join(format!("{}-native", program.name));
        let guest = folder.join(program.name);
        compile("gcc", &source, &native)?;
        compile(&compiler, &source, &guest)?;
        built.push(Built { program, native, guest });
    }
    Ok(built)
}

/// The compiler for a guest.
pub fn compiler(guest: &str) -> String {
    format!("{guest}-linux-gnu-gcc")
}

/// Makes an initial file system in `folder` whose `/init` runs the programs.
pub fn pack_all(built: &[Built], guest: &str, folder: &Path) -> Result<PathBuf, String> {
    let init = folder.join("init");
    compile(&compiler(guest), &Path::new(SOURCES).join("init.c"), &init)?;
    let initrd = folder.join("initrd.cpio");
    pack(built, &init, &initrd).map_err(|error| format!("cannot write the initial file system: {error}"))?;
    Ok(initrd)
}

/// Compiles and links one file.
pub fn compile(compiler: &str, source: &Path, to: &Path) -> Result<(), String> {
    let run = Command::new(compiler).args(FLAGS).arg("-o").arg(to).arg(source).arg("-lm").output();
    let run = run.map_err(|error| format!("cannot start {compiler}: {error}; .ci/peers installs it"))?;
    if run.status.success() {
        return Ok(());
    }
    Err(format!("{compiler} refuses {}:\n{}", source.display(), String::from_utf8_lossy(&run.stderr)))
}

/// Writes an initial file system with the programs, their list, and what runs them.
fn pack(built: &[Built], init: &Path, to: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut tree = Tree::new();
    tree.put("dev/console", Node::new(Kind::Char(5, 1), 0o600))?;
    tree.file("init", 0o755, std::fs::read(init)?)?;
    let mut list = String::new();
    for one in built {
        tree.file(one.program.name, 0o755, std::fs::read(&one.guest)?)?;
        list += one.program.name;
        list.push('\n');
    }
    tree.file("programs", 0o644, list)?;
    let mut file = std::io::BufWriter::new(std::fs::File::create(to)?);
    cpio::write(&tree, &mut file)?;
    Ok(std::io::Write::flush(&mut file)?)
}
