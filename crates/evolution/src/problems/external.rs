//! Problems of other programs, asked through JSON lines.

use crate::{Bounds, Draws, EvolutionError, Problem};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of the program's own messages that an error repeats.
const COMPLAINT: usize = 400;
/// An answer longer than this is nonsense.
const LONGEST_LINE: u64 = 1 << 30;

/// A program that gives fitness to points.
///
/// It is started once by the shell. For every batch it reads one line
/// `{"generation": g, "points": [[…], …]}` and writes one line
/// `{"fitness": […]}`, higher is better. It ends when its input ends.
#[derive(Debug)]
pub struct External {
    command: String,
    dimension: usize,
    bounds: Option<Bounds>,
    timeout: Duration,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    answers: Receiver<Result<String, String>>,
    complaints: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Deserialize)]
struct Answer {
    fitness: Vec<Value>,
}

impl External {
    /// A problem in `dimension` dimensions; the program starts with the first
    /// batch, and has `timeout` for each.
    ///
    /// # Errors
    /// When the command is empty or the dimension is 0.
    pub fn new(command: &str, dimension: usize, timeout: Duration) -> Result<Self, EvolutionError> {
        if command.trim().is_empty() {
            return Err(EvolutionError::parameter(
                "the command",
                "empty",
                "a program to run",
            ));
        }
        if dimension == 0 {
            return Err(EvolutionError::parameter("the dimension", 0, "at least 1"));
        }
        if timeout.is_zero() {
            return Err(EvolutionError::parameter(
                "the timeout",
                0,
                "a positive time",
            ));
        }
        Ok(Self {
            command: command.to_owned(),
            dimension,
            bounds: None,
            timeout,
            running: Mutex::new(None),
        })
    }

    fn failure(&self, detail: impl Into<String>) -> EvolutionError {
        EvolutionError::Problem {
            problem: self.command.clone(),
            detail: detail.into(),
        }
    }

    fn start(&self) -> Result<Running, EvolutionError> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {}", self.command)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| self.failure(format!("it cannot be started: {e}")))?;
        let (send, answers) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(output);
                loop {
                    let mut line = String::new();
                    let read = reader.by_ref().take(LONGEST_LINE).read_line(&mut line);
                    let message = match read {
                        Ok(0) => return,
                        Ok(_) => Ok(line),
                        Err(e) => Err(format!("its answer is no text: {e}")),
                    };
                    if send.send(message).is_err() {
                        return;
                    }
                }
            });
        }
        let complaints = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut output) = child.stderr.take() {
            let kept = Arc::clone(&complaints);
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = output.read(&mut buffer) {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.extend_from_slice(&buffer[..count]);
                    let surplus = kept.len().saturating_sub(COMPLAINT);
                    kept.drain(..surplus);
                }
            });
        }
        Ok(Running {
            child,
            answers,
            complaints,
        })
    }

    fn ask(&self, running: &mut Running, line: String) -> Result<String, EvolutionError> {
        // Writing on a thread of its own: a program that does not read must
        // not hold us longer than the timeout.
        let Some(mut input) = running.child.stdin.take() else {
            return Err(self.failure("it has no input"));
        };
        let (send, written) = mpsc::channel();
        std::thread::spawn(move || {
            let result = input
                .write_all(line.as_bytes())
                .and_then(|()| input.flush());
            // The receiver is gone after a timeout.
            let _ = send.send(result.map(|()| input));
        });
        match running.answers.recv_timeout(self.timeout) {
            Ok(Ok(answer)) => {
                if let Ok(Ok(input)) = written.recv_timeout(self.timeout) {
                    running.child.stdin = Some(input);
                }
                Ok(answer)
            }
            Ok(Err(why)) => Err(self.failure(why)),
            Err(RecvTimeoutError::Timeout) => Err(self.failure(format!(
                "no answer within {} s. Make it faster, or allow more time",
                self.timeout.as_secs_f64()
            ))),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended(running)),
        }
    }

    /// What to say of a program that closed its output.
    fn ended(&self, running: &mut Running) -> EvolutionError {
        // Its last words may still be on their way.
        std::thread::sleep(Duration::from_millis(50));
        let status = match running.child.try_wait() {
            Ok(Some(status)) => format!("it ended ({status}) without an answer"),
            _ => "it closed its output without an answer".to_owned(),
        };
        let complaints = running
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let words = String::from_utf8_lossy(&complaints);
        match words.trim() {
            "" => self.failure(status),
            words => self.failure(format!("{status}. It said: {words}")),
        }
    }

    fn read(&self, line: &str, fitness: &mut [f64]) -> Result<(), EvolutionError> {
        let shown: String = line.trim().chars().take(80).collect();
        let wanted = format!(
            "expected one line {{\"fitness\": [{} numbers]}}",
            fitness.len()
        );
        let answer: Answer = serde_json::from_str(line).map_err(|e| {
            self.failure(format!(
                "its answer {shown:?} is not understood ({e}); {wanted}"
            ))
        })?;
        if answer.fitness.len() != fitness.len() {
            let count = answer.fitness.len();
            return Err(self.failure(format!("it gave {count} fitness values; {wanted}")));
        }
        for (i, (slot, value)) in fitness.iter_mut().zip(&answer.fitness).enumerate() {
            *slot = value.as_f64().filter(|v| v.is_finite()).ok_or_else(|| {
                self.failure(format!(
                    "the fitness of individual {i} is {value}, no finite number"
                ))
            })?;
        }
        Ok(())
    }
}

impl Problem for External {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn bounds(&self) -> Option<Bounds> {
        self.bounds.clone()
    }

    fn evaluate(
        &self,
        points: &[f64],
        draws: Draws,
        fitness: &mut [f64],
    ) -> Result<(), EvolutionError> {
        let expected = fitness.len() * self.dimension;
        EvolutionError::check_extent("evaluate", "number of values", points.len(), expected)?;
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = match slot.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let rows: Vec<&[f64]> = points.chunks_exact(self.dimension).collect();
        let line = json!({ "generation": draws.generation, "points": rows }).to_string() + "\n";
        // After an error the program is stopped; the next batch starts it anew.
        let answer = self.ask(&mut running, line)?;
        self.read(&answer, fitness)?;
        *slot = Some(running);
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn ask(command: &str) -> Result<Vec<f64>, String> {
        let external = External::new(command, 2, Duration::from_millis(1500)).unwrap();
        let mut fitness = vec![0.0; 3];
        let draws = Draws {
            seed: 0,
            generation: 0,
        };
        for _ in 0..2 {
            external
                .evaluate(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], draws, &mut fitness)
                .map_err(|e| e.to_string())?;
        }
        Ok(fitness)
    }

    #[test]
    fn a_program_answers_batch_after_batch() {
        let loop_ = "sh -c 'while read line; do echo \"{\\\"fitness\\\": [1, 2.5, 0]}\"; done'";
        assert_eq!(ask(loop_).unwrap(), [1.0, 2.5, 0.0]);
    }

    #[test]
    fn what_goes_wrong_is_said() {
        for (command, words) in [
            ("no-such-program-here", &["ended", "not found"][..]),
            (
                "sh -c 'echo my trouble >&2; exit 3'",
                &["ended", "3", "my trouble"],
            ),
            ("sleep 30", &["no answer within 1.5 s"]),
            (
                "sh -c 'read l; echo nonsense; sleep 9'",
                &["nonsense", "not understood"],
            ),
            ("sh -c 'read l; echo \"{}\"; sleep 9'", &["fitness"]),
            (
                "sh -c 'read l; echo \"{\\\"fitness\\\": [1]}\"; sleep 9'",
                &["1 fitness values", "3 numbers"],
            ),
            (
                "sh -c 'read l; echo \"{\\\"fitness\\\": [1, null, 2]}\"; sleep 9'",
                &["individual 1", "null"],
            ),
            (
                "sh -c 'read l; echo \"{\\\"fitness\\\": [1, NaN, 2]}\"; sleep 9'",
                &["NaN"],
            ),
        ] {
            let error = ask(command).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{command}: {error}");
            }
        }
    }
}
