//! What a bench has measured, for programs: a line of JSON for each figure, printed and kept in
//! `bench/NAME.jsonl` of cargo's target folder.

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// The figures of one run of a bench. Those of the run before are gone.
#[derive(Debug)]
pub struct Figures {
    bench: &'static str,
    file: File,
}

/// A metric and the unit of its values.
pub type Metric = (&'static str, &'static str);

/// What is measured in a second.
pub const RATE: &str = "1/s";

/// What tells the figures of a case apart: a number, or one of several kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size<'a> {
    /// A number, such as that of watchers.
    Count(u32),
    /// One of several kinds, by its name.
    Kind(&'a str),
}

impl From<u32> for Size<'_> {
    fn from(count: u32) -> Self {
        Size::Count(count)
    }
}

impl<'a> From<&'a str> for Size<'a> {
    fn from(kind: &'a str) -> Self {
        Size::Kind(kind)
    }
}

impl fmt::Display for Size<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Size::Count(count) => f.pad(&count.to_string()),
            Size::Kind(kind) => f.pad(kind),
        }
    }
}

impl Figures {
    /// Begins the file of a bench. `tmpdir` is what cargo tells benches when it builds them:
    /// `env!("CARGO_TARGET_TMPDIR")`.
    ///
    /// # Panics
    /// When there is no such folder, or the file cannot be made.
    pub fn begin(bench: &'static str, tmpdir: &str) -> Self {
        let target = Path::new(tmpdir).parent().expect("cargo's folder has a parent");
        let folder = target.join("bench");
        fs::create_dir_all(&folder).expect("a folder for figures");
        let file = File::create(folder.join(format!("{bench}.jsonl"))).expect("a file of figures");
        Figures { bench, file }
    }

    /// Tells one figure; `sizes` are further fields of its line.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn tell(
        &mut self,
        case: &str,
        sizes: &[(&str, Size<'_>)],
        (metric, unit): (&str, &str),
        value: f64,
    ) {
        let line = line(self.bench, case, sizes, (metric, unit), value);
        println!("{line}");
        writeln!(self.file, "{line}").expect("room for figures");
    }
}

fn line(
    bench: &str,
    case: &str,
    sizes: &[(&str, Size<'_>)],
    (metric, unit): (&str, &str),
    value: f64,
) -> String {
    let mut more = String::new();
    for (name, size) in sizes {
        let _written = match size {
            Size::Count(count) => write!(more, r#""{name}":{count},"#),
            Size::Kind(kind) => write!(more, r#""{name}":"{kind}","#),
        };
    }
    format!(
        r#"{{"bench":"{bench}","case":"{case}",{more}"metric":"{metric}","value":{value:.3},"unit":"{unit}"}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_has_what_tells_it_apart_and_its_unit() {
        let sizes = [("sockets", 16.into()), ("from", "post".into())];
        let told = line("sockets", "tine-glib", &sizes, ("request", "µs"), 1.23456);
        let wanted = r#"{"bench":"sockets","case":"tine-glib","sockets":16,"from":"post","metric":"request","value":1.235,"unit":"µs"}"#;
        assert_eq!(told, wanted);
    }
}
