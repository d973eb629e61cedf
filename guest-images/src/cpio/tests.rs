use super::*;

#[derive(Debug, PartialEq)]
struct Entry {
    name: String,
    inode: u32,
    mode: u32,
    names: u32,
    device: (u32, u32),
    data: Vec<u8>,
}

/// A reader after the same document, for the tests alone.
fn read(mut archive: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        assert_eq!(&archive[..6], b"070701");
        let field = |n: usize| {
            let digits = std::str::from_utf8(&archive[6 + 8 * n..14 + 8 * n]).unwrap();
            u32::from_str_radix(digits, 16).unwrap()
        };
        let (size, name_size) = (field(6) as usize, field(11) as usize);
        let name = String::from_utf8(archive[110..110 + name_size - 1].to_vec()).unwrap();
        assert_eq!(archive[110 + name_size - 1], 0);
        let data_at = (110 + name_size).next_multiple_of(4);
        let next = (data_at + size).next_multiple_of(4);
        let data = archive[data_at..data_at + size].to_vec();
        let entry = Entry {
            name,
            inode: field(0),
            mode: field(1),
            names: field(4),
            device: (field(9), field(10)),
            data,
        };
        archive = &archive[next..];
        if entry.name == "TRAILER!!!" {
            assert!(archive.is_empty());
            return entries;
        }
        entries.push(entry);
    }
}

fn written(tree: &Tree) -> Vec<Entry> {
    let mut archive = Vec::new();
    write(tree, &mut archive).unwrap();
    assert_eq!(archive.len() % 4, 0);
    read(&archive)
}

#[test]
fn every_kind_of_file_survives() {
    let mut tree = Tree::new();
    tree.file("bin/tool", 0o4755, *b"12345").unwrap();
    tree.symlink("sh", "bin/tool").unwrap();
    tree.put("console", Node::new(Kind::Char(5, 1), 0o600)).unwrap();
    tree.put("disk", Node::new(Kind::Block(254, 0), 0o660)).unwrap();
    tree.put("pipe", Node::new(Kind::Fifo, 0o666)).unwrap();
    let entries = written(&tree);
    let short: Vec<_> =
        entries.iter().map(|e| (e.name.as_str(), e.mode, e.device, e.data.as_slice())).collect();
    assert_eq!(
        short,
        [
            ("bin", 0o040755, (0, 0), &b""[..]),
            ("bin/tool", 0o104755, (0, 0), b"12345"),
            ("console", 0o020600, (5, 1), b""),
            ("disk", 0o060660, (254, 0), b""),
            ("pipe", 0o010666, (0, 0), b""),
            ("sh", 0o120777, (0, 0), b"bin/tool"),
        ]
    );
    let mut inodes: Vec<_> = entries.iter().map(|e| e.inode).collect();
    inodes.dedup();
    assert_eq!(inodes.len(), entries.len());
}

#[test]
fn hard_links_share_their_inode() {
    let mut tree = Tree::new();
    tree.file("b", 0o755, *b"data").unwrap();
    tree.put("a", Node::new(Kind::HardLink("b".to_owned()), 0o755)).unwrap();
    tree.put("c", Node::new(Kind::HardLink("b".to_owned()), 0o755)).unwrap();
    let entries = written(&tree);
    assert!(entries.iter().all(|e| e.inode == entries[0].inode && e.names == 3));
    assert_eq!(entries.iter().map(|e| e.data.len()).collect::<Vec<_>>(), [0, 4, 0]);
}
