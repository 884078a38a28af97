//! A harness for programs that fork a template first thing in `main`: libtest has threads by then.
//!
//! Tests run one after another in the main thread, each followed by a look at what it left behind:
//! descriptors of the app and of the template, children of both. The output is libtest's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use tine::Template;

use crate::told::eventually;
use crate::{descriptors, processes};

/// A test: its name, and what it does with the program's template.
pub type Case = (&'static str, fn(&Template));

/// Makes a list of [`Case`]s of functions.
#[macro_export]
macro_rules! cases {
    ($($function:ident),* $(,)?) => {
        &[$((stringify!($function), $function as fn(&tine::Template))),*]
    };
}

/// Runs the tests that the command line asks for; understands what `cargo test` users pass.
///
/// # Panics
/// When a link to the template cannot be made.
pub fn run(template: &Template, cases: &[Case]) -> ExitCode {
    let options = Options::parse(std::env::args().skip(1));
    let chosen: Vec<_> = cases.iter().filter(|(name, _)| options.wants(name)).collect();
    if options.list {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        println!("\n{} tests, 0 benchmarks", chosen.len());
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let begun = Instant::now();
    let failed: Vec<_> = chosen.iter().filter(|case| !passes(template, case)).collect();
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|(name, _)| println!("    {name}"));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len(),
        failed.len(),
        cases.len() - chosen.len(),
        begun.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(template: &Template, (name, test): &Case) -> bool {
    let passed = catch_unwind(AssertUnwindSafe(|| {
        // The link of this thread is made on first need, and stays.
        crate::told::Told::run(template.fork(), crate::workers::RETURN).exit();
        let before = Before::look(template);
        test(template);
        before.compare(template);
    }))
    .is_ok();
    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    passed
}

/// What was there before a test.
struct Before {
    descriptors: usize,
    children: usize,
    template: u32,
    template_descriptors: usize,
    template_children: usize,
}

impl Before {
    /// The worker before has ended, but the template may still be busy tidying up after it.
    fn look(template: &Template) -> Before {
        let pid = processes::of(template);
        eventually("the template is idle", || {
            (processes::children(pid).is_empty() && processes::is_asleep(pid)).then_some(())
        });
        Before {
            descriptors: descriptors().len(),
            children: processes::children(std::process::id()).len(),
            template: pid,
            template_descriptors: processes::descriptors(pid).len(),
            template_children: 0,
        }
    }

    fn compare(self, template: &Template) {
        let own = std::process::id();
        eventually("no descriptor of the app leaks", || {
            let now = descriptors();
            if now.len() == self.descriptors { Ok(()) } else { Err((self.descriptors, now)) }.ok()
        });
        eventually("no child of the app stays", || {
            (processes::children(own).len() == self.children).then_some(())
        });
        if processes::of(template) == self.template {
            eventually("no child of the template stays", || {
                (processes::children(self.template).len() == self.template_children).then_some(())
            });
            eventually("no descriptor of the template leaks", || {
                (processes::descriptors(self.template).len() == self.template_descriptors)
                    .then_some(())
            });
        }
    }
}

#[derive(Default)]
struct Options {
    list: bool,
    exact: bool,
    filters: Vec<String>,
    skip: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Options {
        let mut options = Options::default();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--skip" => options.skip.extend(args.next()),
                // How many threads, which colours: nothing that this harness has.
                "--test-threads" | "--format" | "--color" => drop(args.next()),
                flag if flag.starts_with('-') => (),
                _ => options.filters.push(arg),
            }
        }
        options
    }

    fn wants(&self, name: &str) -> bool {
        let fits =
            |filter: &String| if self.exact { name == filter } else { name.contains(filter) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skip.iter().any(fits)
    }
}
