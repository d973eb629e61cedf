//! Hostile input: damaged ELF files, and system calls with random numbers and arguments. Whatever becomes of the guest,
//! the emulator ends as a guest ends.

use super::support::{GUESTS, Guest, run, run_briefly, scratch, stderr, stdout};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Numbers that are the same in every run: xorshift64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }
}

#[test]
fn damaged_elf_files() {
    GUESTS.iter().for_each(damaged_elf_files_of);
}

fn damaged_elf_files_of(guest: &Guest) {
    let Some(program) = guest.compile("show", &["-static"]) else { return };
    let whole = std::fs::read(program).expect("just compiled");
    let file = scratch().join(format!("damaged-{}", guest.name));
    let mut rng = Rng(0x1234_5678);
    for n in 0..150 {
        let mut bytes = whole.clone();
        // Headers decide most; one case in eight is cut short as well.
        for _ in 0..=rng.below(4) {
            let at = 16 + rng.below(64 + 56 * 8);
            bytes[at] = [0, 0xff, 0x7f, 0x80, rng.next() as u8][rng.below(5)];
        }
        if rng.below(8) == 0 {
            bytes.truncate(rng.below(bytes.len()));
        }
        std::fs::write(&file, bytes).expect("a scratch file");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("a scratch file");
        let case = format!("{}, case {n}", guest.name);
        if let Some(output) = run_briefly(guest.mimic().arg(&file)) {
            let said = stderr(&output);
            assert!(!said.contains("panicked") && !said.contains("internal error"), "{case}: {said}");
        } else {
            // Damage may have the program's own C library loop for ever: then it does so under any emulator.
            let peer = run_briefly(Command::new(guest.emulator()).arg(&file));
            assert!(peer.is_none_or(|peer| peer.status.code() == Some(127)), "{case} hangs");
        }
    }
}

#[test]
fn random_system_calls() {
    for guest in &GUESTS {
        let Some(program) = guest.compile("calls", &["-static"]) else { continue };
        let output = run(guest.mimic().current_dir(scratch()).arg(&program));
        let said = stderr(&output);
        assert!(!said.contains("panicked") && !said.contains("internal error"), "{}: {said}", guest.name);
        assert_eq!(stdout(&output), "done\n", "{}: {} {said}", guest.name, output.status);
    }
}
