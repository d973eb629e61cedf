use super::*;

#[test]
fn the_slot_used_longest_ago_is_taken_over() {
    let mut slots = Slots::new(3);
    let [a, b, c, d] = [1, 2, 3, 4].map(|key| (key, 0));
    let places = [a, b, c].map(|key| slots.find(key));
    assert!(places.iter().all(|(_, new)| *new));
    // `a` is used again and again, as the context of a kernel is.
    assert_eq!(slots.find(a), (places[0].0, false));
    assert_eq!(slots.find(d), (places[1].0, true), "`b` is what was used longest ago");
    assert_eq!(slots.find(a), (places[0].0, false));
    assert_eq!(slots.find(c), (places[2].0, false));
    assert_eq!(slots.find(b), (places[1].0, true), "`d` is");
    assert_eq!(slots.active(), places[1].0);
}

/// A page of RAM at `phys`, as generated code reaches it.
fn reached(phys: u64) -> Hit {
    Hit { addend: 0x1000, phys, slow: false }
}

#[test]
fn stores_to_a_page_are_slowed_down_wherever_it_is_mapped() {
    let tables = std::sync::Arc::new(Tables::new(4));
    let mut contexts = Contexts::new(tables.clone());
    let is_slow = |contexts: &Contexts, addr| contexts.lookup(addr, true).map(|hit| hit.slow);
    // Two contexts have the page, one of them twice; neighbours are other pages, one with the same bit.
    contexts.use_data(1);
    contexts.insert(0x1000, (true, true), reached(0x8000_0000), false);
    contexts.insert(0x2000, (true, true), reached(0x8000_0000), false);
    contexts.insert(0x3000, (true, true), reached(0x8000_1000), false);
    contexts.insert(0x4000, (true, true), reached(0x8002_0000), false);
    contexts.use_data(2);
    contexts.insert(0, (true, true), reached(0x8000_0000), false);
    tables.slow_down_stores(0x8000_0000);
    assert_eq!(is_slow(&contexts, 0), Some(true));
    contexts.use_data(1);
    assert_eq!([0x1000, 0x2000].map(|addr| is_slow(&contexts, addr)), [Some(true); 2]);
    assert_eq!([0x3000, 0x4000].map(|addr| is_slow(&contexts, addr)), [Some(false); 2]);
    // What was only read before.
    contexts.insert(0x1000, (true, true), reached(0x8000_2000), true);
    contexts.insert(0x1000, (true, true), reached(0x8000_2000), false);
    tables.slow_down_stores(0x8000_2000);
    assert_eq!(is_slow(&contexts, 0x1000), Some(true));
    // Forgotten, and entered again.
    contexts.flush(None, |_| true);
    assert_eq!(contexts.lookup(0x1000, false).map(|hit| hit.phys), None);
    contexts.insert(0x1000, (true, true), reached(0x8000_2000), false);
    tables.slow_down_stores(0x8000_2000);
    assert_eq!(is_slow(&contexts, 0x1000), Some(true));
}

#[test]
fn what_may_only_be_stored_to_asks() {
    let mut contexts = Contexts::new(std::sync::Arc::new(Tables::new(4)));
    contexts.use_data(1);
    for rights in [(true, true), (true, false), (false, true)] {
        contexts.insert(0x1000, rights, reached(0x8000_0000), false);
        let [read, write] = [false, true].map(|write| contexts.lookup(0x1000, write).map(|hit| hit.slow));
        assert_eq!((read.is_some(), write.is_some()), rights);
        assert!(
            write != Some(false) || read == Some(false),
            "generated code takes a store's page for a load's"
        );
    }
}

#[test]
fn an_empty_table_has_no_page() {
    let mut contexts = Contexts::new(std::sync::Arc::new(Tables::new(4)));
    for addr in [0, 0x1000, 0x2000, 0x4000, 0xffff_ffff_ffff_f000] {
        assert!(contexts.lookup(addr, false).is_none() && contexts.lookup(addr, true).is_none());
        assert!(contexts.lookup_jump(addr).is_none());
    }
    contexts.insert(0, (true, false), reached(0), false);
    assert!(contexts.lookup(0, false).is_some() && contexts.lookup(0, true).is_none());
}

#[test]
fn parts_that_were_used_are_cleared() {
    for entries in [1, 2, 64, 1024, 100] {
        let used = Used(AtomicU64::new(0));
        assert_eq!(used.take(entries).flatten().count(), 0);
        for index in [0, entries / 2, entries - 1] {
            used.note(index, entries);
        }
        let parts: Vec<usize> = used.take(entries).flatten().collect();
        assert!([0, entries / 2, entries - 1].iter().all(|index| parts.contains(index)), "{entries}");
        assert!(parts.len() <= 3 * entries.div_ceil(64) && parts.iter().all(|index| *index < entries));
        assert!(!used.is_any());
    }
}

#[test]
fn jumps_are_forgotten_in_the_contexts_that_are_meant() {
    let mut contexts = Contexts::new(std::sync::Arc::new(Tables::new(4)));
    let pcs = [0, 0x1234, 0x7ffe, 0xffff_8000_0000_4000];
    for key in [1, 2] {
        contexts.use_code(key, 0);
        pcs.iter().for_each(|pc| contexts.insert_jump(*pc, pc ^ 5, &[]));
        assert_eq!(pcs.map(|pc| contexts.lookup_jump(pc)), pcs.map(|pc| Some(pc ^ 5)));
    }
    contexts.flush(None, |key| key == 2);
    assert_eq!(pcs.map(|pc| contexts.lookup_jump(pc)), [None; 4]);
    contexts.use_code(1, 0);
    assert_eq!(pcs.map(|pc| contexts.lookup_jump(pc)), pcs.map(|pc| Some(pc ^ 5)));
    contexts.tables().forget_jumps();
    assert_eq!(pcs.map(|pc| contexts.lookup_jump(pc)), [None; 4]);
}

#[test]
fn jumps_that_want_one_entry_have_two() {
    let mut contexts = Contexts::new(std::sync::Arc::new(Tables::new(4)));
    contexts.use_code(1, 0);
    let size = (JUMP_ENTRIES * 2) as u64;
    // Of three pages, each so far from the next that the entry is the same.
    let pcs = [1, 2, 3].map(|n| (8 * n) * size + 0x123 * 4);
    assert!(pcs.iter().all(|pc| jump_index(*pc) == jump_index(pcs[0])), "the test wants one entry");
    pcs.iter().for_each(|pc| contexts.insert_jump(*pc, pc ^ 5, &[]));
    assert_eq!(pcs.map(|pc| contexts.lookup_jump(pc)), [None, Some(pcs[1] ^ 5), Some(pcs[2] ^ 5)]);
    // What is aside is forgotten as the rest is: by translation, by page.
    contexts.tables().forget_jump(pcs[1], pcs[1] ^ 5);
    assert_eq!(contexts.lookup_jump(pcs[1]), None);
    contexts.insert_jump(pcs[0], 7, &[]);
    contexts.flush(Some(pcs[2]), |_| true);
    assert_eq!(pcs.map(|pc| contexts.lookup_jump(pc)), [Some(7), None, None]);
}

#[test]
fn a_jump_is_forgotten_with_each_page_that_it_counts_on() {
    let mut contexts = Contexts::new(std::sync::Arc::new(Tables::new(4)));
    contexts.use_code(1, 0);
    let pc = 0x5000_1234;
    let (below, above) = (0x4fff_f000, 0x5000_3000);
    let beside = [below, above].map(|at| (u64::wrapping_sub(at + 8, pc), 0x8000_0000));
    for (page, stays) in [(0x5000_4000, true), (above, false), (0x5000_1000, false), (below, false)] {
        contexts.insert_jump(pc, 7, &beside);
        contexts.flush(Some(page + 16), |_| true);
        assert_eq!(contexts.lookup_jump(pc).is_some(), stays, "{page:#x}");
        contexts.insert_jump(pc, 7, &beside);
        contexts.slow_down(page, page + 16);
        assert_eq!(contexts.lookup_jump(pc).is_some(), stays, "{page:#x}");
    }
    // However many pages there are, none is forgotten by whom it is counted on.
    for n in 0..200 {
        let page = 0x6000_0000 + n * PAGE_SIZE;
        contexts.insert_jump(pc + n * 4, 7, &[(page.wrapping_sub(pc + n * 4), 0)]);
        contexts.insert_jump(pc + n * 4, 7, &[(page.wrapping_sub(pc + n * 4), 0)]);
        assert!(contexts.lookup_jump(pc + n * 4).is_some());
        contexts.flush(Some(page), |_| true);
        assert!(contexts.lookup_jump(pc + n * 4).is_none());
        contexts.insert_jump(pc + n * 4, 7, &[(page.wrapping_sub(pc + n * 4), 0)]);
    }
}

#[test]
fn a_page_that_lost_its_entry_is_recalled() {
    let tables = std::sync::Arc::new(Tables::new(4));
    let mut contexts = Contexts::new(tables.clone());
    contexts.use_data(1);
    // Two pages that want one entry, and one whose entry is where they are put aside.
    let [a, b, c] = [0x1000, 0x5000, 0x3000];
    let known = |contexts: &Contexts, addr, write| {
        contexts.recall(addr, write).map(|(rights, hit, slow_stores)| (rights, hit.phys, slow_stores))
    };
    contexts.insert(a, (true, true), reached(0x8000_0000), false);
    contexts.insert(b, (true, false), reached(0x8000_1000), true);
    assert!(contexts.lookup(a, false).is_none());
    assert_eq!(known(&contexts, a, true), Some(((true, true), 0x8000_0000, false)));
    contexts.insert(a, (true, true), reached(0x8000_0000), false);
    assert_eq!(known(&contexts, a, true), None, "it has its entry");
    assert_eq!(known(&contexts, b, false).map(|(rights, ..)| rights), Some((true, false)));
    assert_eq!(known(&contexts, b, true), None, "it must not be stored to");
    // What generated code finds there belongs to another page.
    assert!(contexts.lookup(c, false).is_none());
    contexts.insert(c, (true, true), reached(0x8000_2000), false);
    assert_eq!(known(&contexts, b, false), None);
    assert_eq!(contexts.lookup(c, true).map(|hit| hit.phys), Some(0x8000_2000));
    // Stores become slow there too, and a flush reaches it.
    contexts.insert(b, (true, true), reached(0x8000_1000), false);
    tables.slow_down_stores(0x8000_0000);
    assert_eq!(known(&contexts, a, true), Some(((true, true), 0x8000_0000, true)));
    contexts.flush(Some(a), |_| true);
    assert_eq!(known(&contexts, a, false), None);
    // Nothing was ever known of page zero.
    assert_eq!([0, 0x2000].map(|addr| known(&contexts, addr, false)), [None; 2]);
}

/// Generated code asks nothing but whether an address and the tag differ by less than a page.
#[test]
fn a_tag_differs_from_other_addresses_by_a_page_and_more() {
    let tables = std::sync::Arc::new(Tables::new(4));
    let mut contexts = Contexts::new(tables.clone());
    contexts.use_data(1);
    let slot = contexts.data.active();
    let pages: Vec<u64> = (0..12).map(|n| n * 0x1000).chain([1 << 63, !0xfff]).collect();
    let check = |contexts: &Contexts| {
        let table = &tables.data[slot];
        for (page, write) in pages.iter().flat_map(|page| [(*page, false), (*page, true)]) {
            let tag = table.entry(page)[if write { WRITE } else { READ }].load(Ordering::Relaxed);
            let found = contexts.lookup(page, write).is_some_and(|hit| !hit.slow);
            assert_eq!((page ^ tag) < PAGE_SIZE, found, "{page:#x}");
        }
    };
    check(&contexts);
    let mut random = 1u64;
    for _ in 0..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = random >> 33;
        let page = pages[bits as usize % pages.len()];
        let phys = page & 0x3000;
        match bits >> 8 & 15 {
            0 => tables.slow_down_stores(phys),
            1 => contexts.slow_down(page, page | 0xfff),
            2 => contexts.flush(Some(page), |_| true),
            3 if bits >> 12 & 15 == 0 => contexts.flush(None, |_| true),
            _ => {
                let rights = (bits >> 16 & 1 != 0, bits >> 17 & 1 != 0);
                let hit = Hit { slow: bits >> 18 & 3 == 0, ..reached(phys) };
                contexts.insert(page, rights, hit, bits >> 20 & 3 == 0);
            }
        }
        check(&contexts);
    }
}
