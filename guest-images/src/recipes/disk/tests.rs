use super::*;

#[test]
fn partition_table_has_one_active_linux_partition() {
    let sector = partition_table(1 << 30, 0);
    assert_eq!(sector.len(), 512);
    assert_eq!((sector[446], sector[450], &sector[510..]), (0x80, 0x83, &[0x55, 0xaa][..]));
    assert_eq!(sector[454..458], 2048u32.to_le_bytes());
    assert_eq!(sector[458..462], ((1u32 << 21) - 2048).to_le_bytes());
    assert_eq!(sector[462..510], [0; 48]);
}

#[test]
fn efi_system_partition_stands_at_the_end() {
    let sector = partition_table(1 << 30, EFI_SECTORS);
    assert_eq!((sector[446], sector[450], sector[462], sector[466]), (0x80, 0x83, 0, 0xef));
    let word = |at: usize| u32::from_le_bytes(sector[at..at + 4].try_into().unwrap());
    assert_eq!((word(454), word(454) + word(458)), (2048, word(470)));
    assert_eq!((word(474), word(470) + word(474)), (131_072, 1 << 21));
}

#[test]
fn report_decides() {
    let report = |bytes: &[u8]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        check_report(&file.path().to_owned()).map_err(|e| e.to_string())
    };
    assert_eq!(report(b"OK\nfiles\n\0\0\0"), Ok(()));
    let error = report(b"FAILED\nSetting up x ...\ndpkg: error\n\0\0").unwrap_err();
    assert!(error.ends_with("Setting up x ...\ndpkg: error"), "{error}");
    for odd in [&b"MIMIC-REPORT\0\0"[..], b"", b"\xff\xfe", b"OKAY\n"] {
        assert!(report(odd).unwrap_err().contains("without a report"));
    }
}

#[test]
fn archive_keeps_every_kind_of_file() {
    let nodes = [
        ("dir", Node::new(Kind::Dir, 0o755)),
        ("dir/file", Node { uid: 1, gid: 2, mtime: 3, ..Node::new(Kind::File(b"x".to_vec()), 0o4755) }),
        ("dir/hard", Node::new(Kind::HardLink("dir/file".to_owned()), 0o755)),
        ("link", Node::new(Kind::Symlink("dir/file".to_owned()), 0o777)),
        ("tty", Node::new(Kind::Char(5, 0), 0o666)),
    ];
    let mut archive = tar::Builder::new(Vec::new());
    for (path, node) in &nodes {
        append(&mut archive, path, node).unwrap();
    }
    let deb = crate::testing::deb_of(&[], &archive.into_inner().unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), deb).unwrap();
    let mut read = Vec::new();
    crate::deb::data(file.path(), &|_| true, &mut |path, node| {
        read.push((path, node));
        Ok(())
    })
    .unwrap();
    assert_eq!(read.iter().map(|(p, n)| (p.as_str(), n.clone())).collect::<Vec<_>>(), nodes);
}
