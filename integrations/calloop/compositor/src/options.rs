//! What the command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

const USAGE: &str = "\
Usage: tine-compositor [OPTION]… [-- CLIENT [ARGUMENT]…]

A Wayland compositor without a screen. It listens on wayland-1 or the next name that is free, and
starts CLIENT, with whose end it ends, and whose exit code it takes on.

  --size WIDTHxHEIGHT   of the screen that is not there (1280x800)
  --wallpaper FILE      a picture behind the windows
  --screenshot FILE     a PNG file to write what would be seen to, upon SIGUSR1, and upon SIGTERM
                        and SIGINT before it ends
  --help                print this
";

/// The largest side that fits Wayland's and pixman's 16-bit coordinates.
const SIDE_MAX: u16 = 16384;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Width and height of the screen, in pixels.
    pub size: (u16, u16),
    /// What is behind the windows.
    pub wallpaper: Option<PathBuf>,
    /// Where screenshots go.
    pub screenshot: Option<PathBuf>,
    /// A program to start, and its arguments.
    pub client: Vec<OsString>,
}

/// What the program is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Be a compositor.
    Run(Options),
    /// Print this and leave.
    Print(String),
}

impl Command {
    /// Reads the arguments, the program's name not among them.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut parser = lexopt::Parser::from_args(args);
        let mut options =
            Options { size: (1280, 800), wallpaper: None, screenshot: None, client: Vec::new() };
        while let Some(arg) = parser.next()? {
            match arg {
                Long("size") => options.size = parser.value()?.parse_with(parse_size)?,
                Long("wallpaper") => options.wallpaper = Some(parser.value()?.into()),
                Long("screenshot") => options.screenshot = Some(parser.value()?.into()),
                Short('h') | Long("help") => return Ok(Self::Print(USAGE.into())),
                // What follows the program's name is for the program.
                Value(program) => {
                    options.client.push(program);
                    options.client.extend(parser.raw_args()?);
                }
                _ => return Err(arg.unexpected()),
            }
        }
        Ok(Self::Run(options))
    }
}

fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=SIDE_MAX).contains(side));
    let sides =
        text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    sides.ok_or_else(|| format!("not of the form WIDTHxHEIGHT, each 1 to {SIDE_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Command, String> {
        Command::parse(args.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_follows_the_client_is_its_own() {
        for args in
            [&["--size=64x48", "--", "foot", "--size"][..], &["--size", "64x48", "foot", "--size"]]
        {
            let expected = Options {
                size: (64, 48),
                wallpaper: None,
                screenshot: None,
                client: vec!["foot".into(), "--size".into()],
            };
            assert_eq!(parse(args).unwrap(), Command::Run(expected));
        }
    }

    #[test]
    fn wrong_use_is_named() {
        assert!(parse(&["--colour"]).unwrap_err().contains("--colour"));
        assert!(parse(&["--wallpaper"]).unwrap_err().contains("--wallpaper"));
        for size in ["800", "0x600", "800x-1", "800x600x2", "x", "70000x1"] {
            assert!(parse(&["--size", size]).unwrap_err().contains(size));
        }
    }
}
