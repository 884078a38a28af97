//! Packs the program's own icons, so that it has them without being installed.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

/// What is packed, and where it lies; read by GLib's own tool.
const LIST: &str = "icons.gresource.xml";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=data/icons");
    println!("cargo::rerun-if-changed=data/{LIST}");
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    let packed = Command::new("glib-compile-resources")
        .args(["--sourcedir=data/icons", &format!("data/{LIST}"), "--target"])
        .arg(Path::new(&out).join("icons.gresource"))
        .status();
    match packed {
        Ok(status) if status.success() => return ExitCode::SUCCESS,
        Ok(status) => println!("cargo::error=glib-compile-resources of data/{LIST}: {status}"),
        Err(error) => println!("cargo::error=glib-compile-resources, of GLib's tools: {error}"),
    }
    ExitCode::FAILURE
}
