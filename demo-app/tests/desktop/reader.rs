//! A person who does not see the screen: what assistive tools are told of it, over AT-SPI.

use std::process::Command;
use std::time::{Duration, Instant};

use super::Desktop;

/// Until something that is not told is said to be missing.
const PATIENCE: Duration = Duration::from_secs(120);

/// What reads the screen aloud.
pub struct Reader<'a>(&'a Desktop);

/// One thing on the screen, as it is read aloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it is: "push button", "table cell".
    pub role: String,
    /// What it is called.
    pub name: String,
    /// "focused", "selected".
    pub states: String,
}

impl<'a> Reader<'a> {
    /// Starts listening. Programs are to be started afterwards: one that comes while the bus and its registry
    /// are being started waits for half a minute, and is not heard.
    pub fn start(desktop: &'a Desktop) -> Self {
        let reader = Self(desktop);
        reader.all();
        reader
    }

    /// Listens until something is told that is as expected.
    #[track_caller]
    pub fn hear(&self, what: &str, is_meant: impl Fn(&Told) -> bool) -> Told {
        let begun = Instant::now();
        loop {
            let all = self.all();
            if let Some(told) = all.iter().find(|told| is_meant(told)) {
                return told.clone();
            }
            if begun.elapsed() > PATIENCE {
                let lines: Vec<_> = all.iter().map(|told| format!("{told:?}")).collect();
                panic!("{what} is not told, but\n{}", lines.join("\n"));
            }
        }
    }

    /// Waits for a label, a heading, or whatever bears this text.
    #[track_caller]
    pub fn hear_text(&self, text: &str) {
        self.hear(text, |told| told.name == text);
    }

    /// Presses the button of this name as soon as it is there.
    #[track_caller]
    pub fn press(&self, name: &str) {
        self.hear(name, |told| told.role == "push button" && told.name == name);
        let output = self.run(&["press", name]);
        assert!(output.is_some(), "{name} cannot be pressed");
    }

    /// All that is told.
    pub fn all(&self) -> Vec<Told> {
        let tree = self.run(&["tree"]).unwrap_or_default();
        let told = tree.lines().filter_map(|line| {
            let mut words = line.split('\t').map(str::to_owned);
            Some(Told { role: words.next()?, name: words.next()?, states: words.next()? })
        });
        told.collect()
    }

    fn run(&self, args: &[&str]) -> Option<String> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/desktop/reader.py");
        let mut command = Command::new("timeout");
        // The system's own: the module is not to be had for others.
        command.args(["60", "/usr/bin/python3", script]).args(args);
        self.0.at_home(&mut command);
        let output = command.output().expect("python3 starts");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
