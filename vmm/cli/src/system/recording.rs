//! `-icount rr=`: the log of a recorded run, and what it says of the machine that it is of.

use std::borrow::Cow;
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use devices::virtio::{EntropySource, HostEntropy};
use engine::Inputs;
use engine::replay::{Header, Journal, Log, LogError, Recorder};
use twox_hash::XxHash3_64;

use super::error::SystemError;
use super::images::firmware_file;
use crate::options::machine::Machine;
use crate::options::{BlockDriver, BlockNode, Firmware, NodeRef, SystemOptions};

/// The log that `options` ask for; `cpu` is the CPU model.
pub fn open(options: &SystemOptions, cpu: String) -> Result<Option<Journal>, SystemError> {
    let Some(record) = options.record() else { return Ok(None) };
    let header = Header { machine: describe(options, cpu)? };
    let path = Path::new(&record.file);
    let refused =
        |mode| move |fault: LogError| SystemError::refused(&format!("-icount rr={mode}"), fault.to_string());
    Ok(Some(if record.replay {
        let log = Log::open(path).map_err(refused("replay"))?;
        log.check(&header).map_err(refused("replay"))?;
        Journal::replay(log)
    } else {
        Journal::record(Recorder::create(path, &header).map_err(refused("record"))?)
    }))
}

/// The options, with a seed for all random numbers if the run is recorded or repeats one, which `inputs` is of.
pub fn seeded<'a>(options: &'a SystemOptions, inputs: Option<&Inputs>) -> Cow<'a, SystemOptions> {
    let Some(inputs) = inputs else { return Cow::Borrowed(options) };
    let answer = inputs.ask(inputs.oracle("the seed"), || {
        let mut bytes = [0; 8];
        match options.seed {
            Some(seed) => bytes = seed.to_le_bytes(),
            // Without the host's a fixed one has to do.
            None => drop(HostEntropy.fill(&mut bytes)),
        }
        bytes.to_vec()
    });
    let seed = answer.try_into().map_or(0, u64::from_le_bytes);
    Cow::Owned(SystemOptions { seed: Some(seed), ..options.clone() })
}

/// A short form of something that has a long one.
fn digest(of: &impl Debug) -> String {
    format!("{:08x}", XxHash3_64::oneshot(format!("{of:?}").as_bytes()) as u32)
}

/// All that a run depends on, each with what people call it. Paths do not count, what the files hold does.
fn describe(options: &SystemOptions, cpu: String) -> Result<Vec<(String, String)>, SystemError> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, value: String| all.push((what.into(), value));
    add("Mimic", env!("CARGO_PKG_VERSION").into());
    let machine = &options.machine;
    let settings = Machine { dumpdtb: None, ..machine.clone() };
    add("-machine", format!("{} of {} ({})", machine.kind.name, machine.kind.arch.name(), digest(&settings)));
    add("-cpu", cpu);
    add("-smp", options.smp.cpus.to_string());
    add("-m", format!("{} bytes", options.memory_size()));
    if let Some(icount) = &options.icount {
        let shift = icount.shift.map_or_else(|| "auto".into(), |shift| shift.to_string());
        add("-icount", format!("shift={shift},sleep={}", if icount.sleep { "on" } else { "off" }));
    }
    add("-rtc", format!("clock={:?}", options.rtc.clock).to_lowercase());
    add("-append", format!("'{}'", options.append.as_deref().unwrap_or_default()));
    for (what, file) in [("-kernel", &options.kernel), ("-initrd", &options.initrd), ("-dtb", &options.dtb)] {
        if let Some(file) = file {
            add(what, whole(Path::new(file)).map_err(unreadable(what, file))?);
        }
    }
    match &options.firmware {
        Firmware::File(name) => {
            add("-bios", whole(&firmware_file(options, name)?).map_err(unreadable("-bios", name))?);
        }
        other => add("-bios", format!("{other:?}").to_lowercase()),
    }
    for drive in &options.drives {
        let read = sampled(Path::new(&drive.file)).map_err(unreadable(&drive.origin, &drive.file))?;
        add(&format!("the disk {}", drive.id), format!("{read}{}", mode(drive.options.read_only)));
    }
    for node in options.block_nodes.iter().flat_map(files) {
        if let BlockDriver::File { filename, .. } = &node.driver {
            let read = sampled(Path::new(filename)).map_err(unreadable(&node.origin, filename))?;
            let name = node.name.as_deref().unwrap_or("of a block node");
            add(&format!("the disk {name}"), format!("{read}{}", mode(node.options.read_only)));
        }
    }
    for device in &options.devices {
        let about = digest(&(&device.id, &device.bus, &device.props));
        add("-device", format!("{} ({about})", device.kind.name));
    }
    let netdevs: Vec<&str> = options.netdevs.iter().map(|netdev| &*netdev.id).collect();
    add("-netdev", format!("'{}'", netdevs.join(" ")));
    add("-serial", format!("{:?}", options.serials));
    Ok(all)
}

fn mode(read_only: Option<bool>) -> &'static str {
    if read_only == Some(true) { ", read-only" } else { "" }
}

/// The node and those below it.
fn files(node: &BlockNode) -> Vec<&BlockNode> {
    let below = match &node.driver {
        BlockDriver::File { .. } => None,
        BlockDriver::Raw { file, .. } | BlockDriver::Qcow2 { file, .. } => Some(file),
    };
    let below = below.into_iter().flat_map(|below| match below {
        NodeRef::Inline(node) => files(node),
        NodeRef::Name(_) => Vec::new(),
    });
    std::iter::once(node).chain(below).collect()
}

fn unreadable(origin: &str, file: &str) -> impl FnOnce(io::Error) -> SystemError {
    move |fault| SystemError::refused(origin, format!("cannot read {file}: {fault}"))
}

/// Size and hash of a file.
fn whole(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(format!("a file of {} bytes ({:016x})", bytes.len(), XxHash3_64::oneshot(&bytes)))
}

/// How much of a large file is looked at, and in how many places.
const SAMPLE: usize = 64 << 10;
const SAMPLES: u64 = 64;

/// Size of a disk image, and a hash of its beginning and of places all over it.
fn sampled(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hash = size;
    let mut bytes = vec![0; SAMPLE];
    let apart = (size / SAMPLES).max(SAMPLE as u64);
    for at in (0..size).step_by(apart as usize) {
        let n = (size - at).min(SAMPLE as u64) as usize;
        file.read_exact_at(&mut bytes[..n], at)?;
        hash = XxHash3_64::oneshot_with_seed(hash, &bytes[..n]);
    }
    Ok(format!("of {size} bytes ({hash:016x})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_was_changed_is_another_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("disk");
        std::fs::write(&path, vec![1; 9 << 20]).expect("writable");
        let first = sampled(&path).expect("readable");
        assert_eq!(sampled(&path).expect("readable"), first);
        let file = File::options().write(true).open(&path).expect("writable");
        file.write_all_at(&[2], 40_000).expect("writable");
        assert_ne!(sampled(&path).expect("readable"), first);
        std::fs::write(&path, b"").expect("writable");
        assert!(sampled(&path).expect("readable").starts_with("of 0 bytes"));
    }
}
