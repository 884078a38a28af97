//! What is printed: a table and the bounds for people; and a JSON line for each figure, for programs.

use std::collections::BTreeMap;

use crate::figures::{Figures, Size};
use crate::pictures::Set;

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    case: &'static str,
    metric: &'static str,
    value: f64,
    unit: &'static str,
    set: Option<&'static str>,
    files: usize,
    during: Option<&'static str>,
}

impl Figure {
    pub fn new(case: &'static str, metric: &'static str, value: f64, unit: &'static str) -> Self {
        Self { case, metric, value, unit, set: None, files: 0, during: None }
    }

    pub fn of(self, set: &Set) -> Self {
        Self { set: Some(set.name), files: set.files.len(), ..self }
    }

    pub fn named(self, set: &'static str) -> Self {
        Self { set: Some(set), ..self }
    }

    pub fn files(self, files: usize) -> Self {
        Self { files, ..self }
    }

    pub fn during(self, during: &'static str) -> Self {
        Self { during: Some(during), ..self }
    }

    fn tell(&self, figures: &mut Figures) {
        let mut sizes = vec![("files", Size::Count(self.files as u32))];
        sizes.extend(self.set.map(|set| ("set", Size::Kind(set))));
        sizes.extend(self.during.map(|during| ("during", Size::Kind(during))));
        figures.tell(self.case, &sizes, (self.metric, self.unit), self.value);
    }

    /// On what it was measured.
    fn subject(&self) -> String {
        let set = self.set.unwrap_or("hard links");
        let during = self.during.map(|during| format!(", {during}")).unwrap_or_default();
        format!("{set}, {}{during}", self.files)
    }

    fn is(&self, case: &str, metric: &str) -> bool {
        (self.case, self.metric) == (case, metric)
    }
}

/// All that was measured. Of what was measured several times the last counts.
#[derive(Default)]
pub struct Report {
    figures: Vec<Figure>,
    left_out: BTreeMap<&'static str, String>,
    /// Thumbnails that were made, by set and case.
    made: BTreeMap<(&'static str, &'static str), usize>,
    lost: Option<(&'static str, f64)>,
}

const METRICS: [(&str, &str); 6] = [
    ("thumbnails", "thumbs/s"),
    ("first_ms", "first ms"),
    ("stall_p99_ms", "stall p99"),
    ("stall_max_ms", "stall max"),
    ("rss_mb", "rss MB"),
    ("open_ms", "open ms"),
];

impl Report {
    /// Takes in a figure.
    pub fn add(&mut self, figure: Figure) {
        let same = |known: &Figure| {
            known.is(figure.case, figure.metric) && known.subject() == figure.subject()
        };
        self.figures.retain(|known| !same(known));
        self.figures.push(figure);
    }

    /// Says why there is nothing of this case.
    pub fn leave_out(&mut self, case: &'static str, why: String) {
        self.left_out.insert(case, why);
    }

    /// How many thumbnails there were in the end.
    pub fn made(&mut self, set: &Set, case: &'static str, made: usize) {
        self.made.insert((set.name, case), made);
    }

    /// How many tiles had none in the end, though their files are sound, after workers were killed.
    pub fn lost(&mut self, set: &Set, lost: f64) {
        self.lost = Some((set.name, lost));
    }

    /// Prints a JSON line for each figure, and keeps them in `bench/viewer.jsonl` of cargo's target folder.
    pub fn tell(&self) {
        let mut figures = Figures::begin("viewer", env!("CARGO_TARGET_TMPDIR"));
        self.figures.iter().for_each(|figure| figure.tell(&mut figures));
    }

    /// Prints all figures, and why a case has none.
    pub fn table(&self) {
        print!("\n{:<24}{:<50}", "case", "pictures");
        println!("{}", METRICS.map(|(_, title)| format!("{title:>11}")).concat());
        let mut rows: Vec<(&str, String)> = Vec::new();
        for figure in &self.figures {
            let row = (figure.case, figure.subject());
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        for (case, subject) in rows {
            let cells = METRICS.map(|(metric, _)| {
                let mut own = self.figures.iter().filter(|figure| figure.subject() == subject);
                match own.find(|figure| figure.is(case, metric)) {
                    Some(figure) => format!("{:>11.1}", figure.value),
                    None => format!("{:>11}", "–"),
                }
            });
            println!("{case:<24}{subject:<50}{}", cells.concat());
        }
        for (case, why) in &self.left_out {
            println!("{case:<24}left out: {why}");
        }
    }

    /// Prints the bounds that the project has set itself, and whether these figures keep them.
    pub fn bounds(&self) {
        println!("\nBounds");
        let sets: Vec<_> =
            self.figures.iter().filter(|figure| figure.is(COLD, "thumbnails")).collect();
        for cold in sets {
            self.against_peers(cold);
        }
        for figure in self.figures.iter().filter(|figure| figure.is_about_many()) {
            match figure.metric {
                // A scroll is one long stretch a frame; that all frames come in time is what counts.
                "stall_p99_ms" if figure.during.is_none() => self.at_most(figure, 4.0),
                "stall_max_ms" => self.at_most(figure, 16.0),
                _ => {}
            }
        }
        for figure in self.figures.iter().filter(|figure| figure.set.is_none()) {
            match (figure.metric, figure.files) {
                ("first_ms", 10_000) => self.at_most(figure, 500.0),
                ("first_ms", 1_000_000) => self.at_most(figure, 1000.0),
                ("rss_mb", files @ (100_000 | 1_000_000)) => {
                    self.at_most(figure, 300.0);
                    let few = self.huge("rss_mb", 1_000);
                    let of = format!("rss_mb of {files} files / of 1000");
                    few.inspect(|few| bound(figure.value / few, false, 1.8, &of));
                }
                _ => {}
            }
        }
        if let Some((set, lost)) = self.lost {
            bound(lost, false, 0.0, &format!("tiles lost, {set}, workers killed"));
        }
    }

    fn huge(&self, metric: &str, files: usize) -> Option<f64> {
        let of_links = |figure: &&Figure| figure.set.is_none() && figure.files == files;
        let mut of_links = self.figures.iter().filter(of_links);
        of_links.find(|figure| figure.metric == metric).map(|figure| figure.value)
    }

    /// Against the fastest of the peers that can show what is in the folder: one that gives up most of its
    /// files is soon done.
    fn against_peers(&self, cold: &Figure) {
        let made =
            |case| cold.set.and_then(|set| self.made.get(&(set, case))).copied().unwrap_or(0);
        let peers = self.figures.iter().filter(|figure| {
            figure.metric == "thumbnails"
                && figure.set == cold.set
                && !figure.case.starts_with("tine")
        });
        let (able, others): (Vec<_>, Vec<_>) =
            peers.partition(|peer| made(peer.case) * 10 >= made(COLD) * 9);
        for peer in others {
            let (case, subject, made) = (peer.case, peer.subject(), made(peer.case));
            println!("      {case} is no measure on {subject}: it made {made} thumbnails");
        }
        if let Some(best) = able.iter().max_by(|a, b| a.value.total_cmp(&b.value)) {
            let of = format!("thumbnails, {} / {}", cold.subject(), best.case);
            bound(cold.value / best.value, true, 1.5, &of);
        }
    }

    fn at_most(&self, figure: &Figure, limit: f64) {
        bound(figure.value, false, limit, &format!("{}, {}", figure.metric, figure.subject()));
    }
}

const COLD: &str = "tine-viewer-cold";

impl Figure {
    /// Thousands of thumbnails were made meanwhile, or a huge folder looked through.
    fn is_about_many(&self) -> bool {
        self.case == COLD && (self.files > 1000 || self.during.is_some())
    }
}

fn bound(found: f64, least: bool, limit: f64, what: &str) {
    let kept = if least { found >= limit } else { found <= limit };
    let mark = if kept { "pass" } else { "FAIL" };
    let sign = if least { "≥" } else { "≤" };
    println!("{mark}  {found:>9.2} {sign} {limit:<6} {what}");
}
