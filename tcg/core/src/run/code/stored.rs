//! Taking translations from a [`Store`], and remembering those that are made.

use super::CodeCache;
use super::make::Entered;
use super::table::Source;
use super::view::At;
use crate::guest::{Fetch, Guest, Trap};
use crate::run::mmu::{Mmu, VcpuFetch};
use crate::run::store::{self, Store, Stored};
use base::PAGE_SIZE;
use std::sync::atomic::Ordering;

/// What a [`Stored`] has beside its host code.
pub struct Memo {
    key: store::Key,
    parts: Vec<(i64, u64)>,
    guest: Vec<u8>,
}

impl CodeCache {
    /// The store, if what is translated now is as translations in it are: nobody watches, steps, or takes turns.
    fn store(&self) -> Option<&Store> {
        let config = &self.config;
        let watched = config.record.is_some() || config.listener.0.is_some();
        let usable = !self.is_stepped() && !watched && !self.data_points.load(Ordering::Relaxed);
        config.store.as_deref().filter(|_| usable)
    }

    /// The guest code at `phys`, of `len` bytes which lie in one page; in a process `phys` is the address.
    fn code(&self, fetch: &mut impl Fetch, phys: u64, len: u64, to: &mut Vec<u8>) -> Option<()> {
        if self.process.is_none() {
            return Mmu::read_code(&self.space, phys, len, to);
        }
        for offset in (0..len).step_by(2) {
            to.extend(fetch.u16(phys.wrapping_add(offset)).ok()?.to_le_bytes());
        }
        Some(())
    }

    /// All of the guest code that `source` names.
    fn code_of(&self, fetch: &mut impl Fetch, source: &Source) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        source.parts.iter().try_for_each(|(phys, len)| self.code(fetch, *phys, *len, &mut bytes))?;
        Some(bytes)
    }

    fn store_key(&self, fetch: &mut impl Fetch, at: At) -> Option<store::Key> {
        let (mut begins, in_page) = (Vec::with_capacity(8), at.pc % PAGE_SIZE);
        self.code(fetch, at.phys, (PAGE_SIZE - in_page).min(8), &mut begins)?;
        begins.resize(8, 0);
        let begins = u64::from_le_bytes(begins.try_into().ok()?);
        let known_by = if self.process.is_some() { at.pc } else { in_page };
        Some(store::Key { at: known_by, mode: at.mode, begins, tlb: self.tlb() })
    }

    /// Takes the translation of the code at `pc` from the store; false if there is none. Do not hold the gate.
    pub fn reuse<G: Guest>(&self, cpu: &mut G::Cpu, mmu: &mut Mmu, pc: u64, mode: u64) -> Result<bool, Trap> {
        let Some(store) = self.store().filter(|store| !store.is_empty()) else { return Ok(false) };
        if mmu.points.in_code_page(pc) {
            return Ok(false);
        }
        let at = At { pc, phys: mmu.fetch_phys::<G>(cpu, pc)?, mode };
        let view = &mut VcpuFetch::<G> { mmu, cpu };
        let Some(key) = self.store_key(view, at).filter(|key| store.may_have(*key)) else { return Ok(false) };
        let epoch = self.state.lock().epoch;
        let mut source = None;
        let stored = store.find(key, |stored| {
            source = self.fits(view, at, stored);
            source.is_some()
        });
        let (Some(stored), Some(source)) = (stored, source) else { return Ok(false) };
        Ok(self.enter(source, epoch, &stored.piece, |_, _, _| {}) == Entered::Yes)
    }

    /// What `stored` would be made from here, if that is what it was made from.
    fn fits<G: Guest>(&self, view: &mut VcpuFetch<'_, G>, at: At, stored: &Stored) -> Option<Source> {
        let source = self.source_of(view, at, stored)?;
        // Stores are seen from here on.
        source.parts.iter().for_each(|(phys, _)| self.watch(*phys));
        let guest = self.code_of(view, &source)?;
        (guest == stored.guest).then_some(source)
    }

    fn source_of<G: Guest>(&self, view: &mut VcpuFetch<'_, G>, at: At, stored: &Stored) -> Option<Source> {
        let total: u64 = stored.parts.iter().try_fold(0u64, |sum, (_, len)| sum.checked_add(*len))?;
        let halves = |(distance, len): &(i64, u64)| distance % 2 == 0 && len % 2 == 0;
        if total != stored.guest.len() as u64
            || !stored.parts.iter().all(halves)
            || !stored.parts.iter().any(|(distance, _)| *distance == 0)
        {
            return None;
        }
        let placed = |(distance, len): &(i64, u64)| {
            let from = at.pc.wrapping_add_signed(*distance);
            from.checked_add(*len).map(|_| (from, *len))
        };
        let parts = stored.parts.iter().map(placed).collect::<Option<Vec<_>>>()?;
        let source = self.source(view, at, &parts, stored.insns, stored.hot).ok()?;
        let pointed =
            |(distance, _): &(u64, u64)| view.mmu.points.in_code_page(at.pc.wrapping_add(*distance));
        (!source.beside.iter().any(pointed)).then_some(source)
    }

    /// What is to be remembered of a translation of the code in `parts`; `None` if nothing is. Code that the process can
    /// change is made by it, and will be elsewhere next time.
    pub(super) fn memo(
        &self,
        view: &mut impl Fetch,
        at: At,
        parts: &[(u64, u64)],
        source: &Source,
    ) -> Option<Memo> {
        self.store()?;
        if self.process.as_ref().is_some_and(|process| process.may_write(at.pc)) {
            return None;
        }
        let key = self.store_key(view, at)?;
        let parts: Vec<_> = parts.iter().map(|(from, len)| (from.wrapping_sub(at.pc) as i64, *len)).collect();
        let guest = self.code_of(view, source)?;
        Some(Memo { key, parts, guest })
    }

    /// Remembers a translation.
    pub(super) fn remember(&self, memo: Memo, source: &Source, piece: &crate::host::Piece) {
        if let Some(store) = &self.config.store {
            let Memo { key, parts, guest } = memo;
            let (mode, insns, hot, piece) = (source.key.mode, source.insns, source.hot, piece.clone());
            store.add(key, &Stored { mode, parts, guest, insns, hot, piece });
        }
    }

    /// Writes what was made to the store, if there is one. A failure costs the next run time, and nothing else.
    pub fn save(&self) -> std::io::Result<()> {
        self.config.store.as_ref().map_or(Ok(()), |store| store.save())
    }
}
