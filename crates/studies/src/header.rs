//! What a PNG says of itself before its pixels.

use crate::StudyError;
use crate::input::InputFile;

/// The header of a PNG (W3C, Portable Network Graphics, sections 11.2 and 11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Height and width.
    pub size: (usize, usize),
    /// Whether it has at most 8 bits a sample and no transparency, so that
    /// 8-bit RGB is all of it.
    pub plain: bool,
}

impl Header {
    /// Of a picture that was read as a whole before.
    pub fn of(file: &InputFile) -> Result<Self, StudyError> {
        let why = "is not a PNG picture";
        Self::parse(&file.read()?)
            .ok_or_else(|| StudyError::argument(file.path.display().to_string(), why))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| -> Option<usize> {
            let four = bytes.get(at..at.checked_add(4)?)?;
            usize::try_from(u32::from_be_bytes(four.try_into().ok()?)).ok()
        };
        let (width, height) = (number(16)?, number(20)?);
        let (depth, colour) = (*bytes.get(24)?, *bytes.get(25)?);
        let has_alpha = matches!(colour, 4 | 6);
        // Transparency of other kinds is a chunk between header and pixels.
        let (mut at, mut transparent) = (8usize, false);
        while let Some(name) = bytes.get(at.checked_add(4)?..at.checked_add(8)?) {
            match name {
                b"IDAT" => break,
                b"tRNS" => transparent = true,
                _ => {}
            }
            // Length, name and checksum are four bytes each.
            at = at.checked_add(number(at)?)?.checked_add(12)?;
        }
        Some(Self {
            size: (height, width),
            plain: depth <= 8 && !has_alpha && !transparent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(depth: u8, colour: u8, chunks: &[&[u8; 4]]) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x05\0\0\0\x03".to_vec();
        bytes.extend([depth, colour, 0, 0, 0]);
        bytes.extend([0; 4]);
        for name in chunks {
            bytes.extend([0, 0, 0, 2]);
            bytes.extend(*name);
            bytes.extend([0; 6]);
        }
        bytes
    }

    #[test]
    fn depth_and_transparency_are_seen() {
        let plain = |depth, colour, chunks: &[&[u8; 4]]| {
            let found = Header::parse(&png(depth, colour, chunks)).unwrap();
            assert_eq!(found.size, (3, 5));
            found.plain
        };
        assert!(plain(8, 2, &[b"tEXt", b"IDAT"]));
        assert!(plain(1, 0, &[b"IDAT"]));
        assert!(plain(4, 3, &[b"PLTE", b"IDAT"]));
        assert!(!plain(16, 2, &[b"IDAT"]));
        assert!(!plain(8, 6, &[b"IDAT"]));
        assert!(!plain(8, 4, &[b"IDAT"]));
        assert!(!plain(8, 3, &[b"PLTE", b"tRNS", b"IDAT"]));
        assert!(plain(8, 2, &[b"IDAT", b"tRNS"]));
        let whole = png(8, 2, &[b"tEXt", b"IDAT"]);
        for length in 0..26 {
            assert_eq!(Header::parse(&whole[..length]), None);
        }
        let mut long = whole;
        long[8..12].fill(0xff);
        assert!(Header::parse(&long).is_some());
    }
}
