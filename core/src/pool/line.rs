//! Above flow 2: what waits for a worker, in order: higher priority first, then who came first.
//!
//! A heap whose entries may be out of date. What is raised gets a new entry and leaves a dead one behind;
//! what is lowered stays where it is until it comes up, and moves then. So a change costs no search. Where
//! many change at once, the heap is made anew out of all that wait, in one pass over them.

use std::borrow::Borrow;
use std::cell::Cell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::rc::Rc;

/// Where something stands in a line, or will.
#[derive(Debug, Default)]
pub(super) struct Place {
    priority: Cell<i32>,
    /// When it came for the first time: what is put back comes before those that came after it. From 1.
    order: Cell<u64>,
    /// The one entry that stands for it; 0 while it does not wait.
    entry: Cell<u64>,
}

/// What can wait in a line.
pub(super) trait Waits {
    fn place(&self) -> &Place;
}

pub(super) struct Line<T> {
    heap: BinaryHeap<Entry<T>>,
    /// Entries of the heap that stand for nothing any more.
    dead: usize,
    /// What left the heap in that way, to be dropped where no borrow is held.
    spent: Vec<Rc<T>>,
    /// The last number given to an entry, and to a newcomer.
    numbers: u64,
    orders: u64,
}

struct Entry<T> {
    /// At least that of the place, as long as the entry stands for it.
    priority: i32,
    order: u64,
    number: u64,
    what: Rc<T>,
}

impl Place {
    pub fn priority(&self) -> i32 {
        self.priority.get()
    }

    /// Sets the priority of what does not wait.
    pub fn set_priority(&self, priority: i32) {
        self.priority.set(priority);
    }

    pub fn waits(&self) -> bool {
        self.entry.get() != 0
    }
}

impl<T: Waits> Line<T> {
    pub fn new() -> Line<T> {
        Line { heap: BinaryHeap::new(), dead: 0, spent: Vec::new(), numbers: 0, orders: 0 }
    }

    pub fn len(&self) -> usize {
        self.heap.len() - self.dead
    }

    /// Puts something in line, or back in line where it was.
    pub fn push(&mut self, what: &Rc<T>) {
        let place = what.place();
        debug_assert!(!place.waits());
        if place.order.get() == 0 {
            self.orders += 1;
            place.order.set(self.orders);
        }
        self.enter(what);
    }

    /// Takes what comes first.
    pub fn pop(&mut self) -> Option<Rc<T>> {
        self.settle();
        let first = self.heap.pop()?.what;
        first.place().entry.set(0);
        Some(first)
    }

    /// Takes something out of the line; tells whether it was in it.
    ///
    /// The heap may hold it for a while.
    pub fn remove(&mut self, what: &T) -> bool {
        let waited = what.place().entry.replace(0) != 0;
        self.dead += usize::from(waited);
        self.sweep();
        waited
    }

    /// Gives something another priority, also while it does not wait.
    pub fn change(&mut self, what: &Rc<T>, priority: i32) {
        let former = what.place().priority.replace(priority);
        if priority > former && what.place().waits() {
            self.dead += 1;
            self.enter(what);
            self.sweep();
        }
    }

    /// Gives many things other priorities.
    ///
    /// From a quarter of the line on, it is cheaper to make the heap anew than to raise one after another.
    pub fn change_many<W: Borrow<Rc<T>>>(&mut self, changes: &[(W, i32)]) {
        if changes.len() < self.len() / 4 {
            changes.iter().for_each(|(what, priority)| self.change(what.borrow(), *priority));
        } else {
            let places = changes.iter().map(|(what, priority)| (what.borrow().place(), priority));
            places.for_each(|(place, priority)| place.set_priority(*priority));
            self.renew();
        }
    }

    /// Takes what is of no use any more, and must not be dropped while the line is borrowed: what it has in
    /// it is the user's.
    pub fn take_spent(&mut self) -> Vec<Rc<T>> {
        std::mem::take(&mut self.spent)
    }

    /// Takes everything out, first things first.
    pub fn take(&mut self) -> Vec<Rc<T>> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    fn enter(&mut self, what: &Rc<T>) {
        self.numbers += 1;
        let place = what.place();
        place.entry.set(self.numbers);
        self.heap.push(Entry::new(Rc::clone(what)));
    }

    /// Makes the first entry of the heap a true one.
    fn settle(&mut self) {
        while let Some(mut first) = self.heap.peek_mut() {
            let priority = first.what.place().priority();
            if !first.is_alive() {
                let entry = PeekMut::pop(first);
                self.spent.push(entry.what);
                self.dead -= 1;
            } else if first.priority == priority {
                return;
            } else {
                first.priority = priority;
            }
        }
    }

    /// Makes the heap anew, out of true entries.
    fn renew(&mut self) {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        let dead = entries.extract_if(.., |entry| !entry.is_alive());
        self.spent.extend(dead.map(|entry| entry.what));
        entries.iter_mut().for_each(|entry| entry.priority = entry.what.place().priority());
        self.heap = entries.into();
        self.dead = 0;
    }

    /// Keeps the dead entries fewer than the living, at a cost that the deaths have paid for.
    fn sweep(&mut self) {
        if self.dead > 64 && self.dead > self.heap.len() / 2 {
            self.renew();
        }
    }
}

impl<T: Waits> Entry<T> {
    fn new(what: Rc<T>) -> Entry<T> {
        let place = what.place();
        let (priority, order) = (place.priority(), place.order.get());
        Entry { priority, order, number: place.entry.get(), what }
    }

    fn is_alive(&self) -> bool {
        self.what.place().entry.get() == self.number
    }
}

impl<T> Entry<T> {
    fn rank(&self) -> (i32, Reverse<u64>) {
        (self.priority, Reverse(self.order))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Name(usize, Place);

    impl Waits for Name {
        fn place(&self) -> &Place {
            &self.1
        }
    }

    /// A line of `count` things, all of priority 0, and the things.
    fn line(count: usize) -> (Line<Name>, Vec<Rc<Name>>) {
        let mut line = Line::new();
        let names: Vec<_> = (0..count).map(|n| Rc::new(Name(n, Place::default()))).collect();
        names.iter().for_each(|name| line.push(name));
        (line, names)
    }

    fn order(line: &mut Line<Name>) -> Vec<usize> {
        line.take().iter().map(|name| name.0).collect()
    }

    #[test]
    fn equals_come_in_the_order_in_which_they_came() {
        assert_eq!(order(&mut line(5).0), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_raised_come_first_and_the_lowered_last() {
        let (mut line, names) = line(5);
        line.change(&names[3], 7);
        line.change(&names[1], -7);
        line.change(&names[2], 7);
        assert_eq!(order(&mut line), [2, 3, 0, 4, 1]);
    }

    #[test]
    fn who_is_raised_and_lowered_again_is_where_he_was() {
        let (mut line, names) = line(3);
        line.change(&names[1], 5);
        line.change(&names[1], 0);
        line.change(&names[1], 5);
        line.change(&names[1], 0);
        assert_eq!((line.len(), order(&mut line)), (3, vec![0, 1, 2]));
    }

    #[test]
    fn who_is_put_back_comes_before_those_who_came_later() {
        let (mut line, _) = line(3);
        let first = line.pop().unwrap();
        let second = line.pop().unwrap();
        line.push(&second);
        line.push(&first);
        assert_eq!(order(&mut line), [0, 1, 2]);
    }

    #[test]
    fn who_was_taken_out_does_not_come() {
        let (mut line, names) = line(200);
        for name in names.iter().filter(|name| name.0 % 50 != 7) {
            line.change(name, 1);
            assert!(line.remove(name) && !line.remove(name));
        }
        assert_eq!(line.len(), 4);
        assert!(line.heap.len() <= 2 * 4 + 64, "{} entries", line.heap.len());
        assert_eq!(order(&mut line), [7, 57, 107, 157]);
    }

    #[test]
    fn many_changes_at_once_are_as_one_after_another() {
        let mut seed = 1_u64;
        let mut chance = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as i32 % 10
        };
        let (mut one, ones) = line(1000);
        let (mut many, manies) = line(1000);
        for changed in [1000, 10, 300, 1] {
            let changes: Vec<_> = (0..changed).map(|n| (n, chance())).collect();
            changes.iter().for_each(|(n, priority)| one.change(&ones[*n], *priority));
            let changes = changes.iter().map(|(n, priority)| (&manies[*n], *priority));
            many.change_many(&changes.collect::<Vec<_>>());
            assert_eq!(one.len(), many.len());
        }
        let rank = |name: &Rc<Name>| (-name.1.priority(), name.0);
        let mut expected: Vec<_> = ones.iter().map(rank).collect();
        expected.sort_unstable();
        assert_eq!(one.take().iter().map(rank).collect::<Vec<_>>(), expected);
        assert_eq!(many.take().iter().map(rank).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn priorities_of_those_who_do_not_wait_are_kept_for_later() {
        let (mut line, names) = line(2);
        let first = line.pop().unwrap();
        line.change(&names[0], -1);
        line.push(&first);
        assert_eq!(order(&mut line), [1, 0]);
    }
}
