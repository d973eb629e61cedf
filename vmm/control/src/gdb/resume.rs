//! Letting the target go on: `vCont`, and the older `c` and `s`.

use super::packet::number;
use super::{Answer, EFAULT, EINVAL, SSTEP_ENABLE, SSTEP_NOIRQ, SSTEP_NOTIMER, Server, Target, reply};
use engine::{Motion, Plan};

impl<T: Target> Server<T> {
    fn step(&self) -> Motion {
        if self.sstep & SSTEP_ENABLE == 0 {
            return Motion::Run;
        }
        Motion::Step { interrupts: self.sstep & SSTEP_NOIRQ == 0 }
    }

    /// `vCont;ACTION[:THREAD];...`: a thread does what the first action that names it says.
    pub(super) fn v_cont(&mut self, text: &str) -> Answer {
        let threads = self.target.threads();
        let mut motions = vec![None; threads.len()];
        for item in text.split(';').filter(|item| !item.is_empty()) {
            let (action, thread) = item.split_once(':').unwrap_or((item, "-1"));
            let motion = match action.chars().next() {
                // A signal means nothing to a machine.
                Some('c' | 'C') => Motion::Run,
                Some('s' | 'S') => self.step(),
                _ => return reply(""),
            };
            let all = matches!(thread, "-1" | "p-1" | "p-1.-1") || thread.ends_with(".-1");
            let one = if all { None } else { self.thread(thread) };
            if !all && one.is_none() {
                return reply(EINVAL);
            }
            for (thread, slot) in threads.iter().zip(&mut motions) {
                if (all || one == Some(*thread)) && slot.is_none() {
                    *slot = Some(motion);
                }
            }
        }
        if motions.iter().all(Option::is_none) {
            return reply(EINVAL);
        }
        self.go(motions.into_iter().map(|motion| motion.unwrap_or(Motion::Hold)).collect())
    }

    /// `c [addr]`, `C sig[;addr]`, `s [addr]`, `S sig[;addr]`.
    pub(super) fn move_on(&mut self, letter: char, rest: &str) -> Answer {
        let addr = match letter {
            'C' | 'S' => rest.split_once(';').map(|(_, addr)| addr),
            _ => Some(rest).filter(|rest| !rest.is_empty()),
        };
        if let Some(addr) = addr {
            let Some((addr, "")) = number(addr) else { return reply(EINVAL) };
            let pc = self.pc_register();
            let set =
                pc.is_some_and(|pc| self.target.set_register(self.moved, pc, addr.to_le_bytes().to_vec()));
            if !set {
                return reply(EFAULT);
            }
        }
        let steps = matches!(letter, 's' | 'S');
        // A step is one thread's alone; otherwise all run.
        let threads = self.target.threads();
        let motions = threads.iter().map(|thread| match (steps, *thread == self.moved) {
            (false, _) => Motion::Run,
            (true, true) => self.step(),
            (true, false) => Motion::Hold,
        });
        self.go(motions.collect())
    }

    fn pc_register(&mut self) -> Option<u32> {
        let (_, features) = self.target.description();
        let all = features.iter().flat_map(|feature| &feature.registers);
        all.into_iter().find(|register| register.name == "pc").map(|register| register.number)
    }

    fn go(&mut self, motions: Vec<Motion>) -> Answer {
        if let Some(points) = self.points.news() {
            self.target.set_points(points);
        }
        let plan = Plan { motions, hold_time: self.sstep & SSTEP_NOTIMER != 0 };
        if self.target.resume(plan) {
            Answer::Later
        } else {
            reply(self.stop_reply(super::SIGQUIT, self.moved, None))
        }
    }
}
