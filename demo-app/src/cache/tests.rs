//! The cache against the standard's words, and against GLib's.

use super::*;
use gtk4::{gio, glib, prelude::*};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};
use tine_viewer::chunk;

/// A folder of pictures, and a cache beside it.
struct Home {
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("cache/thumbnails"));
        Self { folder, cache }
    }

    /// A file that was left alone for a minute.
    fn picture(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "a picture").unwrap();
        age(&path, Duration::from_secs(60));
        path
    }

    fn keep(&self, path: &Path) -> io::Result<PathBuf> {
        let original = original(path);
        let picture = Size::new(2000, 1000);
        self.cache.keep(&original, Class::Large, picture, &encoded(256, 128))?;
        Ok(self.cache.path("large", &original))
    }

    fn errand(&self, path: &Path) -> Result<Errand, String> {
        self.cache.errand(path, File::open(path).unwrap().into(), Class::Large, false)
    }
}

fn age(path: &Path, age: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

fn original(path: &Path) -> Original {
    Original::of(path, &File::open(path).unwrap()).unwrap()
}

/// What a worker sends.
fn encoded(width: u32, height: u32) -> Vec<u8> {
    let mut file = io::Cursor::new(Vec::new());
    image::RgbaImage::from_pixel(width, height, image::Rgba([9, 8, 7, 255]))
        .write_to(&mut file, image::ImageFormat::Png)
        .unwrap();
    file.into_inner()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn names_are_those_of_the_standard_and_of_glib() {
    let file = File::open("/dev/null").unwrap();
    let name = |path: &str| Original::of(Path::new(path), &file).unwrap();
    // The standard's own example.
    assert_eq!(name("/home/jens/photos/me.png").name(), "c6ee772d9e49320e97ec29a7eb5b1697.png");
    for path in ["/a b/ü&%.png", "/x/日本 (1)~+#?;.jpg", "/plain"] {
        // What every GTK program asks a file for.
        assert_eq!(name(path).uri(), gio::File::for_path(path).uri());
        let digest = glib::Checksum::new(glib::ChecksumType::Md5).map(|mut sum| {
            sum.update(gio::File::for_path(path).uri().as_bytes());
            sum.string().unwrap() + ".png"
        });
        assert_eq!(Some(name(path).name()), digest);
    }
    assert!(Original::of(Path::new("relative.png"), &file).is_none());
}

#[test]
fn what_is_kept_is_found_until_the_picture_changes() {
    let home = Home::new();
    let path = home.picture("a.jpg");
    let errand = home.errand(&path).unwrap();
    assert!(!errand.is_cached && errand.keep.is_some());
    let kept = home.keep(&path).unwrap();
    assert!(home.errand(&path).unwrap().is_cached);
    assert_eq!(mode(&kept), 0o600);
    for folder in kept.ancestors().skip(1).take(2) {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    assert_eq!(fs::read_dir(kept.parent().unwrap()).unwrap().count(), 1, "a partial file is left");
    // Older is not valid either: equal it must be.
    for seconds in [59, 61] {
        age(&path, Duration::from_secs(seconds));
        assert!(!home.errand(&path).unwrap().is_cached);
    }
}

#[test]
fn what_is_kept_is_a_thumbnail_to_other_programs() {
    let home = Home::new();
    let path = home.picture("b.jpg");
    let kept = home.keep(&path).unwrap();
    let keys = png::Keys::read(File::open(&kept).unwrap()).unwrap();
    assert_eq!(keys.get("Thumb::URI").unwrap(), gio::File::for_path(&path).uri());
    assert_eq!(keys.get("Thumb::MTime").unwrap(), original(&path).mtime().to_string());
    assert_eq!(keys.get("Thumb::Image::Width"), Some("2000"));
    let picture = image::open(kept).unwrap();
    assert_eq!(picture.color(), image::ColorType::Rgba8);
    assert_eq!((picture.width(), picture.height()), (256, 128));
    // GIO tells programs where a picture's thumbnail lies, and by its name alone.
    let name = glib::compute_checksum_for_string(
        glib::ChecksumType::Md5,
        gio::File::for_path(&path).uri().as_str(),
    );
    assert_eq!(original(&path).name(), format!("{}.png", name.unwrap()));
}

#[test]
fn a_larger_one_serves_and_a_smaller_one_does_not() {
    let home = Home::new();
    let path = home.picture("c.jpg");
    home.keep(&path).unwrap();
    for (class, is_found) in [(Class::Normal, true), (Class::Large, true), (Class::XLarge, false)] {
        let found = home.cache.find(&original(&path), class);
        assert_eq!(matches!(found, Found::Thumbnail(_)), is_found, "{class:?}: {found:?}");
    }
    let covering = [1, 128, 129, 320, 1024, 1025].map(Class::covering);
    let (normal, large, larger) = (Some(Class::Normal), Some(Class::Large), Some(Class::XLarge));
    assert_eq!(covering, [normal, normal, large, larger, Some(Class::XxLarge), None]);
}

#[test]
fn a_failure_is_remembered_with_its_reason_until_the_picture_changes() {
    let home = Home::new();
    let path = home.picture("d.jpg");
    let reason = "claims 60000×60000 pixels";
    home.cache.keep_failure(&original(&path), reason).unwrap();
    assert_eq!(home.errand(&path).unwrap_err(), reason);
    let kept = home.cache.path(FAILURES, &original(&path));
    assert!(kept.to_str().unwrap().contains("/fail/tine-viewer-"));
    assert_eq!(mode(&kept), 0o600);
    let picture = image::open(kept).unwrap();
    assert_eq!((picture.width(), picture.height()), (1, 1));
    age(&path, Duration::from_secs(50));
    assert!(home.errand(&path).is_ok());
}

#[test]
fn what_may_still_be_written_is_kept_later_if_it_is_the_same() {
    let home = Home::new();
    let path = home.picture("e.jpg");
    for (seconds, is_settled) in [(0, false), (2, false), (4, true)] {
        age(&path, Duration::from_secs(seconds));
        assert_eq!(original(&path).settles_in().is_none(), is_settled, "after {seconds} s");
    }
    let file = File::open(&path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    assert_eq!(original(&path).settles_in(), None, "a clock that is wrong");

    let (same, other) = (home.picture("same.jpg"), home.picture("other.jpg"));
    let saver = Saver::start(home.cache.clone()).unwrap();
    let originals = [&path, &same, &other].map(|path| {
        age(path, Duration::from_millis(if *path == other { 2200 } else { 2300 }));
        let original = original(path);
        saver.keep_failure(original.clone(), "none");
        original
    });
    // It is written to once more.
    age(&path, Duration::from_millis(2700));
    let kept = |original: &Original| home.cache.path(FAILURES, original).exists();
    let begun = std::time::Instant::now();
    while !kept(&originals[2]) {
        assert!(begun.elapsed().as_secs() < 60, "it is not kept");
        std::thread::yield_now();
    }
    assert_eq!(originals[2].settles_in(), None, "kept too soon");
    assert_eq!(originals.each_ref().map(kept), [false, true, true]);
}

#[test]
fn nothing_is_kept_of_what_lies_in_the_cache() {
    let home = Home::new();
    let inside = home.keep(&home.picture("f.jpg")).unwrap();
    age(&inside, Duration::from_secs(60));
    let link = home.folder.path().join("link.png");
    symlink(&inside, &link).unwrap();
    for path in [inside, link] {
        assert!(home.errand(&path).unwrap().keep.is_none(), "{}", path.display());
    }
}

#[test]
fn thumbnails_beside_the_pictures_are_used_and_never_written() {
    let home = Home::new();
    let path = home.picture("cd/g h.jpg");
    let name = glib::compute_checksum_for_string(glib::ChecksumType::Md5, "g%20h.jpg").unwrap();
    let beside = home.folder.path().join("cd/.sh_thumbnails");
    let keys = original(&path).keys();
    let keys = png::Keys::default()
        .with("Thumb::URI", "g%20h.jpg")
        .with("Thumb::MTime", keys.get("Thumb::MTime").unwrap());
    let pixels = png::compressed_pixels(&encoded(256, 128), Size::new(256, 128)).unwrap();
    fs::create_dir_all(beside.join("large")).unwrap();
    let thumbnail = beside.join("large").join(format!("{name}.png"));
    fs::write(&thumbnail, png::file(Size::new(256, 128), &keys, &pixels)).unwrap();
    assert!(home.errand(&path).unwrap().is_cached);
    home.keep(&path).unwrap();
    home.cache.keep_failure(&original(&path), "none").unwrap();
    let left: Vec<_> = fs::read_dir(&beside).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["large"]);
    assert_eq!(fs::read_dir(beside.join("large")).unwrap().count(), 1);
}

#[test]
fn what_is_no_thumbnail_is_passed_over() {
    let home = Home::new();
    let path = home.picture("h.jpg");
    let kept = home.keep(&path).unwrap();
    let whole = fs::read(&kept).unwrap();
    let foreign = home.picture("other.jpg");
    let broken: [Vec<u8>; 6] = [
        Vec::new(),
        b"no PNG at all, but long enough for one".to_vec(),
        whole[..40].to_vec(),
        encoded(256, 128), // without keys
        [&whole[..33], &u32::MAX.to_be_bytes(), b"tEXt", &whole[40..]].concat(),
        fs::read(home.keep(&foreign).unwrap()).unwrap(),
    ];
    for octets in broken {
        fs::write(&kept, octets).unwrap();
        assert!(!home.errand(&path).unwrap().is_cached);
    }
    fs::remove_file(&kept).unwrap();
    fs::create_dir(&kept).unwrap();
    assert!(!home.errand(&path).unwrap().is_cached);
}

#[test]
fn a_thumbnail_without_a_uri_or_with_another_one_is_nobodys() {
    let home = Home::new();
    let path = home.picture("k.jpg");
    let kept = home.keep(&path).unwrap();
    let (size, time) = (Size::new(256, 128), original(&path).mtime().to_string());
    let pixels = png::compressed_pixels(&encoded(256, 128), size).unwrap();
    let keys = png::Keys::default().with("Thumb::MTime", time);
    let own = original(&path).uri().to_owned();
    for (uri, is_its) in [(None, false), (Some("file:///k.jpg"), false), (Some(&*own), true)] {
        let keys = uri.into_iter().fold(keys.clone(), |keys, uri| keys.with("Thumb::URI", uri));
        fs::write(&kept, png::file(size, &keys, &pixels)).unwrap();
        assert_eq!(home.errand(&path).unwrap().is_cached, is_its, "{uri:?}");
    }
}

/// Others may compress its texts, as Qt does with those that are longer than a few words, or have them in UTF-8.
#[test]
fn texts_of_all_kinds_are_read() {
    let home = Home::new();
    let path = home.picture("m.jpg");
    let kept = home.keep(&path).unwrap();
    let (uri, time) = (original(&path).uri().to_owned(), original(&path).mtime().to_string());
    let deflated = |text: &[u8]| {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    let compressed = |text: &str| [b"\0\0", &deflated(text.as_bytes())[..]].concat();
    let plain = |text: &str| [b"\0", text.as_bytes()].concat();
    let utf8 = |text: &str| [b"\0\0\0de\0Ort\0", text.as_bytes()].concat();
    let small = |text: &str| [b"\0\x01\0\0\0", &deflated(text.as_bytes())[..]].concat();
    let endless = [b"\0\0", &deflated(&vec![b'a'; 1 << 20])[..]].concat();
    let encoded = encoded(256, 128);
    for (kind, uri, time, is_its) in [
        (b"zTXt", compressed(&uri), plain(&time), true),
        (b"zTXt", compressed("file:///m.jpg"), plain(&time), false),
        (b"zTXt", endless, plain(&time), false),
        (b"zTXt", b"\0\0garbage".to_vec(), plain(&time), false),
        (b"zTXt", b"\0\x01".to_vec(), plain(&time), false),
        (b"iTXt", utf8(&uri), plain(&time), true),
        (b"iTXt", small(&uri), plain(&time), true),
        (b"iTXt", b"\0".to_vec(), plain(&time), false),
    ] {
        let text = |kind: &[u8; 4], key: &str, text: &[u8]| {
            let mut octets = Vec::new();
            chunk::push(&mut octets, kind, &[key.as_bytes(), text].concat());
            octets
        };
        let texts = [text(kind, "Thumb::URI", &uri), text(b"tEXt", "Thumb::MTime", &time)];
        let file = [&encoded[..33], &texts.concat(), &encoded[33..]].concat();
        fs::write(&kept, file).unwrap();
        let kind = String::from_utf8_lossy(kind);
        assert_eq!(home.errand(&path).unwrap().is_cached, is_its, "{kind} {uri:?}");
    }
}

#[test]
fn what_is_no_file_is_neither_opened_nor_followed() {
    use rustix::fs::{CWD, Mode, mkfifoat};
    let home = Home::new();
    let path = home.picture("l.jpg");
    let kept = home.keep(&path).unwrap();
    let whole = home.folder.path().join("whole.png");
    fs::rename(&kept, &whole).unwrap();
    symlink(&whole, &kept).unwrap();
    assert!(!home.errand(&path).unwrap().is_cached, "a link");
    fs::remove_file(&kept).unwrap();
    mkfifoat(CWD, &kept, Mode::RUSR).unwrap();
    assert!(!home.errand(&path).unwrap().is_cached, "a pipe");
    // What is kept replaces it.
    home.keep(&path).unwrap();
    assert!(home.errand(&path).unwrap().is_cached);
}

#[test]
fn a_worker_that_sends_something_else_writes_nothing() {
    let home = Home::new();
    let path = home.picture("i.jpg");
    let picture = Size::new(2000, 1000);
    let whole = encoded(256, 128);
    let lies: [Vec<u8>; 5] = [
        Vec::new(),
        encoded(128, 256),
        whole[..whole.len() - 4].to_vec(),
        [&whole[..33], b"\0\0\0\x03tEXta\0b\0\0\0\0", &whole[33..]].concat(),
        [&whole[..33], &u32::MAX.to_be_bytes(), b"IDAT"].concat(),
    ];
    for encoded in lies {
        let error = home.cache.keep(&original(&path), Class::Large, picture, &encoded).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
    assert!(!home.cache.root.exists());
}
