//! The built-in PSCI: Arm Power State Coordination Interface 1.1 (DEN 0022), and the calls of the SMC Calling Convention 1.1
//! (DEN 0028) that go with it, for machines that boot a kernel without firmware at EL3.
//!
//! What a call does to CPUs and machine goes through [`Platform`]. Left out: migration, system suspend, statistics, and power
//! states of CPU_SUSPEND that lose state, for which the caller is put to wait as for any other.

/// Where a CPU is in its life, as AFFINITY_INFO says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum CpuState {
    On = 0,
    Off = 1,
    OnPending = 2,
}

/// How the machine is to go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Off.
    Off,
    /// Start again.
    Reset,
}

/// The CPU that calls, and the machine around it.
pub trait Platform {
    /// The number of the CPU whose MPIDR has these affinities (bits 39 to 32, 23 to 0).
    fn cpu_of(&self, affinity: u64) -> Option<usize>;
    /// State of CPU `cpu`.
    fn state(&self, cpu: usize) -> CpuState;
    /// Starts CPU `cpu` at `entry` with x0 `context`; what it does instead if it is not off.
    fn cpu_on(&mut self, cpu: usize, entry: u64, context: u64) -> Result<(), CpuState>;
    /// Turns the calling CPU off.
    fn cpu_off(&mut self);
    /// Lets the calling CPU wait for an interrupt.
    fn suspend(&mut self);
    /// Takes the machine down.
    fn reset(&mut self, how: Reset);
    /// Whether code can be at `addr`.
    fn is_memory(&self, addr: u64) -> bool;
}

/// What a call gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// This in x0.
    Value(i64),
    /// The call does not return.
    Never,
}

/// Error codes, chapter 5.2.2.
mod error {
    pub const NOT_SUPPORTED: i64 = -1;
    pub const INVALID_PARAMETERS: i64 = -2;
    pub const ALREADY_ON: i64 = -4;
    pub const ON_PENDING: i64 = -5;
    pub const INVALID_ADDRESS: i64 = -9;
}

/// Function identifiers of 32-bit calls; those with a 64-bit form have [`CALL_64`] added there.
mod function {
    pub const SMCCC_VERSION: u32 = 0x8000_0000;
    pub const SMCCC_ARCH_FEATURES: u32 = 0x8000_0001;
    pub const PSCI_VERSION: u32 = 0x8400_0000;
    pub const CPU_SUSPEND: u32 = 0x8400_0001;
    pub const CPU_OFF: u32 = 0x8400_0002;
    pub const CPU_ON: u32 = 0x8400_0003;
    pub const AFFINITY_INFO: u32 = 0x8400_0004;
    pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
    pub const SYSTEM_OFF: u32 = 0x8400_0008;
    pub const SYSTEM_RESET: u32 = 0x8400_0009;
    pub const PSCI_FEATURES: u32 = 0x8400_000a;
    pub const SYSTEM_RESET2: u32 = 0x8400_0012;
    /// Those that there are, and whether they have a 64-bit form.
    pub const ALL: [(u32, bool); 11] = [
        (SMCCC_VERSION, false),
        (PSCI_VERSION, false),
        (CPU_SUSPEND, true),
        (CPU_OFF, false),
        (CPU_ON, true),
        (AFFINITY_INFO, true),
        (MIGRATE_INFO_TYPE, false),
        (SYSTEM_OFF, false),
        (SYSTEM_RESET, false),
        (PSCI_FEATURES, false),
        (SYSTEM_RESET2, true),
    ];
}

const CALL_64: u32 = 1 << 30;
/// 1.1, both of PSCI and of the calling convention.
const VERSION: i64 = 0x1_0001;
/// MIGRATE_INFO_TYPE: no trusted system that lives on one CPU.
const NO_MIGRATION: i64 = 2;
/// Affinity fields of MPIDR.
const AFFINITY: u64 = 0xff_00ff_ffff;

fn exists(id: u64) -> bool {
    let wanted = |(function, has_64): &(u32, bool)| {
        id == u64::from(*function) || *has_64 && id == u64::from(*function | CALL_64)
    };
    function::ALL.iter().any(wanted)
}

/// Answers the call `id`, which is in x0, with `args` (x1 to x3). Calls of other services are not supported.
pub fn call(platform: &mut dyn Platform, id: u64, args: [u64; 3]) -> Return {
    let id = u64::from(id as u32);
    let args = if id as u32 & CALL_64 == 0 { args.map(|arg| u64::from(arg as u32)) } else { args };
    if id == u64::from(function::SMCCC_ARCH_FEATURES) {
        // None but the calls themselves: no workaround is needed.
        let known = [function::SMCCC_VERSION, function::SMCCC_ARCH_FEATURES].map(u64::from);
        let there = known.contains(&u64::from(args[0] as u32));
        return Return::Value(if there { 0 } else { error::NOT_SUPPORTED });
    }
    if !exists(id) {
        return Return::Value(error::NOT_SUPPORTED);
    }
    Return::Value(match id as u32 & !CALL_64 {
        function::SMCCC_VERSION | function::PSCI_VERSION => VERSION,
        function::CPU_SUSPEND => {
            platform.suspend();
            0
        }
        function::CPU_OFF => {
            platform.cpu_off();
            return Return::Never;
        }
        function::CPU_ON => cpu_on(platform, args),
        function::AFFINITY_INFO => affinity_info(platform, args),
        function::MIGRATE_INFO_TYPE => NO_MIGRATION,
        function::SYSTEM_OFF => {
            platform.reset(Reset::Off);
            return Return::Never;
        }
        function::SYSTEM_RESET => {
            platform.reset(Reset::Reset);
            return Return::Never;
        }
        // A warm reset is a reset; those of a vendor are not known.
        function::SYSTEM_RESET2 if args[0] as u32 == 0 => {
            platform.reset(Reset::Reset);
            return Return::Never;
        }
        function::SYSTEM_RESET2 => error::INVALID_PARAMETERS,
        function::PSCI_FEATURES if exists(u64::from(args[0] as u32)) => 0,
        _ => error::NOT_SUPPORTED,
    })
}

fn cpu_on(platform: &mut dyn Platform, [target, entry, context]: [u64; 3]) -> i64 {
    let Some(cpu) = affinity(platform, target) else { return error::INVALID_PARAMETERS };
    if entry % 4 != 0 || !platform.is_memory(entry) {
        return error::INVALID_ADDRESS;
    }
    match platform.cpu_on(cpu, entry, context) {
        Ok(()) => 0,
        Err(CpuState::OnPending) => error::ON_PENDING,
        Err(_) => error::ALREADY_ON,
    }
}

/// Only single CPUs are asked for: level 0.
fn affinity_info(platform: &dyn Platform, [target, level, _]: [u64; 3]) -> i64 {
    match affinity(platform, target) {
        Some(cpu) if level == 0 => platform.state(cpu) as i64,
        _ => error::INVALID_PARAMETERS,
    }
}

fn affinity(platform: &dyn Platform, target: u64) -> Option<usize> {
    (target & !AFFINITY == 0).then(|| platform.cpu_of(target)).flatten()
}

#[cfg(test)]
mod tests;
