//! The side of who traces: what this process knows of its tracees, and reaching into them.

use super::{Block, Event, POKES, Request, Resume, STAND};
use crate::memory::Result;
use crate::signal::{Info, bit, fault_info};
use crate::sys;
use base::PAGE_SIZE;
use std::collections::BTreeMap;
use std::mem::size_of;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a tracee stands at, as its tracer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Something of the guest's, which its block tells of.
    At(Event),
    /// A stop that is the host's as well.
    Host,
}

/// A tracee.
#[derive(Clone, Copy, Debug)]
pub struct Tracee {
    /// Address of its block; 0 until it has told.
    pub block: u64,
    /// `PTRACE_O_*`, as the guest has set them.
    pub options: u64,
    /// By `PTRACE_SEIZE`.
    pub seized: bool,
    /// `PTRACE_INTERRUPT` is under way.
    pub interrupting: bool,
    /// Bits of [`Request`] that are on their way to it.
    pub asked: u32,
    /// Where it stands, if its tracer knows that it does.
    pub stands: Option<Stands>,
    /// How it goes on.
    pub resume: Resume,
}

impl Tracee {
    /// One of which nothing is known.
    pub const NEW: Self = Self {
        block: 0,
        options: 0,
        seized: false,
        interrupting: false,
        asked: 0,
        stands: None,
        resume: Resume::Run,
    };

    /// Whether its tracer has set `PTRACE_O_*` bit `option`.
    pub fn has(&self, option: i32) -> bool {
        self.options & option as u64 != 0
    }
}

static TRACEES: Mutex<BTreeMap<i32, Tracee>> = Mutex::new(BTreeMap::new());
/// There was one at some time.
static ANY: AtomicBool = AtomicBool::new(false);

fn tracees() -> MutexGuard<'static, BTreeMap<i32, Tracee>> {
    TRACEES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process may have tracees.
pub fn any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// What is known of tracee `tid`.
pub fn find(tid: i32) -> Option<Tracee> {
    if any() { tracees().get(&tid).copied() } else { None }
}

/// Remembers it.
pub fn set(tid: i32, tracee: Tracee) {
    ANY.store(true, Ordering::Relaxed);
    tracees().insert(tid, tracee);
}

/// It has ended, or is let go.
pub fn forget(tid: i32) {
    tracees().remove(&tid);
}

/// The process is a new one, which traces nobody.
pub fn forget_all() {
    if any()
        && let Ok(mut tracees) = TRACEES.try_lock()
    {
        tracees.clear();
    }
}

/// What a child of some tracee begins with: its parent's options, as far as that can be told.
pub fn child() -> Tracee {
    let forks = (libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK | libc::PTRACE_O_TRACECLONE) as u64;
    let parent = tracees().values().find(|tracee| tracee.options & forks != 0).copied();
    parent.map_or(Tracee::NEW, |Tracee { options, seized, .. }| Tracee { options, seized, ..Tracee::NEW })
}

/// The result of a raw host call.
pub fn result(value: i64) -> Result<u64> {
    if (-4095..0).contains(&value) { Err(-value as i32) } else { Ok(value as u64) }
}

/// The host's `ptrace`, as the kernel has it.
pub fn host(request: u32, tid: i32, addr: u64, data: u64) -> Result<u64> {
    // SAFETY: what it does to the tracee is what the guest may do to it; what it writes here is a local variable of a caller.
    result(unsafe { sys::call(libc::SYS_ptrace, [request.into(), tid as u64, addr, data, 0, 0]) })
}

/// What the host says of the stop of `tid`.
pub fn host_info(tid: i32) -> Result<Info> {
    let mut info: Info = [0; 128];
    host(libc::PTRACE_GETSIGINFO, tid, 0, info.as_mut_ptr() as u64)?;
    Ok(info)
}

/// Memory of `tid` at `addr`, copied to or from `bytes`.
fn reach(nr: i64, tid: i32, addr: u64, bytes: *mut u8, len: usize) -> bool {
    let own = libc::iovec { iov_base: bytes.cast(), iov_len: len };
    let other = libc::iovec { iov_base: addr as *mut _, iov_len: len };
    let args = [tid as u64, &raw const own as u64, 1, &raw const other as u64, 1, 0];
    // SAFETY: the callers' buffers are as long as they say.
    unsafe { sys::call(nr, args) == len as i64 }
}

/// Reads memory of `tid`.
pub fn read(tid: i32, addr: u64, bytes: &mut [u8]) -> bool {
    reach(libc::SYS_process_vm_readv, tid, addr, bytes.as_mut_ptr(), bytes.len())
}

/// The block of tracee `tid`, which stands.
pub fn block(tid: i32, tracee: &Tracee) -> Option<Box<Block>> {
    let mut block = Box::new(Block::EMPTY);
    let to = (&raw mut *block).cast();
    let read =
        tracee.block != 0 && reach(libc::SYS_process_vm_readv, tid, tracee.block, to, size_of::<Block>());
    read.then_some(block)
}

/// Writes it back.
pub fn set_block(tid: i32, tracee: &Tracee, block: &mut Block) -> bool {
    let from = (&raw mut *block).cast();
    reach(libc::SYS_process_vm_writev, tid, tracee.block, from, size_of::<Block>())
}

/// Tells every thread of the process of `tid` that memory at `addr` was written.
pub fn poked(tid: i32, addr: u64) {
    let pid_of = |tid, tracee: &Tracee| block(tid, tracee).map(|block| block.pid);
    let Some(pid) = find(tid).and_then(|tracee| pid_of(tid, &tracee)) else { return };
    let all: Vec<(i32, Tracee)> = tracees().iter().map(|(tid, tracee)| (*tid, *tracee)).collect();
    for (tid, tracee) in all {
        let Some(mut block) = block(tid, &tracee).filter(|block| block.pid == pid) else { continue };
        let count = block.poked as usize;
        if block.pokes[..count.min(POKES)].contains(&addr) {
            continue;
        }
        if let Some(place) = block.pokes.get_mut(count) {
            *place = addr;
        }
        block.poked = block.poked.saturating_add(1);
        set_block(tid, &tracee, &mut block);
    }
}

/// Tells process `pid` that its memory at `range` was written, if it is one of the guest's.
pub fn written(pid: i32, range: Range<u64>) {
    if find(pid).is_some() {
        range.step_by(PAGE_SIZE as usize).for_each(|addr| poked(pid, addr));
    } else if is_emulator(pid) {
        send(pid, pid, Request::Written as u32);
    }
}

/// Whether process `pid` runs the emulator, so far that it takes requests.
fn is_emulator(pid: i32) -> bool {
    let file =
        |pid: &str| std::fs::metadata(format!("/proc/{pid}/exe")).ok().map(|file| (file.dev(), file.ino()));
    let takes = status_of(pid, "SigCgt:").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    takes.is_some_and(|mask| mask & bit(libc::SIGBUS) != 0) && file(&pid.to_string()) == file("self")
}

/// Has the tracee, which stands at a stop of the host's, go on with host signal `signal`.
pub fn pass(tid: i32, signal: i32) {
    // It may have been killed meanwhile, which a later wait tells.
    let _ = host(libc::PTRACE_CONT, tid, 0, signal as u64);
}

/// What asks a tracee to stand, for all the reasons there are.
fn request_info(requests: u32) -> Info {
    let mut info = fault_info(libc::SIGBUS, STAND, 0);
    info[24..32].copy_from_slice(&u64::from(requests).to_le_bytes());
    info
}

/// Notes that the tracee is asked to stand; all that it is asked for.
fn note(tid: i32, requests: u32) -> u32 {
    let mut tracees = tracees();
    let asked = tracees.entry(tid).or_insert(Tracee::NEW);
    asked.asked |= requests;
    asked.asked
}

/// Has the tracee, about to be given a signal by the host, be asked to stand instead, for what is on its way and `requests`.
pub fn ask_in_place(tid: i32, requests: u32) {
    let info = request_info(note(tid, requests));
    if let Some(tracee) = tracees().get_mut(&tid) {
        tracee.asked = 0;
    }
    match host(libc::PTRACE_SETSIGINFO, tid, 0, info.as_ptr() as u64) {
        Ok(_) => pass(tid, libc::SIGBUS),
        Err(_) => pass(tid, 0),
    }
}

/// Has the tracee, at another stop of the host's, be asked to stand.
pub fn ask(tid: i32, request: Request) {
    queue(tid, request);
    pass(tid, 0);
}

/// Has the tracee be asked to stand once it runs.
pub fn queue(tid: i32, request: Request) {
    send(process_of(tid), tid, note(tid, request as u32));
}

/// Sends thread `tid` of process `pid` what asks for `requests`.
fn send(pid: i32, tid: i32, requests: u32) {
    let info = request_info(requests);
    let args = [pid as u64, tid as u64, libc::SIGBUS as u64, info.as_ptr() as u64, 0, 0];
    // SAFETY: queues a signal; the kernel reads the information.
    unsafe { sys::call(libc::SYS_rt_tgsigqueueinfo, args) };
}

/// The process that thread `tid` is of.
fn process_of(tid: i32) -> i32 {
    status_of(tid, "Tgid:").and_then(|number| number.parse().ok()).unwrap_or(tid)
}

/// What `/proc/TID/status` says of `name`.
fn status_of(tid: i32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().into())
}

/// Most bytes of a tracee's file that are believed.
const FILE_MAX: u64 = 64 << 10;

/// What the file `name` under `/proc/PID` of a tracee tells: of the guest, not of its emulator.
pub fn tracee_file(pid: i32, name: &str) -> Option<Vec<u8>> {
    let tracee = find(pid)?;
    let block = block(pid, &tracee)?;
    let [at, len] = match name {
        "auxv" => block.auxv,
        "exe" => block.exe,
        _ => return None,
    };
    let mut bytes = vec![0; usize::try_from(len.min(FILE_MAX)).ok()?];
    read(pid, at, &mut bytes).then_some(bytes)
}
