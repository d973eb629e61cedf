//! The code buffer: entry and exit of generated code, placing regions, linking.

use super::compile::{Code, Compiler, Frame};
use super::faults::FaultTable;
use super::features::HostFeatures;
use crate::cpu::CpuHeader;
use crate::host::memory::CodeMemory;
use crate::host::{CompileError, Compiled, Env, Site};
use crate::ir::Region;
use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynasmApi, VecAssembler, dynasm};
use std::fs::File;
use std::io;
use std::mem::offset_of;

/// Code memory with the common entry and exit at its start.
pub struct CodeBuffer {
    memory: CodeMemory,
    used: usize,
    runner: Runner,
    /// Where regions return to.
    epilogue: u32,
    /// First byte behind the common code.
    first: usize,
    compiler: Compiler,
    /// Of code that reaches guest memory directly.
    faults: Option<Box<FaultTable>>,
}

type Enter = unsafe extern "sysv64" fn(cpu: *mut CpuHeader, code: u64) -> u32;

/// Enters generated code; stays valid as long as its buffer.
#[derive(Clone, Copy)]
pub struct Runner {
    enter: Enter,
}

impl Runner {
    /// Runs the code at host address `code` until it leaves.
    ///
    /// # Safety
    /// The buffer exists, `code` is an entry in it, and `cpu` is the header of a vCPU of the guest it was compiled for.
    pub unsafe fn enter(&self, cpu: *mut CpuHeader, code: u64) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { (self.enter)(cpu, code) }
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
        let (code, epilogue) = common_code();
        memory.write(0, &code);
        // SAFETY: the trampoline was just written to the start of executable memory, with this signature.
        let enter = unsafe { std::mem::transmute::<*const u8, Enter>(memory.run_base()) };
        let first = code.len().next_multiple_of(16);
        let runner = Runner { enter };
        Ok(Self {
            memory,
            used: first,
            runner,
            epilogue,
            first,
            compiler: Compiler::new(features),
            faults: None,
        })
    }

    /// Has faults of the code be found from now on: for regions that reach guest memory directly.
    pub fn note_faults(&mut self) -> io::Result<()> {
        self.faults = Some(FaultTable::new(self.memory.run_base(), self.memory.len())?);
        Ok(())
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// A copy of the code memory, with its regions or without them, for a process that is to have its own.
    pub fn copy_memory(&self, regions: bool) -> io::Result<File> {
        self.memory.copy(if regions { self.used } else { self.first })
    }

    /// Has a copy take the place of the code memory.
    pub fn use_copy(&mut self, copy: &File) -> io::Result<()> {
        self.memory.replace(copy)
    }

    /// The way in.
    pub fn runner(&self) -> Runner {
        self.runner
    }

    /// Forgets all regions. Nobody may be running any of them.
    pub fn reset(&mut self) {
        self.used = self.first;
        if let Some(table) = &self.faults {
            table.clear();
        }
    }

    /// Compiles `region`.
    pub fn compile(&mut self, region: &Region, env: &Env) -> Result<Compiled, CompileError> {
        let start = self.used;
        let Code { bytes: code, sites, faults } =
            self.compiler.compile(region, env, start as u32, self.epilogue)?;
        let noted = self.faults.as_ref().is_none_or(|table| table.has_room(faults.len()));
        if start + code.len() > self.memory.len() || !noted {
            let fits_alone = self.first + code.len() <= self.memory.len();
            return Err(if fits_alone { CompileError::OutOfSpace } else { CompileError::TooLarge });
        }
        self.memory.write(start, code);
        if let Some(table) = &self.faults {
            table.append(faults);
        }
        self.used = (start + code.len()).next_multiple_of(16);
        Ok(Compiled { entry: start as u32, len: code.len() as u32, sites })
    }

    /// Makes exit `site` jump to the region entered at `entry`.
    pub fn link(&mut self, site: Site, entry: u32) {
        self.memory.patch(site.patch as usize, entry.wrapping_sub(site.patch + 4));
    }

    /// Makes exit `site` come back to the run loop again.
    pub fn unlink(&mut self, site: Site) {
        self.link(site, site.stub);
    }

    /// Host address of the code at `offset`.
    pub fn entry_address(&self, offset: u32) -> *const u8 {
        self.memory.run_base().wrapping_add(offset as usize)
    }

    /// The code of a region, for listings.
    pub fn code(&self, compiled: &Compiled) -> &[u8] {
        self.memory.bytes(compiled.entry as usize, compiled.len as usize)
    }
}

/// Entry trampoline and exit; gives the offset of the exit.
fn common_code() -> (Vec<u8>, u32) {
    let mut ops: VecAssembler<X64Relocation> = VecAssembler::new(0);
    let control = offset_of!(CpuHeader, fp_control) as i32;
    let frame = Frame::BYTES;
    dynasm!(ops
        ; .arch x64
        ; push rbx ; push rbp ; push r12 ; push r13 ; push r14 ; push r15
        ; sub rsp, frame
        ; mov rbx, rdi
        ; ldmxcsr [rbx + control]
        ; jmp rsi
    );
    let epilogue = ops.offset().0 as u32;
    dynasm!(ops
        ; .arch x64
        ; stmxcsr [rbx + control]
        ; mov DWORD [rsp], HOST_MXCSR
        ; ldmxcsr [rsp]
        ; add rsp, frame
        ; pop r15 ; pop r14 ; pop r13 ; pop r12 ; pop rbp ; pop rbx
        ; ret
    );
    (ops.finalize().expect("no labels to resolve"), epilogue)
}
