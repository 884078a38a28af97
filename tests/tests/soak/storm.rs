//! The storm: jobs that a pool has to do, and blows from inside and outside.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit, setrlimit};
use tine::testing::Faults;
use tine::{Pool, Sandbox, Template};
use tine_tests::told::eventually;

use super::tally::Tally;
use super::work::{Task, WORK};

/// Jobs that are under way at a time.
const UNDER_WAY: usize = 200;
/// A worker that hangs is found by this.
const DEADLINE: Duration = Duration::from_millis(500);
/// So long a template is stopped, or the app without descriptors.
const SPELL: Duration = Duration::from_millis(30);

type Jobs = Pool<Task, (u32, String)>;

pub struct Storm {
    chance: Chance,
    template: Template,
    tally: Rc<RefCell<Tally>>,
    settled: Rc<Cell<usize>>,
    /// The app or a template has run out of something.
    shortages: Rc<Cell<u32>>,
}

impl Storm {
    /// A storm that is the same for the same `seed`, but for who is quicker.
    pub fn new(seed: u64) -> Storm {
        Storm {
            chance: Chance(seed.max(1)),
            template: Template::exec().expect("a template"),
            tally: Rc::new(RefCell::new(Tally::new())),
            settled: Rc::default(),
            shortages: Rc::default(),
        }
    }

    /// Has `total` jobs done, or not.
    pub fn run(mut self, total: usize) -> Tally {
        let gone = Rc::new(Cell::new(false));
        let tells = Rc::clone(&gone);
        let pool = Jobs::builder(&self.template, WORK)
            .max(4)
            .idle(2)
            .load(2)
            .deadline(DEADLINE)
            .retries(3)
            .sandbox(&Sandbox::new().memory(64 << 20))
            .on_destroy(move || tells.set(true))
            .build()
            .expect("a pool");
        for sent in 0..total {
            self.submit(&pool);
            self.blow(&pool);
            eventually("room for another job", || {
                // What comes in a shortage fails faster than anything is answered outside of it.
                let room = sent < self.settled.get() + UNDER_WAY && self.shortages.get() == 0;
                room.then_some(())
            });
        }
        let settled = Rc::clone(&self.settled);
        eventually("every job is settled", || (settled.get() >= total).then_some(()));
        let report = pool.report();
        self.tally.borrow_mut().workers = format!(
            "workers: {} came to be, {:?}; the template died {} times; {} jobs retried",
            report.started, report.ended, report.template.deaths, report.retried
        );
        pool.finish();
        eventually("every worker has left", || gone.get().then_some(()));
        eventually("there is enough of all", || (self.shortages.get() == 0).then_some(()));
        drop(self.template);
        let tally = Rc::into_inner(self.tally).expect("no job holds it any more");
        tally.into_inner()
    }

    fn submit(&mut self, pool: &Jobs) {
        let job = self.tally.borrow_mut().sent();
        let task = self.task(job);
        let (tally, settled) = (Rc::clone(&self.tally), Rc::clone(&self.settled));
        let submitted = pool.submit(task).on_done(move |result| {
            if let (Task::Answer(number, octets), Ok((answer, text))) = (task, &result) {
                assert_eq!((number, octets), (*answer, text.len()), "another job's answer");
            }
            tally.borrow_mut().settled(job, &result);
            settled.set(settled.get() + 1);
        });
        if matches!(task, Task::Answer(..)) {
            drop(submitted.idempotent());
        }
    }

    /// More than nine in ten can be answered.
    fn task(&mut self, job: usize) -> Task {
        let turns = self.chance.below(20) as u32;
        let (what, task) = match self.chance.below(1000) {
            0..20 => ("worker killed", Task::Doom(Signal::KILL.as_raw(), turns)),
            20..22 => ("worker stopped", Task::Doom(Signal::STOP.as_raw(), turns)),
            22..24 => ("memory used up", Task::Devour),
            24..40 => ("panic", Task::Panic),
            40..60 => ("error", Task::Fail),
            60..65 => ("exit", Task::Exit),
            65..68 => ("retired", Task::Retire),
            _ => return Task::Answer(job as u32, [10, 100, 20_000][self.chance.below(3)]),
        };
        self.tally.borrow_mut().blow(what);
        task
    }

    /// What the app does to its template and to itself.
    fn blow(&mut self, pool: &Jobs) {
        let what = match self.chance.below(4000) {
            0..3 => {
                signal(&self.template, Signal::KILL);
                "template killed"
            }
            3..5 => {
                self.stop_template();
                "template stopped"
            }
            5..7 => {
                self.exhaust();
                "no descriptors"
            }
            7..10 => {
                // A template that is just gone has no faults, which is one itself.
                let faults = Faults::new().tiny_buffers().refuse_sockets(3).refuse_forks(2);
                let _ = self.template.inject(faults);
                "sockets and forks refused"
            }
            10..12 => {
                self.starve(Resource::As, 1 << 20);
                "template out of memory"
            }
            12..14 => {
                self.starve(Resource::Nofile, 8);
                "template without descriptors"
            }
            14..24 => {
                self.strike(pool, Signal::KILL);
                "any worker killed"
            }
            24..26 => {
                self.strike(pool, Signal::STOP);
                "any worker stopped"
            }
            26..46 => {
                let _ = self.template.inject(Faults::new().tiny_buffers());
                "tiny buffers"
            }
            _ => return,
        };
        self.tally.borrow_mut().blow(what);
    }

    /// Hits any worker, whatever it is about.
    fn strike(&mut self, pool: &Jobs, signal: Signal) {
        let pids: Vec<_> = pool.report().workers.iter().filter_map(|worker| worker.pid).collect();
        if !pids.is_empty() {
            // It may have ended by itself.
            let _ = pool.kill(pids[self.chance.below(pids.len())], signal.as_raw());
        }
    }

    fn stop_template(&self) {
        signal(&self.template, Signal::STOP);
        let template = self.template.clone();
        tine::queue().after(SPELL, move || signal(&template, Signal::CONT)).detach();
    }

    /// Leaves the template, and what is forked from it meanwhile, next to nothing.
    fn starve(&self, resource: Resource, little: u64) {
        let Some(pid) = process(&self.template) else { return };
        // What the template was started with, which is what this process has.
        let before = getrlimit(resource);
        // It may have ended by itself, now or later.
        let _ = prlimit(Some(pid), resource, Rlimit { current: Some(little), ..before });
        let template = self.template.clone();
        self.for_a_spell(move || {
            if process(&template) == Some(pid) {
                let _ = prlimit(Some(pid), resource, before);
            }
        });
    }

    fn for_a_spell(&self, end: impl FnOnce() + 'static) {
        self.shortages.set(self.shortages.get() + 1);
        let shortages = Rc::clone(&self.shortages);
        let over = move || {
            end();
            shortages.set(shortages.get() - 1);
        };
        tine::queue().after(SPELL, over).detach();
    }

    /// Takes all descriptors that there are, for a while.
    fn exhaust(&self) {
        let before = getrlimit(Resource::Nofile);
        let open = tine_tests::descriptors().len() as u64;
        let few = Rlimit { current: Some(open + 20), maximum: before.maximum };
        setrlimit(Resource::Nofile, few).expect("fewer descriptors");
        let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        self.for_a_spell(move || {
            drop(taken);
            setrlimit(Resource::Nofile, before).expect("as many as before");
        });
    }
}

/// A template is this process's child, so that its id is its own until it was reaped in a dispatch.
fn process(template: &Template) -> Option<Pid> {
    template.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()))
}

fn signal(template: &Template, signal: Signal) {
    if let Some(pid) = process(template) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

/// Numbers that look random, the same each time (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
