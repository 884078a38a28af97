//! What is on its way to being a picture, and how soon each is wanted.
//!
//! ```text
//! Opening ── its file is open ──▶ in the pool ── answered ──▶ (gone from here)
//!    └────────────────────────────────┴── called off ────────▶ (gone from here; what comes late is dropped)
//! ```

use std::collections::HashMap;

use tine_viewer::decoders::{Job, Urgency};

use crate::cache::{Class, Original};
use crate::wholes::Key;

/// What is asked of the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The thumbnail of the picture with this id.
    Thumbnail(u32),
    /// A picture as a whole.
    Whole(Key),
}

impl Target {
    /// Of the picture.
    pub fn id(self) -> u32 {
        match self {
            Self::Thumbnail(id) | Self::Whole((id, _)) => id,
        }
    }
}

/// One picture on its way.
pub struct Entry {
    /// Which time it was asked for: what comes of an earlier time is not for this one.
    pub number: u64,
    /// How soon it is wanted.
    pub urgency: Urgency,
    /// Once its file is open.
    pub job: Option<Job>,
    /// What the worker gets is a thumbnail that somebody made before.
    pub is_cached: bool,
    /// What is to be kept of it.
    pub keep: Option<(Original, Class)>,
}

impl Entry {
    /// Whether a worker has it in hand, or had.
    pub fn is_begun(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.worker().is_some())
    }
}

/// All of them.
#[derive(Default)]
pub struct UnderWay {
    entries: HashMap<Target, Entry>,
    /// How often anything was asked for.
    asked: u64,
}

impl UnderWay {
    /// Notes that this file is being opened; gives the number.
    pub fn begin(&mut self, target: Target, urgency: Urgency) -> u64 {
        self.asked += 1;
        let number = self.asked;
        let entry = Entry { number, urgency, job: None, is_cached: false, keep: None };
        self.entries.insert(target, entry);
        number
    }

    /// The one that was asked for with this number, if it is still wanted.
    pub fn get(&mut self, target: Target, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&target).filter(|entry| entry.number == number)
    }

    /// Takes it out, if it is still wanted.
    pub fn end(&mut self, target: Target, number: u64) -> Option<Entry> {
        self.get(target, number)?;
        self.entries.remove(&target)
    }

    /// Takes it out, if there is one. A job is cancelled: its worker is told.
    pub fn call_off(&mut self, target: Target) -> Option<Entry> {
        let entry = self.entries.remove(&target)?;
        entry.job.iter().for_each(Job::cancel);
        Some(entry)
    }

    /// How many there are of this urgency.
    pub fn count(&self, urgency: Urgency) -> usize {
        self.entries.values().filter(|entry| entry.urgency == urgency).count()
    }

    /// Whether there are none but of this urgency.
    pub fn is_free_but_for(&self, urgency: Urgency) -> bool {
        self.count(urgency) == self.entries.len()
    }

    /// How many a worker has in hand, and how many there are in all.
    pub fn begun(&self) -> (usize, usize) {
        let begun = self.entries.values().filter(|entry| entry.is_begun()).count();
        (begun, self.entries.len())
    }

    /// All of them.
    pub fn targets(&self) -> Vec<Target> {
        self.entries.keys().copied().collect()
    }

    /// Says anew how soon each is wanted: `None` for those that are not any more, which are given back.
    /// The others that are jobs already are given with it, if that has changed.
    pub fn weigh(
        &mut self,
        mut urgency: impl FnMut(Target, &Entry) -> Option<Urgency>,
    ) -> (Vec<(Job, Urgency)>, Vec<Target>) {
        let (mut changed, mut unwanted) = (Vec::new(), Vec::new());
        for (target, entry) in &mut self.entries {
            match urgency(*target, entry) {
                None => unwanted.push(*target),
                Some(now) if now != entry.urgency => {
                    entry.urgency = now;
                    changed.extend(entry.job.clone().map(|job| (job, now)));
                }
                Some(_) => (),
            }
        }
        (changed, unwanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_called_off_is_not_taken_for_what_is_asked_for_again() {
        let (mut all, target) = (UnderWay::default(), Target::Thumbnail(7));
        let first = all.begin(target, Urgency::Near);
        assert!(all.call_off(target).is_some() && all.call_off(target).is_none());
        let second = all.begin(target, Urgency::InView);
        assert!(all.end(target, first).is_none());
        assert_eq!(all.end(target, second).map(|entry| entry.urgency), Some(Urgency::InView));
        assert!(all.end(target, second).is_none());
    }

    #[test]
    fn each_is_weighed_anew() {
        let mut all = UnderWay::default();
        for id in 0..4 {
            all.begin(Target::Thumbnail(id), Urgency::InView);
        }
        let (changed, unwanted) = all.weigh(|target, entry| match target.id() {
            0 => None,
            1 => Some(Urgency::Near),
            _ => Some(entry.urgency),
        });
        assert!(changed.is_empty(), "none is a job yet");
        assert_eq!(unwanted, [Target::Thumbnail(0)]);
        assert_eq!((all.count(Urgency::InView), all.count(Urgency::Near)), (3, 1));
    }
}
