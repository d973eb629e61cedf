//! An empty qcow2 image, version 3 (QEMU, docs/interop/qcow2.rst): header, L1 table, one refcount table and block.
//!
//! Only what a new disk needs is written; everything that happens to it later is the emulator's block layer's.

use std::io::Write;

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Guest bytes behind one entry of the L1 table: a cluster of 8-byte entries of a cluster each.
const PER_L1_ENTRY: u64 = CLUSTER / 8 * CLUSTER;
const HEADER_LENGTH: u32 = 104;

/// Writes an image of `size` bytes (at most 4 TiB) that reads as zeros.
pub(crate) fn write_empty(size: u64, out: &mut impl Write) -> std::io::Result<()> {
    let l1_entries = size.div_ceil(PER_L1_ENTRY);
    if l1_entries * 8 > CLUSTER {
        return Err(std::io::Error::other("the disk is larger than 4 TiB"));
    }
    let [l1, refcount_table, refcount_block] = [1, 2, 3].map(|cluster| cluster * CLUSTER);

    let mut header = Vec::new();
    header.extend(b"QFI\xfb");
    header.extend(3u32.to_be_bytes());
    header.extend([0; 12]); // no backing file
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    header.extend(0u32.to_be_bytes()); // not encrypted
    header.extend((l1_entries as u32).to_be_bytes());
    header.extend(l1.to_be_bytes());
    header.extend(refcount_table.to_be_bytes());
    header.extend(1u32.to_be_bytes()); // clusters of the refcount table
    header.extend([0; 12]); // no snapshots
    header.extend([0; 24]); // no incompatible, compatible or autoclear features
    header.extend(4u32.to_be_bytes()); // refcounts of 16 bits
    header.extend(HEADER_LENGTH.to_be_bytes());

    let mut table = vec![0; CLUSTER as usize];
    table[..8].copy_from_slice(&refcount_block.to_be_bytes());
    let mut block = vec![0; CLUSTER as usize];
    // Header, L1 table, refcount table and refcount block are used once each.
    for count in block.chunks_exact_mut(2).take(4) {
        count.copy_from_slice(&1u16.to_be_bytes());
    }
    header.resize(CLUSTER as usize, 0);
    out.write_all(&header)?;
    out.write_all(&vec![0; CLUSTER as usize])?;
    out.write_all(&table)?;
    out.write_all(&block)
}

#[cfg(test)]
mod tests {
    #[test]
    fn image_has_the_fields_of_the_specification() {
        let mut image = Vec::new();
        super::write_empty(4 << 30, &mut image).unwrap();
        assert_eq!(image.len(), 4 << 16);
        assert_eq!(&image[..8], b"QFI\xfb\0\0\0\x03");
        assert_eq!(u64::from_be_bytes(image[24..32].try_into().unwrap()), 4 << 30);
        assert_eq!(u32::from_be_bytes(image[36..40].try_into().unwrap()), 8, "L1 entries of 512 MiB");
        assert!(super::write_empty(5 << 40, &mut Vec::new()).is_err());
    }
}
