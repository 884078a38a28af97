//! Flow 2, the worker's side: OpenEXR whose colours have other names than `image` looks for: those of a layer, or none,
//! as what is only light and dark.

use std::io::{BufRead, Seek};

use exr::meta::MetaData;
use exr::meta::header::Header;
use exr::prelude::{ReadChannels, ReadLayers, read};
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, Rgb32FImage};

use super::DecodeError;
use super::decode::{Decoded, MEMORY_LIMIT, check_size, decode_whole};

const FORMAT: &str = "OpenEXR";

/// Decodes the first layer that is flat.
pub(super) fn decode(mut reader: impl BufRead + Seek) -> Result<Decoded, DecodeError> {
    let told = MetaData::read_from_buffered(&mut reader, false);
    reader.rewind()?;
    let names = told.ok().filter(|told| !told.headers.iter().any(has_plain_colours));
    let names = names.and_then(|told| {
        let whole: usize = told.headers.iter().map(octets).fold(0, usize::saturating_add);
        let header = told.headers.iter().find(|header| !header.deep)?;
        Some((whole, header.layer_size, colours(header)?))
    });
    // Whatever is wrong with it, this one says.
    let Some((whole, size, names)) = names else {
        return decode_whole(reader, ImageFormat::OpenExr, FORMAT, |_, _| None);
    };
    let stored = check_size(size.0 as u64, size.1 as u64, FORMAT)?;
    if whole as u64 > MEMORY_LIMIT {
        return Err(DecodeError::TooHeavy(whole as u64));
    }
    let corrupt = |error: exr::error::Error| DecodeError::Corrupt(FORMAT, error.to_string());
    let layers = read().no_deep_data().largest_resolution_level().all_channels().all_layers();
    let file = layers.all_attributes().non_parallel().from_buffered(reader).map_err(corrupt)?;
    let layer = file.layer_data.first().ok_or_else(missing)?;
    let channel = |name: &String| {
        let mut all = layer.channel_data.list.iter();
        all.find(|channel| channel.name.to_string() == *name).ok_or_else(missing)
    };
    let mut light = vec![0.0; stored.pixels() as usize * 3];
    for (place, name) in names.iter().enumerate() {
        let samples = channel(name)?.sample_data.values_as_f32();
        let pixels = light.as_chunks_mut::<3>().0.iter_mut();
        pixels.zip(samples).for_each(|(pixel, sample)| pixel[place] = sample);
    }
    let image = Rgb32FImage::from_raw(stored.width, stored.height, light).ok_or_else(missing)?;
    let image = DynamicImage::ImageRgb32F(image);
    Ok(Decoded { image, stored, orientation: Orientation::NoTransforms, profile: None })
}

fn names(header: &Header) -> Vec<String> {
    header.channels.list.iter().map(|channel| channel.name.to_string()).collect()
}

fn has_plain_colours(header: &Header) -> bool {
    let names = names(header);
    !header.deep && ["R", "G", "B"].iter().all(|color| names.iter().any(|name| name == color))
}

/// The names of red, green and blue: of a layer that has them, else of what is light and dark.
fn colours(header: &Header) -> Option<[String; 3]> {
    let names = names(header);
    let of_layer = |name: &String| {
        let layer = name.strip_suffix(".R")?;
        let colours = ["R", "G", "B"].map(|color| format!("{layer}.{color}"));
        colours.iter().all(|color| names.contains(color)).then_some(colours)
    };
    let grey = || {
        let light = names.iter().find(|name| *name == "Y").or(names.first())?;
        Some([light, light, light].map(String::clone))
    };
    names.iter().find_map(of_layer).or_else(grey)
}

/// What all of it takes in memory.
fn octets(header: &Header) -> usize {
    let pixels = header.layer_size.0.saturating_mul(header.layer_size.1);
    pixels.saturating_mul(header.channels.list.len()).saturating_mul(4)
}

fn missing() -> DecodeError {
    DecodeError::Corrupt(FORMAT, "rows are missing".into())
}
