//! Shapes made of other shapes.

use super::{Bounds, Shape};

/// A shape bent along a parabola: shifted down by `amount`·(x − centre)².
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bent<S> {
    pub shape: S,
    pub center: f32,
    pub amount: f32,
}

impl<S: Shape> Shape for Bent<S> {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let offset = x - self.center;
        self.shape.distance(x, y - self.amount * offset * offset)
    }

    fn bounds(&self) -> Bounds {
        let inner = self.shape.bounds();
        let reach = (inner.max[0] - self.center).max(self.center - inner.min[0]);
        let shift = (self.amount * reach * reach).abs();
        Bounds {
            min: [inner.min[0], inner.min[1] - shift],
            max: [inner.max[0], inner.max[1] + shift],
        }
    }
}

/// A shape with its outline moved outwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grown<S>(pub S, pub f32);

impl<S: Shape> Shape for Grown<S> {
    fn distance(&self, x: f32, y: f32) -> f32 {
        self.0.distance(x, y) - self.1
    }

    fn bounds(&self) -> Bounds {
        self.0.bounds().grown(self.1)
    }
}

/// The outline of a shape, with this half width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline<S>(pub S, pub f32);

impl<S: Shape> Shape for Outline<S> {
    fn distance(&self, x: f32, y: f32) -> f32 {
        self.0.distance(x, y).abs() - self.1
    }

    fn bounds(&self) -> Bounds {
        self.0.bounds().grown(self.1)
    }
}

/// What two shapes share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Both<A, B>(pub A, pub B);

impl<A: Shape, B: Shape> Shape for Both<A, B> {
    fn distance(&self, x: f32, y: f32) -> f32 {
        self.0.distance(x, y).max(self.1.distance(x, y))
    }

    fn bounds(&self) -> Bounds {
        let (a, b) = (self.0.bounds(), self.1.bounds());
        Bounds {
            min: [0, 1].map(|i| a.min[i].max(b.min[i])),
            max: [0, 1].map(|i| a.max[i].min(b.max[i])),
        }
    }
}

/// What either of two shapes covers, joined smoothly over `blend`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Either<A, B> {
    pub a: A,
    pub b: B,
    pub blend: f32,
}

impl<A: Shape, B: Shape> Shape for Either<A, B> {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let (a, b) = (self.a.distance(x, y), self.b.distance(x, y));
        let overlap = (1.0 - (a - b).abs() / self.blend).max(0.0);
        a.min(b) - 0.25 * self.blend * overlap * overlap
    }

    fn bounds(&self) -> Bounds {
        let (a, b) = (self.a.bounds(), self.b.bounds());
        Bounds {
            min: [0, 1].map(|i| a.min[i].min(b.min[i])),
            max: [0, 1].map(|i| a.max[i].max(b.max[i])),
        }
        .grown(0.25 * self.blend)
    }
}
