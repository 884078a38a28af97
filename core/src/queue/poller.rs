//! Flow 1: descriptors, the watchers of each, and the epoll set that reports them.
//!
//! epoll takes a descriptor once, so watchers of one number share an entry, and the kernel is asked
//! for the union of their interests. Each time a number is registered anew it gets a new generation,
//! which comes back with each report.
//!
//! A descriptor may be closed under its watchers, and its number used again. The kernel forgets a
//! file when its last descriptor is closed; but if another copy of it lives on (in a child, say), it
//! goes on reporting, and the registration can be deleted no more. [`Poller::fetch`] meets such
//! reports by their generation, or by asking now and then whether the number still names the
//! file; then the set is replaced by a new one, under the same outer descriptor.

use super::account::{Account, Watching, What};
use super::due::Due;
use super::entry::{END, Entry};
use super::io::{Interest, IoCall, Readiness};
use super::own::Own;
use super::slab::{Key, Slab};
use crate::sys::epoll::{Event, EventFlags, Number, Set, Token};
use rustix::event::Timespec;
use rustix::io::Errno;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;

type Result<T, E = Errno> = std::result::Result<T, E>;

/// How many reports are taken in one turn; the others come in the next.
const REPORTS: usize = 256;
/// From how many watchers of one descriptor on the kernel is not asked about each.
const CROWD: u32 = 16;
/// After how many reports of a descriptor its registration is looked at.
const TRUST: u8 = 64;

struct Watcher {
    /// Away while it runs.
    call: Option<Box<dyn IoCall>>,
    account: Account,
    /// Whose list it is in; `Number::NONE` after the descriptor was closed under it.
    number: Number,
    next: u32,
    previous: u32,
    interest: Interest,
}

impl Watcher {
    fn awaits(&self, readiness: Readiness) -> bool {
        self.number != Number::NONE && readiness.meets(self.interest)
    }
}

/// What [`Poller::fetch`] found besides watchers that are due.
#[derive(Default)]
pub(super) struct Fetched {
    /// The bell was rung: there are posts of other threads.
    pub(super) rung: bool,
    /// Something was reported that cannot be deleted from the set: it wants to be renewed.
    pub(super) stuck: bool,
}

/// The bell is told once for each ring, so it need not be read.
const BELL: EventFlags = EventFlags::IN.union(EventFlags::ET);

/// All io watchers of a queue.
pub(super) struct Poller {
    set: Own<Set>,
    /// The queue's eventfd.
    bell: Token,
    /// By descriptor number.
    entries: Vec<Entry>,
    watchers: Slab<Watcher>,
    /// Entries with unsure watchers. They are asked for before the next wait.
    unsure: Vec<Number>,
    /// Counts the fetches.
    round: u32,
    /// Room for what the kernel reports.
    events: Vec<Event>,
}

impl Poller {
    pub(super) fn new(bell: BorrowedFd<'_>) -> Result<Self> {
        let bell = Token { number: Number::of(bell), generation: 0 };
        let set = Own::new(Set::new()?);
        set.add(bell, BELL)?;
        let (entries, events) = (Vec::new(), Vec::with_capacity(REPORTS));
        let (watchers, unsure) = (Slab::new(), Vec::new());
        Ok(Poller { set, bell, entries, watchers, unsure, round: 1, events })
    }

    /// Adds a watcher at the end of its descriptor's list.
    ///
    /// A crowd of them that comes between two fetches costs no system call for each, if `lazy`: if
    /// the poller is asked before anyone waits.
    pub(super) fn insert(
        &mut self,
        number: Number,
        interest: Interest,
        place: &'static Location<'static>,
        call: Box<dyn IoCall>,
        lazy: bool,
    ) -> Result<Key, (Errno, Box<dyn IoCall>)> {
        if number.index() >= self.entries.len() {
            self.entries.resize_with(number.index() + 1, || Entry::EMPTY);
        }
        let sure = match self.admit(number, interest, lazy) {
            Ok(sure) => sure,
            Err(errno) => return Err((errno, call)),
        };
        let previous = self.entries[number.index()].last;
        let (call, account) = (Some(call), Account::new(place));
        let watcher = Watcher { call, account, number, next: END, previous, interest };
        let key = self.watchers.insert(watcher);
        let entry = &mut self.entries[number.index()];
        entry.last = key.index;
        match self.watchers.at(previous) {
            Some((_, before)) => before.next = key.index,
            None => entry.first = key.index,
        }
        if !sure && entry.unsure == END {
            entry.unsure = key.index;
            self.unsure.push(number);
        }
        Ok(key)
    }

    /// Changes what a watcher waits for.
    pub(super) fn set_interest(
        &mut self,
        key: Key,
        interest: Interest,
    ) -> Result<(), (Number, Errno)> {
        let Some(watcher) = self.watchers.get_mut(key) else { return Ok(()) };
        let (number, before) = (watcher.number, watcher.interest);
        watcher.interest = interest;
        let Some(entry) = self.entries.get_mut(number.index()) else {
            return Err((number, Errno::BADF));
        };
        entry.discount(before);
        entry.count(interest);
        self.ask(number).map_err(|errno| (number, errno))?;
        let orphaned = self.watchers.get(key).is_none_or(|watcher| watcher.number == Number::NONE);
        if orphaned { Err((number, Errno::BADF)) } else { Ok(()) }
    }

    /// Ends a watcher. What it would have run is the caller's, to drop where no borrow is held.
    pub(super) fn remove(&mut self, key: Key) -> Option<Box<dyn IoCall>> {
        let Watcher { call, number, next, previous, interest, .. } = self.watchers.remove(key)?;
        let Some(entry) = self.entries.get_mut(number.index()) else { return call };
        match self.watchers.at(previous) {
            Some((_, before)) => before.next = next,
            None => entry.first = next,
        }
        match self.watchers.at(next) {
            Some((_, after)) => after.previous = previous,
            None => entry.last = previous,
        }
        entry.discount(interest);
        if entry.unsure == key.index {
            entry.unsure = next;
        }
        if entry.wanted() != entry.registered {
            // Where this fails the descriptor was closed under the others too.
            let _orphaned = self.ask(number);
        }
        call
    }

    /// Tells whether a watcher that fell due is still to run.
    pub(super) fn is_due(&self, key: Key, readiness: Readiness) -> bool {
        self.watchers.get(key).is_some_and(|watcher| watcher.awaits(readiness))
    }

    /// Takes what a due watcher runs, unless it was ended or lost interest since.
    pub(super) fn start(&mut self, key: Key, readiness: Readiness) -> Option<Box<dyn IoCall>> {
        let watcher = self.watchers.get_mut(key)?;
        if watcher.awaits(readiness) { watcher.call.take() } else { None }
    }

    /// Puts back what ran. It comes back out if the watcher was ended meanwhile.
    pub(super) fn finish(
        &mut self,
        key: Key,
        call: Box<dyn IoCall>,
        nanos: u64,
    ) -> Option<Box<dyn IoCall>> {
        match self.watchers.get_mut(key) {
            Some(watcher) => {
                watcher.account.note(nanos);
                watcher.call.replace(call)
            }
            None => Some(call),
        }
    }

    pub(super) fn watching(&self) -> Vec<Watching> {
        let what = |watcher: &Watcher| What::Io(watcher.number.get(), watcher.interest);
        self.watchers.values().map(|watcher| watcher.account.watching(what(watcher))).collect()
    }

    /// Waits for reports, up to `timeout`, and puts the watchers that they are for in `due`.
    pub(super) fn fetch(&mut self, timeout: Option<&Timespec>, due: &mut Due) -> Result<Fetched> {
        self.make_sure();
        self.round = self.round.wrapping_add(1);
        let mut events = mem::take(&mut self.events);
        let waited = self.set.wait(&mut events, timeout);
        let mut fetched = Fetched::default();
        for event in &events {
            let token = Token::of(*event);
            if token == self.bell {
                fetched.rung = true;
            } else {
                fetched.stuck |= !self.report(token, Readiness::of(event.flags), due);
            }
        }
        self.events = events;
        match waited {
            // A signal's handler may have made something due: the turn goes on with what there is.
            Ok(()) | Err(Errno::INTR) => Ok(fetched),
            Err(errno) => Err(errno),
        }
    }

    /// Replaces a set that reports what cannot be deleted from it.
    pub(super) fn renew(&mut self, outer: &Set, hosted: bool) -> Result<()> {
        let set = Own::new(Set::new()?);
        set.add(self.bell, BELL)?;
        for index in 0..self.entries.len() {
            let number = Number::at(index);
            let Entry { generation, registered, .. } = self.entries[index];
            let token = Token { number, generation };
            // The old set knows whether the number still names the file that was registered.
            if registered != Interest::NONE
                && (self.set.modify(token, registered.flags()).is_err()
                    || set.add(token, registered.flags()).is_err())
            {
                self.orphan(number);
            }
        }
        outer.delete(Number::of(self.set.as_fd()))?;
        self.set = set;
        self.report_to(outer, hosted)
    }

    /// Makes `outer` readable with this set, if it is polled by a host loop.
    pub(super) fn report_to(&self, outer: &Set, hosted: bool) -> Result<()> {
        let token = Token { number: Number::of(self.set.as_fd()), generation: 0 };
        let flags = if hosted { EventFlags::IN } else { EventFlags::empty() };
        match outer.add(token, flags) {
            Err(Errno::EXIST) => outer.modify(token, flags),
            added => added,
        }
    }

    /// Puts the watchers that a report is for in `due`; tells whether the report had a right to come.
    fn report(&mut self, token: Token, readiness: Readiness, due: &mut Due) -> bool {
        let number = token.number;
        let Some(entry) = self.entries.get_mut(number.index()) else { return false };
        if entry.generation != token.generation || entry.registered == Interest::NONE {
            return false;
        }
        entry.reports = entry.reports.wrapping_add(1);
        if entry.reports.is_multiple_of(TRUST)
            && self.set.modify(token, entry.registered.flags()).is_err()
        {
            self.orphan(number);
            return false;
        }
        let mut next = entry.first;
        while let Some((key, watcher)) = self.watchers.at(next) {
            if readiness.meets(watcher.interest) {
                due.io.push_back((key, readiness));
            }
            next = watcher.next;
        }
        true
    }

    /// Asks the kernel for what a new watcher wants besides what is wanted already; tells whether
    /// the number is sure to name the file that is registered.
    fn admit(&mut self, number: Number, interest: Interest, lazy: bool) -> Result<bool> {
        let entry = &mut self.entries[number.index()];
        if entry.first == END {
            entry.rested = None;
        }
        entry.count(interest);
        let crowded = entry.readers + entry.writers > CROWD;
        if lazy && crowded && entry.asked == self.round && entry.registered == entry.wanted() {
            return Ok(false);
        }
        let asked = self.ask(number).map(|()| true);
        if asked.is_err() {
            self.entries[number.index()].discount(interest);
        }
        asked
    }

    /// Asks whether the numbers of unsure watchers name the files that are registered.
    pub(super) fn make_sure(&mut self) {
        while let Some(number) = self.unsure.pop() {
            if self.entries[number.index()].unsure != END {
                // Watchers of a closed descriptor are orphans now, and nobody is there to be told.
                let _orphaned = self.ask(number);
            }
        }
    }

    /// Asks the kernel for what is wanted of a descriptor, and cuts watchers of a closed one loose.
    fn ask(&mut self, number: Number) -> Result<()> {
        let unsure = mem::replace(&mut self.entries[number.index()].unsure, END);
        let asked = self.sync(number);
        if asked.is_ok() || self.entries[number.index()].first == END {
            return asked;
        }
        // The older ones watched a file that was closed. The number may be another file's now, and
        // those that came since watch that one; or there is no such descriptor.
        self.cut(number, unsure);
        self.sync(number).inspect_err(|_| self.orphan(number))
    }

    /// Asks the kernel for what is wanted of a descriptor. It is asked again for what it knows, for
    /// its answer tells whether the number still names the same file.
    fn sync(&mut self, number: Number) -> Result<()> {
        let entry = &mut self.entries[number.index()];
        entry.asked = self.round;
        let wanted = entry.wanted();
        let known = mem::replace(&mut entry.registered, wanted);
        let asked = match (known, wanted) {
            (Interest::NONE, Interest::NONE) => entry.rest(number),
            (Interest::NONE, _) if !entry.is_as_it_rested(number) => Err(Errno::NOENT),
            (Interest::NONE, _) => {
                entry.generation = entry.generation.wrapping_add(1);
                let token = Token { number, generation: entry.generation };
                match self.set.add(token, wanted.flags()) {
                    // A registration that was beyond deleting: the number names its file again.
                    Err(Errno::EXIST) => self.set.modify(token, wanted.flags()),
                    added => added,
                }
            }
            // Where it fails the descriptor was closed; a registration that outlives it shows itself in
            // `report`.
            (_, Interest::NONE) => match self.set.delete(number) {
                Ok(()) if entry.first != END => entry.rest(number),
                deleted => deleted,
            },
            _ => {
                let token = Token { number, generation: entry.generation };
                self.set.modify(token, wanted.flags())
            }
        };
        if asked.is_err() {
            self.entries[number.index()].registered = Interest::NONE;
        }
        asked
    }

    /// Cuts the watchers of a descriptor loose that was closed under them. They run no more.
    fn orphan(&mut self, number: Number) {
        self.cut(number, END);
    }

    /// As [`orphan`](Poller::orphan), but only for those before the watcher `keep`.
    fn cut(&mut self, number: Number, keep: u32) {
        let entry = &mut self.entries[number.index()];
        entry.registered = Interest::NONE;
        let mut next = mem::replace(&mut entry.first, keep);
        while next != keep
            && let Some((_, watcher)) = self.watchers.at(next)
        {
            entry.discount(watcher.interest);
            watcher.number = Number::NONE;
            next = watcher.next;
        }
        match self.watchers.at(keep) {
            Some((_, first)) => first.previous = END,
            None => entry.last = END,
        }
    }
}
