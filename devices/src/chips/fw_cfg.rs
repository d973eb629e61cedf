//! The firmware configuration device: items that firmware and kernels read by key or by file name.
//!
//! From QEMU's documentation, "QEMU Firmware Configuration (fw_cfg) Device", in the memory-mapped form. Writing the
//! data register is left out, as in QEMU since 2.4; items are written by DMA.

use super::guest_error;
use super::registers::{merge, part, registers};
use base::{Device, GuestRam, Mmio, State, StateError, Width};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;
use vm_memory::{Bytes, GuestAddress};

registers! {
    /// The register file. Selector and DMA address are big-endian.
    pub enum Register {
        /// The next bytes of the selected item, 1 to 8 at a time.
        0x00 DATA R;
        /// Selects an item, from its first byte on; 16 bits.
        0x08 SELECTOR W;
        /// Address of a DMA request; writing the low half (at 0x14) starts it. Reads as the DMA signature.
        0x10 DMA RW;
    }
}

/// Keys of the items that have one each.
pub mod key {
    /// `QEMU`.
    pub const SIGNATURE: u16 = 0x00;
    /// Feature bits: 0 the registers, 1 DMA.
    pub const ID: u16 = 0x01;
    /// 16 bytes.
    pub const UUID: u16 = 0x02;
    /// Bytes of RAM, u64.
    pub const RAM_SIZE: u16 = 0x03;
    /// 1 without a display, u16.
    pub const NOGRAPHIC: u16 = 0x04;
    /// Number of CPUs at start, u16.
    pub const NB_CPUS: u16 = 0x05;
    /// Load address of the kernel.
    pub const KERNEL_ADDR: u16 = 0x07;
    /// Size of [`KERNEL_DATA`], u32.
    pub const KERNEL_SIZE: u16 = 0x08;
    /// Load address of the initial RAM disk.
    pub const INITRD_ADDR: u16 = 0x0a;
    /// Size of [`INITRD_DATA`], u32.
    pub const INITRD_SIZE: u16 = 0x0b;
    /// First boot device, u16.
    pub const BOOT_DEVICE: u16 = 0x0c;
    /// 1 to show the boot menu, u16.
    pub const BOOT_MENU: u16 = 0x0e;
    /// Most CPUs there can be, u16.
    pub const MAX_CPUS: u16 = 0x0f;
    /// Entry point of the kernel.
    pub const KERNEL_ENTRY: u16 = 0x10;
    /// The kernel.
    pub const KERNEL_DATA: u16 = 0x11;
    /// The initial RAM disk.
    pub const INITRD_DATA: u16 = 0x12;
    /// Size of [`CMDLINE_DATA`], u32.
    pub const CMDLINE_SIZE: u16 = 0x14;
    /// The kernel's command line, NUL-terminated.
    pub const CMDLINE_DATA: u16 = 0x15;
    /// The directory of files.
    pub const FILE_DIR: u16 = 0x19;
    /// The first file.
    pub const FILE_FIRST: u16 = 0x20;
    /// Bit that marks items of one architecture.
    pub const ARCH_LOCAL: u16 = 0x8000;
    /// Bit that once marked writes; ignored.
    pub const WRITE_CHANNEL: u16 = 0x4000;
}

/// Fields of a DMA request's control word; the key stands in bits 31:16.
mod control {
    pub const ERROR: u32 = 1 << 0;
    pub const READ: u32 = 1 << 1;
    pub const SKIP: u32 = 1 << 2;
    pub const SELECT: u32 = 1 << 3;
    pub const WRITE: u32 = 1 << 4;
}

/// `QEMU CFG`, read from the DMA register.
const DMA_SIGNATURE: u64 = u64::from_le_bytes(*b"QEMU CFG");
/// Longest name in the directory, without its NUL.
const NAME_MAX: usize = 55;
/// Most files: the keys below [`key::WRITE_CHANNEL`].
const FILES_MAX: usize = (key::WRITE_CHANNEL - key::FILE_FIRST) as usize;
const VERSION: u32 = 1;

/// Why an item could not be added.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FwCfgError {
    /// The directory has no room for the name.
    #[error("fw_cfg file name {0:?} is empty or longer than {NAME_MAX} bytes")]
    Name(String),
    /// There is such a file.
    #[error("fw_cfg file {0:?} is given twice")]
    Duplicate(String),
    /// All keys are taken.
    #[error("fw_cfg has no room for file {0:?}: there are {FILES_MAX} already")]
    Full(String),
    /// Sizes are 32-bit.
    #[error("fw_cfg file {0:?} is larger than 4 GiB")]
    Size(String),
}

/// Called with the whole item after the guest wrote to it.
type Written = Box<dyn Fn(&[u8]) + Send>;

struct Item {
    data: Vec<u8>,
    written: Option<Written>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Registers {
    selected: u16,
    /// Next byte of the selected item.
    position: u64,
    /// The DMA address register, in the byte order of the bus.
    dma: u64,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    registers: Registers,
    /// Contents of the items that the guest can write, by key.
    written: BTreeMap<u16, Vec<u8>>,
}

/// The device.
pub struct FwCfg {
    ram: GuestRam,
    /// Items by key, apart from files.
    keyed: BTreeMap<u16, Item>,
    /// Files in the order of their names and of their keys.
    files: Vec<(String, Item)>,
    registers: Registers,
}

impl FwCfg {
    /// A device with the signature and the feature bits, that does DMA to `ram`.
    pub fn new(ram: GuestRam) -> Self {
        let mut device =
            Self { ram, keyed: BTreeMap::new(), files: Vec::new(), registers: Registers::default() };
        device.set_key(key::SIGNATURE, b"QEMU".to_vec());
        device.set_key(key::ID, 3u32.to_le_bytes().to_vec());
        device.list_files();
        device
    }

    /// Sets the item of `key` (below [`key::FILE_DIR`], with or without [`key::ARCH_LOCAL`]); numbers are
    /// little-endian.
    pub fn set_key(&mut self, key: u16, data: Vec<u8>) {
        self.keyed.insert(key, Item { data, written: None });
    }

    /// Adds a file that the guest can read.
    pub fn add_file(&mut self, name: &str, data: Vec<u8>) -> Result<(), FwCfgError> {
        self.insert(name, Item { data, written: None })
    }

    /// Adds a file that the guest can also write by DMA; `written` gets the whole file after each write, with the
    /// device locked.
    pub fn add_writable_file(
        &mut self,
        name: &str,
        data: Vec<u8>,
        written: impl Fn(&[u8]) + Send + 'static,
    ) -> Result<(), FwCfgError> {
        self.insert(name, Item { data, written: Some(Box::new(written)) })
    }

    fn insert(&mut self, name: &str, item: Item) -> Result<(), FwCfgError> {
        if name.is_empty() || name.len() > NAME_MAX || name.contains('\0') {
            return Err(FwCfgError::Name(name.into()));
        }
        if u32::try_from(item.data.len()).is_err() {
            return Err(FwCfgError::Size(name.into()));
        }
        if self.files.len() >= FILES_MAX {
            return Err(FwCfgError::Full(name.into()));
        }
        match self.files.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
            Ok(_) => return Err(FwCfgError::Duplicate(name.into())),
            Err(at) => self.files.insert(at, (name.into(), item)),
        }
        self.list_files();
        Ok(())
    }

    /// Makes the directory: a count, then size, key, two reserved bytes and the name of each file, big-endian.
    fn list_files(&mut self) {
        let mut directory = (self.files.len() as u32).to_be_bytes().to_vec();
        for (key, (name, item)) in (key::FILE_FIRST..).zip(&self.files) {
            directory.extend((item.data.len() as u32).to_be_bytes());
            directory.extend(key.to_be_bytes());
            directory.extend([0; 2]);
            directory.extend(name.as_bytes());
            directory.extend(std::iter::repeat_n(0, NAME_MAX + 1 - name.len()));
        }
        self.set_key(key::FILE_DIR, directory);
    }

    fn select(&mut self, key: u16) {
        self.registers.selected = key & !key::WRITE_CHANNEL;
        self.registers.position = 0;
    }

    fn item_mut(&mut self, key: u16) -> Option<&mut Item> {
        match key.checked_sub(key::FILE_FIRST).and_then(|index| self.files.get_mut(usize::from(index))) {
            Some((_, item)) => Some(item),
            None => self.keyed.get_mut(&key),
        }
    }

    /// The rest of the selected item.
    fn rest(&self) -> &[u8] {
        let key = self.registers.selected;
        let file = key.checked_sub(key::FILE_FIRST).and_then(|index| self.files.get(usize::from(index)));
        let item = file.map(|(_, item)| item).or_else(|| self.keyed.get(&key));
        let start = usize::try_from(self.registers.position).unwrap_or(usize::MAX);
        item.and_then(|item| item.data.get(start..)).unwrap_or(&[])
    }

    /// Bytes past the end read as zero, and do not count.
    fn read_data(&mut self, width: Width) -> u64 {
        let mut bytes = [0; 8];
        let rest = self.rest();
        let n = rest.len().min(width.bytes() as usize);
        bytes[..n].copy_from_slice(&rest[..n]);
        self.registers.position += n as u64;
        u64::from_le_bytes(bytes)
    }

    /// Carries out the request at `address`: control, length and address, big-endian; the result overwrites the
    /// control word.
    fn dma(&mut self, address: u64) {
        let mut request = [0; 16];
        if self.ram.read_slice(&mut request, GuestAddress(address)).is_err() {
            return guest_error(self.name(), format_args!("DMA request at {address:#x}, which is not RAM"));
        }
        let request = u128::from_be_bytes(request);
        let (control, length, target) = ((request >> 96) as u32, (request >> 64) as u32, request as u64);
        if control & control::SELECT != 0 {
            self.select((control >> 16) as u16);
        }
        let result = if control & control::READ != 0 {
            self.dma_read(target, length.into())
        } else if control & control::WRITE != 0 {
            self.dma_write(target, length as usize)
        } else {
            if control & control::SKIP != 0 {
                self.advance(length.into());
            }
            Some(())
        };
        if result.is_none() {
            guest_error(
                self.name(),
                format_args!("DMA {control:#x} of {length} bytes at {target:#x} failed"),
            );
        }
        let control = if result.is_some() { 0 } else { control::ERROR };
        // The request was readable RAM a moment ago; if that is over, there is nobody left to tell.
        let _ = self.ram.write_slice(&control.to_be_bytes(), GuestAddress(address));
    }

    fn advance(&mut self, length: u64) {
        self.registers.position += length.min(self.rest().len() as u64);
    }

    /// Copies the rest of the item, and zeros past its end.
    fn dma_read(&mut self, target: u64, length: u64) -> Option<()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let rest = self.rest();
        let n = length.min(rest.len() as u64);
        self.ram.write_slice(&rest[..n as usize], GuestAddress(target)).ok()?;
        self.advance(n);
        let mut done = n;
        while done < length {
            let zeros = &ZEROS[..(length - done).min(ZEROS.len() as u64) as usize];
            self.ram.write_slice(zeros, GuestAddress(target.checked_add(done)?)).ok()?;
            done += zeros.len() as u64;
        }
        Some(())
    }

    /// Overwrites part of the item; all of it must lie inside.
    fn dma_write(&mut self, target: u64, length: usize) -> Option<()> {
        let (key, start) = (self.registers.selected, self.registers.position as usize);
        if length > self.rest().len() {
            return None;
        }
        let mut bytes = vec![0; length];
        self.ram.read_slice(&mut bytes, GuestAddress(target)).ok()?;
        let item = self.item_mut(key)?;
        let written = item.written.as_ref()?;
        item.data[start..start + length].copy_from_slice(&bytes);
        written(&item.data);
        self.registers.position += length as u64;
        Some(())
    }

    fn writable(&self) -> impl Iterator<Item = (u16, &Item)> {
        let files = (key::FILE_FIRST..).zip(&self.files).map(|(key, (_, item))| (key, item));
        files.filter(|(_, item)| item.written.is_some())
    }
}

impl Device for FwCfg {
    fn name(&self) -> &'static str {
        "fw_cfg_mem"
    }

    /// Items keep their contents.
    fn reset(&mut self) {
        self.registers = Registers::default();
    }

    fn save(&self) -> State {
        let written = self.writable().map(|(key, item)| (key, item.data.clone())).collect();
        State::of(VERSION, &Saved { registers: self.registers.clone(), written })
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let saved: Saved = state.get(VERSION)?;
        let sizes = |(key, data): (&u16, &Vec<u8>)| (*key, data.len());
        if !saved.written.iter().map(sizes).eq(self.writable().map(|(key, item)| (key, item.data.len()))) {
            return Err(StateError::Value("writable items of another machine"));
        }
        self.registers = saved.registers;
        for (key, data) in saved.written {
            if let Some(item) = self.item_mut(key) {
                item.data = data;
            }
        }
        Ok(())
    }
}

impl Mmio for FwCfg {
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        match Register::read_at(offset & !7) {
            Some(Register::DATA) => self.read_data(width),
            Some(Register::DMA) => part(DMA_SIGNATURE, offset, width),
            Some(Register::SELECTOR) | None => 0,
        }
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        match (Register::write_at(offset & !7), offset & 7, width) {
            (Some(Register::SELECTOR), 0, Width::B2) => self.select((value as u16).swap_bytes()),
            (Some(Register::DMA), 0, Width::B4) => {
                self.registers.dma = merge(self.registers.dma, offset, width, value);
            }
            (Some(Register::DMA), 4, Width::B4) | (Some(Register::DMA), 0, Width::B8) => {
                let address = merge(self.registers.dma, offset, width, value).swap_bytes();
                self.registers.dma = 0;
                self.dma(address);
            }
            _ => guest_error(self.name(), format_args!("write of {value:#x} at {offset:#x}")),
        }
    }
}

#[cfg(test)]
mod tests;
