//! `-drive` and `-blockdev`: the disks, and the graph of block nodes under them.

use super::error::Fault;
use super::machine::MachineType;
use super::optstring::OptString;
use super::props::{Kind, Prop, Props, fixed, prop};

/// An image format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// The file's bytes are the disk's.
    Raw,
    /// QEMU's copy-on-write format, versions 2 and 3.
    Qcow2,
}

impl ImageFormat {
    const NAMES: &'static [&'static str] = &["qcow2", "raw"];

    fn from_name(name: &str) -> Result<Self, Fault> {
        match name {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            _ if OTHER_FORMATS.contains(&name) => {
                Err(Fault::not_available(&format!("image format '{name}'")))
            }
            _ => {
                let names = Self::NAMES.iter().copied();
                Err(Fault::unknown(format!("there is no image format '{name}'"), name, names))
            }
        }
    }
}

/// The listing of `-drive format=help`.
pub fn format_listing() -> String {
    format!("Supported formats: {}\n", ImageFormat::NAMES.join(" "))
}

/// Formats and protocols that QEMU has and Mimic does not.
static OTHER_FORMATS: &[&str] = &[
    "blkdebug",
    "bochs",
    "cloop",
    "dmg",
    "ftp",
    "ftps",
    "http",
    "https",
    "iscsi",
    "luks",
    "nbd",
    "nfs",
    "null-aio",
    "null-co",
    "nvme",
    "parallels",
    "qcow",
    "qed",
    "quorum",
    "rbd",
    "ssh",
    "throttle",
    "vdi",
    "vhdx",
    "vmdk",
    "vpc",
    "vvfat",
    "host_device",
    "host_cdrom",
];

/// How host caching is used; QEMU's five `cache=` modes in the two bits that describe an image, and write-back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cache {
    /// The guest is told that there is a write cache, which it flushes; otherwise each write is flushed.
    pub writeback: bool,
    /// Go around the host's page cache.
    pub direct: bool,
    /// Ignore flushes.
    pub no_flush: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self { writeback: true, direct: false, no_flush: false }
    }
}

const CACHE_MODES: &[&str] = &["none", "writeback", "writethrough", "directsync", "unsafe"];

impl Cache {
    fn from_mode(mode: &str) -> Self {
        Self {
            writeback: !matches!(mode, "writethrough" | "directsync"),
            direct: matches!(mode, "none" | "directsync"),
            no_flush: mode == "unsafe",
        }
    }
}

/// What becomes of zeroes that the guest writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DetectZeroes {
    /// They are written as any data.
    #[default]
    Off,
    /// They become an efficient write of zeroes.
    On,
    /// They are given back to the host where `discard` allows.
    Unmap,
}

/// Settings that drives and nodes share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeOptions {
    /// The guest can not write; `None` when nothing was said.
    pub read_only: Option<bool>,
    /// Fall back to read-only when the image can not be opened for writing.
    pub auto_read_only: bool,
    /// Host caching.
    pub cache: Cache,
    /// Pass the guest's discards on to the image.
    pub discard: bool,
    /// What becomes of written zeroes.
    pub detect_zeroes: DetectZeroes,
    /// Take no lock on the image.
    pub force_share: bool,
}

const DISCARD: Kind = Kind::Choice(&["ignore", "off", "unmap", "on"]);
const DETECT: Kind = Kind::Choice(&["off", "on", "unmap"]);

/// Properties that each block node has.
static NODE: &[Prop] = &[
    prop("auto-read-only", Kind::Bool, "off", "open read-only when the image can not be written"),
    prop("cache.direct", Kind::Bool, "off", "go around the host's page cache"),
    prop("cache.no-flush", Kind::Bool, "off", "ignore flushes"),
    prop("detect-zeroes", DETECT, "off", "what becomes of written zeroes"),
    prop("discard", DISCARD, "ignore", "pass discards on to the image"),
    prop("force-share", Kind::Bool, "off", "take no lock on the image"),
    prop("read-only", Kind::Bool, "off", "the guest can not write"),
];

impl NodeOptions {
    fn read(props: &Props) -> Self {
        Self {
            read_only: props.flag("read-only").or(props.flag("readonly")),
            auto_read_only: props.flag("auto-read-only").unwrap_or(false),
            cache: Cache {
                direct: props.flag("cache.direct").unwrap_or(false),
                no_flush: props.flag("cache.no-flush").unwrap_or(false),
                ..Cache::default()
            },
            discard: matches!(props.text("discard"), Some("unmap" | "on")),
            detect_zeroes: match props.text("detect-zeroes") {
                Some("on") => DetectZeroes::On,
                Some("unmap") => DetectZeroes::Unmap,
                _ => DetectZeroes::Off,
            },
            force_share: props.flag("force-share").unwrap_or(false),
        }
    }
}

/// What a drive is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveInterface {
    /// Nothing: a `-device` names it.
    None,
    /// A virtio block device, which is among [`devices`](super::SystemOptions::devices).
    Virtio,
    /// Flash chip `unit` of the board.
    Pflash,
}

/// What is done when the host can not read or write an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Tell the guest.
    Report,
    /// Go on as if nothing had happened.
    Ignore,
    /// Stop the machine.
    Stop,
    /// Stop when the host has no space left, else tell the guest.
    Enospc,
}

fn on_error(props: &Props, name: &str, default: OnError) -> OnError {
    match props.text(name) {
        Some("report") => OnError::Report,
        Some("ignore") => OnError::Ignore,
        Some("stop") => OnError::Stop,
        Some("enospc") => OnError::Enospc,
        _ => default,
    }
}

/// `-drive`, `-hda`, `-cdrom`, `-pflash`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The name that devices use; QEMU's own (`virtio0`, `none1`, `pflash0`) when none was given.
    pub id: String,
    /// `node-name=`.
    pub node: Option<String>,
    /// What it is connected to.
    pub interface: DriveInterface,
    /// Which one of that interface.
    pub unit: u32,
    /// `media=cdrom`.
    pub cdrom: bool,
    /// The image file.
    pub file: String,
    /// The format; `None` asks to look at the image.
    pub format: Option<ImageFormat>,
    /// Writes go to a temporary file.
    pub snapshot: bool,
    /// Settings of its node.
    pub options: NodeOptions,
    /// `rerror=`.
    pub on_read_error: OnError,
    /// `werror=`.
    pub on_write_error: OnError,
    /// As typed, for messages.
    pub origin: String,
}

/// Parameters of `-drive`.
pub static DRIVE: &[Prop] = &[
    prop("id", Kind::Id, "", "name of the drive"),
    prop("node-name", Kind::Id, "", "name of its node"),
    prop("file", Kind::Text, "", "image file"),
    prop("file.filename", Kind::Text, "", "image file"),
    fixed("file.driver", Kind::Choice(&["file"]), "file"),
    prop("file.locking", Kind::OnOffAuto, "auto", "lock the image file"),
    prop("format", Kind::Text, "", "image format; found out when it is not given"),
    prop("driver", Kind::Text, "", "image format"),
    prop("if", Kind::Text, "virtio", "none, virtio or pflash"),
    fixed("bus", Kind::Number(u32::MAX as u64), "0"),
    prop("unit", Kind::Number(255), "", "which one of the interface"),
    prop("index", Kind::Number(255), "", "which one of the interface"),
    prop("media", Kind::Choice(&["disk", "cdrom"]), "disk", "kind of medium"),
    prop("snapshot", Kind::Bool, "off", "write to a temporary file"),
    prop("cache", Kind::Choice(CACHE_MODES), "writeback", "host caching"),
    prop("cache.direct", Kind::Bool, "off", "go around the host's page cache"),
    prop("cache.no-flush", Kind::Bool, "off", "ignore flushes"),
    prop("cache.writeback", Kind::Bool, "on", "the guest sees a write cache"),
    prop("aio", Kind::Choice(&["threads", "native", "io_uring"]), "threads", "how the host does I/O"),
    prop("readonly", Kind::Bool, "off", "the guest can not write"),
    prop("read-only", Kind::Bool, "off", "the guest can not write"),
    prop("auto-read-only", Kind::Bool, "on", "open read-only when the image can not be written"),
    prop("discard", DISCARD, "ignore", "pass discards on to the image"),
    prop("detect-zeroes", DETECT, "off", "what becomes of written zeroes"),
    prop("rerror", Kind::Choice(&["ignore", "stop", "report"]), "report", "when a read fails"),
    prop("werror", Kind::Choice(&["ignore", "stop", "report", "enospc"]), "enospc", "when a write fails"),
    prop("force-share", Kind::Bool, "off", "take no lock on the image"),
    fixed("copy-on-read", Kind::Bool, "off"),
];

static OTHER_INTERFACES: &[&str] = &["ide", "scsi", "sd", "mtd", "floppy", "xen"];

/// What the meaning of a `-drive` hangs on.
pub struct DriveContext<'a> {
    /// The drives before it, which have taken their units.
    pub earlier: &'a [Drive],
    /// The machine.
    pub machine: &'static MachineType,
    /// Whether `-snapshot` stands on the command line.
    pub snapshot: bool,
}

impl Drive {
    /// Reads one `-drive`.
    pub fn read(settings: OptString, origin: &str, context: DriveContext<'_>) -> Result<Self, Fault> {
        let DriveContext { earlier, machine, snapshot } = context;
        let props = Props::read(settings, &[DRIVE], "-drive")?;
        let interface = match props.text("if").unwrap_or("virtio") {
            "none" => DriveInterface::None,
            "virtio" => DriveInterface::Virtio,
            "pflash" => DriveInterface::Pflash,
            other if OTHER_INTERFACES.contains(&other) => {
                return Err(Fault::new(format!(
                    "if={other}: the machine '{}' has no such interface",
                    machine.name
                )));
            }
            other => {
                let names = ["none", "virtio", "pflash"];
                return Err(Fault::unknown(format!("if={other}: no such interface"), other, names));
            }
        };
        if props.text("index").is_some() && (props.text("unit").is_some() || props.text("bus").is_some()) {
            return Err(Fault::new("index= can not stand with bus= or unit="));
        }
        let taken = |unit: u32| earlier.iter().find(|d| d.interface == interface && d.unit == unit);
        // Both rows allow 255 at most.
        let asked = props.number("index").or(props.number("unit")).map(|unit| unit as u32);
        let unit = asked.unwrap_or_else(|| (0..).find(|u| taken(*u).is_none()).unwrap_or(0));
        if let Some(other) = taken(unit) {
            return Err(Fault::new(format!("unit {unit} is the drive of {}", other.origin)));
        }
        if interface == DriveInterface::Pflash && unit >= machine.flash_chips {
            let chips = machine.flash_chips;
            return Err(Fault::new(format!(
                "unit {unit}: the machine '{}' has {chips} flash chips",
                machine.name
            )));
        }
        let file = props.text("file").or(props.text("file.filename")).filter(|file| !file.is_empty());
        let file = file.ok_or_else(|| Fault::new("names no image file; say file=FILE"))?.to_string();
        let format = props.text("format").or(props.text("driver")).map(ImageFormat::from_name).transpose()?;
        let cdrom = props.text("media") == Some("cdrom");
        let mut options = NodeOptions::read(&props);
        if cdrom {
            options.read_only = Some(true);
        }
        options.auto_read_only = props.flag("auto-read-only").unwrap_or(true);
        if let Some(mode) = props.text("cache") {
            options.cache = Cache::from_mode(mode);
        }
        options.cache.direct = props.flag("cache.direct").unwrap_or(options.cache.direct);
        options.cache.no_flush = props.flag("cache.no-flush").unwrap_or(options.cache.no_flush);
        options.cache.writeback = props.flag("cache.writeback").unwrap_or(options.cache.writeback);
        options.force_share |= props.text("file.locking") == Some("off");
        let prefix = match interface {
            DriveInterface::None => "none",
            DriveInterface::Virtio => "virtio",
            DriveInterface::Pflash => "pflash",
        };
        let medium = if cdrom { "-cd" } else { "" };
        Ok(Self {
            id: props.text("id").map_or_else(|| format!("{prefix}{medium}{unit}"), String::from),
            node: props.text("node-name").map(String::from),
            interface,
            unit,
            cdrom,
            file,
            format,
            snapshot: props.flag("snapshot").unwrap_or(snapshot),
            options,
            on_read_error: on_error(&props, "rerror", OnError::Report),
            on_write_error: on_error(&props, "werror", OnError::Enospc),
            origin: origin.into(),
        })
    }
}

impl Drive {
    /// The names that were given to it and to its node, which share one space.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.id).chain(self.node.as_deref())
    }

    /// The name of its node: QEMU makes one up where none was given.
    pub fn node_name(&self) -> String {
        self.node.clone().unwrap_or_else(|| format!("#{}", self.id))
    }
}

/// A node that another one stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeRef {
    /// A node of another `-blockdev`.
    Name(String),
    /// A node written in place.
    Inline(Box<BlockNode>),
}

/// Where unallocated clusters of a qcow2 image are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// From the file that the image names.
    FromImage,
    /// They are zeroes.
    None,
    /// From this node.
    Node(NodeRef),
}

/// What a block node does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockDriver {
    /// A file or block device of the host.
    File {
        /// Its path.
        filename: String,
        /// `locking=`; `None` is `auto`.
        locking: Option<bool>,
    },
    /// A window on another node.
    Raw {
        /// The node.
        file: NodeRef,
        /// First byte of the window.
        offset: u64,
        /// Its length in bytes; `None` reaches to the end.
        size: Option<u64>,
    },
    /// A qcow2 image on another node.
    Qcow2 {
        /// The node.
        file: NodeRef,
        /// Its backing file.
        backing: Backing,
    },
}

/// `-blockdev`: a node of the block graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockNode {
    /// `node-name=`; a root node always has one.
    pub name: Option<String>,
    /// What it does.
    pub driver: BlockDriver,
    /// Settings.
    pub options: NodeOptions,
    /// The `-blockdev` it stands in, as typed.
    pub origin: String,
}

/// The nodes within nodes that are followed; a longer chain is a mistake or an attack.
const MAX_DEPTH: u32 = 32;

static FILE: &[Prop] = &[
    prop("aio", Kind::Choice(&["threads", "native", "io_uring"]), "threads", "how the host does I/O"),
    prop("filename", Kind::Text, "", "path of the file"),
    prop("locking", Kind::OnOffAuto, "auto", "lock the file"),
];
static RAW: &[Prop] = &[
    prop("offset", Kind::Size(1), "0", "first byte of the window"),
    prop("size", Kind::Size(1), "", "length of the window"),
];

impl BlockNode {
    /// Reads one `-blockdev`.
    pub fn read(settings: OptString, origin: &str) -> Result<Self, Fault> {
        let node = Self::nested(settings, origin, MAX_DEPTH)?;
        if node.name.is_none() {
            return Err(Fault::new("names no node; say node-name=NAME"));
        }
        Ok(node)
    }

    /// The names of other `-blockdev`s that this node, or one written within it, stands on.
    pub fn references(&self) -> Vec<&str> {
        let below = self.below().into_iter();
        below
            .flat_map(|node| match node {
                NodeRef::Name(name) => vec![&**name],
                NodeRef::Inline(node) => node.references(),
            })
            .collect()
    }

    /// This node's name, and those of the nodes written within it.
    pub fn names(&self) -> Vec<&str> {
        let within = self.below().into_iter().flat_map(|node| match node {
            NodeRef::Name(_) => Vec::new(),
            NodeRef::Inline(node) => node.names(),
        });
        self.name.as_deref().into_iter().chain(within).collect()
    }

    fn below(&self) -> Vec<&NodeRef> {
        match &self.driver {
            BlockDriver::File { .. } => Vec::new(),
            BlockDriver::Raw { file, .. } => vec![file],
            BlockDriver::Qcow2 { file, backing: Backing::Node(node) } => vec![file, node],
            BlockDriver::Qcow2 { file, .. } => vec![file],
        }
    }

    fn nested(mut settings: OptString, origin: &str, depth: u32) -> Result<Self, Fault> {
        if depth == 0 {
            return Err(Fault::new(format!("nodes are nested deeper than {MAX_DEPTH}")));
        }
        let driver =
            settings.take("driver").ok_or_else(|| Fault::new("names no driver; say driver=qcow2"))?;
        let name = settings.take("node-name");
        if let Some(name) = name.as_deref().filter(|n| !super::value::is_identifier(n) || n.len() > 31) {
            return Err(Fault::new(format!("node-name={name}: is not a node name of at most 31 letters")));
        }
        let what = format!("the block driver '{driver}'");
        let read = |settings, table| Props::read(settings, &[NODE, table], &what);
        let (driver, props) = match &*driver {
            "file" => {
                let props = read(settings, FILE)?;
                let filename =
                    props.text("filename").ok_or_else(|| Fault::new("names no file; say filename=FILE"))?;
                (BlockDriver::File { filename: filename.into(), locking: props.flag("locking") }, props)
            }
            "raw" => {
                let file = node_ref(&mut settings, "file", origin, depth)?.ok_or_else(no_file)?;
                let props = read(settings, RAW)?;
                let (offset, size) = (props.bytes("offset").unwrap_or(0), props.bytes("size"));
                (BlockDriver::Raw { file, offset, size }, props)
            }
            "qcow2" => {
                let file = node_ref(&mut settings, "file", origin, depth)?.ok_or_else(no_file)?;
                let backing = match node_ref(&mut settings, "backing", origin, depth)? {
                    None => Backing::FromImage,
                    Some(NodeRef::Name(name)) if name.is_empty() => Backing::None,
                    Some(node) => Backing::Node(node),
                };
                (BlockDriver::Qcow2 { file, backing }, read(settings, &[])?)
            }
            other if OTHER_FORMATS.contains(&other) => {
                return Err(Fault::not_available(&format!("block driver '{other}'")));
            }
            other => {
                let names = ["file", "raw", "qcow2"];
                return Err(Fault::unknown(format!("there is no block driver '{other}'"), other, names));
            }
        };
        Ok(Self { name, driver, options: NodeOptions::read(&props), origin: origin.into() })
    }
}

fn no_file() -> Fault {
    Fault::new("names no node to stand on; say file=NODE")
}

/// Takes `key=NODE` or the settings `key.*` out, whichever is there.
fn node_ref(settings: &mut OptString, key: &str, origin: &str, depth: u32) -> Result<Option<NodeRef>, Fault> {
    let name = settings.take(key);
    let mut inner = OptString::default();
    settings.settings.retain_mut(|setting| {
        match setting.key.strip_prefix(key).and_then(|rest| rest.strip_prefix('.')) {
            Some(below) => {
                let key = below.to_string();
                let value = std::mem::take(&mut setting.value);
                inner.settings.push(super::optstring::Setting { key, value });
                false
            }
            None => true,
        }
    });
    match (name, inner.settings.is_empty()) {
        (Some(_), false) => Err(Fault::new(format!("{key}= can not stand with {key}.* settings"))),
        (Some(name), true) => Ok(Some(NodeRef::Name(name))),
        (None, true) => Ok(None),
        (None, false) => {
            let node = BlockNode::nested(inner, origin, depth - 1)?;
            Ok(Some(NodeRef::Inline(Box::new(node))))
        }
    }
}
