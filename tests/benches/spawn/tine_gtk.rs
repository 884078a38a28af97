//! The app of tine's cases, linked to GTK and not using it.

mod app;
mod measure;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("version") {
        // A use, without which the linker would leave the libraries out.
        println!("{}.{}", gtk4::major_version(), gtk4::minor_version());
        return Ok(());
    }
    app::run()
}
