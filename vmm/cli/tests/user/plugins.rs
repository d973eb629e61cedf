//! `-plugin` on programs without a C library, beside what QEMU logs of each instruction that it runs.

use super::support::{GUESTS, Guest, run, scratch, stderr};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How the translator is made to work: usual, loops become regions at once, little memory for translations, blocks only.
const WAYS: [&str; 4] = ["", "hot=1", "code=64K,hot=1,registers=3", "hot=never"];

fn program(guest: &Guest) -> Option<PathBuf> {
    guest.compile("count", &["-static", "-nostdlib", "-g"])
}

/// Runs `program` with `plugin`; what it showed.
fn watched(guest: &Guest, program: &Path, plugin: &str, chaos: &str) -> String {
    let mut command = guest.mimic();
    if !chaos.is_empty() {
        command.env("MIMIC_CHAOS", chaos);
    }
    let output = run(command.args(["-d", "plugin", "-plugin", plugin]).arg(program));
    assert_eq!(output.status.code(), Some(14), "{plugin} {chaos}: {output:?}");
    stderr(&output)
}

/// Addresses of the instructions that QEMU executes, in order; `None` where it is not installed.
fn executed_by_qemu(guest: &Guest, program: &Path) -> Option<Vec<u64>> {
    // Tests run beside each other.
    let log = scratch().join(format!("count-{}-{:?}.log", guest.name, std::thread::current().id()));
    let mut command = Command::new("timeout");
    command.arg("120").arg(guest.emulator()).args(["-one-insn-per-tb", "-d", "exec,nochain", "-D"]);
    let Output { status, .. } = command.arg(&log).arg(program).output().ok()?;
    if status.code() != Some(14) {
        eprintln!("skipped: {} is not installed", guest.emulator());
        return None;
    }
    let text = std::fs::read_to_string(log).expect("a log");
    let pc = |line: &str| u64::from_str_radix(line.split('/').nth(1)?, 16).ok();
    Some(text.lines().filter_map(pc).collect())
}

#[test]
fn instructions_are_counted_exactly_in_every_tier() {
    for guest in &GUESTS {
        let Some(program) = program(guest) else { return };
        let Some(trace) = executed_by_qemu(guest, &program) else { return };
        let expected = format!("cpu 0 insns: {}\ntotal insns: {}\n", trace.len(), trace.len());
        for chaos in WAYS {
            assert_eq!(watched(guest, &program, "tests/plugin/libinsn.so", chaos), expected, "{chaos}");
            let blocks = watched(guest, &program, "bb", chaos);
            assert!(blocks.ends_with(&format!(", insns: {}\n", trace.len())), "{chaos}: {blocks}");
        }
    }
}

#[test]
fn every_instruction_is_logged_in_order() {
    for guest in &GUESTS {
        let Some(program) = program(guest) else { return };
        let Some(trace) = executed_by_qemu(guest, &program) else { return };
        let log = watched(guest, &program, "execlog", "hot=1");
        let pc = |line: &str| u64::from_str_radix(line.strip_prefix("0, 0x")?.split(',').next()?, 16).ok();
        let logged: Vec<u64> = log.lines().filter_map(pc).collect();
        assert_eq!(logged.len(), log.lines().count());
        let differs = logged.iter().zip(&trace).position(|(a, b)| a != b);
        assert_eq!((logged.len(), differs), (trace.len(), None));
        // The accesses in it are those that are counted, in generated code and by calls.
        let accesses = log.matches(", load, ").count() + log.matches(", store, ").count();
        assert!(accesses > 18_000, "{accesses}");
        for chaos in WAYS {
            let counted = watched(guest, &program, "libmem.so,inline=on,callback=on", chaos);
            let expected = format!("inline mem accesses: {accesses}\ncallback mem accesses: {accesses}\n");
            assert_eq!(counted, expected, "{chaos}");
        }
    }
}

#[test]
fn blocks_and_classes_add_up_to_what_was_executed() {
    for guest in &GUESTS {
        let Some(program) = program(guest) else { return };
        let Some(trace) = executed_by_qemu(guest, &program) else { return };
        let mut often: BTreeMap<u64, u64> = BTreeMap::new();
        trace.iter().for_each(|pc| *often.entry(*pc).or_default() += 1);
        let text = watched(guest, &program, "contrib/plugins/libhotblocks.so,limit=1000", "");
        let mut lines = text.lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("collected ")), "{text}");
        assert_eq!(lines.next(), Some("pc, tcount, icount, ecount"));
        let mut insns = 0;
        for line in lines {
            let numbers: Vec<&str> = line.split(", ").collect();
            let pc = u64::from_str_radix(&numbers[0][2..], 16).expect("an address");
            let [icount, ecount] = [numbers[2], numbers[3]].map(|n| n.parse::<u64>().expect("a number"));
            assert!(often[&pc] >= ecount, "{line}: QEMU {}", often[&pc]);
            insns += icount * ecount;
        }
        assert_eq!(insns, trace.len() as u64, "{text}");
        let text = watched(guest, &program, "libhowvec.so,verbose=on", "hot=1");
        let hits = |line: &str| line.rsplit_once('(')?.1.split(' ').next()?.parse::<u64>().ok();
        assert_eq!(text.lines().filter_map(hits).sum::<u64>(), trace.len() as u64, "{text}");
    }
}

#[test]
fn a_trigger_ends_the_run_in_front_of_its_instruction() {
    for guest in &GUESTS {
        let Some(program) = program(guest) else { return };
        let Some(trace) = executed_by_qemu(guest, &program) else { return };
        let at = trace[5000];
        let ends = |plugin: &str| {
            let output =
                run(guest.mimic().args(["-d", "plugin", "-plugin", "insn", "-plugin", plugin]).arg(&program));
            (output.status.code(), stderr(&output))
        };
        let before = trace.iter().position(|pc| *pc == at).expect("it is in there");
        let counted = |count: usize| format!("cpu 0 insns: {count}\ntotal insns: {count}\n");
        let said = (Some(42), format!("{at:#x} reached, exiting\n{}", counted(before)));
        assert_eq!(ends(&format!("stoptrigger,addr={at:#x}:42")), said);
        let said = (Some(41), format!("20000 instructions reached, exiting\n{}", counted(19_999)));
        assert_eq!(ends("libstoptrigger.so,icount=20000:41,addr=0x10"), said);
    }
}

#[test]
fn matches_and_registers_are_shown() {
    let guest = &GUESTS[0];
    let Some(program) = program(guest) else { return };
    let text = watched(guest, &program, "insn,match=ecall", "");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.contains("'ecall', ")).count(), 4, "{text}");
    assert!(lines[2].contains(" 3 hits, 3 match hits, Δ+"), "{text}");
    let text = watched(guest, &program, "execlog,ifilter=ecall,reg=a?", "");
    assert!(text.lines().all(|line| line.contains("\"ecall\"")), "{text}");
    // The number of `exit_group`, where that of `write` was.
    assert!(lines_end(&text, ", a7 -> 0x000000000000005e"), "{text}");
}

/// Reads a dump as `jitdump-specification.txt` has it: the name, address and code of each piece.
fn jitdump(bytes: &[u8], pid: u32) -> Vec<(String, u64, Vec<u8>)> {
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    // Magic, version, size of the header, x86-64, padding, process.
    assert_eq!([0, 4, 8, 12, 16, 20].map(word), [0x4a69_5444, 1, 40, 62, 0, pid]);
    let (mut at, mut all, mut time) = (40, Vec::new(), long(24));
    while at < bytes.len() {
        let (id, size, when) = (word(at), word(at + 4) as usize, long(at + 8));
        assert!(id == 0 && when >= time && word(at + 16) == pid, "a load record at {at}");
        time = when;
        let (vma, code, len, index) = (long(at + 24), long(at + 32), long(at + 40) as usize, long(at + 48));
        assert_eq!((vma, index), (code, all.len() as u64));
        let name = bytes[at + 56..].split(|byte| *byte == 0).next().expect("a name");
        assert_eq!(size, 56 + name.len() + 1 + len);
        let first = at + 56 + name.len() + 1;
        all.push((String::from_utf8_lossy(name).into_owned(), code, bytes[first..first + len].to_vec()));
        at += size;
    }
    assert_eq!(at, bytes.len());
    all
}

#[test]
fn perf_is_told_what_generated_code_is() {
    for guest in &GUESTS {
        let Some(program) = program(guest) else { return };
        let folder = scratch().join(format!("perf-{}", guest.name));
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        let mut command = guest.mimic();
        command.args(["-perfmap", "-jitdump"]).arg(&program).current_dir(&folder);
        let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("it starts");
        let pid = child.id();
        assert_eq!(child.wait().expect("our child").code(), Some(14));
        let (map, dump) = (format!("/tmp/perf-{pid}.map"), folder.join(format!("jit-{pid}.dump")));
        let pieces = jitdump(&std::fs::read(&dump).expect("a dump"), pid);
        let lines: String =
            pieces.iter().map(|(name, at, code)| format!("{at:x} {:x} {name}\n", code.len())).collect();
        assert_eq!(std::fs::read_to_string(&map).expect("a map"), lines);
        // One is called often, the other is hot inside.
        for name in [" fib\n", " fill+0x"] {
            assert!(lines.contains(name), "{name} in {lines}");
        }
        assert!(lines.contains(" [region]\n"), "{lines}");
        std::fs::remove_file(map).and_then(|()| std::fs::remove_file(dump)).expect("our files");
    }
}

#[test]
fn a_table_shows_where_translated_code_spends_its_time() {
    for guest in &GUESTS {
        let Some(program) = program(guest) else { return };
        let output = run(guest.mimic().args(["-d", "tb_stats"]).arg(&program));
        let text = stderr(&output);
        let rows: Vec<Vec<&str>> =
            text.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
        let total: u64 =
            text.split(", ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a sum");
        let sum: u64 = rows.iter().map(|row| row[6].parse::<u64>().expect("a number")).sum();
        assert_eq!(sum, total, "{text}");
        // The loop of `fill` has most, as a region.
        assert!(rows[0][1] == "region" && rows[0][8].starts_with("fill"), "{text}");
    }
}

fn lines_end(text: &str, with: &str) -> bool {
    text.lines().next_back().is_some_and(|line| line.ends_with(with))
}

#[test]
fn coverage_files_tell_what_ran() {
    for guest in &GUESTS {
        let Some(program) = program(guest) else { return };
        let (drcov, lines) =
            (scratch().join(format!("{}.drcov", guest.name)), scratch().join(format!("{}.info", guest.name)));
        let plugin = format!("drcov,filename={}", drcov.display());
        let mut command = guest.mimic();
        command.args(["-plugin", &plugin, "-coverage"]).arg(&lines).arg(&program);
        assert_eq!(run(&mut command).status.code(), Some(14));
        let bytes = std::fs::read(drcov).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            text.starts_with("DRCOV VERSION: 2\nDRCOV FLAVOR: drcov-64\nModule Table: version 2, count 1\n")
        );
        let count =
            text.split("BB Table: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        let head = bytes.windows(5).position(|window| window == b" bbs\n").expect("a table");
        let entries = bytes.len() - (head + 5);
        assert_eq!(Some(entries), count.map(|count| count * 8));
        let text = std::fs::read_to_string(lines).expect("a file");
        // Lines of count.c: the sum is made once a round, `fib(15)` calls itself 1,972 times more.
        for expected in
            ["DA:22,1973", "DA:29,21000", "DA:30,21000", "FNDA:1973,fib", "FNDA:1,fill", "FNDA:1,_start"]
        {
            assert!(text.lines().any(|line| line == expected), "{expected} in {text}");
        }
    }
}
