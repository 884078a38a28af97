//! What the command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

/// Printed by `--help`.
pub const USAGE: &str = "\
Usage: tine-viewer [OPTION]… [DIR|FILE]…

Shows the pictures of folders, and single pictures. Without an argument: those of the current folder.
Folders and files can also be given as file: URIs.

  --exit-when-idle        leave when all thumbnails have been tried
  --screenshot FILE.png   before leaving, write the window as it is drawn
  --report FILE.json      before leaving, write what was measured
  --size WIDTHxHEIGHT     of the window, in logical pixels
  --gapplication-service  show nothing before the desktop asks for it over D-Bus
  --help                  print this
  --version               print the version
";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Folders and files to show.
    pub paths: Vec<PathBuf>,
    /// Leave when all thumbnails have been tried.
    pub exit_when_idle: bool,
    /// Where the picture of the window goes.
    pub screenshot: Option<PathBuf>,
    /// Where the figures go.
    pub report: Option<PathBuf>,
    /// Width and height of the window, in logical pixels.
    pub size: Option<(i32, i32)>,
    /// Show nothing before the desktop asks for it over D-Bus.
    pub service: bool,
}

impl Options {
    /// Whether a script runs the program, not a person.
    pub fn is_script(&self) -> bool {
        self.exit_when_idle || self.report.is_some() || self.screenshot.is_some()
    }
}

/// What the program is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Show pictures.
    View(Options),
    /// Print this and leave.
    Print(String),
}

impl Command {
    /// Reads the arguments, the program's name not among them.
    ///
    /// # Errors
    ///
    /// An unknown option, or a value that is missing or cannot be understood; named.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut parser = lexopt::Parser::from_args(args);
        let mut options = Options::default();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("exit-when-idle") => options.exit_when_idle = true,
                Long("screenshot") => options.screenshot = Some(parser.value()?.into()),
                Long("report") => options.report = Some(parser.value()?.into()),
                Long("size") => options.size = Some(parser.value()?.parse_with(parse_size)?),
                Long("gapplication-service") => options.service = true,
                Short('h') | Long("help") => return Ok(Self::Print(USAGE.into())),
                Short('V') | Long("version") => {
                    let version = env!("CARGO_PKG_VERSION");
                    return Ok(Self::Print(format!("tine-viewer {version}\n")));
                }
                Value(path) => options.paths.push(path.into()),
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(Self::View(options))
    }
}

fn parse_size(text: &str) -> Result<(i32, i32), String> {
    let sides = text.split_once('x').and_then(|(width, height)| {
        let (width, height) = (width.parse().ok()?, height.parse().ok()?);
        (width > 0 && height > 0).then_some((width, height))
    });
    sides.ok_or_else(|| "not of the form WIDTHxHEIGHT".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Command, String> {
        Command::parse(args.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_and_paths_mix() {
        let args =
            ["a", "--report=r.json", "--exit-when-idle", "b", "--size", "800x600", "--", "--c"];
        let expected = Options {
            paths: vec!["a".into(), "b".into(), "--c".into()],
            exit_when_idle: true,
            report: Some("r.json".into()),
            screenshot: None,
            size: Some((800, 600)),
            service: false,
        };
        assert_eq!(parse(&args).unwrap(), Command::View(expected));
    }

    #[test]
    fn desktops_start_a_service_by_the_name_that_glib_gave_it() {
        let expected = Options { service: true, ..Default::default() };
        assert_eq!(parse(&["--gapplication-service"]).unwrap(), Command::View(expected));
    }

    #[test]
    fn wrong_use_is_named() {
        assert!(parse(&["--colour"]).unwrap_err().contains("--colour"));
        assert!(parse(&["--report"]).unwrap_err().contains("--report"));
        for size in ["800", "0x600", "800x-1", "800x600x2", "x"] {
            assert!(parse(&["--size", size]).unwrap_err().contains(size));
        }
    }
}
