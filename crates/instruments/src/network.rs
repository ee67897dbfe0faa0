//! The regressor.

use crate::layout::Layout;
use crate::recipe::InstrumentRecipe;
use alice_calculus::{Graph, GraphError, Padding, Value};

const EPS: f64 = 1e-5;

/// The regressor's graph, from "picture" `[size, size, 3]` in −1..1 to
/// "factors" `[layout.len()]`.
///
/// The first convolution turns each 2×2 pixels, with their neighbours, into one
/// position; every further level halves the side again. Each level ends with a
/// residual convolution; a group norm and SiLU come before each but the first.
/// The last map becomes a vector by a convolution as large as itself, so that
/// positions are kept, unlike with a mean.
pub(crate) fn build(recipe: &InstrumentRecipe, layout: &Layout) -> Result<Graph, GraphError> {
    let mut graph = Graph::new();
    let mut x = graph.input("picture", &[recipe.size, recipe.size, 3]);
    let one = Padding::all(1);
    for (level, &channels) in recipe.channels.iter().enumerate() {
        let name = format!("levels.{level}");
        let halve = format!("{name}.halve");
        if level == 0 {
            x = graph.convolution(x, &halve, channels, 4, 2, one, true)?;
        } else {
            let h = activate(&mut graph, x, &format!("{name}.norm_halve"), recipe.group)?;
            x = graph.convolution(h, &halve, channels, 3, 2, one, true)?;
        }
        let h = activate(&mut graph, x, &format!("{name}.norm"), recipe.group)?;
        let h = graph.convolution(h, &format!("{name}.residual"), channels, 3, 1, one, true)?;
        x = graph.add(x, h)?;
    }
    let side = recipe.last_side();
    let none = Padding::all(0);
    let h = activate(&mut graph, x, "norm_map", recipe.group)?;
    let h = graph.convolution(h, "features", recipe.features, side, 1, none, true)?;
    let h = activate(&mut graph, h, "norm_features", recipe.group)?;
    // One position is left, so the sum over positions only drops the axes.
    let h = graph.sum_pool(h);
    let out = graph.linear(h, "factors", layout.len(), true)?;
    graph.output("factors", out);
    Ok(graph)
}

fn activate(graph: &mut Graph, x: Value, name: &str, group: usize) -> Result<Value, GraphError> {
    let channels = graph.dims(x).last().copied().unwrap_or(0);
    graph.group_norm(x, name, channels / group, EPS, true)
}
