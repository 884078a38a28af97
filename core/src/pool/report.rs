//! Above flow 2: what a pool tells of itself.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Memory;
use crate::{Hold, Posture};

/// What a pool has done, does and has still to do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// Jobs that wait for a worker.
    pub queued: usize,
    /// Jobs that workers have in hand, cancelled ones among them.
    pub running: usize,
    /// Jobs that were answered.
    pub done: u64,
    /// Jobs that were not, by reason.
    pub failed: BTreeMap<Failure, u64>,
    /// How often a job was tried again after its worker died.
    pub retried: u64,
    /// How often a job went back into the line because its worker left before it had begun it.
    pub handed_back: u64,
    /// Workers that came to be, over all.
    pub started: u64,
    /// Workers that ended, or could not come to be, by reason.
    pub ended: BTreeMap<Leave, u64>,
    /// The workers there are, the oldest first.
    pub workers: Vec<WorkerReport>,
    /// What the template of the workers made, and how often it died.
    pub template: crate::Report,
}

/// One worker of a [`Report`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// Its process id; None before it came to be.
    pub pid: Option<u32>,
    /// What it is about.
    pub state: WorkerState,
    /// Jobs that it has in hand.
    pub jobs: usize,
    /// Jobs that it has answered.
    pub served: u64,
    /// Since it was asked for.
    pub age: Duration,
    /// None when it is gone, not there yet, or nobody has looked ([`Pool::glance`](super::Pool::glance)).
    pub memory: Option<Memory>,
    /// What holds of the sandbox, as the worker said before it began to serve.
    pub posture: Option<Posture>,
}

/// What a worker of a pool is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WorkerState {
    /// It has been asked for and is not ready.
    Coming,
    /// It is ready and has nothing to do.
    Idle,
    /// It has jobs in hand.
    Busy,
    /// It gets no more jobs: it ends what it has, or is about to end.
    Leaving,
}

/// Why a job was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Failure {
    /// The worker said so: its function returned an error or panicked, and the worker lived on.
    Failed,
    /// Its worker died, or broke the protocol.
    Died,
    /// It ran longer than its deadline.
    Deadline,
    /// Too many workers died of it.
    Poison,
    /// It was cancelled, or its pool dropped.
    Cancelled,
    /// It could not be sent, or its answer not be taken in: see
    /// [`rpc::Error::Refused`](crate::rpc::Error::Refused).
    Refused,
    /// No worker came to be that could have done it.
    NoWorker,
}

/// Why a worker of a pool left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Leave {
    /// There was nothing to do.
    Idle,
    /// It was replaced after so many jobs as [`Recycle::jobs`](super::Recycle::jobs) says.
    Jobs,
    /// It was replaced at its age ([`Recycle::age`](super::Recycle::age)).
    Age,
    /// It was replaced for the memory that it had ([`Recycle::memory`](super::Recycle::memory)).
    Memory,
    /// It wanted to.
    Retired,
    /// It died.
    Died,
    /// It broke the protocol and was killed.
    Broken,
    /// It was killed because a job ran past its deadline.
    Deadline,
    /// It was killed because it went on with a job that was cancelled.
    Cancelled,
    /// It was not ready in time, and was killed, or could not come to be.
    NeverReady,
    /// The pool was dropped or has finished.
    Over,
}

impl Report {
    /// The memory of all workers together.
    pub fn memory(&self) -> Memory {
        self.workers.iter().filter_map(|worker| worker.memory).sum()
    }

    /// Counts the workers by what they are about.
    pub fn states(&self) -> BTreeMap<WorkerState, usize> {
        let mut states = BTreeMap::new();
        for worker in &self.workers {
            *states.entry(worker.state).or_default() += 1;
        }
        states
    }

    /// Jobs that were not answered, for whatever reason.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The different postures that workers have, and how many have each.
    pub fn postures(&self) -> Vec<(&Posture, usize)> {
        let mut postures: Vec<(&Posture, usize)> = Vec::new();
        for posture in self.workers.iter().filter_map(|worker| worker.posture.as_ref()) {
            match postures.iter_mut().find(|(known, _)| *known == posture) {
                Some((_, count)) => *count += 1,
                None => postures.push((posture, 1)),
            }
        }
        postures
    }
}

impl fmt::Display for Report {
    /// A few lines, for people, without a newline after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { queued, running, done, retried, handed_back, started, template, .. } = self;
        write!(f, "jobs: {queued} queued, {running} running, {done} done, ")?;
        write!(f, "{} failed{}", self.failures(), Counted(&self.failed))?;
        writeln!(f, "; {retried} retried, {handed_back} handed back")?;
        let left: u64 = self.ended.values().sum();
        write!(f, "workers: {}{}", self.workers.len(), Counted(&self.states()))?;
        writeln!(f, "; {started} started, {left} left{}", Counted(&self.ended))?;
        write!(f, "template: {} deaths\nmemory: {}", template.deaths, self.memory())?;
        for (posture, workers) in self.postures() {
            write!(f, "\nsandbox of {workers}: ")?;
            let rungs = posture.rungs().map(|(rung, hold, _)| (rung, hold));
            let (full, less): (Vec<_>, Vec<_>) = rungs.partition(|(_, hold)| *hold == Hold::Full);
            write!(f, "{} rungs hold", full.len())?;
            less.iter().try_for_each(|(rung, hold)| write!(f, ", {rung}: {hold}"))?;
        }
        for worker in &self.workers {
            write!(f, "\n{worker}")?;
        }
        Ok(())
    }
}

impl fmt::Display for WorkerReport {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WorkerReport { pid, state, jobs, served, age, memory, .. } = self;
        match pid {
            Some(pid) => write!(f, "worker {pid}: {state}")?,
            None => write!(f, "worker: {state}")?,
        }
        write!(f, ", {jobs} in hand, {served} served, {:.1} s", age.as_secs_f64())?;
        memory.iter().try_for_each(|memory| write!(f, ", {memory}"))
    }
}

/// ` (3 of this, 1 of that)`, or nothing.
struct Counted<'a, K, N>(&'a BTreeMap<K, N>);

impl<K: fmt::Display, N: fmt::Display> fmt::Display for Counted<'_, K, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, count)) in self.0.iter().enumerate() {
            write!(f, "{}{count} {name}", if index == 0 { " (" } else { ", " })?;
        }
        if self.0.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WorkerState::Coming => "coming",
            WorkerState::Idle => "idle",
            WorkerState::Busy => "busy",
            WorkerState::Leaving => "leaving",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Failed => "failed in the worker",
            Failure::Died => "lost with the worker",
            Failure::Deadline => "past the deadline",
            Failure::Poison => "set aside",
            Failure::Cancelled => "cancelled",
            Failure::Refused => "refused",
            Failure::NoWorker => "for want of a worker",
        })
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Leave::Idle => "for want of work",
            Leave::Jobs => "after their number of jobs",
            Leave::Age => "of age",
            Leave::Memory => "for their memory",
            Leave::Retired => "by themselves",
            Leave::Died => "died",
            Leave::Broken => "for breaking the protocol",
            Leave::Deadline => "killed at a deadline",
            Leave::Cancelled => "killed in a cancelled job",
            Leave::NeverReady => "never ready",
            Leave::Over => "with the pool",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(state: WorkerState) -> WorkerReport {
        WorkerReport {
            pid: (state != WorkerState::Coming).then_some(7),
            state,
            jobs: usize::from(state == WorkerState::Busy),
            served: 3,
            age: Duration::from_millis(1500),
            memory: Some(Memory { private: 1 << 20, shared: 2 << 20, saved: 3 << 20 }),
            posture: None,
        }
    }

    #[test]
    fn people_read_what_there_is_and_not_what_there_is_not() {
        let report = Report {
            queued: 4,
            running: 1,
            done: 5,
            failed: [(Failure::Failed, 2), (Failure::Cancelled, 1)].into(),
            retried: 0,
            handed_back: 1,
            started: 2,
            ended: BTreeMap::new(),
            workers: vec![worker(WorkerState::Busy), worker(WorkerState::Coming)],
            template: crate::Report { processes: 2, from_spares: 0, deaths: 1 },
        };
        assert_eq!(
            report.to_string(),
            "jobs: 4 queued, 1 running, 5 done, 3 failed (2 failed in the worker, 1 cancelled); \
             0 retried, 1 handed back\n\
             workers: 2 (1 coming, 1 busy); 2 started, 0 left\n\
             template: 1 deaths\n\
             memory: 2.0 MiB private, 4.0 MiB shared, 6.0 MiB saved\n\
             worker 7: busy, 1 in hand, 3 served, 1.5 s, \
             1.0 MiB private, 2.0 MiB shared, 3.0 MiB saved\n\
             worker: coming, 0 in hand, 3 served, 1.5 s, \
             1.0 MiB private, 2.0 MiB shared, 3.0 MiB saved"
        );
    }
}
