//! Flow 2, in the worker: the climb. Each rung is tried, then judged by what the kernel says of it.

use super::{Hold, Posture, Rung, Sandbox, domain, filter, limits};
use crate::sys;
use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, no_new_privs, set_capabilities, set_no_new_privs,
};
use std::{fs, io};

/// The process as it is when the climb begins, from one file of /proc.
pub(super) struct Own {
    pub threads: u64,
    /// Octets of address space.
    pub mapped: u64,
}

impl Own {
    fn read() -> io::Result<Own> {
        Own::parse(&fs::read_to_string("/proc/self/stat")?)
            .ok_or_else(|| io::Error::other("/proc/self/stat is not what proc(5) says"))
    }

    /// Fields 20 and 23 of proc_pid_stat(5); those after the program's name, which may hold anything,
    /// begin with the third.
    fn parse(stat: &str) -> Option<Own> {
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Own { threads: field(20)?, mapped: field(23)? })
    }
}

/// What came of one rung: how far it holds, and the detail or reason.
pub(super) type Outcome = (Hold, String);

/// A rung whose kernel call says all.
fn outcome(result: io::Result<()>) -> Outcome {
    match result {
        Ok(()) => (Hold::Full, String::new()),
        Err(error) => (Hold::Missing, error.to_string()),
    }
}

impl Sandbox {
    /// Confines this process, for good: no rung can be climbed down again.
    ///
    /// For a process with one thread; with several, what the kernel does for one thread only is told as
    /// partly. It takes a few dozen system calls (`make bench BENCH=sandbox`), never panics
    /// and never fails: a rung that cannot be had is missing in the posture, with the reason.
    ///
    /// It may be applied more than once, to a template and then to its workers: each time adds.
    pub fn apply(&self) -> Posture {
        let own = Own::read();
        let mut climb = Climb { sandbox: self, posture: Posture::default() };
        // The score is written before this process's files in /proc become root's by not being dumpable.
        climb.rung(Rung::OomFirst, || outcome(fs::write("/proc/self/oom_score_adj", "1000")));
        climb.rung(Rung::Namespaces, || outcome(sys::leave_namespaces()));
        climb.rung(Rung::Undumpable, undumpable);
        climb.rung(Rung::NoNewPrivs, no_privileges);
        domain::enter(self, &mut climb.posture);
        climb.rung(Rung::Capabilities, || outcome(no_capabilities()));
        climb.limits(own.as_ref().map(|own| own.mapped));
        // Last, because it may refuse what the others need.
        climb.rung(Rung::Seccomp, || filter::install(self));
        if let Ok(own) = own {
            tell_threads(&mut climb.posture, own.threads);
        }
        climb.posture
    }

    /// Landlock and seccomp rest on [`Rung::NoNewPrivs`], so it is climbed for their sake as well.
    fn wants(&self, rung: Rung) -> bool {
        let rests = [Rung::Files, Rung::Network, Rung::Scopes, Rung::Seccomp];
        self.has(rung) || rung == Rung::NoNewPrivs && rests.iter().any(|rung| self.has(*rung))
    }
}

struct Climb<'a> {
    sandbox: &'a Sandbox,
    posture: Posture,
}

impl Climb<'_> {
    fn rung(&mut self, rung: Rung, step: impl FnOnce() -> Outcome) {
        if self.sandbox.wants(rung) {
            let (hold, detail) = step();
            self.posture.push(rung, hold, detail);
        }
    }

    fn limits(&mut self, mapped: Result<u64, &io::Error>) {
        let sandbox = self.sandbox;
        self.rung(Rung::Memory, || limits::memory(sandbox.memory, mapped));
        self.rung(Rung::Cpu, || limits::cpu(sandbox.cpu));
        self.rung(Rung::Descriptors, || limits::descriptors(sandbox.descriptors));
        self.rung(Rung::FileSize, || limits::file_size(sandbox.file_size));
        self.rung(Rung::CoreDumps, limits::core_dumps);
        self.rung(Rung::Processes, || limits::processes(sandbox.threads));
    }
}

/// What the kernel reports counts: it may have been so before, under a filter that refuses to set it.
fn undumpable() -> Outcome {
    let set = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    match dumpable_behavior() {
        Ok(DumpableBehavior::Dumpable) => (Hold::Missing, refusal(set)),
        Ok(_) => (Hold::Full, String::new()),
        Err(error) => (Hold::Missing, error.to_string()),
    }
}

fn no_privileges() -> Outcome {
    let set = set_no_new_privs(true);
    match no_new_privs() {
        Ok(true) => (Hold::Full, String::new()),
        Ok(false) => (Hold::Missing, refusal(set)),
        Err(error) => (Hold::Missing, error.to_string()),
    }
}

fn refusal(set: rustix::io::Result<()>) -> String {
    set.err()
        .map_or_else(|| "the kernel says yes and does nothing".into(), |error| error.to_string())
}

fn no_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    Ok(set_capabilities(None, sets)?)
}

/// Takes back what holds for the calling thread only. The filter is put on all threads, and with it
/// no_new_privs.
fn tell_threads(posture: &mut Posture, threads: u64) {
    if threads == 1 {
        return;
    }
    let all = posture.hold(Rung::Seccomp) == Hold::Full;
    let of_one = [Rung::Files, Rung::Network, Rung::Scopes, Rung::Capabilities, Rung::NoNewPrivs];
    for rung in of_one.into_iter().filter(|rung| !(all && *rung == Rung::NoNewPrivs)) {
        if posture.hold(rung) == Hold::Full {
            posture.push(rung, Hold::Partly, format!("for one of the {threads} threads"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_name_does_not_shift_the_fields() {
        let stat = "1 (a) S 9 (b c) R 0 1 1 0 -1 4 5 0 6 0 1 2 0 0 20 0 3 0 77 8192 90 18446744073709551615";
        let own = Own::parse(stat).unwrap();
        assert_eq!((own.threads, own.mapped), (3, 8192));
        assert!(Own::parse("1 (a) R 0").is_none());
    }

    #[test]
    fn with_threads_a_thread_s_rungs_are_partly() {
        let mut posture = Posture::default();
        for rung in [Rung::Files, Rung::NoNewPrivs, Rung::Seccomp, Rung::Memory] {
            posture.push(rung, Hold::Full, "");
        }
        tell_threads(&mut posture, 2);
        assert_eq!(posture.hold(Rung::Files), Hold::Partly);
        assert_eq!(posture.hold(Rung::NoNewPrivs), Hold::Full);
        assert_eq!(posture.hold(Rung::Memory), Hold::Full);
    }
}
