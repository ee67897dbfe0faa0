//! The control tasks as pictures.

use crate::StudyError;
use crate::pictures::{Canvas, Face, Rgb, Type, numbers, palette};
use alice_evolution::EvolutionError;
use alice_evolution::control::{ControlProblem, Episode, Frame};
use alice_runs::Picture;
use serde::Serialize;

const WIDTH: usize = 640;
const HEIGHT: usize = 400;
const MARGIN: usize = 24;
/// Longer episodes skip steps.
const MOST_FRAMES: usize = 160;
const REST: usize = 12;
/// Moments on the sheet, in rows of three.
const SHOWN: usize = 6;
const COLUMNS: usize = 3;
/// Other starts that the best controller has to master.
const OTHER_STARTS: u64 = 100;

const BODY: Type = Type::new(Face::Regular, 15.0);
const BOLD: Type = Type::new(Face::Bold, 18.0);
const COOL: Rgb = [0x5f, 0xa8, 0xc4];
const DEEP: Rgb = [0x22, 0x2c, 0x48];

/// How long a frame is shown.
pub(super) const MILLISECONDS: u16 = 50;

/// What the final population and its best controller achieve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ControlReport {
    /// Parameters of a policy.
    pub parameters: usize,
    /// Share of the final population that solves the task from the start they
    /// evolved with; not for the pendulum, which is never solved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population_solved: Option<f64>,
    /// Mean return of the final population.
    pub population_return: f64,
    /// The best controller's return from that start.
    pub best_return: f64,
    /// Its steps.
    pub best_steps: f64,
    /// Its mean return from 100 other starts.
    pub other_starts_return: f64,
    /// Share of 100 other starts from which it solves the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_starts_solved: Option<f64>,
}

/// Runs the final population once more, and the best from other starts.
pub(super) fn outcome(
    problem: &ControlProblem,
    points: &[f64],
    best: &[f64],
    seed: u64,
) -> Result<ControlReport, EvolutionError> {
    let mean = |episodes: &[Episode], value: fn(&Episode) -> f64| {
        episodes.iter().map(value).sum::<f64>() / episodes.len().max(1) as f64
    };
    let solvable = problem.task() != alice_evolution::control::Task::Pendulum;
    let population = problem.outcomes(points)?;
    let own = problem.outcomes(best)?;
    let starts: Vec<u64> = (1..=OTHER_STARTS).map(|i| seed.wrapping_add(i)).collect();
    let others = problem.with_starts(&starts)?.outcomes(best)?;
    Ok(ControlReport {
        parameters: best.len(),
        population_solved: solvable.then(|| mean(&population, |e| e.solved)),
        population_return: mean(&population, |e| e.total),
        best_return: mean(&own, |e| e.total),
        best_steps: mean(&own, |e| e.steps),
        other_starts_return: mean(&others, |e| e.total),
        other_starts_solved: solvable.then(|| mean(&others, |e| e.solved)),
    })
}

/// The return of a controller from the problem's starts.
pub(super) fn total(problem: &ControlProblem, point: &[f64]) -> Result<f64, EvolutionError> {
    let episodes = problem.outcomes(point)?;
    Ok(episodes.first().map_or(f64::NAN, |episode| episode.total))
}

/// An episode of a controller as a film and as a sheet.
pub(super) fn film(
    problem: &ControlProblem,
    controller: &[f64],
    seed: u64,
) -> Result<(Vec<Picture>, Picture), StudyError> {
    let mut moments: Vec<(Frame, f64)> = Vec::new();
    let mut total = 0.0;
    problem.episode(controller, seed, |frame, step| {
        total += step.reward;
        moments.push((frame, total));
    })?;
    let every = moments.len().div_ceil(MOST_FRAMES).max(1);
    let last = moments.len().saturating_sub(1);
    let name = problem.task().name();
    let picture = |index: usize| {
        let mut canvas = Canvas::new(WIDTH, HEIGHT, palette::GROUND);
        if let Some((frame, total)) = moments.get(index) {
            draw(&mut canvas, frame);
            canvas.text((MARGIN, MARGIN + 14), name, BOLD, palette::INK);
            let words = format!("step {}   return {}", index + 1, numbers::fixed(*total, 1));
            let x = WIDTH - MARGIN - BODY.width(&words) as usize;
            canvas.text((x, MARGIN + 14), &words, BODY, palette::SOFT);
        }
        canvas.into_picture()
    };
    let mut order: Vec<usize> = (0..last).step_by(every).collect();
    order.extend([last; REST]);
    let frames = order.into_iter().map(picture);
    let frames = frames.collect::<Result<Vec<_>, _>>()?;
    let gap = 8;
    let mut sheet = Canvas::new(
        COLUMNS * (WIDTH + gap) + gap,
        SHOWN / COLUMNS * (HEIGHT + gap) + gap,
        palette::RAISED,
    );
    for k in 0..SHOWN {
        let corner = (
            gap + k % COLUMNS * (WIDTH + gap),
            gap + k / COLUMNS * (HEIGHT + gap),
        );
        sheet.blit(&picture(k * last / (SHOWN - 1))?, corner);
    }
    Ok((frames, sheet.into_picture()?))
}

fn draw(canvas: &mut Canvas, frame: &Frame) {
    let middle = WIDTH as f64 / 2.0;
    match *frame {
        Frame::CartPole { position, angle } => {
            let (scale, ground) = (110.0, 320.0);
            let x = middle + position * scale;
            rail(canvas, ground + 22.0);
            for side in [-2.4, 2.4] {
                let edge = middle + side * scale;
                canvas.stroke(
                    [edge, ground + 8.0],
                    [edge, ground + 34.0],
                    1.5,
                    palette::SOFT,
                );
            }
            canvas.stroke([x - 34.0, ground], [x + 34.0, ground], 16.0, COOL);
            for wheel in [-26.0, 26.0] {
                let at = [x + wheel, ground + 18.0];
                canvas.stroke(at, at, 8.0, DEEP);
            }
            let foot = [x, ground - 10.0];
            let length = 1.8 * scale;
            let tip = [
                foot[0] + length * angle.sin(),
                foot[1] - length * angle.cos(),
            ];
            canvas.stroke(foot, tip, 6.0, palette::ACCENT);
            canvas.stroke(foot, foot, 4.0, palette::GROUND);
        }
        Frame::Acrobot { angles } => {
            let (scale, top) = (84.0, [middle, 212.0]);
            let goal = top[1] - scale;
            dashes(canvas, goal);
            let from =
                |[x, y]: [f64; 2], angle: f64| [x + scale * angle.sin(), y + scale * angle.cos()];
            let elbow = from(top, angles[0]);
            let tip = from(elbow, angles[0] + angles[1]);
            canvas.stroke(top, elbow, 9.0, COOL);
            canvas.stroke(elbow, tip, 8.0, palette::ACCENT);
            for joint in [top, elbow] {
                canvas.stroke(joint, joint, 4.0, palette::GROUND);
            }
        }
        Frame::MountainCar {
            position,
            height,
            goal,
        } => {
            let x = |p: f64| MARGIN as f64 + (p + 1.2) / 1.8 * (WIDTH - 2 * MARGIN) as f64;
            let y = |h: f64| 370.0 - h * 260.0;
            let ground = |p: f64| 0.45 * (3.0 * p).sin() + 0.55;
            for column in MARGIN..WIDTH - MARGIN {
                let p = (column - MARGIN) as f64 / (WIDTH - 2 * MARGIN) as f64 * 1.8 - 1.2;
                let surface = y(ground(p)).round() as usize;
                canvas.fill((column, surface), (1, HEIGHT - 16 - surface), DEEP);
                let at = [column as f64, y(ground(p))];
                canvas.stroke(at, at, 1.2, COOL);
            }
            let flag = [x(goal), y(ground(goal))];
            let top = [flag[0], flag[1] - 58.0];
            canvas.stroke(flag, top, 1.6, palette::INK);
            canvas.stroke(
                [top[0] + 3.0, top[1] + 5.0],
                [top[0] + 18.0, top[1] + 8.0],
                5.0,
                palette::ACCENT,
            );
            // The car stands on the slope, which is steeper on the screen.
            let slope =
                3.0 * 0.45 * (3.0 * position).cos() * 260.0 * 1.8 / (WIDTH - 2 * MARGIN) as f64;
            let length = slope.hypot(1.0);
            let (along, up) = (
                [1.0 / length, -slope / length],
                [-slope / length, -1.0 / length],
            );
            let at = |forward: f64, raised: f64| {
                [
                    x(position) + forward * along[0] + raised * up[0],
                    y(height) + forward * along[1] + raised * up[1],
                ]
            };
            canvas.stroke(at(-16.0, 15.0), at(16.0, 15.0), 8.0, palette::ACCENT);
            for wheel in [-14.0, 14.0] {
                canvas.stroke(at(wheel, 6.0), at(wheel, 6.0), 6.0, palette::INK);
            }
        }
        Frame::Pendulum { angle, torque } => {
            let (centre, length) = ([middle, 212.0], 140.0);
            let tip = [
                centre[0] - length * angle.sin(),
                centre[1] - length * angle.cos(),
            ];
            for tick in 0..24 {
                let turn = f64::from(tick) / 24.0 * std::f64::consts::TAU;
                let at = |r: f64| [centre[0] + r * turn.sin(), centre[1] - r * turn.cos()];
                canvas.stroke(at(160.0), at(164.0), 1.0, palette::RAISED);
            }
            canvas.stroke(centre, tip, 11.0, palette::ACCENT);
            canvas.stroke(centre, centre, 5.0, palette::GROUND);
            // The motor: how hard and which way it turns.
            let reach = torque / 2.0 * 120.0;
            let y = HEIGHT as f64 - 18.0;
            canvas.stroke([middle, y], [middle - reach, y], 3.0, COOL);
            canvas.stroke([middle, y - 6.0], [middle, y + 6.0], 1.0, palette::SOFT);
        }
    }
}

fn rail(canvas: &mut Canvas, y: f64) {
    let ends = [MARGIN as f64, (WIDTH - MARGIN) as f64];
    canvas.stroke([ends[0], y], [ends[1], y], 1.5, palette::RAISED);
}

fn dashes(canvas: &mut Canvas, y: f64) {
    for start in (MARGIN..WIDTH - MARGIN).step_by(18) {
        let x = start as f64;
        canvas.stroke([x, y], [x + 8.0, y], 1.0, palette::SOFT);
    }
}
