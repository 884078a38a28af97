//! What PNG files are made of, for thumbnails and for pictures to try things with.

use flate2::Crc;

/// Appends a chunk: how long it is, its name, its data and their checksum (PNG, 5.3).
pub fn push(png: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(data);
    png.extend((data.len() as u32).to_be_bytes());
    png.extend(name);
    png.extend(data);
    png.extend(crc.sum().to_be_bytes());
}
