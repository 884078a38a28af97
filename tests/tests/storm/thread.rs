//! A thread that asks for processes, and what became of its requests.

use std::collections::VecDeque;
use std::fmt;
use std::iter::Sum;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use tine::Template;
use tine::testing::Faults;
use tine_tests::told::eventually;

use super::blows::Chance;
use super::request::Request;

/// Requests that a thread has under way.
const UNDER_WAY: usize = 40;
/// A template that is stopped is found by this.
const DEADLINE: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub struct Tally {
    pub succeeded: usize,
    failed: usize,
    refused: usize,
    templates: usize,
}

impl Tally {
    pub fn total(&self) -> usize {
        self.succeeded + self.failed + self.refused
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(tallies: I) -> Tally {
        tallies.fold(Tally::default(), |sum, tally| Tally {
            succeeded: sum.succeeded + tally.succeeded,
            failed: sum.failed + tally.failed,
            refused: sum.refused + tally.refused,
            templates: sum.templates + tally.templates,
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { succeeded, failed, refused, templates } = self;
        write!(f, "{succeeded} succeeded, {failed} ended otherwise, {refused} were refused; ")?;
        write!(f, "{templates} templates given up")
    }
}

/// Makes `total` requests of templates that all threads share.
pub fn ask(total: usize, seed: u64, all: &Mutex<Vec<Template>>) -> Tally {
    let (mut chance, mut tally) = (Chance(seed | 1), Tally::default());
    let mut under_way = VecDeque::new();
    for number in 0..total {
        let template = pick(&mut chance, all);
        if chance.one_in(50) {
            // One that was given up says so to the next request.
            let _ = template.spares(chance.below(4) as u32);
        }
        if chance.one_in(100) {
            let faults = Faults::new();
            let faults = if chance.one_in(2) { faults.tiny_buffers() } else { faults };
            let _ = template.inject(faults);
        }
        under_way.push_back(Request::make(&template, number, &mut chance));
        if chance.one_in(3) {
            tine::queue().dispatch().expect("a queue");
        }
        while under_way.len() > UNDER_WAY {
            settle(&mut under_way, &mut tally, all);
        }
    }
    while !under_way.is_empty() {
        settle(&mut under_way, &mut tally, all);
    }
    tally
}

/// One of those that there are, or one more.
fn pick(chance: &mut Chance, all: &Mutex<Vec<Template>>) -> Template {
    let mut all = all.lock().expect("nobody panicked");
    if all.len() < 4 || chance.one_in(200) {
        let made = match chance.below(3) {
            0 => Template::program(std::env::current_exe().expect("this program")),
            _ => Template::exec(),
        };
        // Descriptors may have run out.
        if let Ok(template) = made {
            template.set_deadline(DEADLINE);
            all.push(template);
        }
    }
    if all.len() > 5 {
        drop(all.remove(0));
    }
    all[chance.below(all.len())].clone()
}

fn settle(under_way: &mut VecDeque<Rc<Request>>, tally: &mut Tally, all: &Mutex<Vec<Template>>) {
    let Some(request) = under_way.pop_front() else { return };
    eventually(&format!("a request to be settled: {request:?}"), || {
        request.settled().then_some(())
    });
    let succeeded = request.check();
    let refusal = request.refusal();
    match (succeeded, refusal.is_empty()) {
        (true, _) => tally.succeeded += 1,
        (false, true) => tally.failed += 1,
        (false, false) => tally.refused += 1,
    }
    if refusal.contains("given up") {
        tally.templates += 1;
        // Whoever finds it among them replaces it.
        all.lock().expect("nobody panicked").retain(|template| template.spares(0).is_ok());
    }
    if std::env::var_os("TINE_STORM_TELL").is_some() && !succeeded {
        eprintln!("{request:?}");
    }
}
