//! Device tree blobs of the user's.

use machines::BootText;
use machines::with_chosen;

/// Takes `data` as the file of `-dtb`: what is no tree is refused, and what is made of a tree is a tree again, with
/// everything that was to be said.
pub fn device_tree(data: &[u8]) {
    let text = BootText {
        append: Some("console=ttyS0".into()),
        initrd: Some((0x8400_0000, 0x8500_0000)),
        rng_seed: vec![7; 32],
        kaslr_seed: Some(7),
        secure_seeds: (Vec::new(), None),
    };
    let nothing = BootText::default();
    let (Some(plain), Some(full)) = (with_chosen(data, &nothing), with_chosen(data, &text)) else {
        // What the text says has no part in what is a tree.
        assert_eq!(with_chosen(data, &nothing), None);
        assert_eq!(with_chosen(data, &text), None);
        return;
    };
    let has = |tree: &[u8], text: &[u8]| tree.windows(text.len()).any(|w| w == text);
    assert!(has(&full, b"console=ttyS0\0") && has(&full, &[7; 32]) && has(&full, b"linux,initrd-end\0"));
    for tree in [plain, full] {
        let again = with_chosen(&tree, &nothing).expect("what was written is a tree");
        assert_eq!(again, with_chosen(&again, &nothing).expect("and so is that"));
        assert_eq!(&again, &tree, "nothing is added to a tree that has a chosen node");
    }
}
