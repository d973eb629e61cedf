//! Names, options and files of plugins. What they count is tested on whole programs (`vmm/cli/tests`).

use super::*;
use tcg_core::observe::{BlockCount, Image};

fn setting() -> Setting {
    Setting { guest: "aarch64", end: Arc::new(|_| {}) }
}

fn made(file: &str, options: &[(&str, &str)]) -> Result<(), String> {
    let options = options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let plugin = Plugin { file: file.into(), options };
    make(&plugin, &setting()).map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_path_counts_by_its_last_part() {
    for file in ["insn", "libinsn.so", "./libinsn.so", "tests/tcg/plugins/libinsn.so", "C:\\libinsn.dll"] {
        assert_eq!(name_of(file), "insn");
    }
    assert_eq!(made("contrib/plugins/libhowvec.so", &[("inline", "on"), ("count", "hint")]), Ok(()));
}

#[test]
fn mistakes_name_the_plugin_and_the_option() {
    let fault = |file, options| made(file, options).expect_err("a mistake");
    assert!(fault("libcache.so", &[]).contains("hotblocks, howvec, insn"));
    assert_eq!(fault("insn", &[("size", "on")]), "plugin insn has no option 'size'");
    assert_eq!(fault("mem", &[("inline", "2")]), "plugin mem: inline=2: expects on or off");
    assert!(fault("stoptrigger", &[("addr", "0x10:256")]).contains("status below 256"));
    assert!(fault("howvec", &[("count", "wings")]).contains("no class"));
}

#[test]
fn a_drcov_file_has_each_executed_block_once() {
    let image = Image { path: "/bin/x".into(), base: 0x1000, end: 0x3000, entry: 0x1010, bias: 0 };
    let block = |pc, count| BlockCount { pc, bytes: 12, insns: 3, translations: 1, count };
    let blocks = [block(0x1010, 2), block(0x2000, 0), block(0x2ff0, 1), block(0x5000, 9)];
    let content = drcov::content(&[image], &blocks);
    let head = "DRCOV VERSION: 2\nDRCOV FLAVOR: drcov-64\nModule Table: version 2, count 1\n\
                Columns: id, base, end, entry, path\n0, 0x1000, 0x3000, 0x1010, /bin/x\nBB Table: 2 bbs\n";
    assert_eq!(&content[..head.len()], head.as_bytes());
    assert_eq!(content[head.len()..], [0x10, 0, 0, 0, 12, 0, 0, 0, 0xf0, 0x1f, 0, 0, 12, 0, 0, 0]);
}
