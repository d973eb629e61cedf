//! Logs of recorded runs (`-icount rr=replay,rrfile=`).

use engine::replay::{At, Entry, Log};
use std::path::Path;

/// Takes `data` as a log: what is taken for one can be read to its end, goes forward only, and is the same when it is written again.
pub fn replay_log(data: &[u8]) {
    let path = Path::new("log");
    let log = match Log::parse(path, data.to_vec()) {
        Ok(log) => log,
        Err(fault) => {
            let said = fault.to_string();
            assert!(said.starts_with("log ") && !said.contains('\n'), "{said}");
            return;
        }
    };
    let (mut place, mut last, mut again) = (log.start(), At::default(), Vec::new());
    let mut entries: Vec<Entry<'_>> = Vec::new();
    while let Some((entry, next)) = log.entry(place) {
        assert!(!last.is_past(entry.at));
        entry.write(last, &mut again);
        (place, last) = (next, entry.at);
        entries.push(entry);
    }
    assert_eq!(last, log.end());
    let head = data.len().min(16 + u32::from_le_bytes([data[12], data[13], data[14], data[15]]) as usize);
    let again = Log::parse(path, [&data[..head], &again].concat()).expect("what was written is a log");
    let mut place = again.start();
    for entry in entries {
        let (same, next) = again.entry(place).expect("as many entries");
        assert_eq!(same, entry);
        place = next;
    }
    assert!(again.entry(place).is_none());
}
