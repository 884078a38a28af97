//! Flow 2, the worker's side: what a PNG says of its colours without an ICC profile: by numbers of ITU-T H.273, or by
//! an exponent and the places of its primaries. `image` 0.25 does not tell.

use moxcms::{Chromaticity, ColorPrimaries, ColorProfile, ToneReprCurve};

use super::colour::Colours;

/// Exponents that are so near to that of sRGB are taken for it, in parts of 100,000.
const USUAL: std::ops::RangeInclusive<u32> = 44_000..=47_000;

/// What a PNG that begins with `head` says; `None` if it says nothing, or has an ICC profile that is to be followed.
pub(super) fn told(head: &[u8]) -> Option<Colours> {
    let (mut numbers, mut is_told, mut exponent, mut places) = (None, false, None, None);
    let mut rest = head.get(8..)?;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((name, after)) = after.split_first_chunk::<4>() else { break };
        let Some((content, after)) = after.split_at_checked(length) else { break };
        match name {
            b"cICP" => numbers = content.first_chunk().copied(),
            b"sRGB" | b"iCCP" => is_told = true,
            b"gAMA" => exponent = content.first_chunk().copied().map(u32::from_be_bytes),
            b"cHRM" => places = content.first_chunk::<32>(),
            b"IDAT" => break,
            _ => (),
        }
        // A checksum is behind it.
        rest = after.get(4..)?;
    }
    // Numbers come before all others, places last.
    match numbers {
        Some([primaries, transfer]) => Some(Colours::of(primaries.into(), transfer.into())),
        None if is_told => None,
        None => profile(exponent, places).map(Colours::By),
    }
}

fn profile(exponent: Option<u32>, places: Option<&[u8; 32]>) -> Option<Vec<u8>> {
    let exponent = exponent.filter(|exponent| *exponent > 0)?;
    let primaries = places.and_then(primaries);
    if USUAL.contains(&exponent) && primaries.is_none() {
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if let Some((white, primaries)) = primaries {
        profile.update_rgb_colorimetry(white.to_xyyb(), primaries);
    }
    if !USUAL.contains(&exponent) {
        let curve = ToneReprCurve::Parametric(vec![100_000.0 / exponent as f32]);
        profile.red_trc = Some(curve.clone());
        profile.green_trc = Some(curve.clone());
        profile.blue_trc = Some(curve);
    }
    profile.encode().ok()
}

/// White and the primaries, unless they are those of sRGB, or make no sense.
fn primaries(places: &[u8; 32]) -> Option<(Chromaticity, ColorPrimaries)> {
    const SRGB: [f32; 8] = [0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];
    let mut numbers = [0.0; 8];
    for (number, octets) in numbers.iter_mut().zip(places.as_chunks().0) {
        *number = u32::from_be_bytes(*octets) as f32 / 100_000.0;
    }
    let is_usual = numbers.iter().zip(SRGB).all(|(number, usual)| (number - usual).abs() < 0.002);
    let makes_sense = numbers.as_chunks::<2>().0.iter().all(|[x, y]| *y > 0.0 && x + y <= 1.0);
    let [white, red, green, blue] =
        [0, 2, 4, 6].map(|at| Chromaticity { x: numbers[at], y: numbers[at + 1] });
    (makes_sense && !is_usual).then_some((white, ColorPrimaries { red, green, blue }))
}
