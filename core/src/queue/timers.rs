//! Flow 1: deadlines in order. A timer that is put off costs nothing until its old deadline is the
//! earliest: only then does its entry in the heap move.

use super::account::{Account, Watching, What};
use super::slab::{Key, Slab};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::num::NonZeroU64;
use std::panic::Location;
use std::time::Duration;

/// What a timer runs.
pub(super) trait TimerCall {
    fn call(&mut self);
    /// Nanoseconds from one run to the next, not 0; `None` if there is one run only.
    fn interval(&self) -> Option<u64>;
}

/// Names one setting of one deadline, and orders equal deadlines: no two settings share it.
pub(super) type Order = NonZeroU64;

struct Slot {
    /// Away while it runs.
    call: Option<Box<dyn TimerCall>>,
    account: Account,
    /// Nanoseconds on `CLOCK_MONOTONIC`.
    deadline: u64,
    order: Order,
    /// The deadline and order of this timer's entry in the heap: never later than its own.
    entry: Option<(u64, Order)>,
}

/// All timers of a queue.
pub(super) struct Timers {
    slots: Slab<Slot>,
    heap: BinaryHeap<Reverse<(u64, Order, Key)>>,
    /// How many entries of the heap stand for no timer any more.
    dead: usize,
    order: Order,
    /// The first deadline and order that the turn does not run.
    end: (u64, Order),
}

impl Timers {
    pub(super) fn new() -> Self {
        let (slots, heap, order) = (Slab::new(), BinaryHeap::new(), Order::MIN);
        Timers { slots, heap, dead: 0, order, end: (0, Order::MIN) }
    }

    pub(super) fn insert(
        &mut self,
        deadline: u64,
        place: &'static Location<'static>,
        call: Box<dyn TimerCall>,
    ) -> Key {
        let order = self.next_order();
        let entry = Some((deadline, order));
        let slot = Slot { call: Some(call), account: Account::new(place), deadline, order, entry };
        let key = self.slots.insert(slot);
        self.heap.push(Reverse((deadline, order, key)));
        key
    }

    /// Gives a timer a new deadline; tells whether there is such a timer.
    pub(super) fn reset(&mut self, key: Key, deadline: u64) -> bool {
        let order = self.next_order();
        let Some(slot) = self.slots.get_mut(key) else { return false };
        slot.deadline = deadline;
        slot.order = order;
        match slot.entry {
            Some((entered, _)) if entered <= deadline => return true,
            Some(_) => self.dead += 1,
            None => {}
        }
        slot.entry = Some((deadline, order));
        self.heap.push(Reverse((deadline, order, key)));
        self.sweep();
        true
    }

    /// Ends a timer. What it would have run is the caller's, to drop where no borrow is held.
    pub(super) fn remove(&mut self, key: Key) -> Option<Box<dyn TimerCall>> {
        let slot = self.slots.remove(key)?;
        if slot.entry.is_some() {
            self.dead += 1;
            self.sweep();
        }
        slot.call
    }

    /// The earliest deadline there is.
    pub(super) fn earliest(&mut self) -> Option<u64> {
        self.settle();
        self.heap.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    /// Begins a turn: it runs what is due at `now`, and nothing that is set from now on, whose deadlines are later or
    /// whose orders are higher.
    pub(super) fn begin_turn(&mut self, now: u64) {
        self.end = (now, self.order);
    }

    /// Tells whether the turn has one left to run.
    pub(super) fn are_due(&mut self) -> bool {
        self.settle();
        let first = self.heap.peek();
        first.is_some_and(|Reverse((deadline, order, _))| (*deadline, *order) < self.end)
    }

    /// Takes what the turn's next timer runs, earliest first.
    pub(super) fn start(&mut self, now: u64) -> Option<(Key, Box<dyn TimerCall>)> {
        if !self.are_due() {
            return None;
        }
        let Reverse((.., key)) = self.heap.pop()?;
        let slot = self.slots.get_mut(key)?;
        slot.entry = None;
        let call = slot.call.take()?;
        match call.interval() {
            Some(interval) => {
                // All the runs that were missed are made good by the one that starts here.
                let missed = now.saturating_sub(slot.deadline) / interval;
                let next = slot.deadline.saturating_add((missed + 1).saturating_mul(interval));
                self.reset(key, next);
            }
            None => drop(self.slots.remove(key)),
        }
        Some((key, call))
    }

    /// Puts back what ran. It comes back out if the timer was ended meanwhile.
    pub(super) fn finish(
        &mut self,
        key: Key,
        call: Box<dyn TimerCall>,
        nanos: u64,
    ) -> Option<Box<dyn TimerCall>> {
        match self.slots.get_mut(key) {
            Some(slot) => {
                slot.account.note(nanos);
                slot.call.replace(call)
            }
            None => Some(call),
        }
    }

    pub(super) fn watching(&self, now: u64) -> impl Iterator<Item = Watching> {
        self.slots.values().map(move |slot| {
            let left = Duration::from_nanos(slot.deadline.saturating_sub(now));
            slot.account.watching(What::Timer(left))
        })
    }

    /// Makes the first entry of the heap a true one.
    fn settle(&mut self) {
        while let Some(mut first) = self.heap.peek_mut() {
            let Reverse((deadline, order, key)) = *first;
            let slot = self.slots.get_mut(key).filter(|slot| slot.entry == Some((deadline, order)));
            match slot {
                Some(slot) if slot.order == order => return,
                Some(slot) => {
                    slot.entry = Some((slot.deadline, slot.order));
                    *first = Reverse((slot.deadline, slot.order, key));
                }
                None => {
                    PeekMut::pop(first);
                    self.dead -= 1;
                }
            }
        }
    }

    /// Keeps the dead entries fewer than the living, at a cost that the deaths have paid for.
    fn sweep(&mut self) {
        if self.dead > 64 && self.dead > self.heap.len() / 2 {
            let slots = &self.slots;
            self.heap.retain(|Reverse((deadline, order, key))| {
                slots.get(*key).is_some_and(|slot| slot.entry == Some((*deadline, *order)))
            });
            self.dead = 0;
        }
    }

    fn next_order(&mut self) -> Order {
        let order = self.order;
        self.order = order.saturating_add(1);
        order
    }
}
