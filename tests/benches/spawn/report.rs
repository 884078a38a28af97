//! What is printed: a table and the bounds for people, a JSON line for each figure for programs.

use crate::cases::Case;
use crate::rounds::{Plan, Results};
use tine_tests::figures::{Figures, Metric, RATE};

const METRICS: [Metric; 6] = [
    ("rate", RATE),
    ("rate_pipelined", RATE),
    ("first_byte_p50", "µs"),
    ("first_byte_p99", "µs"),
    ("held_p50", "µs"),
    ("held_p99", "µs"),
];

/// Tells a JSON line for each figure.
pub fn json(cases: &[Case], plan: &Plan, results: &Results) {
    let mut told = Figures::begin("spawn", env!("CARGO_TARGET_TMPDIR"));
    for (case, app_mb) in figures(cases, plan) {
        for metric in METRICS {
            if let Some(value) = results.median(case, app_mb, metric.0) {
                told.tell(case, &[("app_mb", app_mb.into())], metric, value);
            }
        }
    }
}

/// Prints all figures, and why a case has none.
pub fn table(cases: &[Case], plan: &Plan, results: &Results) {
    println!(
        "\nSpawns a second, from asking to end-of-file; times in µs. Medians of {} rounds, {} of what has bounds.",
        plan.rounds,
        plan.rounds * plan.turns
    );
    print!("{:<24}{:>7}", "case", "app MB");
    let titles = ["one by one", "16 at once", "byte p50", "byte p99", "held p50", "held p99"];
    println!("{}", titles.map(|title| format!("{title:>12}")).concat());
    for (case, app_mb) in figures(cases, plan) {
        if results.left_out.contains_key(case) {
            continue;
        }
        let cells = METRICS.map(|(metric, _)| match results.median(case, app_mb, metric) {
            Some(value) if value < 1000.0 => format!("{value:>12.1}"),
            Some(value) => format!("{value:>12.0}"),
            None => format!("{:>12}", "–"),
        });
        println!("{case:<24}{app_mb:>7}{}", cells.concat());
    }
    for (case, why) in &results.left_out {
        println!("{case:<24}left out: {why}");
    }
}

fn figures<'a>(
    cases: &'a [Case],
    plan: &'a Plan,
) -> impl Iterator<Item = (&'static str, u32)> + 'a {
    let sizes = |case: &'a Case| plan.sizes.iter().map(|app_mb| (case.name, *app_mb));
    cases.iter().flat_map(sizes)
}

/// One figure: case, app size, metric.
type Figure = (&'static str, u32, &'static str);

/// What a figure is held against.
enum Against {
    /// `figure / other`, at least.
    AtLeast(f64, Figure),
    /// `figure / other`, at most.
    AtMost(f64, Figure),
    /// The figure itself, at most.
    Below(f64),
}

/// The bounds that the project has set itself, for a small app where nothing else is said.
fn all_bounds(small: u32, large: u32) -> [(Figure, Against); 8] {
    use Against::*;
    let rate = |case| (case, small, "rate");
    let byte = |case| (case, small, "first_byte_p50");
    let held = |app_mb| ("tine-early", app_mb, "held_p50");
    [
        (rate("tine-early"), AtLeast(0.9, rate("c-template"))),
        (rate("tine-early"), AtLeast(3.5, rate("anyevent-fork-new"))),
        (("tine-early", large, "rate"), AtLeast(0.95, rate("tine-early"))),
        (rate("tine-exec-each"), AtLeast(3.0, rate("anyevent-fork-new-exec"))),
        (rate("tine-exec-each"), AtLeast(0.8, rate("posix-spawn-same"))),
        (byte("tine-gtk-spares"), AtMost(0.4, byte("tine-gtk-early"))),
        (held(large), Below(25.0)),
        (held(large), AtMost(1.1, held(small))),
    ]
}

/// Whether a bound is about this case with an app of this size.
pub fn is_compared(plan: &Plan, case: &str, app_mb: u32) -> bool {
    let Some((small, large)) = plan.extremes() else { return false };
    let is_it = |(of, size, _): Figure| (of, size) == (case, app_mb);
    all_bounds(small, large).into_iter().any(|(figure, against)| match against {
        Against::AtLeast(_, other) | Against::AtMost(_, other) => is_it(figure) || is_it(other),
        Against::Below(_) => is_it(figure),
    })
}

/// Prints the bounds, and whether these figures keep them.
pub fn bounds(plan: &Plan, results: &Results) {
    let Some((small, large)) = plan.extremes() else { return };
    println!("\nBounds, for an app of {small} MB where nothing else is said");
    for (figure, against) in all_bounds(small, large) {
        bound(results, figure, &against);
    }
}

fn bound(results: &Results, figure: Figure, against: &Against) {
    let median = |(case, app_mb, metric): Figure| results.median(case, app_mb, metric);
    let title = |(case, app_mb, metric): Figure| format!("{case} {metric} at {app_mb} MB");
    let (found, least, limit, other) = match *against {
        Against::AtLeast(limit, other) => {
            (ratio(median(figure), median(other)), true, limit, Some(other))
        }
        Against::AtMost(limit, other) => {
            (ratio(median(figure), median(other)), false, limit, Some(other))
        }
        Against::Below(limit) => (median(figure), false, limit, None),
    };
    let Some(found) = found else { return };
    let kept = if least { found >= limit } else { found <= limit };
    let mark = if kept { "pass" } else { "FAIL" };
    let sign = if least { "≥" } else { "≤" };
    let over = other.map(|other| format!(" / {}", title(other))).unwrap_or_default();
    println!("{mark}  {found:>8.2} {sign} {limit:<5} {}{over}", title(figure));
}

fn ratio(figure: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(figure? / other?)
}
