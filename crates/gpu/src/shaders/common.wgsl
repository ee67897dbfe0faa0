// Functions that differ between drivers in their last bits, written out: the
// processor's formulas.

// exp(x): x = n ln 2 + r, a polynomial in r (Cephes).
fn exponential(value: f32) -> f32 {
    let x = clamp(value, -87.0, 88.0);
    let n = round(x * 1.44269504);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    var p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    p = p * r * r + r + 1.0;
    return bitcast<f32>(bitcast<i32>(p) + (i32(n) << 23u));
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exponential(-x));
}

// The derivative of x sigmoid(a x).
fn sigmoid_slope(x: f32, a: f32) -> f32 {
    let s = sigmoid(a * x);
    return s * (1.0 + a * x * (1.0 - s));
}

// The standard normal distribution at x; erf by Abramowitz and Stegun 7.1.26.
fn normal_below(x: f32) -> f32 {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    var p = 1.0614054;
    p = p * t - 1.4531521;
    p = p * t + 1.4214138;
    p = p * t - 0.28449672;
    p = p * t + 0.2548296;
    let erf = 1.0 - p * t * exponential(-z * z);
    return 0.5 + 0.5 * select(erf, -erf, x < 0.0);
}

fn gelu(x: f32) -> f32 {
    return x * normal_below(x);
}

fn gelu_slope(x: f32) -> f32 {
    return normal_below(x) + x * exponential(-0.5 * x * x) * 0.3989422804;
}
