//! The app of tine's cases, linked to the C library alone.

mod app;
mod measure;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    app::run()
}
