//! What would be seen becomes a PNG file: copied into shared memory, encoded in a worker.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use tine::{Exit, Sandbox, Shared, SharedMut, Template, Worker};

use crate::compositor::Heard;

tine::entry!(ENCODE = encode);

/// In the worker: writes pixels into a file; it was sent both.
fn encode(mut worker: Worker) -> Result<(), Box<dyn std::error::Error>> {
    let (pixels, file) = (Shared::from_fd(worker.take_fd()?)?, File::from(worker.take_fd()?));
    let width = u32::from(u16::from_le_bytes(worker.take_arg()?.as_slice().try_into()?));
    let rgb: Vec<u8> =
        pixels.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    let height = u32::try_from(pixels.len() / 4)? / width;
    let mut file = BufWriter::new(file);
    PngEncoder::new(&mut file).write_image(&rgb, width, height, ExtendedColorType::Rgb8)?;
    // Dropping it would say nothing of a disk that is full.
    file.into_inner()?;
    Ok(())
}

/// Has `pixels`, as [`wallpaper`](crate::wallpaper) has them, written to `path`; told as
/// [`Heard::Screenshot`]. Until then the file is what it was.
pub fn write(
    template: &Template,
    pixels: SharedMut,
    width: u16,
    path: &Path,
    sender: &Sender<Heard>,
) -> tine::Result<()> {
    let (path, part) = (path.to_owned(), with_suffix(path, ".part"));
    let process = template
        .fork()
        .sandbox(&Sandbox::decoder())
        .send_fd(pixels.seal()?)
        .send_fd(File::create(&part)?)
        .send_arg(width.to_le_bytes());
    let (refused, sender) = (sender.clone(), sender.clone());
    let running = process.run(ENCODE, move |begun| {
        if let Err(error) = begun {
            drop(refused.send(Heard::Screenshot(Err(error.to_string()))));
        }
    });
    running.on_exit(move |exit| {
        drop(sender.send(Heard::Screenshot(put_in_place(&exit, &part, &path))));
    });
    Ok(())
}

fn put_in_place(exit: &Exit, part: &Path, path: &Path) -> Result<(), String> {
    if !exit.success() {
        return Err(exit.to_string());
    }
    std::fs::rename(part, path).map_err(|error| error.to_string())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
