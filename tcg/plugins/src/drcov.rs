//! `drcov`: which blocks were executed, as a coverage file of DynamoRIO's `drcov` (version 2), which Lighthouse, Cartographer and
//! others read.
//!
//! Option: `filename=PATH` (default `file.drcov.trace`). Blocks count that lie in a program the guest was started with; what the
//! guest has loaded by itself has no name to be told by.

use crate::arguments::{Arguments, PluginError};
use crate::{Setting, say};
use std::fs;
use tcg_core::observe::{BlockCount, Image, Observer, Record, Wants};

struct DrCov {
    file: String,
}

pub fn make(arguments: &mut Arguments<'_>, _: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    let file: String = arguments.text("filename").unwrap_or("file.drcov.trace").into();
    crate::check_writable(&file).map_err(|what| PluginError::File { plugin: "drcov".into(), what })?;
    Ok(Box::new(DrCov { file }))
}

/// The file's content.
pub(crate) fn content(images: &[Image], blocks: &[BlockCount]) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut count = 0;
    for block in blocks.iter().filter(|block| block.count > 0) {
        let inside = |image: &Image| (image.base..image.end).contains(&block.pc);
        let Some(module) = images.iter().position(inside) else { continue };
        let offset = block.pc - images[module].base;
        let (Ok(offset), Ok(bytes)) = (u32::try_from(offset), u16::try_from(block.bytes)) else { continue };
        entries.extend(offset.to_le_bytes());
        entries.extend(bytes.to_le_bytes());
        entries.extend((module as u16).to_le_bytes());
        count += 1;
    }
    let mut head = format!(
        "DRCOV VERSION: 2\nDRCOV FLAVOR: drcov-64\nModule Table: version 2, count {}\n\
         Columns: id, base, end, entry, path\n",
        images.len()
    );
    for (id, Image { path, base, end, entry, .. }) in images.iter().enumerate() {
        head += &format!("{id}, {base:#x}, {end:#x}, {entry:#x}, {path}\n");
    }
    head += &format!("BB Table: {count} bbs\n");
    let mut content = head.into_bytes();
    content.extend(entries);
    content
}

impl Observer for DrCov {
    fn wants(&self) -> Wants {
        Wants { blocks: true, ..Wants::default() }
    }

    fn finish(&self, record: &Record) {
        let content = content(&record.images(), &record.blocks());
        match fs::write(&self.file, content) {
            Ok(()) => say(&format!("drcov: wrote {}", self.file)),
            Err(error) => tracing::error!("plugin drcov: cannot write '{}': {error}", self.file),
        }
    }
}
