//! What is to be seen of each file, as JSON for tests.

use std::fmt::Write;

/// What a viewer must make of a file.
pub(crate) enum Expected {
    /// A picture of this width and height, right side up, with these corners.
    Shown { size: (u32, u32), corners: [[u8; 3]; 4] },
    /// An error; why.
    Broken(&'static str),
    /// Damaged where a decoder may or may not see it, or no picture for all programs.
    Either(&'static str),
}

/// The list of what was written.
pub(crate) struct Manifest {
    seed: u64,
    files: Vec<(String, Expected)>,
    hard_links: usize,
}

impl Manifest {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, files: Vec::new(), hard_links: 0 }
    }

    pub(crate) fn shown(&mut self, name: &str, size: (u32, u32), corners: [[u8; 3]; 4]) {
        self.files.push((name.to_owned(), Expected::Shown { size, corners }));
    }

    pub(crate) fn add(&mut self, name: &str, expected: Expected) {
        self.files.push((name.to_owned(), expected));
    }

    pub(crate) fn set_hard_links(&mut self, count: usize) {
        self.hard_links = count;
    }

    /// Names of the sound pictures.
    pub(crate) fn sound(&self) -> impl Iterator<Item = &str> {
        let sound = self.files.iter().filter(|file| matches!(file.1, Expected::Shown { .. }));
        sound.map(|file| file.0.as_str())
    }

    pub(crate) fn summary(&self) -> String {
        let sound = self.sound().count();
        let others = self.files.len() - sound;
        format!("{sound} pictures, {others} broken ones, {} hard links", self.hard_links)
    }

    pub(crate) fn to_json(&self) -> String {
        let files: Vec<_> =
            self.files.iter().map(|(name, expected)| line(name, expected)).collect();
        let (seed, links) = (self.seed, self.hard_links);
        let files = files.join(",\n");
        format!("{{\"seed\": {seed}, \"hard_links\": {links}, \"files\": [\n{files}\n]}}\n")
    }
}

fn line(name: &str, expected: &Expected) -> String {
    let name = quoted(name);
    match expected {
        Expected::Shown { size: (width, height), corners } => {
            let corners = corners.map(|[r, g, b]| format!("\"#{r:02x}{g:02x}{b:02x}\"")).join(", ");
            format!(
                "{{\"name\": {name}, \"expect\": \"ok\", \"width\": {width}, \"height\": {height}, \
                 \"corners\": [{corners}]}}"
            )
        }
        Expected::Broken(why) => {
            format!("{{\"name\": {name}, \"expect\": \"broken\", \"why\": {}}}", quoted(why))
        }
        Expected::Either(why) => {
            format!("{{\"name\": {name}, \"expect\": \"either\", \"why\": {}}}", quoted(why))
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
