//! Rounds: each runs every case once, so that what else the machine does meets all of them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cases::Case;

/// What is measured, and how often.
pub struct Plan {
    /// Of the app, in MB.
    pub sizes: Vec<u32>,
    pub rounds: usize,
    /// How often in a round what is held against something else has its turn: that the kernel has put the processes on
    /// one processor or on two makes a difference of a third.
    pub turns: usize,
    /// How long each rate is measured.
    pub window: Duration,
}

impl Plan {
    /// The smallest and the largest app.
    pub fn extremes(&self) -> Option<(u32, u32)> {
        Some((*self.sizes.first()?, *self.sizes.last()?))
    }
}

/// A case that takes longer hangs.
const DEADLINE: Timespec = Timespec { tv_sec: 120, tv_nsec: 0 };

/// Medians by case, app size and metric; and why a case is left out.
#[derive(Default)]
pub struct Results {
    values: BTreeMap<(&'static str, u32, String), Vec<f64>>,
    pub left_out: BTreeMap<&'static str, String>,
}

impl Results {
    /// The median of all rounds.
    pub fn median(&self, case: &'static str, app_mb: u32, metric: &str) -> Option<f64> {
        let mut values = self.values.get(&(case, app_mb, metric.to_owned()))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        Some(match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        })
    }
}

/// Runs all cases as planned, telling on standard error how far it is; `is_compared` tells whether a case with an app of
/// such a size is held against something else.
pub fn run(cases: &[Case], plan: &Plan, is_compared: impl Fn(&str, u32) -> bool) -> Results {
    let mut results = Results::default();
    for round in 1..=plan.rounds {
        for app_mb in &plan.sizes {
            eprintln!("round {round} of {}, app of {app_mb} MB", plan.rounds);
            for turn in 0..plan.turns {
                let again = |case: &&Case| turn == 0 || is_compared(case.name, *app_mb);
                for case in cases.iter().filter(again) {
                    if !results.left_out.contains_key(case.name) {
                        measure(case, *app_mb, plan.window, &mut results);
                    }
                }
            }
        }
    }
    results
}

fn measure(case: &Case, app_mb: u32, window: Duration, results: &mut Results) {
    let lines = case.program.clone().and_then(|mut words| {
        words.extend([app_mb.to_string(), window.as_millis().to_string()]);
        words.extend(case.spawned.iter().cloned());
        let program = words.remove(0);
        output(Command::new(program).args(words))
    });
    match lines {
        Ok(lines) => {
            for (metric, value) in lines.lines().filter_map(parse) {
                results.values.entry((case.name, app_mb, metric)).or_default().push(value);
            }
        }
        Err(why) => drop(results.left_out.insert(case.name, why)),
    }
}

fn parse(line: &str) -> Option<(String, f64)> {
    let (metric, value) = line.split_once(' ')?;
    Some((metric.into(), value.parse().ok()?))
}

/// What the program prints, unless it fails or takes too long.
fn output(command: &mut Command) -> Result<String, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let in_time = wait(&child);
    if !matches!(in_time, Ok(true)) {
        // It may have ended meanwhile.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let mut lines = String::new();
    let stdout = child.stdout.as_mut().map(|stdout| stdout.read_to_string(&mut lines));
    match (in_time, status.success(), stdout) {
        (Ok(false), ..) => Err(format!("takes more than {} s", DEADLINE.tv_sec)),
        (Ok(true), true, Some(Ok(_))) => Ok(lines),
        (Ok(true), ..) => Err(status.to_string()),
        (Err(error), ..) => Err(error.to_string()),
    }
}

/// Tells whether it ends in time; what it prints fits a pipe.
fn wait(child: &Child) -> rustix::io::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&DEADLINE))? > 0)
}
