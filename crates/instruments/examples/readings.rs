//! Draws pictures beside what the instrument read from them: the picture, the
//! refined reading drawn, and their difference, for true pictures and for
//! perturbed ones. A red bar marks what is not valid.
//!
//! `cargo run --release -p alice-instruments --example readings -- OUT.png [FOLDER]`

use alice_instruments::{Instrument, Perturbation};
use alice_runs::{Metadata, Picture, atomic, picture::encode_png};
use alice_worlds::{PuppetShow, render, render_batch};
use std::error::Error;

const COLUMNS: usize = 8;
const ZOOM: usize = 3;
const SEED: u64 = 99;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("name a PNG file to write")?;
    let instrument = match arguments.get(1) {
        Some(folder) => Instrument::load(folder)?,
        None => Instrument::bundled()?,
    };
    let size = instrument.size();
    let batch = render_batch(&PuppetShow::new(0.1)?, SEED, 0..COLUMNS as u64, size)?;
    let item = size * size * 3;
    let mut rows = Vec::new();
    for kind in Perturbation::ALL {
        let pictures = kind.apply(&batch, SEED);
        let found = instrument.validity(&pictures)?;
        let mut cells = [Vec::new(), Vec::new(), Vec::new()];
        for (picture, found) in pictures.chunks(item).zip(&found) {
            let seen: Vec<f32> = picture.iter().map(|v| 0.5 * v + 0.5).collect();
            let mut drawn = render(&found.reading.factors, size)?.rgb;
            let apart = seen.iter().zip(&drawn).map(|(a, b)| 0.5 + (a - b));
            cells[2].push(apart.collect());
            if !found.valid {
                for value in drawn.iter_mut().take(size * 3 * 2).step_by(3) {
                    *value = 1.0;
                }
            }
            cells[0].push(seen);
            cells[1].push(drawn);
        }
        rows.extend(cells);
    }
    let (cell, height) = (size * ZOOM + 2, rows.len() * (size * ZOOM + 2));
    let width = COLUMNS * cell;
    let mut rgb = vec![255u8; width * height * 3];
    for (row, cells) in rows.iter().enumerate() {
        for (column, values) in cells.iter().enumerate() {
            for y in 0..size * ZOOM {
                for x in 0..size * ZOOM {
                    let from = (y / ZOOM * size + x / ZOOM) * 3;
                    let to = ((row * cell + y) * width + column * cell + x) * 3;
                    for channel in 0..3 {
                        rgb[to + channel] =
                            (values[from + channel] * 255.0).clamp(0.0, 255.0) as u8;
                    }
                }
            }
        }
    }
    let sheet = Picture::new(width as u32, height as u32, rgb)?;
    Ok(atomic::write(
        path,
        &encode_png(path, &sheet, &Metadata::default())?,
    )?)
}
