//! Colours as RGB triples in [0, 1].

/// Red, green, blue.
pub(crate) type Color = [f32; 3];

/// `a` at 0, `b` at 1.
pub(crate) fn mix(a: Color, b: Color, share: f32) -> Color {
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * share)
}

/// Every channel times a factor.
pub(crate) fn dim(color: Color, factor: f32) -> Color {
    color.map(|channel| channel * factor)
}

/// The colour of a hue: three cosines a third of a turn apart, which is smooth
/// around the whole circle and never saturates.
pub(crate) fn hue_color(turns: f32, value: f32, chroma: f32) -> Color {
    [0.0, 1.0, 2.0].map(|third: f32| {
        let angle = std::f32::consts::TAU * (turns - third / 3.0);
        value + chroma * libm::cosf(angle)
    })
}
