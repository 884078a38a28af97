//! Flow 2: what a template knows of each child, until it has told the child's end.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::Instant;

use super::stderr::Stderr;
use crate::sys::Reaped;
use crate::wire::{Ended, Message};

/// Children that are kept where the template's own memory is; more are rare.
const FEW: usize = 16;

/// The processes that live, by process id.
#[derive(Default)]
pub(super) struct Children {
    few: [Option<(i32, Child)>; FEW],
    /// Process ids need no random keys, which, once made here, would be the same in all workers.
    more: HashMap<i32, Child, BuildHasherDefault<DefaultHasher>>,
}

impl Children {
    pub fn add(&mut self, pid: i32, child: Child) {
        match self.few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some((pid, child)),
            None => drop(self.more.insert(pid, child)),
        }
    }

    /// Gives the process id of the child that `is_it`.
    pub fn find(&self, is_it: impl Fn(&Child) -> bool) -> Option<i32> {
        let few = self.few.iter().flatten().find(|(_, child)| is_it(child));
        few.map(|(pid, _)| *pid)
            .or_else(|| self.more.iter().find(|(_, child)| is_it(child)).map(|(pid, _)| *pid))
    }

    pub fn get(&self, pid: i32) -> Option<&Child> {
        let few = self.few.iter().flatten().find(|(of, _)| *of == pid);
        few.map(|(_, child)| child).or_else(|| self.more.get(&pid))
    }

    pub fn get_mut(&mut self, pid: i32) -> Option<&mut Child> {
        let few = self.few.iter_mut().flatten().find(|(of, _)| *of == pid);
        few.map(|(_, child)| child).or_else(|| self.more.get_mut(&pid))
    }

    pub fn remove(&mut self, pid: i32) -> Option<Child> {
        let is_it =
            |place: &&mut Option<(i32, Child)>| matches!(place, Some((of, _)) if *of == pid);
        let few = self.few.iter_mut().find(is_it).and_then(Option::take);
        few.map(|(_, child)| child).or_else(|| self.more.remove(&pid))
    }
}

/// A process that the template has forked.
pub(super) struct Child {
    /// The link over which it was asked for.
    pub link: u64,
    /// The app's name for it.
    pub id: u64,
    pub stderr: Stderr,
    pub born: Instant,
    /// It is to become another program.
    pub executes: bool,
    /// It was a spare.
    pub spare: bool,
}

impl Child {
    /// The exit report.
    pub fn ended(&self, reaped: &Reaped, unexecuted: bool) -> Message<'_> {
        Message::Ended(Ended {
            pid: reaped.pid.as_raw_nonzero().get() as u32,
            status: reaped.status,
            user_us: reaped.user.as_micros() as u64,
            system_us: reaped.system.as_micros() as u64,
            peak_kib: reaped.peak_kib,
            lived_us: self.born.elapsed().as_micros() as u64,
            unexecuted,
            spare: self.spare,
            last_words: self.stderr.last_words(),
            stderr: self.stderr.tail(),
        })
    }
}
