//! Draws a contact sheet and measures the speed of drawing.
//!
//! `cargo run --release -p alice-worlds --example sheet -- OUT.png [KIND] [SIZE] [ZOOM]`
//! where KIND is `samples`, `species`, `haunted` or the name of a factor.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::time::Instant;

use alice_worlds::{Factors, PuppetShow, Species, factor_index, render, render_batch, traverse};

const COLUMNS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("name a PNG file to write")?;
    let kind = arguments.get(1).map_or("samples", String::as_str);
    let size = arguments.get(2).map_or(Ok(32), |text| text.parse())?;
    let zoom: usize = arguments.get(3).map_or(Ok(4), |text| text.parse())?;
    let rows = rows(kind)?;
    write_sheet(path, &rows, size, zoom.max(1))?;

    let show = PuppetShow::default();
    let count = 20_000;
    let start = Instant::now();
    render_batch(&show, 1, 0..count, 32)?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{count} pictures at 32×32 in {seconds:.2} s: {:.0} per second on {} threads",
        count as f64 / seconds,
        rayon::current_num_threads()
    );
    Ok(())
}

fn rows(kind: &str) -> Result<Vec<Vec<Factors>>, Box<dyn Error>> {
    let one_of_each = |haunted| {
        Species::ALL.map(|species| Factors {
            species,
            haunted,
            ..Factors::default()
        })
    };
    match kind {
        "samples" | "haunted" => {
            let show = PuppetShow::new(if kind == "haunted" { 1.0 } else { 0.03 })?;
            Ok((0..6)
                .map(|row| {
                    (0..COLUMNS as u64)
                        .map(|column| show.sample_factors(3, row * COLUMNS as u64 + column))
                        .collect()
                })
                .collect())
        }
        "species" => {
            let row = one_of_each(false).into_iter().chain(one_of_each(true));
            Ok(vec![row.collect()])
        }
        name => {
            let index = factor_index(name).ok_or("no such factor")?;
            one_of_each(false)
                .iter()
                .map(|factors| Ok(traverse(factors, index, COLUMNS)?))
                .collect()
        }
    }
}

fn write_sheet(
    path: &str,
    rows: &[Vec<Factors>],
    size: usize,
    zoom: usize,
) -> Result<(), Box<dyn Error>> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let (cell, gap) = (size * zoom, 2);
    let (width, height) = (columns * (cell + gap), rows.len() * (cell + gap));
    let mut sheet = vec![255u8; width * height * 3];
    for (row, cells) in rows.iter().enumerate() {
        for (column, factors) in cells.iter().enumerate() {
            let pixels = render(factors, size)?.to_rgb8();
            for y in 0..cell {
                for x in 0..cell {
                    let from = 3 * ((y / zoom) * size + x / zoom);
                    let to = 3 * ((row * (cell + gap) + y) * width + column * (cell + gap) + x);
                    sheet[to..to + 3].copy_from_slice(&pixels[from..from + 3]);
                }
            }
        }
    }
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&sheet)?;
    Ok(())
}
