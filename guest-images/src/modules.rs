//! Kernel modules from a kernel package, and what depmod(8) would say of them.
//!
//! A kernel package brings the modules but no `modules.dep`; that is written when it is installed. Here the
//! dependencies come from each module's `.modinfo` section (`depends=`, `softdep=pre:`, `alias=`), and the tables are
//! made for the chosen modules alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use object::{Object, ObjectSection};

use crate::error::{Error, Result};
use crate::tree::{Kind, Tree};
use crate::{compress, deb};

/// The largest module unpacked; Debian's largest has about 30 MB.
const MODULE_LIMIT: u64 = 256 << 20;

/// A kernel as its package brings it.
pub struct KernelFiles {
    /// The bootable image.
    pub image: Vec<u8>,
    /// What `uname -r` will say.
    pub release: String,
    /// All modules, still compressed.
    pub modules: Modules,
}

/// The modules of a kernel package by name.
#[derive(Default)]
pub struct Modules {
    packed: BTreeMap<String, Packed>,
}

struct Packed {
    file_name: String,
    bytes: Vec<u8>,
}

/// A module that was chosen.
struct Module {
    name: String,
    elf: Vec<u8>,
    info: ModInfo,
}

/// The parts of `.modinfo` that loading depends upon.
#[derive(Debug, Default, PartialEq, Eq)]
struct ModInfo {
    depends: Vec<String>,
    pre: Vec<String>,
    aliases: Vec<String>,
}

/// Takes the kernel image and all modules out of a `linux-image-*` package.
pub fn kernel_files(package: &Path) -> Result<KernelFiles> {
    let (mut image, mut modules) = (None, Modules::default());
    let is_image = |path: &str| path.starts_with("boot/vmlinu");
    let is_module = |path: &str| module_name(path).is_some() && path.contains("lib/modules/");
    deb::data(package, &|path| is_image(path) || is_module(path), &mut |path, node| {
        let Kind::File(bytes) = node.kind else { return Ok(()) };
        if is_image(&path) {
            let release = path.split_once('-').map_or("", |(_, release)| release);
            image = Some((release.to_owned(), bytes));
        } else {
            modules.add(&path, bytes);
        }
        Ok(())
    })?;
    let (release, image) =
        image.ok_or_else(|| Error::format(package.display().to_string(), "there is no kernel in /boot"))?;
    Ok(KernelFiles { image, release, modules })
}

impl Modules {
    /// Adds the file of a module; anything else is passed over.
    fn add(&mut self, path: &str, bytes: Vec<u8>) {
        if let Some(name) = module_name(path) {
            let file_name = path.rsplit('/').next().unwrap_or(path).to_owned();
            self.packed.insert(name, Packed { file_name, bytes });
        }
    }

    /// Puts the named modules and all that they depend upon, unpacked, below `/lib/modules/RELEASE`, with the tables
    /// that modprobe(8) reads. A name that the package does not have is taken to be built into the kernel.
    pub fn install(&self, names: &[&str], release: &str, tree: &mut Tree) -> Result<()> {
        let chosen = self.closure(names)?;
        let directory = format!("lib/modules/{release}");
        for module in &chosen {
            tree.file(&format!("{directory}/{}.ko", module.name), 0o644, module.elf.as_slice())?;
        }
        tree.file(&format!("{directory}/modules.dep"), 0o644, dep_table(&chosen))?;
        tree.file(&format!("{directory}/modules.alias"), 0o644, alias_table(&chosen))
    }

    /// The named modules and their dependencies, each after what it depends upon.
    fn closure(&self, names: &[&str]) -> Result<Vec<Module>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names.iter().map(|name| normal(name)).filter(|name| self.packed.contains_key(name)) {
            self.visit(&name, &mut seen, &mut order)?;
        }
        Ok(order)
    }

    /// Each call adds a name to `seen`, so circles end.
    fn visit(&self, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<Module>) -> Result<()> {
        if !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let packed = self.packed.get(name).ok_or_else(|| {
            Error::format(format!("kernel module {name}"), "is needed and not in the package")
        })?;
        let elf = compress::read_all(&packed.file_name, packed.bytes.as_slice(), MODULE_LIMIT)
            .map_err(|e| Error::format(&packed.file_name, e))?;
        let info = ModInfo::parse(&elf).map_err(|why| Error::format(&packed.file_name, why))?;
        for needed in &info.depends {
            self.visit(needed, seen, order)?;
        }
        order.push(Module { name: name.to_owned(), elf, info });
        Ok(())
    }
}

impl ModInfo {
    fn parse(elf: &[u8]) -> std::result::Result<ModInfo, String> {
        let file = object::File::parse(elf).map_err(|e| e.to_string())?;
        let section = file.section_by_name(".modinfo").ok_or("there is no .modinfo section")?;
        let data = section.data().map_err(|e| e.to_string())?;
        let mut info = ModInfo::default();
        for line in data.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok()) {
            match line.split_once('=') {
                Some(("depends", names)) => {
                    info.depends.extend(names.split(',').filter(|n| !n.is_empty()).map(normal));
                }
                Some(("softdep", text)) => {
                    let pre = text.split_whitespace().skip_while(|word| *word != "pre:").skip(1);
                    info.pre.extend(pre.take_while(|word| !word.ends_with(':')).map(normal));
                }
                Some(("alias", pattern)) => info.aliases.push(pattern.to_owned()),
                _ => {}
            }
        }
        Ok(info)
    }
}

/// `modules.dep`: each module with everything to load before it, the last first. Soft dependencies are listed with the
/// hard ones, because small implementations of modprobe read no `modules.softdep`.
fn dep_table(modules: &[Module]) -> String {
    let mut table = String::new();
    for module in modules {
        let (mut started, mut needed) = (BTreeSet::new(), Vec::new());
        add_needed(module, modules, &mut started, &mut needed);
        let _ = write!(table, "{}.ko:", module.name);
        for name in needed.iter().rev().filter(|name| **name != module.name) {
            let _ = write!(table, " {name}.ko");
        }
        table.push('\n');
    }
    table
}

/// Adds what the module needs in the order of loading, then itself. Each module is started once, so circles end.
fn add_needed<'a>(
    module: &'a Module,
    all: &'a [Module],
    started: &mut BTreeSet<&'a str>,
    needed: &mut Vec<&'a str>,
) {
    if !started.insert(&module.name) {
        return;
    }
    let satisfies =
        |m: &Module, name: &String| m.name == *name || m.info.aliases.iter().any(|a| normal(a) == *name);
    for name in module.info.pre.iter().chain(&module.info.depends) {
        if let Some(before) = all.iter().find(|m| satisfies(m, name)) {
            add_needed(before, all, started, needed);
        }
    }
    needed.push(&module.name);
}

/// `modules.alias`: which module serves which device or name.
fn alias_table(modules: &[Module]) -> String {
    let mut table = String::new();
    for module in modules {
        for alias in &module.info.aliases {
            let _ = writeln!(table, "alias {alias} {}", module.name);
        }
    }
    table
}

/// The kernel takes `-` and `_` in names for the same.
fn normal(name: &str) -> String {
    name.trim().replace('-', "_")
}

/// `.../virtio-rng.ko.xz` is `virtio_rng`.
fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let stem = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"].iter().find_map(|ending| file.strip_suffix(ending))?;
    Some(normal(stem))
}

#[cfg(test)]
mod tests;
