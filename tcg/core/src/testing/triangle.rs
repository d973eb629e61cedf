//! The triangle: interpreter, evaluator and generated code agree on random instructions.
//!
//! This proves the translator; the meaning of instructions is written once, so all three share it.

use super::rig::{Rig, Seen, section};
use super::{Rng, setting};
use crate::build::{Limits, guest_block};
use crate::cpu::{RegId, exit};
use crate::effects::{Effects, Origin};
use crate::guest::{Ctx, Guest};
use crate::ir::{Names, Region, verify};
use crate::opt::{Scratch, optimise};
use base::PAGE_SIZE;

/// A place that random instructions come from.
pub trait Source {
    /// The guest.
    type Guest: Guest;

    /// A state in which addresses are physical, or as good as that.
    fn cpu(&self) -> <Self::Guest as Guest>::Cpu;
    /// First address and size of RAM, page-aligned, at least three pages: code stands in the first and again in the second,
    /// addresses are made to point anywhere but into the first.
    fn ram(&self) -> (u64, u64);
    /// The bytes of a random instruction.
    fn insn(&self, rng: &mut Rng) -> Vec<u8>;
    /// Changes the part of the state that is no guest register; seeds are repeated to get equal states.
    fn prepare(&self, cpu: &mut <Self::Guest as Guest>::Cpu, rng: &mut Rng);
    /// How the parts of two states differ that are no guest registers, if they do.
    fn difference(&self, a: &<Self::Guest as Guest>::Cpu, b: &<Self::Guest as Guest>::Cpu) -> Option<String>;
}

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// First seed; block `n` is made from `seed + n`.
    pub seed: u64,
    /// Blocks.
    pub blocks: u64,
    /// Most instructions a block.
    pub insns: u64,
}

/// Instructions of one extension, `E`, among all others.
pub struct Family<E, R: 'static> {
    /// The extension.
    pub ext: E,
    rows: Vec<&'static R>,
    all: &'static [R],
}

impl<E: Copy + PartialEq + 'static, R> Family<E, R> {
    /// A family for each extension that rows have.
    pub fn of(all: &'static [R], extensions: impl Fn(&R) -> &'static [E]) -> Vec<Self> {
        let mut families: Vec<Self> = Vec::new();
        for row in all {
            for ext in extensions(row) {
                match families.iter_mut().find(|family| family.ext == *ext) {
                    Some(family) => family.rows.push(row),
                    None => families.push(Self { ext: *ext, rows: vec![row], all }),
                }
            }
        }
        families
    }

    /// A row, mostly of the extension.
    pub fn pick(&self, rng: &mut Rng) -> &'static R {
        match rng.below(4) {
            0 => &self.all[rng.below(self.all.len() as u64) as usize],
            _ => rng.pick(&self.rows),
        }
    }
}

/// Tries 1000 blocks of each family, or `MIMIC_TRIANGLE_BLOCKS`, from the seed `MIMIC_TRIANGLE_SEED` on.
///
/// # Panics
/// With the report of the first disagreement.
pub fn agree<S: Source>(families: impl IntoIterator<Item = (String, S)>) {
    let (seed, blocks) = (setting("MIMIC_TRIANGLE_SEED", 0), setting("MIMIC_TRIANGLE_BLOCKS", 1000));
    for (name, source) in families {
        let amount = Amount { seed, blocks, insns: 20 };
        run(&source, amount).unwrap_or_else(|report| panic!("{name}: {report}"));
    }
}

type Insns<G> = Vec<(Ctx, <G as Guest>::Insn)>;

/// Tries `amount` random blocks; the report of the first disagreement.
pub fn run<S: Source>(source: &S, amount: Amount) -> Result<(), String> {
    let mut sides = Sides::new(source);
    (amount.seed..amount.seed + amount.blocks).try_for_each(|seed| sides.block(seed, amount.insns))
}

/// The machines that the readings run on, kept from block to block.
pub struct Sides<'a, S: Source> {
    source: &'a S,
    /// One for each reading.
    rigs: [Rig<S::Guest>; READINGS.len()],
}

const READINGS: [&str; 6] = [
    "interpreter",
    "evaluator",
    "evaluator on optimised IR",
    "host code",
    "host code with random registers",
    "host code made for another page",
];

/// The first of the readings that host code makes.
const HOST: usize = 3;

impl<'a, S: Source> Sides<'a, S> {
    /// Machines for code of `source`.
    pub fn new(source: &'a S) -> Self {
        Self { source, rigs: READINGS.map(|_| Rig::new(source.cpu(), source.ram(), 16)) }
    }

    fn block(&mut self, seed: u64, max_insns: u64) -> Result<(), String> {
        let mut rng = Rng::new(seed);
        let pc = self.source.ram().0 + 2 * rng.below(64);
        let code: Vec<u8> = (0..1 + rng.below(max_insns)).flat_map(|_| self.source.insn(&mut rng)).collect();
        self.code(rng.bits(), pc, &code).map_err(|report| format!("seed {seed}\n{report}"))
    }

    /// Tries the block that `code` at `pc` begins with, in a state made from the number `state`; the report of a
    /// disagreement. `code` lies in the first page; what follows it there is random.
    pub fn code(&mut self, state: u64, pc: u64, code: &[u8]) -> Result<(), String> {
        for n in 0..self.rigs.len() {
            self.fill(n, state, pc, code);
        }
        let (insns, region) = match self.translate(pc) {
            Ok(made) => made,
            // The very first fetch faults: nothing to compare.
            Err(None) => return Ok(()),
            Err(Some(what)) => return Err(self.report(state, &what, None)),
        };
        // The same code a page further on: its translation is run as if it stood here.
        let elsewhere = self.translate(pc + PAGE_SIZE).map(|(_, region)| region);
        let pointers = pointers::<S>(&insns);
        for n in 0..self.rigs.len() {
            self.point(n, state, &pointers);
        }
        let mut optimised = region.clone();
        optimise(&mut optimised, S::Guest::regs(), S::Guest::helpers(), &mut Scratch::default());
        let shown = Some((&insns, &region, &optimised));
        if let Err(error) = verify(&optimised, S::Guest::regs(), S::Guest::helpers()) {
            return Err(self.report(state, &format!("optimised IR: {error}"), shown));
        }
        let moved = elsewhere.map(|mut region| {
            optimise(&mut region, S::Guest::regs(), S::Guest::helpers(), &mut Scratch::default());
            self.rigs[5].run_host_moved(&region, Some(state), 0u64.wrapping_sub(PAGE_SIZE))
        });
        let counts = S::Guest::counts(S::Guest::context(self.rigs[0].cpu()).mode);
        let fuel = region.blocks.len() + 1;
        let truth = self.rigs[0].interpret(&insns);
        let truth = self.take_trap(truth, 0, &insns);
        let seen = [
            self.rigs[1].evaluate(&region, fuel),
            self.rigs[2].evaluate(&optimised, fuel),
            self.rigs[3].run_host(&optimised, None),
            self.rigs[4].run_host(&optimised, Some(state)),
            // Where the code cannot be fetched a page further on there is nothing to run.
            moved.unwrap_or(None),
        ];
        for (n, seen) in seen.into_iter().enumerate() {
            let seen = seen.map(|seen| self.take_trap(seen, n + 1, &insns));
            if let Some(what) = self.compare(&truth, seen, n + 1, counts) {
                return Err(self.report(state, &what, shown));
            }
        }
        Ok(())
    }

    fn fill(&mut self, n: usize, state: u64, pc: u64, code: &[u8]) {
        let rig = &mut self.rigs[n];
        rig.fill(state);
        self.source.prepare(rig.cpu(), &mut Rng::new(state));
        rig.cpu().as_mut().pc = pc;
        rig.sync();
        rig.write(pc, code);
        let page = rig.memory()[..PAGE_SIZE as usize].to_vec();
        rig.write(self.source.ram().0 + PAGE_SIZE, &page);
    }

    /// The instructions of the block at `pc`, decoded before any of them can change them, and its IR.
    fn translate(&mut self, pc: u64) -> Result<(Insns<S::Guest>, Region), Option<String>> {
        let rig = &mut self.rigs[1];
        let mode = S::Guest::context(rig.cpu()).mode;
        let fetch = &mut rig.fetch();
        let block = guest_block::<S::Guest>(fetch, pc, mode, &Limits::new(64), Region::default())
            .map_err(|_| None)?;
        let mut insns = Vec::new();
        let mut at = pc;
        for mode in block.modes {
            let decoded = S::Guest::decode(fetch, at, mode);
            let (insn, len) =
                decoded.map_err(|_| Some("what was translated cannot be fetched".to_string()))?;
            insns.push((Ctx { pc: at, len, mode }, insn));
            at = at.wrapping_add(len);
        }
        verify(&block.region, S::Guest::regs(), S::Guest::helpers())
            .map_err(|error| Some(format!("IR: {error}\n{}", print::<S>(&block.region))))?;
        Ok((insns, block.region))
    }

    /// Points registers that are used as addresses into RAM, most of the time.
    fn point(&mut self, n: usize, state: u64, pointers: &[(RegId, u64)]) {
        let mut rng = Rng::new(state ^ 1);
        let (base, size) = self.source.ram();
        let data = base + base::PAGE_SIZE..base + size;
        for (reg, offset) in pointers {
            let align = rng.pick(&[8, 8, 8, 1]);
            let at = data.start + rng.below(data.end - data.start) / align * align;
            if rng.chance(95) {
                self.rigs[n].set_reg(*reg, at.wrapping_sub(*offset));
            }
        }
    }

    /// What was left to the interpreter, a trap or an instruction for another mode, is done by it, and so is what follows.
    fn take_trap(&mut self, seen: Seen, n: usize, insns: &Insns<S::Guest>) -> Seen {
        let left = insns.iter().position(|(cx, _)| cx.pc == seen.left.pc);
        match left.filter(|_| seen.left.code == exit::RETRY) {
            Some(at) => self.rigs[n].interpret(&insns[at..]),
            None => seen,
        }
    }

    fn compare(&mut self, truth: &Seen, seen: Option<Seen>, n: usize, counts: bool) -> Option<String> {
        let Some(seen) = seen else {
            // A frame may be too small for a block; an evaluation has no excuse.
            return (n < HOST).then(|| format!("{} comes to no end", READINGS[n]));
        };
        let mut differs = plain(truth, counts).difference::<S::Guest>(&plain(&seen, counts));
        let [first, rest @ ..] = &mut self.rigs;
        differs += &self.source.difference(first.cpu(), rest[n - 1].cpu()).unwrap_or_default();
        (!differs.is_empty()).then(|| format!("{} and {}:\n{differs}", READINGS[0], READINGS[n]))
    }

    fn report(
        &mut self,
        state: u64,
        what: &str,
        shown: Option<(&Insns<S::Guest>, &Region, &Region)>,
    ) -> String {
        let mut report = format!("state {state}\n");
        section(&mut report, "difference", what);
        if let Some((insns, region, optimised)) = shown {
            let listing: Vec<_> = insns.iter().map(|(cx, insn)| S::Guest::print(*insn, cx.pc)).collect();
            section(&mut report, "guest code", &listing.join("\n"));
            section(&mut report, "IR", &print::<S>(region));
            section(&mut report, "optimised IR", &print::<S>(optimised));
            let random = what.contains(READINGS[4]).then_some(state);
            section(&mut report, "host code", &self.rigs[0].list_host(optimised, random));
        }
        report
    }
}

/// Without the difference between the ways to go on at `pc` after looking at everything; and without the number of
/// instructions, which the interpreter always counts, unless translations do so too.
fn plain(seen: &Seen, counts: bool) -> Seen {
    let mut seen = seen.clone();
    if !counts {
        seen.insns = 0;
    }
    if seen.left.code == exit::RESYNC {
        seen.left.code = exit::LOOKUP;
    }
    seen
}

fn print<S: Source>(region: &Region) -> String {
    Names { regs: S::Guest::regs(), helpers: S::Guest::helpers() }.print(region)
}

/// Registers that the instructions use as addresses before they write them, each with the constant added to it.
fn pointers<S: Source>(insns: &Insns<S::Guest>) -> Vec<(RegId, u64)> {
    let mut written = Vec::new();
    let mut pointers: Vec<(RegId, u64)> = Vec::new();
    for (cx, insn) in insns {
        let effects = Effects::of::<S::Guest>(cx, *insn);
        for memory in &effects.memory {
            if let Origin::Reg(reg, offset) = memory.addr
                && !written.contains(&reg)
                && pointers.iter().all(|(r, _)| *r != reg)
            {
                pointers.push((reg, offset));
            }
        }
        written.extend(effects.writes);
    }
    pointers
}
