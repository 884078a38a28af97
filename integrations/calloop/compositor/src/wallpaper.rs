//! A picture file becomes the screen's wallpaper: decoded in a worker, shown from sealed memory.

use std::cell::Cell;
use std::fs::File;
use std::io::BufReader;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::Sender;

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder as _, ImageReader};
use tine::{Sandbox, Shared, SharedMut, Template, Worker};

use crate::compositor::Heard;

tine::entry!(DECODE = decode);

/// In the worker: decodes the file that it was sent, in a size that covers the screen's.
fn decode(mut worker: Worker) -> Result<(), Box<dyn std::error::Error>> {
    let file = BufReader::new(File::from(worker.take_fd()?));
    let [width, height] = [worker.take_arg()?, worker.take_arg()?].map(side);
    let mut decoder = ImageReader::new(file).with_guessed_format()?.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    let picture = picture.resize_to_fill(width, height, FilterType::Triangle).into_rgb8();

    let mut pixels = SharedMut::new(4 * picture.pixels().len())?;
    for (pixel, image::Rgb([red, green, blue])) in pixels.chunks_exact_mut(4).zip(picture.pixels())
    {
        pixel.copy_from_slice(&[*blue, *green, *red, 0xff]);
    }
    tine::send_fds(worker.socket(), b"w", &[pixels.seal()?.as_fd()])?;
    Ok(())
}

fn side(octets: Vec<u8>) -> u32 {
    octets.try_into().map_or(0, |octets| u16::from_le_bytes(octets).into())
}

/// Has `path` decoded, to be told as [`Heard::Wallpaper`].
///
/// The pixels are 4 octets each: blue, green, red and one of no meaning (`XRGB8888` in the kernel's fourcc
/// codes), rows without gaps.
pub fn load(
    template: &Template,
    path: &Path,
    (width, height): (u16, u16),
    sender: &Sender<Heard>,
) -> tine::Result<()> {
    let socket = Rc::new(Cell::new(None));
    let (kept, refused, sender) = (Rc::clone(&socket), sender.clone(), sender.clone());
    let process = template
        .fork()
        .sandbox(&Sandbox::decoder())
        .send_fd(File::open(path)?)
        .send_arg(width.to_le_bytes())
        .send_arg(height.to_le_bytes());
    let running = process.run(DECODE, move |begun| match begun {
        Ok(socket) => kept.set(Some(socket)),
        Err(error) => drop(refused.send(Heard::Wallpaper(Err(error.to_string())))),
    });
    running.on_exit(move |exit| {
        let pixels = match socket.take() {
            // It has returned, so what it sent lies in the socket.
            Some(socket) if exit.success() => receive(&socket).map_err(|error| error.to_string()),
            _ => Err(exit.to_string()),
        };
        drop(sender.send(Heard::Wallpaper(pixels)));
    });
    Ok(())
}

fn receive(socket: &UnixStream) -> tine::Result<Shared> {
    let (_, mut fds) = tine::receive_fds(socket, &mut [0])?;
    Shared::from_fd(fds.pop().ok_or_else(|| tine::Error::other("no pixels came"))?)
}
