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

use gtk4::glib::translate::IntoGlib as _;
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
/// not believed. Formats that come in planes are refused too.
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

/// The octets of a picture, as GDK counts them; None when it has no pixels, its rows do not fit the stride, or
/// its format is none of whole pixels.
fn needed(width: u32, height: u32, stride: usize, format: gdk::MemoryFormat) -> Option<usize> {
    let row = (width as usize).checked_mul(depth(format)?)?;
    if width == 0 || height == 0 || row > stride {
        return None;
    }
    stride.checked_mul(height as usize - 1)?.checked_add(row)
}

/// The octets of a pixel. By GDK's numbers, for the names of later ones are there only where they are asked
/// for, and a program that uses this crate may ask.
fn depth(format: gdk::MemoryFormat) -> Option<usize> {
    Some(match format.into_glib() {
        // G8, A8
        20 | 24 => 1,
        // G8A8, G16, A16, A16 float
        18 | 19 | 23 | 25 | 26 => 2,
        // R8G8B8 and backwards
        7 | 8 => 3,
        // RGBA of 8 bits in all orders, with padding for alpha too; G16A16, A32 float
        0..=6 | 21 | 22 | 27..=32 => 4,
        // R16G16B16, float too
        9 | 12 => 6,
        // R16G16B16A16, float too
        10 | 11 | 13 | 14 => 8,
        // R32G32B32 float
        15 => 12,
        // R32G32B32A32 float
        16 | 17 => 16,
        // Those of GTK 4.20 that come in planes.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{gdk, needed, texture};
    use gdk::MemoryFormat as Format;
    use tine::{Shared, SharedMut};

    #[test]
    fn octets_are_counted_as_gdk_does() {
        assert_eq!(needed(3, 2, 12, Format::R8g8b8a8), Some(24));
        assert_eq!(needed(3, 2, 100, Format::R8g8b8), Some(109));
        assert_eq!(needed(3, 2, 24, Format::R16g16b16a16), Some(48));
        assert_eq!(needed(1, 1, 16, Format::R32g32b32a32Float), Some(16));
        assert_eq!(needed(1, 1, 6, Format::R16g16b16Float), Some(6));
        // One that has a name from GTK 4.12 on.
        assert_eq!(needed(3, 2, 3, Format::__Unknown(20)), Some(6));
    }

    #[test]
    fn what_makes_no_picture_is_refused() {
        for (width, height, stride) in
            [(0, 1, 4), (1, 0, 4), (2, 1, 7), (u32::MAX, u32::MAX, usize::MAX), (1, 3, usize::MAX)]
        {
            assert_eq!(needed(width, height, stride, Format::R8g8b8a8), None);
        }
        assert_eq!(needed(1, 1, 100, Format::__Unknown(33)), None, "planes");
    }

    #[test]
    fn a_worker_is_not_believed_about_its_picture() {
        let pixels = || {
            let sealed = SharedMut::new(47).and_then(SharedMut::seal);
            sealed.and_then(Shared::from_fd).expect("memory")
        };
        let refused = texture(pixels(), 4, 3, 16, Format::R8g8b8a8).expect_err("one is missing");
        assert_eq!(
            refused.to_string(),
            "4×3 pixels with a stride of 16 need 48 octets, there are 47"
        );
        assert!(texture(pixels(), 4, 3, 15, Format::R8g8b8a8).is_err());
        assert!(texture(pixels(), u32::MAX, 1, usize::MAX, Format::R8g8b8a8).is_err());
    }
}
