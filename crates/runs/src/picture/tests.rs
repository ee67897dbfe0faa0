use super::*;
use png::{BitDepth, ColorType};
use serde_json::json;

pub(super) fn example() -> Picture {
    let rgb = (0..5 * 4 * 3).map(|i| (i * 37 % 251) as u8).collect();
    Picture::new(5, 4, rgb).unwrap()
}

pub(super) fn example_metadata() -> Metadata {
    let parameters = Parameters {
        prompt: "a cat person\nwith a nap smile".into(),
        negative_prompt: "strings".into(),
        steps: Some(20),
        sampler: Some("DDIM".into()),
        guidance: Some(7.5),
        seed: Some(1),
        size: Some((32, 32)),
        model_hash: Some("0123456789abcdef".into()),
        model: Some("puppets-32".into()),
        others: vec![("Direction".into(), "3, left: \"eyes\"".into())],
    };
    let recipe = Recipe::new("sample", &json!({"prompt": "一只猫"}), 1, None).unwrap();
    Metadata::new()
        .with_parameters(&parameters)
        .with_recipe(&recipe)
}

#[test]
fn a_picture_and_its_texts_survive_the_round_trip() {
    let metadata = example_metadata().with_text("Comment", "naïve ☃");
    let bytes = encode_png("x.png", &example(), &metadata).unwrap();
    let (picture, texts) = decode_png("x.png", &bytes).unwrap();
    assert_eq!(picture, example());
    assert_eq!(texts, metadata);
    assert_eq!(bytes, encode_png("y.png", &example(), &metadata).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.png");
    crate::atomic::write(&path, &bytes).unwrap();
    assert_eq!(read_png(&path).unwrap(), (picture, texts));
    assert!(read_png(folder.path()).is_err());
}

#[test]
fn parameters_read_as_the_web_ui_writes_them() {
    let expected = format!(
        "a cat person\nwith a nap smile\nNegative prompt: strings\n\
         Steps: 20, Sampler: DDIM, CFG scale: 7.5, Seed: 1, Size: 32x32, \
         Model hash: 0123456789, Model: puppets-32, \
         Direction: \"3, left: \\\"eyes\\\"\", Version: Alice {}",
        crate::VERSION
    );
    assert_eq!(example_metadata().texts["parameters"], expected);
}

/// Latin-1 texts are plain `tEXt`, others and the recipe `iTXt`.
#[test]
fn texts_are_stored_where_other_programs_look() {
    let find = |metadata: &Metadata, needle: &[u8]| {
        let bytes = encode_png("x", &example(), metadata).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    assert!(find(&example_metadata(), b"tEXtparameters\0a cat"));
    assert!(find(&example_metadata(), b"iTXtalice\0\0\0\0\0{\"alice\":"));
    let chinese = Metadata::new().with_text("parameters", "一只猫");
    assert!(find(&chinese, "iTXtparameters\0\0\0\0\0一只猫".as_bytes()));
}

#[test]
fn texts_a_png_cannot_hold_are_refused() {
    for keyword in ["", " x", "a  b", "猫", &"k".repeat(80), "a\nb"] {
        let metadata = Metadata::new().with_text(keyword, "text");
        assert!(
            encode_png("x", &example(), &metadata).is_err(),
            "{keyword:?}"
        );
    }
    let zero = Metadata::new().with_text("parameters", "a\0b");
    assert!(
        encode_png("x", &example(), &zero)
            .unwrap_err()
            .what()
            .contains("zero character")
    );
}

#[test]
fn sizes_are_checked() {
    assert!(Picture::new(2, 2, vec![0; 11]).is_err());
    assert!(Picture::new(0, 2, vec![]).is_err());
    assert!(Picture::new(u32::MAX, u32::MAX, vec![]).is_err());
    assert!(Picture::new(100_000, 1, vec![0; 300_000]).is_err());
    assert_eq!(example().rgb().len(), 60);
    assert_eq!(example().into_rgb().len(), 60);
}

/// A picture of any kind, written by the `png` crate.
fn encoded(
    color: ColorType,
    depth: BitDepth,
    width: u32,
    data: &[u8],
    palette: &[u8],
    alpha: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, 1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if !palette.is_empty() {
        encoder.set_palette(palette.to_vec());
    }
    if !alpha.is_empty() {
        encoder.set_trns(alpha.to_vec());
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn every_kind_of_png_becomes_rgb() {
    use BitDepth::{Eight, Four, One, Sixteen, Two};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let palette: &[u8] = &[1, 2, 3, 250, 0, 9];
    let cases: [(&str, Vec<u8>, Vec<u8>); 13] = [
        (
            "grey 1",
            encoded(Grayscale, One, 2, &[0b0100_0000], &[], &[]),
            vec![0, 0, 0, 255, 255, 255],
        ),
        (
            "grey 2",
            encoded(Grayscale, Two, 2, &[0b0110_0000], &[], &[]),
            vec![85, 85, 85, 170, 170, 170],
        ),
        (
            "grey 4",
            encoded(Grayscale, Four, 1, &[0x30], &[], &[]),
            vec![51, 51, 51],
        ),
        (
            "grey 8",
            encoded(Grayscale, Eight, 1, &[7], &[], &[]),
            vec![7, 7, 7],
        ),
        // 0x7fff is 127.498 of 255 and 0x8080 exactly 128.
        (
            "grey 16",
            encoded(Grayscale, Sixteen, 2, &[0x7f, 0xff, 0x80, 0x80], &[], &[]),
            vec![127, 127, 127, 128, 128, 128],
        ),
        (
            "grey alpha",
            encoded(GrayscaleAlpha, Eight, 2, &[0, 0, 0, 128], &[], &[]),
            vec![255, 255, 255, 127, 127, 127],
        ),
        (
            "grey alpha 16",
            encoded(GrayscaleAlpha, Sixteen, 1, &[0, 0, 0, 0], &[], &[]),
            vec![255, 255, 255],
        ),
        (
            "rgb 8",
            encoded(Rgb, Eight, 1, &[1, 2, 3], &[], &[]),
            vec![1, 2, 3],
        ),
        (
            "rgb 16",
            encoded(Rgb, Sixteen, 1, &[255, 255, 0, 200, 0, 0], &[], &[]),
            vec![255, 1, 0],
        ),
        (
            "rgba 8",
            encoded(Rgba, Eight, 1, &[10, 20, 30, 255], &[], &[]),
            vec![10, 20, 30],
        ),
        (
            "rgba 16",
            encoded(
                Rgba,
                Sixteen,
                1,
                &[0, 0, 0, 0, 255, 255, 128, 128],
                &[],
                &[],
            ),
            vec![127, 127, 255],
        ),
        (
            "palette",
            encoded(Indexed, One, 2, &[0b0100_0000], palette, &[]),
            vec![1, 2, 3, 250, 0, 9],
        ),
        (
            "palette alpha",
            encoded(Indexed, Eight, 2, &[0, 1], palette, &[0]),
            vec![255, 255, 255, 250, 0, 9],
        ),
    ];
    for (kind, bytes, expected) in cases {
        let (picture, _) = decode_png(kind, &bytes).unwrap();
        assert_eq!(picture.rgb(), expected, "{kind}");
    }
}

#[test]
fn colours_and_opacity_are_told_apart() {
    use BitDepth::{Eight, Sixteen};
    use ColorType::{GrayscaleAlpha, Indexed, Rgb, Rgba};
    let clear = [10, 20, 30, 0, 40, 50, 60, 255];
    let wide = [128, 128, 127, 255];
    let cases: [(Vec<u8>, &[u8], &[u8]); 4] = [
        (
            encoded(Rgba, Eight, 2, &clear, &[], &[]),
            &[10, 20, 30, 40, 50, 60],
            &[0, 255],
        ),
        (
            encoded(GrayscaleAlpha, Sixteen, 1, &wide, &[], &[]),
            &[128, 128, 128],
            &[127],
        ),
        (
            encoded(Rgb, Eight, 1, &[1, 2, 3], &[], &[]),
            &[1, 2, 3],
            &[255],
        ),
        (
            encoded(Indexed, Eight, 1, &[0], &[1, 2, 3], &[9]),
            &[1, 2, 3],
            &[9],
        ),
    ];
    for (bytes, colours, opacity) in cases {
        let (picture, found) = decode_layers("a", &bytes).unwrap();
        assert_eq!((picture.rgb(), &found[..]), (colours, opacity));
    }
}

fn frames() -> Vec<Picture> {
    let frame = |shift: u32| {
        let rgb = (0..24u32 * 24 * 3)
            .map(|i| ((i * 7 + shift * 50) % 256) as u8)
            .collect();
        Picture::new(24, 24, rgb).unwrap()
    };
    (0..3).map(frame).collect()
}

#[test]
fn an_animated_png_holds_every_frame_and_its_recipe() {
    let frames = frames();
    let bytes = encode_apng("walk.png", &frames, 80, &example_metadata()).unwrap();
    assert_eq!(
        bytes,
        encode_apng("walk.png", &frames, 80, &example_metadata()).unwrap()
    );
    let (still, texts) = decode_png("walk.png", &bytes).unwrap();
    assert_eq!((&still, &texts), (&frames[0], &example_metadata()));
    let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
        .read_info()
        .unwrap();
    let animation = *reader.info().animation_control().unwrap();
    assert_eq!((animation.num_frames, animation.num_plays), (3, 0));
    let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
    for frame in &frames {
        reader.next_frame(&mut buffer).unwrap();
        assert_eq!(buffer, frame.rgb());
        let control = reader.info().frame_control().unwrap();
        assert_eq!((control.delay_num, control.delay_den), (80, 1000));
    }
}

#[test]
fn a_gif_holds_every_frame() {
    let frames = frames();
    let bytes = encode_gif("walk.gif", &frames, 84).unwrap();
    assert_eq!(bytes, encode_gif("walk.gif", &frames, 84).unwrap());
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut reader = options.read_info(bytes.as_slice()).unwrap();
    assert_eq!(reader.repeat(), gif::Repeat::Infinite);
    for frame in &frames {
        let read = reader.read_next_frame().unwrap().unwrap();
        assert_eq!((read.width, read.height, read.delay), (24, 24, 9));
        // At most 256 colours per frame; here they are all kept.
        let rgb: Vec<u8> = read
            .buffer
            .chunks_exact(4)
            .flat_map(|c| [c[0], c[1], c[2]])
            .collect();
        assert_eq!(rgb, frame.rgb());
    }
    assert!(reader.read_next_frame().unwrap().is_none());
}

#[test]
fn a_gif_of_many_colours_is_close() {
    let rgb: Vec<u8> = (0..64u32 * 64)
        .flat_map(|i| [(i % 64 * 4) as u8, (i / 64 * 4) as u8, 128])
        .collect();
    let frame = Picture::new(64, 64, rgb).unwrap();
    let bytes = encode_gif("many.gif", std::slice::from_ref(&frame), 0).unwrap();
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut reader = options.read_info(bytes.as_slice()).unwrap();
    let read = reader.read_next_frame().unwrap().unwrap();
    assert_eq!(read.delay, 2);
    let pairs = read.buffer.chunks_exact(4).zip(frame.rgb().chunks_exact(3));
    let total: u32 = pairs
        .flat_map(|(a, b)| (0..3).map(|c| u32::from(a[c].abs_diff(b[c]))))
        .sum();
    let mean = f64::from(total) / frame.rgb().len() as f64;
    // NeuQuant on 4,096 colours; a grid of 256 would give 2.7.
    assert!(mean < 7.0, "mean error {mean}");
}

#[test]
fn animations_need_frames_of_one_size() {
    let metadata = Metadata::new();
    assert!(encode_apng("x", &[], 80, &metadata).is_err());
    assert!(encode_gif("x", &[], 80).is_err());
    let mixed = [frames().remove(0), example()];
    assert!(
        encode_apng("x", &mixed, 80, &metadata)
            .unwrap_err()
            .what()
            .contains("frame 1 is 5 × 4")
    );
    assert!(encode_gif("x", &mixed, 80).is_err());
}
