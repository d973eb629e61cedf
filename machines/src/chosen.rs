//! A device tree blob of the user's, with what this boot adds to its `/chosen` node (Devicetree Specification 0.4,
//! chapters 3.6 and 5).

use crate::parts::BootText;

const MAGIC: u32 = 0xd00d_feed;
const HEADER: usize = 40;
/// Versions of the format from which the header has all its fields.
const VERSION: u32 = 17;
const COMPATIBLE: u32 = 16;

/// Tokens of the structure block.
mod token {
    pub const BEGIN_NODE: u32 = 1;
    pub const END_NODE: u32 = 2;
    pub const PROP: u32 = 3;
    pub const NOP: u32 = 4;
    pub const END: u32 = 9;
}

/// Reads big-endian words and names, never past the end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// `len` bytes, and the padding behind them.
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at = (self.at + len).next_multiple_of(4);
        Some(bytes)
    }

    fn name(&mut self) -> Option<&'a [u8]> {
        let len = self.bytes.get(self.at..)?.iter().position(|b| *b == 0)?;
        self.take(len + 1).map(|name| &name[..len])
    }
}

/// The blob that is being written.
struct Writer {
    structure: Vec<u8>,
    strings: Vec<u8>,
}

impl Writer {
    fn word(&mut self, word: u32) {
        self.structure.extend(word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn begin(&mut self, name: &[u8]) {
        self.word(token::BEGIN_NODE);
        let mut name = name.to_vec();
        name.push(0);
        self.bytes(&name);
    }

    fn property(&mut self, name: u32, value: &[u8]) {
        self.word(token::PROP);
        self.word(value.len() as u32);
        self.word(name);
        self.bytes(value);
    }

    /// What this boot says.
    fn chosen(&mut self, properties: &[(&str, Vec<u8>)]) {
        for (name, value) in properties {
            let at = self.strings.len() as u32;
            self.strings.extend(name.as_bytes());
            self.strings.push(0);
            self.property(at, value);
        }
    }
}

/// `tree` with `text` in its `/chosen` node; `None` if it is no device tree blob.
pub fn with_chosen(tree: &[u8], text: &BootText) -> Option<Vec<u8>> {
    let mut header = Reader { bytes: tree, at: 0 };
    let fields: Vec<u32> = (0..10).map(|_| header.word()).collect::<Option<_>>()?;
    let [magic, total, structure, strings, reserved, version, compatible, boot_cpu, strings_len, _] =
        fields[..]
    else {
        return None;
    };
    if magic != MAGIC || version < VERSION || compatible > VERSION || total as usize > tree.len() {
        return None;
    }
    let strings = tree.get(strings as usize..)?.get(..strings_len as usize)?;
    let name_at = |at: u32| {
        let name = strings.get(at as usize..)?;
        name.split(|b| *b == 0).next()
    };
    let properties = properties(text);
    let mut from = Reader { bytes: tree, at: structure as usize };
    let mut to = Writer { structure: Vec::new(), strings: strings.to_vec() };
    let (mut depth, mut in_chosen, mut done, mut rooted) = (0u32, false, false, false);
    loop {
        match from.word()? {
            token::BEGIN_NODE => {
                let name = from.name()?;
                // There is one root.
                if depth == 0 && std::mem::replace(&mut rooted, true) {
                    return None;
                }
                depth += 1;
                to.begin(name);
                in_chosen = depth == 2 && name == b"chosen";
                if in_chosen && !done {
                    to.chosen(&properties);
                    done = true;
                }
            }
            token::END_NODE => {
                depth = depth.checked_sub(1)?;
                in_chosen = false;
                if depth == 0 && !done {
                    to.begin(b"chosen");
                    to.chosen(&properties);
                    to.word(token::END_NODE);
                }
                to.word(token::END_NODE);
            }
            token::PROP if depth > 0 => {
                let (len, name) = (from.word()?, from.word()?);
                let value = from.take(len as usize)?;
                let ours = |n: &[u8]| properties.iter().any(|(name, _)| name.as_bytes() == n);
                if !(in_chosen && name_at(name).is_some_and(ours)) {
                    to.property(name, value);
                }
            }
            token::NOP => {}
            token::END if depth == 0 && rooted => break,
            _ => return None,
        }
    }
    to.word(token::END);

    // Reserved memory: pairs of 64-bit words, to the first pair of zeroes.
    let reserved = tree.get(reserved as usize..)?;
    let pairs = reserved.chunks_exact(16).take_while(|pair| pair.iter().any(|b| *b != 0)).count();
    let reserved = reserved.get(..(pairs + 1) * 16)?;
    let structure = HEADER + reserved.len();
    let strings = structure + to.structure.len();
    let words = [
        MAGIC,
        (strings + to.strings.len()) as u32,
        structure as u32,
        strings as u32,
        HEADER as u32,
        VERSION,
        COMPATIBLE,
        boot_cpu,
        to.strings.len() as u32,
        to.structure.len() as u32,
    ];
    let header = words.iter().flat_map(|word| word.to_be_bytes());
    Some(header.chain(reserved.iter().copied()).chain(to.structure).chain(to.strings).collect())
}

fn properties(text: &BootText) -> Vec<(&'static str, Vec<u8>)> {
    let mut properties = Vec::new();
    if let Some(line) = &text.append {
        let mut value = line.clone().into_bytes();
        value.push(0);
        properties.push(("bootargs", value));
    }
    if let Some((start, end)) = text.initrd {
        properties.push(("linux,initrd-start", start.to_be_bytes().to_vec()));
        properties.push(("linux,initrd-end", end.to_be_bytes().to_vec()));
    }
    if !text.rng_seed.is_empty() {
        properties.push(("rng-seed", text.rng_seed.clone()));
    }
    if let Some(seed) = text.kaslr_seed {
        properties.push(("kaslr-seed", seed.to_be_bytes().to_vec()));
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tree;

    fn tree(chosen: bool) -> Vec<u8> {
        let mut tree = Tree::new().expect("empty");
        let body = |t: &mut Tree| {
            t.text("model", "test")?;
            if chosen {
                t.node("chosen", |t| {
                    t.text("bootargs", "old")?;
                    t.text("stdout-path", "/uart")
                })?;
            }
            t.node("soc", |t| t.node("chosen", |t| t.text("bootargs", "not this one")))
        };
        tree.node("", body).expect("well formed");
        tree.finish().expect("well formed")
    }

    fn has(tree: &[u8], text: &[u8]) -> bool {
        tree.windows(text.len()).any(|w| w == text)
    }

    #[test]
    fn the_command_line_replaces_the_old_one() {
        let text = BootText { append: Some("new words".into()), initrd: Some((1, 2)), ..BootText::default() };
        for chosen in [true, false] {
            let patched = with_chosen(&tree(chosen), &text).expect("a tree");
            assert!(
                has(&patched, b"new words\0") && has(&patched, b"not this one") && !has(&patched, b"old\0")
            );
            assert!(has(&patched, b"linux,initrd-start\0"));
            assert_eq!(has(&patched, b"/uart"), chosen);
            // What was written is read again, with nothing more to add.
            let again = with_chosen(&patched, &BootText::default()).expect("a tree");
            assert!(has(&again, b"new words\0"));
        }
    }

    #[test]
    fn a_tree_has_one_root_and_nothing_beside_it() {
        let blob = |structure: &[u32]| {
            let size = 4 * structure.len() as u32;
            let (strings, total) = (56 + size, 56 + size);
            let header = [MAGIC, total, 56, strings, 40, VERSION, COMPATIBLE, 0, 0, size];
            let words = header.iter().chain(&[0; 4]).chain(structure);
            with_chosen(&words.flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>(), &BootText::default())
        };
        let root = [token::BEGIN_NODE, 0, token::END_NODE];
        assert!(blob(&[&root[..], &[token::END]].concat()).is_some());
        assert_eq!(blob(&[token::END]), None);
        assert_eq!(blob(&[&root[..], &root, &[token::END]].concat()), None);
        assert_eq!(blob(&[&[token::PROP, 0, 0], &root[..], &[token::END]].concat()), None);
        assert_eq!(blob(&[&root[..], &[token::PROP, 0, 0, token::END]].concat()), None);
    }

    #[test]
    fn damaged_trees_are_refused() {
        let good = tree(true);
        assert_eq!(with_chosen(b"", &BootText::default()), None);
        for len in 0..good.len() {
            assert_eq!(with_chosen(&good[..len], &BootText::default()), None);
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x85;
            // Anything but a panic.
            let _ = with_chosen(&bad, &BootText::default());
        }
    }
}
