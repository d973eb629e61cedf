//! A machine as gdb sees it: one process, whose threads are the vCPUs.

use super::{Orders, SSTEP_ALL, SSTEP_ENABLE, Target, Thread};
use crate::context::Context;
use crate::hmp;
use engine::memory::{self, Space};
use engine::replay::Backward;
use engine::{Cause, Cpu, Feature, Plan, Point, RunState};
use std::sync::Arc;

/// A machine under the debugger.
pub struct System {
    context: Arc<Context>,
    /// The registers, once they were asked for.
    description: Option<(&'static str, Vec<Feature>)>,
}

impl System {
    /// The machine of `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, description: None }
    }

    /// Has `work` done on the vCPU behind `thread`.
    fn on<T: Send + 'static>(
        &self,
        thread: Thread,
        work: impl FnOnce(&mut dyn Cpu) -> T + Send + 'static,
    ) -> Option<T> {
        let number = thread.thread.checked_sub(1)? as usize;
        self.context.power.with_cpus(move |cpus| cpus.cpu(number).map(work)).flatten()
    }
}

impl Target for System {
    const SUPPORTED: &'static str = "vContSupported+;multiprocess+";
    const MOTIONS: &'static str = "vCont;c;C;s;S;r";
    const ATTACHED: &'static str = "1";

    fn attached(&mut self, attached: bool) {
        self.context.power.set_debugged(attached);
    }

    fn threads(&self) -> Vec<Thread> {
        (1..=self.context.facts.cpus).map(|thread| Thread { process: 1, thread }).collect()
    }

    fn about(&mut self, thread: Thread) -> String {
        let asleep = self.on(thread, |cpu| cpu.asleep()).unwrap_or(false);
        // QEMU's padding.
        let state = if asleep { "halted " } else { "running" };
        format!("CPU#{} [{state}]", thread.thread.saturating_sub(1))
    }

    fn description(&mut self) -> (&'static str, Vec<Feature>) {
        if self.description.is_none() {
            let first = Thread { process: 1, thread: 1 };
            self.description = self.on(first, |cpu| (cpu.architecture(), cpu.features()));
        }
        self.description.clone().unwrap_or(("", Vec::new()))
    }

    fn registers(&mut self, thread: Thread, numbers: Vec<u32>) -> Vec<Option<Vec<u8>>> {
        let read = move |cpu: &mut dyn Cpu| numbers.into_iter().map(|n| cpu.register(n)).collect();
        self.on(thread, read).unwrap_or_default()
    }

    fn set_register(&mut self, thread: Thread, number: u32, value: Vec<u8>) -> bool {
        self.on(thread, move |cpu| cpu.set_register(number, &value)) == Some(true)
    }

    fn read(&mut self, thread: Thread, space: Space, addr: u64, len: usize) -> Option<Vec<u8>> {
        self.on(thread, move |cpu| memory::read(cpu, space, addr, len)).flatten()
    }

    fn write(&mut self, thread: Thread, space: Space, addr: u64, bytes: Vec<u8>) -> bool {
        self.on(thread, move |cpu| memory::write(cpu, space, addr, &bytes)) == Some(true)
    }

    fn set_points(&mut self, points: Vec<Point>) {
        self.context.power.with_cpus(move |cpus| {
            for number in 0..cpus.count() {
                if let Some(cpu) = cpus.cpu(number) {
                    cpu.set_points(&points);
                }
            }
        });
    }

    fn stop(&mut self) {
        if self.context.power.state() == RunState::Running {
            self.context.power.pause();
        }
        self.context.power.settle();
    }

    fn interrupt(&mut self) {
        self.context.power.pause();
    }

    fn resume(&mut self, orders: Orders) -> bool {
        // A signal means nothing to a machine.
        let motions = orders.threads.into_iter().map(|order| order.motion).collect();
        let plan = Plan { motions, hold_time: orders.hold_time };
        let power = &self.context.power;
        let can = power.state().can_resume();
        if can {
            power.start(plan);
        }
        can
    }

    fn reverses(&self) -> bool {
        self.context.power.replays()
    }

    fn back(&mut self, thread: Thread, step: bool) -> bool {
        let cpu = thread.thread.saturating_sub(1) as usize;
        self.context.power.back(if step { Backward::Step(cpu) } else { Backward::Continue(cpu) })
    }

    fn answer(&mut self, answer: Result<u64, i32>) {
        self.context.power.answer(answer);
    }

    fn step_mask(&self) -> u64 {
        if self.context.power.journal().is_some() { SSTEP_ENABLE } else { SSTEP_ALL }
    }

    fn detach(&mut self) {
        if self.context.power.state().can_resume() {
            self.context.power.resume();
        }
    }

    fn kill(&mut self) {
        eprintln!("\r{}: QEMU: Terminated via GDBstub", self.context.facts.program);
        self.context.power.quit(Cause::Ui);
    }

    fn monitor(&mut self, line: &str) -> Option<String> {
        Some(hmp::execute(&self.context, line))
    }
}
