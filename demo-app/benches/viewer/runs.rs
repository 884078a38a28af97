//! The viewer itself: left alone until all is made, or used by a hand on the keyboard.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::desktop::{self, Desktop, Hand};
use crate::pictures::Set;
use crate::report::{Figure, Report};

const COLD: &str = "tine-viewer-cold";
const WARM: &str = "tine-viewer-warm";
/// When one that does not come to rest is taken as it is.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two rounds of killing.
const KILLS: Duration = Duration::from_millis(100);
/// What does nothing for so long has come to rest.
const REST: Duration = Duration::from_millis(400);

type Rates = Vec<(&'static str, Vec<f64>)>;

/// All thumbnails of a set, first with an empty cache.
pub fn sweeps(
    desktop: &Desktop,
    set: &Set,
    report: &mut Report,
    rates: &mut Rates,
) -> Result<(), Box<dyn Error>> {
    forget_thumbnails(desktop)?;
    for case in [COLD, WARM] {
        // Without a screenshot: no peer makes one.
        let mut viewer = viewer(desktop, &set.folder);
        viewer.arg("--exit-when-idle");
        let begun = Instant::now();
        let output = viewer.output()?;
        let took = begun.elapsed();
        if !output.status.success() {
            return Err(format!("the viewer: {output:?}").into());
        }
        let seen = report_of(desktop)?;
        let made = seen["thumbnails_ok"].as_f64().ok_or("no count of thumbnails")?;
        crate::push(rates, case, made / took.as_secs_f64());
        report.made(set, case, made as usize);
        for (metric, value, unit) in figures(&seen) {
            report.add(Figure::new(case, metric, value, unit).of(set));
        }
    }
    Ok(())
}

/// A set is looked through from its start to its end and back while its thumbnails are made, with an
/// empty cache. With `kills` all workers are killed again and again meanwhile.
pub fn scroll(
    desktop: &Desktop,
    set: &Set,
    kills: bool,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    forget_thumbnails(desktop)?;
    let hand = start(desktop, &set.folder);
    rest(&hand);
    let (done, pid) = (AtomicBool::new(false), hand.pid());
    thread::scope(|scope| {
        if kills {
            scope.spawn(|| kill_until(&done, pid));
        }
        for round in 0..12 {
            hand.press(&["Next"; 8]);
            hand.press(&[["End", "Prior", "Home"][round % 3]]);
        }
        done.store(true, Ordering::Relaxed);
    });
    rest(&hand);
    let seen = close(desktop, hand)?;
    let during = if kills { "scrolling, workers killed" } else { "scrolling" };
    add(report, &seen, |figure| figure.of(set).during(during));
    if kills {
        report.lost(set, lost(&seen));
    }
    Ok(())
}

/// Kills all workers again and again.
fn kill_until(done: &AtomicBool, viewer: u32) {
    while !done.load(Ordering::Relaxed) {
        // Below `timeout` are the viewer, its template, and the workers.
        desktop::descendants(viewer, 3).into_iter().for_each(desktop::kill);
        thread::sleep(KILLS);
    }
}

/// Tiles without a thumbnail through no fault of their files.
fn lost(report: &Value) -> f64 {
    let failures = report["failures"].as_array().map(Vec::as_slice).unwrap_or_default();
    let killed =
        |failure: &&Value| failure["reason"].as_str().is_some_and(|reason| reason.contains("KILL"));
    failures.iter().filter(killed).count() as f64
}

/// A huge folder is opened and looked through.
pub fn huge(
    desktop: &Desktop,
    folder: &Path,
    files: usize,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    forget_thumbnails(desktop)?;
    let hand = start(desktop, folder);
    rest(&hand);
    let resident = resident_mb(&hand).ok_or("the viewer has ended")?;
    report.add(Figure::new(COLD, "rss_mb", resident, "MB").files(files));
    for key in ["Next", "Next", "End", "Prior", "Prior", "Home", "End"] {
        hand.press(&[key]);
        rest(&hand);
    }
    let seen = close(desktop, hand)?;
    add(report, &seen, |figure| figure.files(files).during("scrolling"));
    if let Some(first) = seen["seconds_to_first_thumbnail"].as_f64() {
        report.add(Figure::new(COLD, "first_ms", first * 1e3, "ms").files(files));
    }
    Ok(())
}

/// One large picture.
pub fn open(desktop: &Desktop, file: &Path, report: &mut Report) -> Result<(), Box<dyn Error>> {
    forget_thumbnails(desktop)?;
    let mut viewer = desktop.thorough_viewer(&[file]);
    let seen = desktop.seen(&drawn_by_processor(&mut viewer).output()?);
    let opened = seen.number("seconds_to_first_picture") * 1e3;
    report.add(Figure::new(COLD, "open_ms", opened, "ms").files(1).named("100 megapixels"));
    Ok(())
}

/// It is looked at closely, step by step, and from afar again.
pub fn zoom(desktop: &Desktop, file: &Path, report: &mut Report) -> Result<(), Box<dyn Error>> {
    forget_thumbnails(desktop)?;
    let hand = start(desktop, file);
    rest(&hand);
    for _ in 0..3 {
        // From 6 % to three pixels for one.
        hand.press(&["plus"; 18]);
        hand.press(&["Right", "Down"].repeat(6));
        hand.press(&["minus"; 18]);
    }
    let seen = close(desktop, hand)?;
    add(report, &seen, |figure| figure.files(1).named("100 megapixels").during("zooming"));
    Ok(())
}

/// Where there is no graphics card GTK would have one imitated, by the same processors.
fn drawn_by_processor(viewer: &mut Command) -> &mut Command {
    viewer.env("GSK_RENDERER", "cairo")
}

fn forget_thumbnails(desktop: &Desktop) -> std::io::Result<()> {
    match fs::remove_dir_all(desktop.path("cache")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn start<'a>(desktop: &'a Desktop, folder: &Path) -> Hand<'a> {
    Hand::start(desktop, viewer(desktop, folder))
}

/// A viewer of a folder that tells what it measured.
fn viewer(desktop: &Desktop, folder: &Path) -> Command {
    let mut viewer = desktop.viewer();
    drawn_by_processor(&mut viewer).args(["--size", "1000x700", "--report"]);
    viewer.arg(desktop.path("report.json")).arg(folder);
    viewer
}

fn report_of(desktop: &Desktop) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::from_slice(&fs::read(desktop.path("report.json"))?)?)
}

fn close(desktop: &Desktop, hand: Hand<'_>) -> Result<Value, Box<dyn Error>> {
    hand.close();
    report_of(desktop)
}

/// Waits until the viewer and its workers have had no processor for a while.
fn rest(hand: &Hand<'_>) {
    let (begun, mut quiet_since, mut before) = (Instant::now(), Instant::now(), None);
    while quiet_since.elapsed() < REST && begun.elapsed() < PATIENCE {
        thread::sleep(REST / 20);
        let now = processor_time(hand);
        if now != before {
            (quiet_since, before) = (Instant::now(), now);
        }
    }
}

/// In the kernel's ticks, of the viewer and of the workers there are.
fn processor_time(hand: &Hand<'_>) -> Option<u64> {
    let pids = [1, 3].into_iter().flat_map(|below| desktop::descendants(hand.pid(), below));
    let ticks = pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    });
    Some(ticks.sum())
}

fn resident_mb(hand: &Hand<'_>) -> Option<f64> {
    let pid = desktop::descendants(hand.pid(), 1).first().copied()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

/// The main loop's figures of a report.
fn add(report: &mut Report, seen: &Value, of: impl Fn(Figure) -> Figure) {
    for (metric, value, unit) in figures(seen) {
        if metric.starts_with("stall") {
            report.add(of(Figure::new(COLD, metric, value, unit)));
        }
    }
}

fn figures(report: &Value) -> Vec<(&'static str, f64, &'static str)> {
    let figure = |name: &str, metric, factor: f64, unit| {
        report[name].as_f64().map(|value| (metric, value * factor, unit))
    };
    [
        figure("seconds_to_first_thumbnail", "first_ms", 1e3, "ms"),
        figure("main_loop_stall_ms_p99", "stall_p99_ms", 1.0, "ms"),
        figure("main_loop_stall_ms_max", "stall_max_ms", 1.0, "ms"),
        figure("app_peak_rss_kib", "rss_mb", 1.0 / 1024.0, "MB"),
    ]
    .into_iter()
    .flatten()
    .collect()
}
