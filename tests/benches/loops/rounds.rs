//! Rounds: each runs every case once, so that what else the machine does meets all of them; what is
//! told is the median of each figure.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use tine_tests::figures::{self, Figures, Metric};

/// A program and its first arguments, or why it cannot be had.
pub type Program = Result<Vec<String>, String>;

/// One way to do what is measured.
pub struct Case {
    /// As the issue tracker and the JSON lines have it.
    pub name: &'static str,
    pub program: Program,
}

/// What is measured.
pub struct Plan {
    pub bench: &'static str,
    /// What the sizes are: a field of each JSON line.
    pub sized: &'static str,
    /// What the figures are, for people.
    pub note: &'static str,
    /// Each size with the arguments that it means to a case.
    pub sizes: Vec<(Size, Vec<String>)>,
    pub metrics: &'static [Metric],
    pub rounds: usize,
}

/// What distinguishes the rows of a case.
pub type Size = figures::Size<'static>;

/// One figure: case, size, metric.
pub type Figure = (&'static str, Size, &'static str);

/// A bound that the project has set itself: `figure / other`, or `figure` alone, at most.
pub struct Bound {
    pub figure: Figure,
    pub other: Option<Figure>,
    pub limit: f64,
}

type Values = BTreeMap<(&'static str, Size, String), Vec<f64>>;

/// What was measured.
pub struct Medians(Values);

impl Medians {
    /// The median of a figure, if it was measured.
    #[allow(dead_code, reason = "most bounds are ratios")]
    pub fn get(&self, figure: Figure) -> Option<f64> {
        median(&self.0, figure)
    }
}

/// Runs all cases as planned and prints JSON lines, a table, and whether the bounds are kept.
pub fn run(plan: &Plan, mut cases: Vec<Case>, bounds: &[Bound]) -> Medians {
    let wanted = options();
    cases.retain(|case| wanted.is_empty() || wanted.iter().any(|name| name == case.name));
    let mut values = Values::new();
    for round in 1..=plan.rounds {
        eprintln!("{}: round {round} of {}", plan.bench, plan.rounds);
        for (size, words) in &plan.sizes {
            for case in &mut cases {
                measure(case, *size, words, &mut values);
            }
        }
    }
    lines(plan, &cases, &values);
    table(plan, &cases, &values);
    for bound in bounds {
        check(plan, bound, &values);
    }
    Medians(values)
}

/// The names after `--case`.
fn options() -> Vec<String> {
    let words: Vec<String> = std::env::args().collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == "--case");
    pairs.map(|pair| pair[1].clone()).collect()
}

fn measure(case: &mut Case, size: Size, words: &[String], values: &mut Values) {
    let Ok(program) = &case.program else { return };
    match output(Command::new(&program[0]).args(&program[1..]).args(words)) {
        Ok(lines) => {
            for (metric, value) in lines.lines().filter_map(|line| line.split_once(' ')) {
                let value: Option<f64> = value.parse().ok();
                values.entry((case.name, size, metric.into())).or_default().extend(value);
            }
        }
        Err(why) => case.program = Err(why),
    }
}

/// Runs a program to its end and gives what it printed.
pub fn output(command: &mut Command) -> Result<String, String> {
    let done = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if !done.status.success() {
        let last = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{}: {}", done.status, last.lines().last().unwrap_or_default()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn median(values: &Values, (case, size, metric): Figure) -> Option<f64> {
    let mut values = values.get(&(case, size, metric.to_owned()))?.clone();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn lines(plan: &Plan, cases: &[Case], values: &Values) {
    let mut figures = Figures::begin(plan.bench, env!("CARGO_TARGET_TMPDIR"));
    for case in cases {
        for (size, _) in &plan.sizes {
            for metric in plan.metrics {
                if let Some(value) = median(values, (case.name, *size, metric.0)) {
                    figures.tell(case.name, &[(plan.sized, *size)], *metric, value);
                }
            }
        }
    }
}

fn table(plan: &Plan, cases: &[Case], values: &Values) {
    println!("\nMedians of {} rounds; {}.", plan.rounds, plan.note);
    print!("{:<20}{:>9}", "case", plan.sized);
    let titles = plan.metrics.iter().map(|(metric, _)| format!("{metric:>18}"));
    println!("{}", titles.collect::<String>());
    for case in cases {
        if let Err(why) = &case.program {
            println!("{:<20} left out: {why}", case.name);
            continue;
        }
        for (size, _) in &plan.sizes {
            let figure = |(metric, _): &Metric| median(values, (case.name, *size, *metric));
            let cells = plan.metrics.iter().map(figure);
            let cells =
                cells.map(|value| value.map_or("–".into(), |value| format!("{value:.3}")));
            let cells: String = cells.map(|cell| format!("{cell:>18}")).collect();
            println!("{:<20}{size:>9}{cells}", case.name);
        }
    }
    println!();
}

fn check(plan: &Plan, bound: &Bound, values: &Values) {
    let title = |(case, size, metric): Figure| match size {
        Size::Count(count) => format!("{case} {metric} at {count} {}", plan.sized),
        Size::Kind(kind) => format!("{case} {metric} {} {kind}", plan.sized),
    };
    let Some(mut found) = median(values, bound.figure) else { return };
    let mut over = String::new();
    if let Some(other) = bound.other {
        let Some(value) = median(values, other) else { return };
        found /= value;
        over = format!(" / {}", title(other));
    }
    let mark = if found <= bound.limit { "pass" } else { "FAIL" };
    println!("{mark}  {found:>7.2} ≤ {:<5} {}{over}", bound.limit, title(bound.figure));
}
