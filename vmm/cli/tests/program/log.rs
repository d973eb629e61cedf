//! `-d`, `-D` and `-dfilter`: what each item says about a guest whose every instruction is known.

use std::process::Command;

use crate::support::{Qemu, run};

/// At 0x8000_0000 in M-mode: an `ecall`, an illegal instruction and a refused load, each of which the handler skips; a
/// loop of five turns; power-off.
const GUEST: [u32; 20] = [
    0x0000_0297, // 00: auipc t0, 0
    0x0402_8293, // 04: addi t0, t0, 0x40
    0x3052_9073, // 08: csrw mtvec, t0
    0x0000_0073, // 0c: ecall
    0x0000_0000, // 10: illegal
    0x0c00_05b7, // 14: lui a1, 0xc000, the PLIC
    0x0005_8603, // 18: lb a2, 0(a1), which it refuses
    0x0050_0693, // 1c: li a3, 5
    0xfff6_8693, // 20: addi a3, a3, -1
    0xfe06_9ee3, // 24: bnez a3, 20
    0x0010_02b7, // 28: lui t0, 0x100, the test finisher
    0x0000_5337, // 2c: lui t1, 5
    0x5553_0313, // 30: addi t1, t1, 0x555
    0x0062_a023, // 34: sw t1, 0(t0)
    0x0000_006f, // 38: j 38
    0x0000_0013, // 3c: nop
    0x3410_2e73, // 40: csrr t3, mepc
    0x004e_0e13, // 44: addi t3, t3, 4
    0x341e_1073, // 48: csrw mepc, t3
    0x3020_0073, // 4c: mret
];

/// Runs `guest` with `words`; the lines of its log file.
fn log_of(guest: &[u32], words: &str) -> Vec<String> {
    let qemu = Qemu::new();
    let command = |words: &str| qemu.command(words);
    log_by(command, &qemu, guest, words)
}

fn log_by(command: impl Fn(&str) -> Command, qemu: &Qemu, guest: &[u32], words: &str) -> Vec<String> {
    let bytes: Vec<u8> = guest.iter().flat_map(|word| word.to_le_bytes()).collect();
    let (image, log) = (qemu.file("guest.bin", &bytes), qemu.path("log"));
    let machine = "-M virt -bios none -display none -serial null -monitor none";
    let end = run(&mut command(&format!("{machine} -kernel {image} {words} -D {}", log.display())));
    assert_eq!((end.status, &*end.err), (Some(0), ""), "{words}");
    std::fs::read_to_string(log).expect("it is there").lines().map(String::from).collect()
}

/// How many lines begin with `start`.
fn count(lines: &[String], start: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(start)).count()
}

#[test]
fn in_asm_lists_all_that_runs() {
    let lines = log_of(&GUEST, "-d in_asm");
    assert!(count(&lines, "IN:") > 5, "{lines:#?}");
    for line in [
        "0x80000000:  00000297          auipc t0, 0x0",
        "0x80000010:  0000              .half 0x0000",
        "0x80000024:  fe069ee3          bne a3, zero, 0x80000020",
        "0x8000004c:  30200073          mret",
    ] {
        assert!(lines.iter().any(|l| l == line), "{line}: {lines:#?}");
    }
}

#[test]
fn dfilter_chooses_by_address() {
    let lines = log_of(
        &GUEST,
        "-d in_asm,op,op_opt,out_asm,exec,cpu,nochain -dfilter 0x80000020+8,0x80000044..0x80000047",
    );
    // The one block that begins in the first range: each item says it once, or each time that it runs.
    for (start, times) in [("IN:", 1), ("OP:", 1), ("OP after", 1), ("OUT:", 1), ("Trace 0:", 4), (" pc ", 4)]
    {
        assert_eq!(count(&lines, start), times, "{start}: {}", lines.join("\n"));
    }
    assert_eq!(count(&lines, "0x80000020:  fff68693          addi a3, a3, -1"), 1);
    assert_eq!(count(&lines, "0x80000000:"), 0);
}

#[test]
fn op_and_op_opt_show_the_region_before_and_after() {
    let before = log_of(&GUEST, "-d op -dfilter 0x80000020+1");
    let after = log_of(&GUEST, "-d op_opt -dfilter 0x80000020+1");
    for lines in [&before, &after] {
        assert_eq!(count(lines, "region 0x80000020 rne"), 1, "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("goto 0x80000020 check")), "{lines:#?}");
    }
    let operations = |lines: &[String]| lines.iter().filter(|line| line.contains(" = ")).count();
    assert!(operations(&after) < operations(&before), "{before:#?} {after:#?}");
    assert!(before.iter().any(|line| line.contains("mark 0x80000024")), "{before:#?}");
    assert!(!after.iter().any(|line| line.contains("mark")), "{after:#?}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn out_asm_shows_host_code() {
    let lines = log_of(&GUEST, "-d out_asm -dfilter 0x80000020+1");
    let size = lines[0].strip_prefix("OUT: [size=").and_then(|l| l.strip_suffix("]"));
    let size: usize = size.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{lines:#?}"));
    assert_eq!(lines[1], "  -- guest addr 0x0000000080000020");
    // Every byte stands in the listing, and it ends in a jump to the common exit.
    let mut code = lines[2..].iter().filter(|line| line.starts_with("0x"));
    let bytes = code.clone().flat_map(|line| line.split_whitespace().skip(1));
    let bytes = bytes.filter(|word| word.len() == 2 && u8::from_str_radix(word, 16).is_ok()).count();
    assert_eq!(bytes, size, "{lines:#?}");
    assert!(code.clone().any(|line| line.contains("[rbx")), "{lines:#?}");
    assert!(code.next_back().is_some_and(|line| line.contains("jmp 0x")), "{lines:#?}");
}

#[test]
fn exec_and_cpu_miss_nothing_without_chaining() {
    let lines = log_of(&GUEST, "-d exec,cpu,nochain");
    let turns = lines.iter().filter(|line| line.contains("[00000000/0000000080000020/")).count();
    assert_eq!(turns, 4, "{lines:#?}");
    let start = lines.iter().position(|line| line == " pc       0000000080000020").expect("the loop");
    let state = lines[start..].join("\n");
    assert!(state.contains("x13/a3   0000000000000004"), "{state}");
    assert!(state.contains("\n mtvec    0000000080000040\n"), "{state}");
    assert_eq!(count(&lines, " fcsr"), 0);
    let lines = log_of(&GUEST, "-d cpu,fpu,nochain");
    assert_eq!(count(&lines, " fcsr     0000000000000000"), count(&lines, " pc "));
    assert_eq!(count(&lines, " f0/ft0   0000000000000000 f1/ft1"), count(&lines, " pc "));
}

#[test]
fn traps_read_as_qemus_do() {
    let lines = log_of(&GUEST, "-d int");
    let line = |cause: u32, pc: u32, value: u32, name: &str| {
        format!(
            "riscv_cpu_do_interrupt: hart:0, async:0, cause:{cause:016x}, epc:{:#018x}, tval:{value:#018x}, desc={name}",
            0x8000_0000u32 + pc
        )
    };
    let expected = [
        line(11, 0xc, 0, "machine_ecall"),
        line(2, 0x10, 0, "illegal_instruction"),
        line(5, 0x18, 0xc00_0000, "fault_load"),
    ];
    assert_eq!(lines, expected);
    if Command::new("qemu-system-riscv64").arg("-version").output().is_err() {
        eprintln!("skipped: qemu-system-riscv64 is not installed");
        return;
    }
    let theirs = |words: &str| {
        let mut command = Command::new("qemu-system-riscv64");
        command.args(words.split_whitespace());
        command
    };
    assert_eq!(log_by(theirs, &Qemu::new(), &GUEST, "-d int"), expected);
}

#[test]
fn interrupts_are_asynchronous() {
    let guest = [
        0x0000_0297, // 00: auipc t0, 0
        0x0402_8293, // 04: addi t0, t0, 0x40
        0x3052_9073, // 08: csrw mtvec, t0
        0x0200_02b7, // 0c: lui t0, 0x2000, the software interrupts
        0x0010_0313, // 10: li t1, 1
        0x0062_a023, // 14: sw t1, 0(t0)
        0x3042_e073, // 18: csrsi mie, 5
        0x3044_6073, // 1c: csrsi mie, 8
        0x3004_6073, // 20: csrsi mstatus, 8
        0x0000_006f, // 24: j 24
        0x0000_0013,
        0x0000_0013,
        0x0000_0013,
        0x0000_0013,
        0x0000_0013,
        0x0000_0013,
        0x0010_02b7, // 40: lui t0, 0x100
        0x0000_5337, // 44: lui t1, 5
        0x5553_0313, // 48: addi t1, t1, 0x555
        0x0062_a023, // 4c: sw t1, 0(t0)
        0x0000_006f, // 50: j 50
    ];
    let lines = log_of(&guest, "-d int");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let (start, end) =
        ("riscv_cpu_do_interrupt: hart:0, async:1, cause:0000000000000003, ", "desc=m_software");
    assert!(lines[0].starts_with(start) && lines[0].ends_with(end), "{lines:#?}");
}

#[test]
fn memory_is_told_about() {
    let lines = log_of(&GUEST, "-d mmu,invalid_mem");
    for line in [
        "riscv_cpu_tlb_fill ad 80000000 rw 2 mmu_idx 3",
        "riscv_cpu_tlb_fill address=c000000 ret 0 physical 000000000c000000 prot 7",
        "riscv_cpu_tlb_fill PMP address=0000000000100000 ret 0 prot 7 tlb_size 4096",
        "Invalid read at addr 0xc000000, size 1, reason: rejected",
    ] {
        assert!(count(&lines, line) > 0, "{line}: {lines:#?}");
    }
}

#[test]
fn devices_tell_mistakes_and_what_is_not_modelled() {
    let guest = [
        0x0200_02b7, // lui t0, 0x2000, the software interrupts
        0x0862_a023, // sw t1, 0x80(t0), of hart 32
        0x2000_02b7, // lui t0, 0x20000, flash
        0x3300_0313, // li t1, 0x330
        0x0043_5313, // srli t1, t1, 4
        0x0062_a023, // sw t1, 0(t0), no command
        0x0010_02b7, // lui t0, 0x100
        0x0000_5337, // lui t1, 5
        0x5553_0313, // addi t1, t1, 0x555
        0x0062_a023, // sw t1, 0(t0)
        0x0000_006f, // j here
    ];
    let mistakes = log_of(&guest, "-d guest_errors");
    assert!(mistakes.len() == 1 && mistakes[0].contains("hart 32"), "{mistakes:#?}");
    let missing = log_of(&guest, "-d unimp");
    assert!(missing.len() == 1 && missing[0].contains("unknown command 0x33"), "{missing:#?}");
}

#[test]
fn a_reset_shows_the_state_before() {
    let lines = log_of(&GUEST, "-d cpu_reset");
    assert_eq!(count(&lines, "CPU Reset (CPU 0)"), 1, "{lines:#?}");
    assert_eq!(count(&lines, " mhartid  0000000000000000"), 1, "{lines:#?}");
}

#[test]
fn the_file_may_carry_the_process_id() {
    let qemu = Qemu::new();
    let bytes: Vec<u8> = GUEST.iter().flat_map(|word| word.to_le_bytes()).collect();
    let (image, log) = (qemu.file("guest.bin", &bytes), qemu.path("log-%d.txt"));
    let machine = "-M virt -bios none -display none -serial null -monitor none";
    let words = format!("{machine} -kernel {image} -d int -D {}", log.display());
    let running = crate::support::start(&mut qemu.command(&words));
    let log = qemu.path(&format!("log-{}.txt", running.child.id()));
    let end = running.finish();
    assert_eq!((end.status, &*end.err), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(log).expect("it is there").lines().count(), 3);
}

#[test]
fn each_thread_may_have_a_file() {
    let qemu = Qemu::new();
    let bytes: Vec<u8> = GUEST.iter().flat_map(|word| word.to_le_bytes()).collect();
    let image = qemu.file("guest.bin", &bytes);
    let machine = "-M virt -bios none -display none -serial null -monitor none";
    let words = format!("{machine} -kernel {image} -d int,tid -D {}", qemu.path("of-%d.txt").display());
    let running = crate::support::start(&mut qemu.command(&words));
    let of_process = qemu.path(&format!("of-{}.txt", running.child.id()));
    assert_eq!(running.finish().status, Some(0));
    // The vCPU's thread is none of the process' first.
    assert!(!of_process.exists());
    let folder = of_process.parent().expect("a folder");
    let names =
        std::fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it is there").path());
    let logs: Vec<_> = names.filter(|path| path.to_string_lossy().contains("/of-")).collect();
    let lines = |path| std::fs::read_to_string(path).expect("it is there").lines().count();
    assert_eq!(logs.iter().map(lines).collect::<Vec<_>>(), [3]);
}

#[test]
fn without_a_file_lines_go_to_stderr() {
    let qemu = Qemu::new();
    let bytes: Vec<u8> = GUEST.iter().flat_map(|word| word.to_le_bytes()).collect();
    let image = qemu.file("guest.bin", &bytes);
    let machine = "-M virt -bios none -display none -serial null -monitor none";
    let end = run(&mut qemu.command(&format!("{machine} -kernel {image} -d int")));
    assert_eq!((end.status, end.err.lines().count()), (Some(0), 3), "{}", end.err);
}
