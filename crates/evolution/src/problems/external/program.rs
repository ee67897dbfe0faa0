//! A program that runs beside: lines in, lines out, and an end for certain.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of the program's own messages that an error repeats.
const COMPLAINT: usize = 400;
/// Bytes of a line before anything was asked.
const UNASKED: usize = 4096;
/// How long a line that was written too early may be on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(2);
/// Ends the group `$1` when its input ends: when the program is dropped, or
/// when we end ourselves, whatever ended us.
const GUARD: &str = "read -r line; kill -s KILL -- \"-$1\"";

/// A line, or why there is none.
type Line = Result<String, String>;

/// A shell command in a process group of its own, which ends with this value
/// and with this process.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    guard: Option<Child>,
    /// None once it stopped reading.
    input: Option<ChildStdin>,
    lines: Receiver<Line>,
    /// Bytes that a line may have.
    longest: Arc<AtomicUsize>,
    complaints: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        // What the shell started is in its group. Whatever has ended by itself
        // needs no stopping.
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts a command of the shell.
    pub fn start(command: &str) -> Result<Self, String> {
        let shell = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).stdin(Stdio::piped());
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut shell, 0);
            shell
        };
        let cannot = |e| format!("it cannot be started: {e}");
        let mut child = shell(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let longest = Arc::new(AtomicUsize::new(UNASKED));
        let complaints = Arc::new(Mutex::new(Vec::new()));
        // One line waits: more than one answer was not asked for, and a
        // program that writes on is held by its full pipe.
        let (send, lines) = mpsc::sync_channel(1);
        if let Some(output) = child.stdout.take() {
            let longest = Arc::clone(&longest);
            std::thread::spawn(move || send_lines(output, &longest, &send));
        }
        if let Some(output) = child.stderr.take() {
            let kept = Arc::clone(&complaints);
            std::thread::spawn(move || keep_last(output, &kept));
        }
        let group = child.id().to_string();
        let input = child.stdin.take();
        let mut program = Self {
            child,
            guard: None,
            input,
            lines,
            longest,
            complaints,
        };
        // On failure the program is dropped, which ends the shell.
        let guard = shell(GUARD)
            .args(["guard", &group])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(cannot)?;
        program.guard = Some(guard);
        Ok(program)
    }

    /// The line that it wrote before it was asked, if it did.
    pub fn unasked(&self) -> Option<Line> {
        self.lines.recv_timeout(ON_ITS_WAY).ok()
    }

    /// Writes a line and gives the next one it writes, of at most `longest`
    /// bytes.
    pub fn ask(&mut self, question: String, longest: usize, timeout: Duration) -> Line {
        self.longest.store(longest, Ordering::Relaxed);
        // Writing on a thread of its own: a program that does not read must
        // not hold us longer than the timeout.
        let Some(mut input) = self.input.take() else {
            return Err("it answered before it had read the whole line of the batch before".into());
        };
        let (send, written) = mpsc::channel();
        std::thread::spawn(move || {
            let result = input
                .write_all(question.as_bytes())
                .and_then(|()| input.flush());
            // The receiver is gone after a timeout.
            let _ = send.send(result.map(|()| input));
        });
        match self.lines.recv_timeout(timeout) {
            Ok(line) => {
                if let Ok(Ok(input)) = written.recv_timeout(timeout) {
                    self.input = Some(input);
                }
                line
            }
            Err(RecvTimeoutError::Timeout) => Err(format!(
                "no answer within {} s. Make it faster, allow more time, or flush its output \
                 after each line",
                timeout.as_secs_f64()
            )),
            Err(RecvTimeoutError::Disconnected) => Err(self.last_words()),
        }
    }

    /// What to say of a program that closed its output.
    fn last_words(&mut self) -> String {
        // They may still be on their way.
        std::thread::sleep(Duration::from_millis(50));
        let status = match self.child.try_wait() {
            Ok(Some(status)) => format!("it ended ({status}) without an answer"),
            _ => "it closed its output without an answer".to_owned(),
        };
        let complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&complaints).trim() {
            "" => status,
            words => format!("{status}. It said: {words}"),
        }
    }
}

/// Sends every line, until one cannot be read or nobody listens.
fn send_lines(output: ChildStdout, longest: &AtomicUsize, send: &SyncSender<Line>) {
    let mut reader = BufReader::new(output);
    while let Some(line) = read_line(&mut reader, longest).transpose() {
        let last = line.is_err();
        if send.send(line).is_err() || last {
            return;
        }
    }
}

/// The next line, without its end; None where the output ends.
fn read_line(reader: &mut impl BufRead, longest: &AtomicUsize) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    loop {
        let bytes = match reader.fill_buf() {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(format!("its answer cannot be read: {e}")),
        };
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let count = end.unwrap_or(bytes.len());
        line.extend_from_slice(&bytes[..count]);
        let ended = end.is_some() || bytes.is_empty();
        let nothing = bytes.is_empty() && line.is_empty();
        reader.consume(count + usize::from(end.is_some()));
        if nothing {
            return Ok(None);
        }
        // Read anew each time: the question may come while a line is read.
        let most = longest.load(Ordering::Relaxed);
        if line.len() > most {
            return Err(format!("it wrote a line of more than {most} bytes"));
        }
        if ended {
            return String::from_utf8(line)
                .map(Some)
                .map_err(|_| "its answer is no text in UTF-8".to_owned());
        }
    }
}

/// Keeps the last bytes of an output.
fn keep_last(mut output: ChildStderr, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..count]);
        let surplus = kept.len().saturating_sub(COMPLAINT);
        kept.drain(..surplus);
    }
}
