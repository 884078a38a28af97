//! Files that are carried to other programs: by the clipboard, or by dragging.
//!
//! Of many nothing is made before somebody asks, and then piece by piece, in a thread: a million paths are 60 MB.

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, gio, glib};
use std::fmt::Write;

use crate::catalog::Catalog;
use crate::chosen::Chosen;

/// So many are taken along as GTK's own list of files. Only that reaches programs in other sandboxes.
const FEW: u32 = 1000;
/// So many make a piece.
const PIECE: usize = 10_000;

/// As file managers name files, and as text editors do.
const URIS: &str = "text/uri-list";
const TEXT: &str = "text/plain;charset=utf-8";

/// Offers these files.
pub fn provider(catalog: Catalog, chosen: Chosen) -> gdk::ContentProvider {
    if chosen.len() <= FEW {
        let files: Vec<_> = chosen.iter().map(|id| gio::File::for_path(catalog.path(id))).collect();
        return gdk::ContentProvider::for_value(&gdk::FileList::from_array(&files).to_value());
    }
    let many: Many = glib::Object::new();
    many.imp().files.replace((catalog, chosen));
    many.upcast()
}

/// A piece of what there is to tell of them.
fn piece(catalog: &Catalog, chosen: &Chosen, from: usize, is_uris: bool) -> String {
    let mut text = String::new();
    for id in chosen.iter().skip(from).take(PIECE) {
        let file = gio::File::for_path(catalog.path(id));
        let written = match is_uris {
            true => write!(text, "{}\r\n", file.uri()),
            false => writeln!(text, "{}", file.parse_name()),
        };
        written.expect("a string takes everything");
    }
    text
}

async fn write(
    (catalog, chosen): (Catalog, Chosen),
    is_uris: bool,
    to: gio::OutputStream,
    priority: glib::Priority,
) -> Result<(), glib::Error> {
    for from in (0..chosen.len() as usize).step_by(PIECE) {
        let (catalog, chosen) = (catalog.clone(), chosen.clone());
        let piece = gio::spawn_blocking(move || piece(&catalog, &chosen, from, is_uris)).await;
        // A panic in there has said so.
        let piece = piece.unwrap_or_default().into_bytes();
        if let (_, _, Some(error)) = to.write_all_future(piece, priority).await.map_err(|e| e.1)? {
            return Err(error);
        }
    }
    Ok(())
}

mod imp {
    use super::*;
    use std::cell::RefCell;
    use std::future::Future;
    use std::pin::Pin;

    #[derive(Default)]
    pub struct Many {
        pub files: RefCell<(Catalog, Chosen)>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Many {
        const NAME: &'static str = "TineManyFiles";
        type Type = super::Many;
        type ParentType = gdk::ContentProvider;
    }

    impl ObjectImpl for Many {}

    impl ContentProviderImpl for Many {
        fn formats(&self) -> gdk::ContentFormats {
            gdk::ContentFormats::new(&[URIS, TEXT])
        }

        fn write_mime_type_future(
            &self,
            form: &str,
            to: &gio::OutputStream,
            priority: glib::Priority,
        ) -> Pin<Box<dyn Future<Output = Result<(), glib::Error>>>> {
            Box::pin(write(self.files.borrow().clone(), form == URIS, to.clone(), priority))
        }
    }
}

glib::wrapper! {
    /// More files than are counted up beforehand.
    pub struct Many(ObjectSubclass<imp::Many>) @extends gdk::ContentProvider;
}
