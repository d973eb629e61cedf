//! Runs `tests/ir/*.ir`: regions of the toy guest, what the optimiser makes of them, and what they do.
//!
//! ```text
//! test name of the case
//! run x1=2 [0x2000]=7 -> x2=5 [0x2008]=1 flags=0x1 goto 0x1004
//! region 0x1000 rne
//! ...
//! optimised
//! region 0x1000 rne
//! ...
//! ```
//!
//! A `run` names registers (vectors as `HIGH:LOW` or in hexadecimal) and 64-bit words of memory before (all others are
//! zero) and after, and how the region is left: `goto PC`, `trap PC CODE VALUE` or `exit PC CODE`; `flags` and `insns`
//! are what was raised and counted. Evaluator and generated code run both forms, and have to
//! agree in all registers and all memory. `MIMIC_BLESS=1` writes the optimised forms anew.

use super::names;
use crate::cpu::{RegId, exit};
use crate::guest::{Guest, Trap};
use crate::ir::{Left, Region, verify};
use crate::opt::{Scratch, optimise};
use crate::testing::toy::{Cpu, RAM, RAM_END, Toy};
use crate::testing::{Rig, Seen};
use crate::ty::Ty;
use std::fs;
use std::path::Path;

/// One case of a file.
struct Case<'a> {
    /// Everything up to the optimised form.
    head: String,
    name: &'a str,
    runs: Vec<&'a str>,
    region: String,
    optimised: String,
}

fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    let mut golden = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("test ") {
            golden = false;
            let (head, region, optimised) = Default::default();
            cases.push(Case { head, name, runs: Vec::new(), region, optimised });
        }
        let Some(case) = cases.last_mut() else { continue };
        if golden {
            case.optimised += line;
            case.optimised.push('\n');
            continue;
        }
        case.head += line;
        case.head.push('\n');
        golden = line == "optimised";
        match line.strip_prefix("run ") {
            Some(run) => case.runs.push(run),
            None if golden || line.starts_with("test ") => {}
            None => {
                case.region += line;
                case.region.push('\n');
            }
        }
    }
    cases
}

fn number(text: &str) -> u64 {
    let digits = text.replace('_', "");
    let (negative, digits) = digits.strip_prefix('-').map_or((false, &*digits), |d| (true, d));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let value = value.unwrap_or_else(|_| panic!("`{text}` is no number"));
    if negative { value.wrapping_neg() } else { value }
}

/// A number of 128 bits: hexadecimal, or two of 64 bits as `high:low`.
fn wide_number(text: &str) -> u128 {
    if let Some((high, low)) = text.split_once(':') {
        return u128::from(number(high)) << 64 | u128::from(number(low));
    }
    let hex = text.strip_prefix("0x").unwrap_or(text).replace('_', "");
    u128::from_str_radix(&hex, 16).unwrap_or_else(|_| panic!("`{text}` is no number"))
}

fn register(name: &str) -> usize {
    Toy::regs().iter().position(|r| r.name == name).unwrap_or_else(|| panic!("no register {name}"))
}

/// `[0x2000]` as an address.
fn address(name: &str) -> Option<u64> {
    Some(number(name.strip_prefix('[')?.strip_suffix(']')?))
}

fn prepare(rig: &mut Rig<Toy>, before: &str) {
    rig.fill(0);
    (0..Toy::regs().len()).for_each(|n| rig.set_reg(RegId(n as u16), 0));
    rig.write(RAM, &vec![0; (RAM_END - RAM) as usize]);
    for item in before.split_whitespace() {
        let (name, value) = item.split_once('=').expect("`run` has NAME=VALUE before `->`");
        match address(name) {
            Some(addr) => rig.write(addr, &number(value).to_le_bytes()),
            None if Toy::regs()[register(name)].ty == Ty::V128 => {
                rig.set_vector(RegId(register(name) as u16), wide_number(value));
            }
            None => rig.set_reg(RegId(register(name) as u16), number(value)),
        }
    }
}

fn expect(seen: &Seen, after: &str) {
    let mut words = after.split_whitespace();
    while let Some(word) = words.next() {
        let Some((name, value)) = word.split_once('=') else {
            let rest: Vec<&str> = words.by_ref().collect();
            assert_eq!(seen.left, left(word, &rest), "how it was left");
            return;
        };
        let (found, value): (u128, u128) = if let Some(addr) = address(name) {
            let at = (addr - RAM) as usize;
            let word = u64::from_le_bytes(seen.memory[at..at + 8].try_into().expect("eight bytes"));
            (word.into(), number(value).into())
        } else if name == "flags" {
            (seen.flags.into(), number(value).into())
        } else if name == "insns" {
            (seen.insns.into(), number(value).into())
        } else {
            let wide = Toy::regs()[register(name)].ty == Ty::V128;
            (seen.regs[register(name)], if wide { wide_number(value) } else { number(value).into() })
        };
        assert!(found == value, "{name} is {found:#x}, not {value:#x}");
    }
    panic!("`run` ends with goto, trap or exit");
}

fn left(word: &str, rest: &[&str]) -> Left {
    let pc = number(rest[0]);
    match word {
        "goto" => Left { pc, code: exit::LOOKUP, trap: None },
        "exit" => Left { pc, code: number(rest[1]) as u32, trap: None },
        "trap" => {
            let trap = Trap { code: number(rest[1]) as u32, value: number(rest[2]) };
            Left { pc, code: exit::TRAP, trap: Some(trap) }
        }
        _ => panic!("`{word}` is neither goto, trap nor exit"),
    }
}

fn check(rig: &mut Rig<Toy>, forms: [&Region; 2], run: &str) {
    let (before, after) = run.split_once("->").expect("`run` has `->`");
    let mut truth = None;
    for region in forms {
        rig.cpu().rm = region.rm as u64;
        rig.sync();
        let mut results = Vec::new();
        prepare(rig, before);
        results.push(("evaluator", rig.evaluate(region, 10_000).expect("comes to an end")));
        for registers in [None, Some(1), Some(2), Some(3)] {
            prepare(rig, before);
            results.push(("host", rig.run_host(region, registers).expect("fits a frame")));
        }
        for (who, seen) in results {
            expect(&seen, after);
            let truth = truth.get_or_insert_with(|| seen.clone());
            assert!(seen == *truth, "{who}:\n{}", truth.difference::<Toy>(&seen));
        }
    }
}

fn run_file(path: &Path) {
    let text = fs::read_to_string(path).expect("the test's own file");
    let cases = cases(&text);
    let mut blessed = text.split("test ").next().unwrap_or_default().to_string();
    let bless = std::env::var_os("MIMIC_BLESS").is_some();
    let mut rig = Rig::<Toy>::new(Cpu::default(), (RAM, RAM_END - RAM), 16);
    for case in &cases {
        eprintln!("{}: {}", path.display(), case.name);
        let region = names().parse(&case.region).unwrap_or_else(|e| panic!("{e}"));
        verify(&region, Toy::regs(), Toy::helpers()).unwrap_or_else(|e| panic!("{e}"));
        let mut optimised = region.clone();
        optimise(&mut optimised, Toy::regs(), Toy::helpers(), &mut Scratch::default());
        verify(&optimised, Toy::regs(), Toy::helpers()).unwrap_or_else(|e| panic!("{e}"));
        let printed = names().print(&optimised);
        if !bless {
            assert_eq!(printed, case.optimised.trim_end().to_string() + "\n", "set MIMIC_BLESS=1 to accept");
        }
        for run in &case.runs {
            eprintln!("  {run}");
            check(&mut rig, [&region, &optimised], run);
        }
        blessed += &format!("{}{printed}\n", case.head);
    }
    if bless {
        fs::write(path, blessed.trim_end().to_string() + "\n").expect("the test's own file");
    }
}

#[test]
fn ir_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ir");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the folder of tests").map(|f| f.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.iter().for_each(|path| run_file(path));
}
