//! The code buffer: entry and exit of generated code, placing compiled regions, linking.

use super::compile::{Compiler, Frame, Shared, TLB};
use super::faults::FaultTable;
use super::features::HostFeatures;
use super::piece::{Piece, Place};
use super::records::RecordTable;
use super::short::{BIAS, head};
use crate::cpu::{CpuHeader, JUMP_ASIDE, JumpEntry, exit};
use crate::host::helpers::CoreHelper;
use crate::host::memory::CodeMemory;
use crate::host::{CompileError, Compiled, Site};
use base::PAGE_SIZE;
use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm};
use std::io;
use std::mem::offset_of;

/// Code memory with the common entry and exit at its start.
pub struct CodeBuffer {
    memory: CodeMemory,
    used: usize,
    runner: Runner,
    shared: Shared,
    /// First byte behind the common code.
    first: usize,
    features: HostFeatures,
    /// A piece in its place, on its way into the buffer.
    placed: Piece,
    /// Of code that reaches guest memory directly.
    faults: Option<Box<FaultTable>>,
    records: RecordTable,
}

type Enter = unsafe extern "sysv64" fn(cpu: *mut CpuHeader, code: u64) -> u32;

/// Enters generated code; stays valid as long as its buffer.
#[derive(Clone, Copy)]
pub struct Runner {
    enter: Enter,
    records: *const u32,
}

// SAFETY: the records belong to the buffer.
unsafe impl Send for Runner {}
// SAFETY: as above.
unsafe impl Sync for Runner {}

impl Runner {
    /// Runs the code at host address `code` until it leaves.
    ///
    /// # Safety
    /// The buffer exists, `code` is an entry in it, and `cpu` is the header of a vCPU of the guest it was compiled for.
    pub unsafe fn enter(&self, cpu: *mut CpuHeader, code: u64) -> u32 {
        // SAFETY: the caller's promise.
        unsafe {
            (*cpu).records = self.records;
            (self.enter)(cpu, code)
        }
    }
}

/// The host's own float control word: all exceptions masked, to nearest.
const HOST_MXCSR: i32 = 0x1f80;

impl CodeBuffer {
    /// A buffer of `bytes` bytes.
    pub fn new(bytes: usize) -> io::Result<Self> {
        Self::with_features(bytes, HostFeatures::detect())
    }

    /// A buffer of `bytes` bytes for a CPU with `features`.
    pub fn with_features(bytes: usize, features: HostFeatures) -> io::Result<Self> {
        let mut memory = CodeMemory::new(bytes.next_multiple_of(4096))?;
        let (code, shared) = shared_code();
        memory.write(0, &code);
        // SAFETY: the trampoline was just written to the start of executable memory, with this signature.
        let enter = unsafe { std::mem::transmute::<*const u8, Enter>(memory.run_base()) };
        let first = code.len().next_multiple_of(16);
        let records = RecordTable::new(bytes)?;
        let runner = Runner { enter, records: records.words() };
        Ok(Self {
            memory,
            used: first,
            runner,
            shared,
            first,
            features,
            placed: Piece::default(),
            faults: None,
            records,
        })
    }

    /// Has faults of the code be found from now on: for regions that reach guest memory directly.
    pub fn note_faults(&mut self) -> io::Result<()> {
        self.faults = Some(FaultTable::new(self.memory.run_base(), self.memory.len(), self.shared.leave)?);
        Ok(())
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// A copy of the code memory, with its regions or without them, for a process that is to have its own.
    pub fn copy_memory(&self, regions: bool) -> io::Result<CodeMemory> {
        self.memory.copy(if regions { self.used } else { self.first })
    }

    /// Has a copy take the place of the code memory.
    pub fn use_copy(&mut self, copy: CodeMemory) -> io::Result<()> {
        self.memory.replace(copy)
    }

    /// The way in.
    pub fn runner(&self) -> Runner {
        self.runner
    }

    /// Forgets all regions. Nobody may be running any of them.
    pub fn reset(&mut self) {
        self.used = self.first;
        self.records.clear();
        if let Some(table) = &self.faults {
            table.clear();
        }
    }

    /// A compiler of pieces for this buffer. It may be used while the buffer is.
    pub fn compiler(&self) -> Compiler {
        Compiler::new(self.features, self.shared)
    }

    /// Puts `piece`, which is sound, behind everything else. Its first exit gets the number `first_site`.
    pub fn place(&mut self, piece: &Piece, first_site: u32) -> Result<Compiled, CompileError> {
        let (start, len) = (self.used, piece.code.len());
        let noted = self.faults.as_ref().is_none_or(|table| table.has_room(piece.faults.len()))
            && self.records.has_room(piece.records.len());
        if start + len > self.memory.len() || !noted {
            let fits_alone = self.first + len <= self.memory.len();
            return Err(if fits_alone { CompileError::OutOfSpace } else { CompileError::TooLarge });
        }
        let place = Place { start: start as u32, first_record: self.records.next(), first_site };
        piece.put(place, &mut self.placed);
        self.memory.write(start, &self.placed.code);
        self.records.append(&self.placed.records);
        if let Some(table) = &self.faults {
            table.append(&self.placed.faults);
        }
        self.used = (start + len).next_multiple_of(16);
        let link_entry = start as u32;
        let entry = link_entry + piece.entry;
        Ok(Compiled { entry, link_entry, len: len as u32, sites: self.placed.sites.clone() })
    }

    /// Makes exit `site`, which can be linked, jump to the code at `entry`.
    pub fn link(&mut self, site: &Site, entry: u32) {
        if let Some(patch) = site.patch {
            self.memory.patch(patch.at as usize, entry.wrapping_sub(patch.at + 4));
        }
    }

    /// Makes exit `site` come back to the run loop again.
    pub fn unlink(&mut self, site: &Site) {
        if let Some(patch) = site.patch {
            self.link(site, patch.stub);
        }
    }

    /// Host address of the code at `offset`.
    pub fn entry_address(&self, offset: u32) -> *const u8 {
        self.memory.run_base().wrapping_add(offset as usize)
    }

    /// The code of a region, for listings.
    pub fn code(&self, compiled: &Compiled) -> &[u8] {
        self.memory.bytes(compiled.link_entry as usize, compiled.len as usize)
    }
}

/// Registers that values live in: those whose number the allocator knows, general ones first.
const VALUES: [u8; 11] = super::compile::GPR;
const FLOAT_VALUES: [u8; 13] = super::compile::XMM;

fn save_all(ops: &mut VecAssembler<X64Relocation>, above: i32) {
    for n in VALUES {
        dynasm!(ops ; .arch x64 ; mov [rsp + above + Frame::save(n)], Rq(n));
    }
    for n in FLOAT_VALUES {
        dynasm!(ops ; .arch x64 ; movaps [rsp + above + Frame::save(16 + n)], Rx(n));
    }
}

/// Leaves rax and the flags alone.
fn restore_all(ops: &mut VecAssembler<X64Relocation>, above: i32) {
    for n in VALUES {
        dynasm!(ops ; .arch x64 ; mov Rq(n), [rsp + above + Frame::save(n)]);
    }
    for n in FLOAT_VALUES {
        dynasm!(ops ; .arch x64 ; movaps Rx(n), [rsp + above + Frame::save(16 + n)]);
    }
}

/// Goes to the guest address in rax if the jump cache has it in its other place; rcx is where the first one is.
fn jump_aside(ops: &mut VecAssembler<X64Relocation>) {
    let (jumps, page) = (head!(jumps), head!(page));
    let (key, code) = (offset_of!(JumpEntry, key) as i32, offset_of!(JumpEntry, code) as i32);
    let aside = (JUMP_ASIDE * size_of::<JumpEntry>()) as i32;
    let in_page = -(PAGE_SIZE as i32);
    dynasm!(ops
        ; .arch x64
        ; mov rdx, [rbx + jumps]
        ; sub rcx, rdx
        ; xor rcx, aside
        ; cmp rax, [rcx + rdx + key]
        ; jne >unknown
        ; and rax, in_page
        ; mov [rbx + page], rax
        ; jmp QWORD [rcx + rdx + code]
        ; unknown:
    );
}

/// The code that all regions share, with the way in at its start.
fn shared_code() -> (Vec<u8>, Shared) {
    let mut ops: VecAssembler<X64Relocation> = VecAssembler::new(0);
    let control = head!(fp_control);
    let helpers = head!(helpers);
    let helper = |helper: CoreHelper| helper as i32 * size_of::<usize>() as i32;
    let (pc, tlb) = (head!(pc), head!(tlb));
    let frame = Frame::BYTES;
    dynasm!(ops
        ; .arch x64
        ; push rbx ; push rbp ; push r12 ; push r13 ; push r14 ; push r15
        ; sub rsp, frame
        ; lea rbx, [rdi + BIAS]
        ; ldmxcsr [rbx + control]
        ; mov Rq(TLB), [rbx + tlb]
        ; jmp rsi
    );
    let exit_at = |ops: &mut VecAssembler<X64Relocation>, near: bool| {
        let (records, link_site) = (head!(records), head!(link_site));
        let at = ops.offset().0 as u32;
        dynasm!(ops
            ; .arch x64
            ; mov rax, [rbx + records]
            ; lea rcx, [rax + rcx * 4]
            ; mov eax, [rcx]
            ; mov [rbx + link_site], eax
            ; mov rax, [rcx + 4]
        );
        if near {
            let page = head!(page);
            dynasm!(ops ; .arch x64 ; add rax, [rbx + page]);
        }
        dynasm!(ops ; .arch x64 ; mov [rbx + pc], rax ; movzx eax, dl ; jmp ->epilogue);
        at
    };
    let (absolute, near) = (exit_at(&mut ops, false), exit_at(&mut ops, true));
    let for_address = |ops: &mut VecAssembler<X64Relocation>, code: u32| {
        let at = ops.offset().0 as u32;
        dynasm!(ops ; .arch x64 ; mov [rbx + pc], rax ; mov eax, code as i32 ; jmp ->epilogue);
        at
    };
    let lookup = ops.offset().0 as u32;
    jump_aside(&mut ops);
    for_address(&mut ops, exit::LOOKUP);
    let request = for_address(&mut ops, exit::REQUEST);
    let resync = for_address(&mut ops, exit::RESYNC);
    let went = ops.offset().0 as u32;
    let (records, link_site) = (head!(records), head!(link_site));
    dynasm!(ops
        ; .arch x64
        ; mov [rbx + pc], rax
        ; mov rax, [rbx + records]
        ; mov eax, [rax + rcx * 4]
        ; mov [rbx + link_site], eax
        ; mov eax, exit::WENT as i32
        ; jmp ->epilogue
    );
    let leave = ops.offset().0 as u32;
    save_all(&mut ops, 0);
    dynasm!(ops
        ; .arch x64
        ; lea rdi, [rbx - BIAS]
        ; mov rsi, rsp
        ; mov rax, [rbx + helpers]
        ; call QWORD [rax + helper(CoreHelper::Leave)]
    );
    dynasm!(ops
        ; .arch x64
        ; ->epilogue:
        ; stmxcsr [rbx + control]
        ; mov DWORD [rsp], HOST_MXCSR
        ; ldmxcsr [rsp]
        ; add rsp, frame
        ; pop r15 ; pop r14 ; pop r13 ; pop r12 ; pop rbp ; pop rbx
        ; ret
    );
    let access = ops.offset().0 as u32;
    // The return address, and what keeps the stack 16-aligned.
    let above = 16;
    dynasm!(ops ; .arch x64 ; sub rsp, above - 8);
    save_all(&mut ops, above);
    dynasm!(ops
        ; .arch x64
        ; lea rdi, [rbx - BIAS]
        ; lea rsi, [rsp + above]
        ; mov edx, ecx
        ; mov rcx, rax
        ; mov rax, [rbx + helpers]
        ; call QWORD [rax + helper(CoreHelper::Access)]
        ; test eax, eax
        ; jnz >left
    );
    restore_all(&mut ops, above);
    dynasm!(ops
        ; .arch x64
        ; add rsp, above - 8
        ; ret
        ; left:
        ; add rsp, above
        ; jmp ->epilogue
    );
    (
        ops.finalize().expect("all labels are here"),
        Shared { lookup, request, resync, went, exit: absolute, exit_near: near, leave, access },
    )
}
