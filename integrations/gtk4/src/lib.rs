//! tine in GTK 4 programs: what they want on top of [`tine_glib`].
//!
//! - [`attach`]: this thread's queue on the main loop, for the life of an application.
//! - [`texture`]: pixels that a worker has drawn into shared memory, as a [`gdk::Texture`], not copied.
//! - [`Promised`]: a paintable that shows a worker's result when it comes, and an error when not.
//!
//! ```no_run
//! use gtk4::prelude::*;
//!
//! let app = gtk4::Application::builder().application_id("org.example.App").build();
//! tine_gtk4::attach(&app);
//! app.connect_activate(|app| {
//!     let picture = tine_gtk4::Promised::new(256, 192);
//!     // …in a worker's callback, picture.keep(texture) or picture.fail("no picture")
//!     let image = gtk4::Picture::for_paintable(&picture);
//!     gtk4::ApplicationWindow::builder().application(app).child(&image).build().present();
//! });
//! app.run();
//! ```

mod promised;

use gtk4::prelude::*;
use gtk4::{gdk, gio, glib};
use tine::{Error, Shared};

pub use promised::Promised;

/// What README shows, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Attaches this thread's queue to the main loop from now until the application has shut down.
///
/// Callbacks do not run any more once `shutdown` is emitted: no widget is touched that is being taken
/// down. Workers that still run end with the process.
pub fn attach(app: &impl IsA<gio::Application>) {
    let attachment = tine_glib::Attachment::builder(&tine::queue()).attach();
    let attachment = std::cell::Cell::new(Some(attachment));
    app.connect_shutdown(move |_| drop(attachment.take()));
}

/// Makes a texture of pixels in shared memory, without copying them.
///
/// `stride` is the octets from one row to the next. [`gdk::MemoryFormat::R8g8b8a8Premultiplied`] and
/// [`gdk::MemoryFormat::R8g8b8`] reach the graphics card without conversion.
///
/// # Errors
/// When `pixels` has less octets than the size, stride and format say: what a worker says of its picture is
/// not believed.
pub fn texture(
    pixels: Shared,
    width: u32,
    height: u32,
    stride: usize,
    format: gdk::MemoryFormat,
) -> tine::Result<gdk::Texture> {
    let needed = needed(width, height, stride, format);
    let (Ok(w), Ok(h), Some(needed)) = (i32::try_from(width), i32::try_from(height), needed) else {
        return Err(Error::other(format!(
            "no texture is {width}×{height} with a stride of {stride}"
        )));
    };
    if pixels.len() < needed {
        let message = format!(
            "{width}×{height} pixels with a stride of {stride} need {needed} octets, there are {}",
            pixels.len()
        );
        return Err(Error::other(message));
    }
    let octets = glib::Bytes::from_owned(pixels);
    Ok(gdk::MemoryTexture::new(w, h, format, &octets, stride).upcast())
}

/// The octets of a picture, as GDK counts them; None when it has no pixels, or its rows do not fit the stride.
fn needed(width: u32, height: u32, stride: usize, format: gdk::MemoryFormat) -> Option<usize> {
    use gdk::MemoryFormat as Format;
    let depth = match format {
        Format::R8g8b8 | Format::B8g8r8 => 3,
        Format::R16g16b16 | Format::R16g16b16Float => 6,
        Format::R16g16b16a16
        | Format::R16g16b16a16Premultiplied
        | Format::R16g16b16a16Float
        | Format::R16g16b16a16FloatPremultiplied => 8,
        Format::R32g32b32Float => 12,
        Format::R32g32b32a32Float | Format::R32g32b32a32FloatPremultiplied => 16,
        _ => 4,
    };
    let row = (width as usize).checked_mul(depth)?;
    if width == 0 || height == 0 || row > stride {
        return None;
    }
    stride.checked_mul(height as usize - 1)?.checked_add(row)
}
