//! ACPI tables for firmware: one blob, and the script by which firmware puts it into memory and fills in addresses.
//!
//! ACPI 6.5 chapter 5; the script is QEMU's `etc/table-loader` (its docs/specs/fw_cfg and the comments of EDK2's
//! QemuFwCfgAcpi): commands of 128 bytes.

use crate::parts::BoardError;
use acpi_tables::Aml;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use base::Shared;
use devices::chips::fw_cfg::FwCfg;

/// Who made the tables.
pub const OEM: [u8; 6] = *b"MIMIC ";
/// See [`OEM`].
pub const OEM_TABLE: [u8; 8] = *b"MIMICTBL";

/// Names of the files.
const TABLES: &str = "etc/acpi/tables";
const RSDP: &str = "etc/acpi/rsdp";
const LOADER: &str = "etc/table-loader";

/// Offset of the checksum of every table.
const CHECKSUM: usize = 9;
/// Bytes of the header of every table.
pub const HEADER: usize = 36;
/// Offset of the address of the XSDT, and bytes that each checksum of the RSDP is over.
const RSDP_XSDT: usize = 24;
const RSDP_SUMS: [(usize, usize); 2] = [(8, 20), (32, 36)];

/// Where tables go: below 4 GiB, or where a BIOS is looked for.
const ZONE_HIGH: u8 = 1;
const ZONE_FSEG: u8 = 2;

/// Bytes of AML or of a table.
pub fn bytes(aml: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    aml.to_aml_bytes(&mut bytes);
    bytes
}

/// An empty table.
pub fn table(signature: [u8; 4], revision: u8) -> Sdt {
    Sdt::new(signature, HEADER as u32, revision, OEM, OEM_TABLE, 1)
}

/// The blob, and the script for it.
#[derive(Default)]
pub struct Tables {
    blob: Vec<u8>,
    script: Vec<u8>,
    /// Where the tables that the XSDT names are.
    named: Vec<u64>,
}

impl Tables {
    /// Tables that nobody names yet; the first commands make room.
    pub fn new() -> Self {
        let mut tables = Self::default();
        for (file, align, zone) in [(RSDP, 16u32, ZONE_FSEG), (TABLES, 64, ZONE_HIGH)] {
            tables.command(1, &[file], &[&align.to_le_bytes(), &[zone]]);
        }
        tables
    }

    fn command(&mut self, number: u32, files: &[&str], rest: &[&[u8]]) {
        let end = self.script.len() + 128;
        self.script.extend(number.to_le_bytes());
        for file in files {
            let start = self.script.len();
            self.script.extend(file.bytes());
            self.script.resize(start + 56, 0);
        }
        rest.iter().for_each(|bytes| self.script.extend(*bytes));
        self.script.resize(end, 0);
    }

    /// Adds the address of the blob to what stands at `offset` of `file`.
    fn pointer(&mut self, file: &str, offset: usize) {
        self.command(2, &[file, TABLES], &[&(offset as u32).to_le_bytes(), &[8]]);
    }

    fn checksum(&mut self, file: &str, at: usize, (start, len): (usize, usize)) {
        let words = [at, start, len].map(|word| (word as u32).to_le_bytes());
        self.command(3, &[file], &[&words[0], &words[1], &words[2]]);
    }

    /// Adds a table, in which the 64-bit words at `pointers` are offsets in the blob; gives its own offset.
    pub fn add(&mut self, table: Vec<u8>, pointers: &[usize]) -> u64 {
        let start = self.blob.len().next_multiple_of(16);
        self.blob.resize(start, 0);
        let len = table.len();
        self.blob.extend(table);
        pointers.iter().for_each(|at| self.pointer(TABLES, start + at));
        self.blob[start + CHECKSUM] = 0;
        self.checksum(TABLES, start + CHECKSUM, (start, len));
        start as u64
    }

    /// The same, for a table that the XSDT names.
    pub fn add_named(&mut self, table: Vec<u8>, pointers: &[usize]) {
        let at = self.add(table, pointers);
        self.named.push(at);
    }

    /// Offers all of it to firmware.
    pub fn offer(mut self, fw_cfg: &Shared<FwCfg>) -> Result<(), BoardError> {
        let mut xsdt = table(*b"XSDT", 1);
        self.named.iter().for_each(|at| xsdt.append(*at));
        let pointers: Vec<usize> = (0..self.named.len()).map(|n| HEADER + 8 * n).collect();
        let xsdt = self.add(xsdt.as_slice().to_vec(), &pointers);
        let mut rsdp = bytes(&Rsdp::new(OEM, xsdt));
        self.pointer(RSDP, RSDP_XSDT);
        for (at, len) in RSDP_SUMS {
            rsdp[at] = 0;
            self.checksum(RSDP, at, (0, len));
        }
        let mut fw_cfg = fw_cfg.lock();
        fw_cfg.add_file(TABLES, self.blob)?;
        fw_cfg.add_file(RSDP, rsdp)?;
        fw_cfg.add_file(LOADER, self.script)?;
        Ok(())
    }
}
