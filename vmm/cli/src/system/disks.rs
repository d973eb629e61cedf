//! Disks: from `-drive` and the graph of `-blockdev` to open images, and flash chips on them.

mod counted;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use devices::chips::pflash_cfi01::{Backing as FlashBacking, FlashStore};
use devices::host::block::{self, BlockBackend, Image, ImageOptions, Throwaway};
use engine::Inputs;
use machines::{FLASH_CHIPS, FlashPart};

use super::error::SystemError;
use crate::options::{
    Backing, BlockDriver, BlockNode, Drive, DriveInterface, ImageFormat, NodeRef, SystemOptions,
};
use counted::Counted;

/// What a device gets when it asks for a drive or node.
#[derive(Clone)]
pub struct Disk {
    /// The bytes.
    pub backend: Arc<dyn BlockBackend>,
    /// The same, for whoever wants to know what was done with it.
    pub counted: Arc<Counted>,
    /// The same as an image, which may have snapshots.
    pub image: Arc<Image>,
    /// It is in a flash chip, which keeps what it has in its own state.
    pub flash: bool,
    /// The guest is told of a write cache, which it flushes.
    pub write_cache: bool,
    /// The image file.
    pub file: String,
    /// The format of the image, as far as it was said.
    pub format: String,
    origin: String,
}

/// The disks that are open, by the name of their drive or node.
pub struct Disks {
    open: HashMap<String, Disk>,
    /// Of a run that is recorded or replayed.
    inputs: Option<Arc<Inputs>>,
}

impl Disks {
    /// Nothing open yet. In a run that is recorded or replayed, which `inputs` is of, images stay as they are.
    pub fn new(inputs: Option<Arc<Inputs>>) -> Self {
        Self { open: HashMap::new(), inputs }
    }

    /// The disk of a drive or node; its image is opened when the first device asks.
    pub fn get(&mut self, options: &SystemOptions, name: &str, origin: &str) -> Result<Disk, SystemError> {
        if let Some(disk) = self.open.get(name) {
            return Ok(disk.clone());
        }
        let inputs = self.inputs.as_deref();
        let disk = match (options.drive(name), node_called(options, name)) {
            (Some(drive), _) => open_drive(drive, inputs)?,
            (None, Some(node)) => open_node(options, node, inputs)?,
            (None, None) => {
                let what = format!("there is no drive or block node '{name}'");
                return Err(SystemError::refused(origin, what));
            }
        };
        self.open.insert(name.into(), disk.clone());
        Ok(disk)
    }

    /// What is in the board's flash chips, of `chip` bytes each.
    pub fn flash(
        &mut self,
        options: &SystemOptions,
        chip: u64,
    ) -> Result<[Option<FlashPart>; FLASH_CHIPS], SystemError> {
        let mut parts = [const { None }; FLASH_CHIPS];
        for (unit, part) in parts.iter_mut().enumerate() {
            let is_here = |d: &&Drive| d.interface == DriveInterface::Pflash && d.unit as usize == unit;
            let drive = options.drives.iter().find(is_here).map(|drive| drive.id.clone());
            let name = drive.or_else(|| options.machine.pflash[unit].clone());
            if let Some(name) = name {
                let disk = self.get(options, &name, "-machine pflash")?;
                self.open.entry(name).and_modify(|disk| disk.flash = true);
                *part = Some(flash_part(&disk, chip)?);
            }
        }
        Ok(parts)
    }

    /// The open disks, with the names that they were asked for by.
    pub fn open(&self) -> impl Iterator<Item = (&str, &Disk)> {
        self.open.iter().map(|(name, disk)| (&**name, disk))
    }

    /// Every open disk.
    pub fn backends(&self) -> Vec<Arc<dyn BlockBackend>> {
        self.open.values().map(|disk| disk.backend.clone()).collect()
    }

    /// Whether nobody has asked for a node yet.
    pub fn is_closed(&self, node: &BlockNode) -> bool {
        node.name.as_ref().is_some_and(|name| !self.open.contains_key(name))
    }

    /// Closes a disk, once its last user has let go of it.
    pub fn close(&mut self, name: &str) {
        self.open.remove(name);
    }
}

fn node_called<'o>(options: &'o SystemOptions, name: &str) -> Option<&'o BlockNode> {
    options.block_nodes.iter().find_map(|root| find_node(root, name))
}

fn below<'o>(
    options: &'o SystemOptions,
    reference: &'o NodeRef,
    origin: &str,
) -> Result<&'o BlockNode, SystemError> {
    match reference {
        NodeRef::Inline(node) => Ok(node),
        NodeRef::Name(name) => node_called(options, name)
            .ok_or_else(|| SystemError::refused(origin, format!("'{name}' is a drive, not a block node"))),
    }
}

/// Opens a node. The images know two layers, a format on a file, so that is what the graph may have.
fn open_node(
    options: &SystemOptions,
    node: &BlockNode,
    inputs: Option<&Inputs>,
) -> Result<Disk, SystemError> {
    let origin = &*node.origin;
    let refused = |what: &str| Err(SystemError::refused(origin, what));
    let (format, file) = match &node.driver {
        BlockDriver::File { .. } => (block::ImageFormat::Raw, node),
        BlockDriver::Raw { offset: 0, size: None, file } => {
            (block::ImageFormat::Raw, below(options, file, origin)?)
        }
        BlockDriver::Raw { .. } => {
            return refused("offset= and size=: not available in this version of Mimic");
        }
        BlockDriver::Qcow2 { file, backing } => {
            let file = below(options, file, origin)?;
            match backing {
                Backing::FromImage => {}
                Backing::None if !names_backing(file) => {}
                Backing::None => {
                    return refused("backing=: the image names a backing file, which is used");
                }
                Backing::Node(_) => {
                    return refused("backing=NODE: not available in this version of Mimic");
                }
            }
            (block::ImageFormat::Qcow2, file)
        }
    };
    let BlockDriver::File { filename, locking } = &file.driver else {
        return refused("a format stands on a node of the driver 'file'");
    };
    let (own, under) = (&node.options, &file.options);
    let image = ImageOptions {
        format: Some(format),
        read_only: own.read_only.or(under.read_only).unwrap_or(false),
        snapshot: false,
        direct: own.cache.direct || under.cache.direct,
        no_flush: own.cache.no_flush || under.cache.no_flush,
        discard: own.discard,
        locking: locking.unwrap_or(true) && !own.force_share && !under.force_share,
    };
    open(filename, image, (own.cache.writeback, origin), inputs)
}

/// `image` as a disk whose writes are thrown away, and go back in time with the machine.
fn throwaway(
    image: Arc<Image>,
    read_only: bool,
    inputs: &Inputs,
) -> Result<Arc<dyn BlockBackend>, SystemError> {
    let disk = Arc::new(
        Throwaway::new(image, read_only)
            .map_err(SystemError::host("cannot create a temporary file for a disk"))?,
    );
    let keeps = disk.clone();
    inputs.keep(Box::new(move || {
        let (disk, kept) = (keeps.clone(), keeps.keep());
        Box::new(move || disk.put_back(&kept))
    }));
    Ok(disk)
}

fn find_node<'n>(node: &'n BlockNode, name: &str) -> Option<&'n BlockNode> {
    if node.name.as_deref() == Some(name) {
        return Some(node);
    }
    let below: Vec<&NodeRef> = match &node.driver {
        BlockDriver::File { .. } => Vec::new(),
        BlockDriver::Raw { file, .. } => vec![file],
        BlockDriver::Qcow2 { file, backing: Backing::Node(backing) } => vec![file, backing],
        BlockDriver::Qcow2 { file, .. } => vec![file],
    };
    below.into_iter().find_map(|node| match node {
        NodeRef::Inline(node) => find_node(node, name),
        NodeRef::Name(_) => None,
    })
}

/// Whether the qcow2 image in `file` names a backing file; one that can not be read is left to its opening.
fn names_backing(file: &BlockNode) -> bool {
    let BlockDriver::File { filename, .. } = &file.driver else { return false };
    let mut offset = [0; 8];
    let read = File::open(filename).and_then(|file| file.read_exact_at(&mut offset, 8));
    read.is_ok() && offset != [0; 8]
}

fn open_drive(drive: &Drive, inputs: Option<&Inputs>) -> Result<Disk, SystemError> {
    let format = drive.format.map(|format| match format {
        ImageFormat::Raw => block::ImageFormat::Raw,
        ImageFormat::Qcow2 => block::ImageFormat::Qcow2,
    });
    let options = &drive.options;
    let image = ImageOptions {
        format,
        read_only: options.read_only.unwrap_or(false),
        snapshot: drive.snapshot,
        direct: options.cache.direct,
        no_flush: options.cache.no_flush,
        discard: options.discard,
        locking: !options.force_share,
    };
    open(&drive.file, image, (options.cache.writeback, &drive.origin), inputs)
}

/// Opens an image; `write_cache` is what the guest is told, and `origin` where the user said so.
fn open(
    file: &str,
    options: ImageOptions,
    (write_cache, origin): (bool, &str),
    inputs: Option<&Inputs>,
) -> Result<Disk, SystemError> {
    let format = match options.format {
        Some(block::ImageFormat::Qcow2) => "qcow2",
        _ => "raw",
    };
    let stays = inputs.is_some();
    let read_only = options.read_only;
    let options =
        ImageOptions { read_only: read_only || stays, snapshot: options.snapshot && !stays, ..options };
    let image = Image::open(Path::new(file), options)
        .map_err(|source| SystemError::Block { origin: origin.into(), source })?;
    let image = Arc::new(image);
    let backend: Arc<dyn BlockBackend> = match inputs {
        None => image.clone(),
        Some(inputs) => throwaway(image.clone(), read_only, inputs)?,
    };
    let (file, format) = (file.into(), format.into());
    let counted = Arc::new(Counted::new(backend));
    Ok(Disk {
        backend: counted.clone(),
        counted,
        image,
        flash: false,
        write_cache,
        file,
        format,
        origin: origin.into(),
    })
}

/// A flash chip whose array is kept on a disk.
struct DiskFlash(Arc<dyn BlockBackend>);

impl FlashStore for DiskFlash {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(offset, bytes)
    }
}

fn flash_part(disk: &Disk, chip: u64) -> Result<FlashPart, SystemError> {
    let size = disk.backend.capacity();
    if size > chip {
        let what = format!("has {size} bytes, and the flash chip {chip}");
        return Err(SystemError::refused(&disk.origin, what));
    }
    let mut contents = vec![0; size as usize];
    disk.backend.read(0, &mut contents).map_err(SystemError::host("cannot read the flash image"))?;
    let backing = if disk.backend.read_only() {
        FlashBacking::ReadOnly
    } else {
        FlashBacking::Store(Box::new(DiskFlash(disk.backend.clone())))
    };
    Ok(FlashPart { contents, backing })
}
