//! What a translation costs: every basic block of a program's `.text`, one after the other, is made into host code as a
//! process' blocks are, and thrown away.
//!
//! `cargo run --release -p whole-program --bin bench-translate -- PROGRAM` prints nanoseconds for each guest instruction, by
//! stage, of the best of several rounds, and bytes of host code.

use object::{Architecture, Object, ObjectSection};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tcg_aarch64::Aarch64;
use tcg_core::build::{Limits, Links, MAX_INSNS, guest_block};
use tcg_core::guest::{Access, Fetch, Guest, Trap};
use tcg_core::host::{CodeBuffer, CompileError, Compiler, Env, TlbShape};
use tcg_core::ir::Region;
use tcg_core::opt::{Scratch, optimise};
use tcg_riscv::Riscv;
use tcg_user::arch::Arch;

const ROUNDS: u32 = 5;
const BUFFER: usize = 64 << 20;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: bench-translate PROGRAM (an ELF file for riscv64 or aarch64)");
        return ExitCode::FAILURE;
    };
    match measure(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench-translate: {path}: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn measure(path: &str) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let file = object::File::parse(&*bytes).map_err(|error| error.to_string())?;
    let section = file.section_by_name(".text").ok_or("it has no section .text")?;
    let data = section.data().map_err(|error| error.to_string())?;
    let text = Text { base: section.address(), bytes: data };
    match file.architecture() {
        Architecture::Riscv64 => report(&text, rounds::<Riscv>(&text)?),
        Architecture::Aarch64 => report(&text, rounds::<Aarch64>(&text)?),
        other => return Err(format!("there is no guest for {other:?}")),
    }
    Ok(())
}

/// Time spent in each stage of one round, and what came of it.
#[derive(Clone, Copy, Default)]
struct Round {
    build: Duration,
    optimise: Duration,
    compile: Duration,
    blocks: u64,
    insns: u64,
    host_bytes: u64,
}

impl Round {
    fn total(&self) -> Duration {
        self.build + self.optimise + self.compile
    }
}

fn report(text: &Text, round: Round) {
    let each = |time: Duration| time.as_nanos() as f64 / round.insns as f64;
    println!(
        "{} bytes of guest code, {} blocks, {} instructions",
        text.bytes.len(),
        round.blocks,
        round.insns
    );
    println!(
        "ns an instruction: build {:.0}, optimise {:.0}, compile {:.0}, together {:.0}",
        each(round.build),
        each(round.optimise),
        each(round.compile),
        each(round.total())
    );
    println!("host bytes an instruction: {:.1}", round.host_bytes as f64 / round.insns as f64);
}

fn rounds<G: Arch>(text: &Text) -> Result<Round, String> {
    let mode = G::context(&G::new_cpu(None)?).mode;
    let mut buffer = CodeBuffer::new(BUFFER).map_err(|error| error.to_string())?;
    buffer.note_faults().map_err(|error| error.to_string())?;
    let mut compiler = buffer.compiler();
    let all = (0..ROUNDS).map(|_| round::<G>(text, mode, &mut compiler, &mut buffer));
    Ok(all.min_by_key(Round::total).expect("there is more than one round"))
}

fn round<G: Guest>(text: &Text, mode: u64, compiler: &mut Compiler, buffer: &mut CodeBuffer) -> Round {
    let limits = Limits { links: Links::Anywhere, ..Limits::new(MAX_INSNS) };
    let env = Env {
        regs: G::regs(),
        helpers: G::helpers(),
        random_registers: None,
        process: true,
        direct: true,
        tlb: TlbShape { entries: 1, alone: false },
        turns: false,
        heat: true,
        samples: true,
        several_pages: false,
    };
    let (mut round, mut pc) = (Round::default(), text.base);
    let (mut room, mut scratch) = (Region::default(), Scratch::default());
    loop {
        let start = Instant::now();
        let Ok(mut block) = guest_block::<G>(&mut &*text, pc, mode, &limits, room) else { return round };
        let built = Instant::now();
        optimise(&mut block.region, G::regs(), G::helpers(), &mut scratch);
        let optimised = Instant::now();
        let piece = compiler.compile(&block.region, &env);
        let compiled = piece.and_then(|piece| match buffer.place(piece, 0) {
            Err(CompileError::OutOfSpace) => {
                buffer.reset();
                buffer.place(piece, 0)
            }
            other => other,
        });
        round.compile += optimised.elapsed();
        round.optimise += optimised - built;
        round.build += built - start;
        round.blocks += 1;
        round.insns += block.insns as u64;
        round.host_bytes += compiled.map_or(0, |code| u64::from(code.len));
        pc += block.len;
        room = block.region;
    }
}

/// The code, at its address.
struct Text<'a> {
    base: u64,
    bytes: &'a [u8],
}

impl Fetch for &Text<'_> {
    fn u16(&mut self, addr: u64) -> Result<u16, Trap> {
        let at = addr.wrapping_sub(self.base) as usize;
        let bytes = self.bytes.get(at..at.saturating_add(2));
        let bytes = bytes.ok_or_else(|| Riscv::bus_fault(addr, Access::Fetch))?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }
}
