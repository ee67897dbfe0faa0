//! The geodesic that leaves a point in a direction.

use super::SmoothMap;
use crate::{
    Block, GeometryError, GolubKahan, Span, Spectrum, Trail,
    maps::Products,
    numeric::{dot, norm},
};

/// Shortest part of the direction inside the tangent space, relative to it,
/// that still has a meaning.
const SHORTEST: f64 = 1e-6;
/// Singular values below this share of the largest are not inverted.
const FLAT: f64 = 1e-6;

/// Geodesic shooting: a walk that keeps straight ahead in H.
///
/// Park et al. (arXiv 2302.12469) move the direction u in H into the tangent
/// space of H at the next point, renormalise it and pull it back to X, where
/// the walk goes on. That is of first order in the step: the tangential part
/// of the curve's bending is lost at each projection. Here each step
/// linearises at its midpoint, walks along the projection of u there and
/// *reflects* u through that tangent space, which keeps its length and is of
/// second order at the same cost, one basis per step.
#[derive(Clone, Debug)]
pub struct Shooting {
    /// The tangent space at each point is that of the leading `rank` triplets.
    pub basis: GolubKahan,
    /// Length of the curve in H.
    pub length: f64,
    /// Steps.
    pub steps: usize,
}

/// A curve of constant speed in H.
#[derive(Clone, Debug)]
pub struct Geodesic {
    /// The points `[steps + 1, n]`, the start first.
    pub points: Block,
    /// ‖proj u‖ at each midpoint, `[steps]`: how much of the direction lay in
    /// the tangent space. Far below one the rank or the number of steps is too
    /// small.
    pub inside: Vec<f64>,
}

impl Shooting {
    /// Shoots from `start` `[n]` towards `tangent` `[n]`, of any length.
    ///
    /// Cost: `steps` linearisations with their bases.
    ///
    /// # Errors
    /// When a parameter is out of range, the tangent does not move H, a tangent
    /// space does not converge or does not hold the direction any more, or the
    /// map fails.
    pub fn shoot<M: SmoothMap + ?Sized>(
        &self,
        map: &M,
        start: &[f32],
        tangent: &[f32],
    ) -> Result<Geodesic, GeometryError> {
        const OPERATION: &str = "geodesic shooting";
        let n = map.domain();
        GeometryError::check_extent(OPERATION, "dimension of the start", start.len(), n)?;
        GeometryError::check_extent(OPERATION, "dimension of the tangent", tangent.len(), n)?;
        if self.steps == 0 || !(self.length > 0.0 && self.length.is_finite()) {
            return Err(GeometryError::Parameter {
                name: "length and steps",
                value: format!("{} and {}", self.length, self.steps),
                requirement: "positive numbers".into(),
            });
        }
        let here = map.linearize(start)?;
        let image = Products::new(&here).push(&Block::from_vec(1, n, tangent.to_vec())?)?;
        let speed = norm(image.row(0));
        if speed.is_nan() || speed <= 0.0 {
            return Err(GeometryError::Degenerate {
                operation: OPERATION,
                detail: "the tangent does not move H".into(),
            });
        }
        let mut u: Vec<f64> = image.row(0).iter().map(|&v| f64::from(v) / speed).collect();
        let mut v: Vec<f64> = tangent.iter().map(|&v| f64::from(v) / speed).collect();
        let mut x: Vec<f64> = start.iter().map(|&v| f64::from(v)).collect();
        let step = self.length / self.steps as f64;
        let mut points = start.to_vec();
        let mut inside = Vec::with_capacity(self.steps);
        let mut trail = Trail::default();
        for _ in 0..self.steps {
            let middle: Vec<f32> = moved(&x, 0.5 * step, &v);
            let jacobian = map.linearize(&middle)?;
            let spectrum = self.basis.decompose_along(&jacobian, &mut trail)?;
            if !spectrum.converged {
                let reached = spectrum.residuals.iter().copied().fold(0.0, f64::max);
                return Err(GeometryError::Degenerate {
                    operation: OPERATION,
                    detail: format!(
                        "the tangent space at step {} of {} did not converge: after {} block \
                         products its residual is {reached:.1e} of the first singular value, and \
                         {:.0e} is needed; lower the rank",
                        inside.len() + 1,
                        self.steps,
                        spectrum.products.blocks(),
                        self.basis.tolerance
                    ),
                });
            }
            let tangents = Span::of(&spectrum.left)?;
            let (projected, share) = project(&tangents, &u);
            if share < SHORTEST {
                return Err(GeometryError::Degenerate {
                    operation: OPERATION,
                    detail: "the direction left the tangent space; raise the rank or the steps"
                        .into(),
                });
            }
            v = pull(&spectrum, &projected);
            // The image of v, which the truncated triplets know only roughly.
            let pushed: Vec<f32> = v.iter().map(|&v| v as f32).collect();
            let pushed = Products::new(&jacobian).push(&Block::from_vec(1, n, pushed)?)?;
            let speed = norm(pushed.row(0));
            v.iter_mut().for_each(|v| *v /= speed);
            x.iter_mut().zip(&v).for_each(|(x, v)| *x += step * v);
            u.iter_mut()
                .zip(&projected)
                .for_each(|(u, p)| *u = 2.0 * p - *u);
            inside.push(share);
            points.extend(x.iter().map(|&x| x as f32));
        }
        Ok(Geodesic {
            points: Block::from_vec(self.steps + 1, n, points)?,
            inside,
        })
    }
}

fn moved(x: &[f64], step: f64, v: &[f64]) -> Vec<f32> {
    x.iter()
        .zip(v)
        .map(|(x, v)| (x + step * v) as f32)
        .collect()
}

/// The part of u in the span, and its length.
fn project(span: &Span, u: &[f64]) -> (Vec<f64>, f64) {
    let basis = span.basis();
    let mut projected = vec![0.0; u.len()];
    let mut square = 0.0;
    for column in 0..basis.ncols() {
        let weight: f64 = (0..u.len()).map(|i| basis[(i, column)] * u[i]).sum();
        square += weight * weight;
        for (i, p) in projected.iter_mut().enumerate() {
            *p += weight * basis[(i, column)];
        }
    }
    (projected, square.sqrt())
}

/// V Σ⁻¹ Uᵀ w.
fn pull(spectrum: &Spectrum, w: &[f64]) -> Vec<f64> {
    let w: Vec<f32> = w.iter().map(|&w| w as f32).collect();
    let mut v = vec![0.0; spectrum.right.dimension()];
    let largest = spectrum.singular_values.first().copied().unwrap_or(0.0);
    for (i, &sigma) in spectrum.singular_values.iter().enumerate() {
        if sigma <= FLAT * largest {
            break;
        }
        let weight = dot(spectrum.left.row(i), &w) / sigma;
        for (v, &r) in v.iter_mut().zip(spectrum.right.row(i)) {
            *v += weight * f64::from(r);
        }
    }
    v
}

#[cfg(test)]
mod tests {
    use super::super::surfaces::{Bend, Paraboloid, Sphere};
    use super::*;

    fn shoot<M: SmoothMap>(
        map: &M,
        start: [f32; 2],
        tangent: [f32; 2],
        length: f64,
        steps: usize,
    ) -> [f64; 2] {
        let basis = GolubKahan {
            block: 1,
            tolerance: 1e-6,
            max_basis: 8,
            ..GolubKahan::new(2)
        };
        let shooting = Shooting {
            basis,
            length,
            steps,
        };
        let found = shooting.shoot(map, &start, &tangent).unwrap();
        assert!(found.inside.iter().all(|&i| i > 0.999));
        let last = found.points.row(found.points.rows() - 1);
        [f64::from(last[0]), f64::from(last[1])]
    }

    /// A great circle: γ(s) = p cos s + u sin s.
    #[test]
    fn on_a_sphere_it_is_the_great_circle() {
        let (start, tangent, length) = ([1.1f32, 0.3], [0.4f32, 0.9], 1.5);
        let [theta, phi] = shoot(&Sphere, start, tangent, length, 800);
        let p = Sphere::point(f64::from(start[0]), f64::from(start[1]));
        let mut u = Sphere::push(
            f64::from(start[0]),
            f64::from(start[1]),
            tangent.map(f64::from),
        );
        let norm = u.iter().map(|v| v * v).sum::<f64>().sqrt();
        u.iter_mut().for_each(|v| *v /= norm);
        let found = Sphere::point(theta, phi);
        for i in 0..3 {
            let exact = p[i] * f64::cos(length) + u[i] * f64::sin(length);
            assert!((found[i] - exact).abs() < 1e-6, "{} {exact}", found[i]);
        }
    }

    /// Along a meridian the arc length is ½ r √(1 + 4 r²) + ¼ asinh 2r.
    #[test]
    fn on_a_paraboloid_meridians_are_geodesics_of_known_length() {
        let arc = |r: f64| 0.5 * r * (1.0 + 4.0 * r * r).sqrt() + 0.25 * (2.0 * r).asinh();
        let length = arc(1.3) - arc(0.2);
        let [x, y] = shoot(&Paraboloid, [0.2, 0.0], [1.0, 0.0], length, 800);
        assert!((x - 1.3).abs() < 1e-6 && y.abs() < 1e-6, "{x} {y}");
    }

    /// Past the axis, neither along a meridian nor around a parallel. Twice the
    /// steps leave a quarter of the error: the second order.
    #[test]
    fn on_a_paraboloid_a_bent_geodesic_ends_where_its_quadrature_says() {
        for (nearest, from, to) in [(0.6, -0.9, 0.7), (0.35, -0.5, 0.8), (1.0, 0.0, 0.9)] {
            let bend = Bend { nearest };
            let start = bend.point(from).map(|v| v as f32);
            let tangent = bend.tangent(from).map(|v| v as f32);
            let end = bend.point(to);
            let error = |steps| {
                let found = shoot(&Paraboloid, start, tangent, bend.length(from, to), steps);
                (found[0] - end[0]).hypot(found[1] - end[1])
            };
            let order = (error(200) / error(400)).log2();
            assert!((order - 2.0).abs() < 0.1, "{nearest}: order {order}");
            assert!(error(3200) < 1e-6, "{nearest}: {}", error(3200));
        }
    }

    #[test]
    fn a_tangent_space_that_did_not_converge_is_refused() {
        let shooting = Shooting {
            basis: GolubKahan {
                block: 1,
                max_block_products: 2,
                ..GolubKahan::new(2)
            },
            length: 0.1,
            steps: 3,
        };
        let error = shooting.shoot(&Paraboloid, &[0.2, 0.0], &[1.0, 0.0]);
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("step 1 of 3 did not converge"),
            "{message}"
        );
    }

    #[test]
    fn a_direction_that_does_not_move_is_refused() {
        let shooting = Shooting {
            basis: GolubKahan::new(2),
            length: 1.0,
            steps: 4,
        };
        let error = shooting.shoot(&Sphere, &[1.0, 0.0], &[0.0, 0.0]);
        assert!(error.unwrap_err().to_string().contains("does not move H"));
        let error = shooting.shoot(&Sphere, &[1.0], &[0.0, 0.0]);
        assert!(error.unwrap_err().to_string().contains("start"));
    }
}
