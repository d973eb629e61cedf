//! Letting the target go on: `vCont`, and the older `c` and `s`.

use super::packet::number;
use super::{Answer, EFAULT, EINVAL, SSTEP_ENABLE, SSTEP_NOIRQ, SSTEP_NOTIMER};
use super::{Order, Orders, Server, Target, reply};
use engine::Motion;

impl<T: Target> Server<T> {
    fn step(&self) -> Motion {
        if self.sstep & SSTEP_ENABLE == 0 {
            return Motion::Run;
        }
        Motion::Step { interrupts: self.sstep & SSTEP_NOIRQ == 0 }
    }

    /// One action of `vCont`: `c`, `CSIG`, `s`, `SSIG`, `rSTART,END`, `t`.
    fn action(&self, action: &str) -> Option<Order> {
        let letter = action.chars().next()?;
        if !T::MOTIONS.split(';').any(|known| known.starts_with(letter)) {
            return None;
        }
        let rest = &action[letter.len_utf8()..];
        let motion = match letter {
            'c' | 'C' => Motion::Run,
            't' => Motion::Hold,
            _ => self.step(),
        };
        let mut order = Order::from(motion);
        match letter {
            'C' | 'S' => order.signal = Some(number(rest).and_then(|(n, _)| u8::try_from(n).ok())?),
            'r' => {
                let (start, rest) = number(rest)?;
                let (end, _) = number(rest.strip_prefix(',')?)?;
                order.range = start..end;
            }
            _ => {}
        }
        Some(order)
    }

    /// `vCont;ACTION[:THREAD];...`: a thread does what the first action that names it says.
    pub(super) fn v_cont(&mut self, text: &str) -> Answer {
        let threads = self.target.threads();
        let mut orders = vec![None; threads.len()];
        for item in text.split(';').filter(|item| !item.is_empty()) {
            let (action, named) = item.split_once(':').unwrap_or((item, "-1"));
            let Some(order) = self.action(action) else { return reply("") };
            let process = named.strip_prefix('p').and_then(number).map(|(n, _)| n);
            let all = matches!(named, "-1" | "p-1" | "p-1.-1") || named.ends_with(".-1");
            let one = if all { None } else { self.thread(named) };
            if !all && one.is_none() {
                return reply(EINVAL);
            }
            for (thread, slot) in threads.iter().zip(&mut orders) {
                let meant = match one {
                    Some(one) => one == *thread,
                    None => process.is_none_or(|process| process == u64::from(thread.process)),
                };
                if meant && slot.is_none() {
                    *slot = Some(order.clone());
                }
            }
        }
        if orders.iter().all(Option::is_none) {
            return reply(EINVAL);
        }
        self.go(orders.into_iter().map(|order| order.unwrap_or(Motion::Hold.into())).collect())
    }

    /// `c [addr]`, `C sig[;addr]`, `s [addr]`, `S sig[;addr]`.
    pub(super) fn move_on(&mut self, letter: char, rest: &str) -> Answer {
        let with_signal = matches!(letter, 'C' | 'S');
        let addr = match with_signal {
            true => rest.split_once(';').map(|(_, addr)| addr),
            false => Some(rest).filter(|rest| !rest.is_empty()),
        };
        let signal = number(rest).and_then(|(n, _)| u8::try_from(n).ok()).filter(|_| with_signal);
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
        let orders = threads.iter().map(|thread| {
            let moved = *thread == self.moved;
            let motion = match (steps, moved) {
                (false, _) => Motion::Run,
                (true, true) => self.step(),
                (true, false) => Motion::Hold,
            };
            Order { signal: signal.filter(|_| moved), ..Order::from(motion) }
        });
        self.go(orders.collect())
    }

    /// `bs`, `bc`: backwards by a step, or to the last point.
    pub(super) fn back(&mut self, step: bool) -> Answer {
        if !self.target.reverses() {
            return reply("");
        }
        self.tell_points();
        if self.target.back(self.moved, step) { Answer::Later } else { reply(EINVAL) }
    }

    /// Tells the target what has changed of the points.
    fn tell_points(&mut self) {
        if let Some(points) = self.points.news() {
            self.target.set_points(points);
        }
    }

    fn pc_register(&mut self) -> Option<u32> {
        let (_, features) = self.target.description();
        let all = features.iter().flat_map(|feature| &feature.registers);
        all.into_iter().find(|register| register.name == "pc").map(|register| register.number)
    }

    /// Thread `nth` has made its step: whether it makes another one, since it is in the range of `vCont;r` and at no breakpoint.
    pub(super) fn steps_on(&mut self, nth: usize) -> bool {
        let Some(orders) = self.ranged.take() else { return false };
        let (Some(order), Some(thread)) = (orders.threads.get(nth), self.target.threads().get(nth).copied())
        else {
            return false;
        };
        let pc = self.pc_register().and_then(|number| self.target.registers(thread, vec![number]).pop()?);
        let pc = pc.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        let goes_on = pc.is_some_and(|pc| order.range.contains(&pc) && !self.points.breaks_at(pc));
        if goes_on {
            self.ranged = Some(orders.clone());
            self.target.resume(orders);
        }
        goes_on
    }

    fn go(&mut self, threads: Vec<Order>) -> Answer {
        self.tell_points();
        let orders = Orders { threads, hold_time: self.sstep & SSTEP_NOTIMER != 0 };
        self.ranged =
            Some(orders.clone()).filter(|orders| orders.threads.iter().any(|o| !o.range.is_empty()));
        self.orders = orders.clone();
        if let Some(call) = self.take_call() {
            return reply(call);
        }
        if self.target.resume(orders) {
            Answer::Later
        } else {
            reply(self.stop_reply(super::SIGQUIT, self.moved, None))
        }
    }
}
