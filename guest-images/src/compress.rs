//! The compressions that Debian archives, packages and kernel modules use, told apart by the ending of the file name.

use std::io::{self, Read};

/// The window of an xz stream may need this much memory, in KiB; `xz -9` needs 65 MiB.
const XZ_MEMORY_KIB: u32 = 256 << 10;

/// A reader of the plain bytes of `inner`, whose file name is `name`.
pub(crate) fn reader<'a, R: Read + 'a>(name: &str, inner: R) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match name.rsplit('.').next() {
        Some("xz") => Box::new(lzma_rust2::XzReader::new_mem_limit(inner, true, XZ_MEMORY_KIB)),
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(inner)),
        Some("zst") => Box::new(ruzstd::decoding::StreamingDecoder::new(inner).map_err(io::Error::other)?),
        _ => Box::new(inner),
    })
}

/// All plain bytes of `inner`; an error where there are more than `limit` of them.
pub(crate) fn read_all(name: &str, inner: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    reader(name, inner)?.take(limit + 1).read_to_end(&mut plain)?;
    if plain.len() as u64 > limit {
        return Err(io::Error::other(format!("unpacks to more than {limit} bytes")));
    }
    Ok(plain)
}
