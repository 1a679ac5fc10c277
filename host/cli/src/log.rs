//! Log lines, on standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::commands::serve::LogFormat;

/// How long a line may wait for others, unless it warns.
const MOMENT: Duration = Duration::from_millis(20);
/// So many bytes are written at once, whatever the time.
const BATCH: usize = 32 << 10;
/// Most bytes that wait for whoever reads standard error. A reader that stands still must not stop a
/// server: what comes then is dropped, and that is told.
const MOST: usize = 4 << 20;

/// Logs as the command line says, each line at once.
pub(crate) fn to_stderr(verbose: u8) {
    if let Some(level) = level(verbose) {
        let log = tracing_subscriber::fmt().with_writer(io::stderr);
        log.with_ansi(io::stderr().is_terminal())
            .with_max_level(level)
            .init();
    }
}

/// Logs of a server: many lines at once. Those that wait are written when the answer is dropped.
pub(crate) fn gathered(verbose: u8, format: LogFormat) -> io::Result<Option<Gathered>> {
    let Some(level) = level(verbose).filter(|_| format != LogFormat::Off) else {
        return Ok(None);
    };
    let gathered = Gathered::new(io::stderr())?;
    let log = tracing_subscriber::fmt()
        .with_writer(gathered.lines.clone())
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(level);
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text | LogFormat::Off => log.init(),
    }
    Ok(Some(gathered))
}

fn level(verbose: u8) -> Option<LevelFilter> {
    match verbose {
        0 => None,
        1 => Some(LevelFilter::INFO),
        2 => Some(LevelFilter::DEBUG),
        _ => Some(LevelFilter::TRACE),
    }
}

/// A thread that writes what others log, until it is dropped.
pub(crate) struct Gathered {
    lines: Lines,
    writer: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    some: Condvar,
    /// And it should be written now.
    enough: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    dropped: u64,
    urgent: bool,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathered {
    fn new(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Lines(Arc::default());
        let shared = lines.0.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        let writer = thread.spawn(move || {
            let mut text = Vec::new();
            while let Some(dropped) = next(&shared, &mut text) {
                if dropped > 0 {
                    let told = format!("{dropped} log lines were dropped: nobody read them\n");
                    text.extend_from_slice(told.as_bytes());
                }
                // Whom could a failure be told?
                let _ = out.write_all(&text);
                text.clear();
            }
        })?;
        Ok(Self {
            lines,
            writer: Some(writer),
        })
    }
}

/// Waits for lines, and takes them; `None`: there will be none.
fn next(shared: &Shared, text: &mut Vec<u8>) -> Option<u64> {
    let mut waiting = shared.lock();
    while waiting.text.is_empty() && !waiting.ended {
        let woken = shared.some.wait(waiting);
        waiting = woken.unwrap_or_else(PoisonError::into_inner);
    }
    if !waiting.urgent && !waiting.ended {
        let more =
            |waiting: &mut Waiting| !waiting.urgent && !waiting.ended && waiting.text.len() < BATCH;
        let woken = shared.enough.wait_timeout_while(waiting, MOMENT, more);
        waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
    waiting.urgent = false;
    std::mem::swap(&mut waiting.text, text);
    let dropped = std::mem::take(&mut waiting.dropped);
    (!text.is_empty()).then_some(dropped)
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.lines.0.lock().ended = true;
        self.lines.0.some.notify_one();
        self.lines.0.enough.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Where one line goes.
struct Line<'a> {
    shared: &'a Shared,
    urgent: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            shared: &self.0,
            urgent: false,
        }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line<'a> {
        Line {
            shared: &self.0,
            urgent: *about.level() <= Level::WARN,
        }
    }
}

impl Write for Line<'_> {
    /// Called with whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.shared.lock();
        if waiting.ended || waiting.text.len() + line.len() > MOST {
            waiting.dropped += 1;
            return Ok(line.len());
        }
        let first = waiting.text.is_empty();
        waiting.text.extend_from_slice(line);
        waiting.urgent |= self.urgent;
        let enough = self.urgent || waiting.text.len() >= BATCH;
        drop(waiting);
        if first {
            self.shared.some.notify_one();
        }
        if enough {
            self.shared.enough.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// What was written, call by call.
    type Written = Arc<Mutex<Vec<Vec<u8>>>>;

    /// Takes what is written when it is told to.
    struct Slow(mpsc::Receiver<()>, Written);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Nobody tells any more: everything goes.
            let _ = self.0.recv();
            self.1.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (mpsc::Sender<()>, Written, Gathered) {
        let (go, wait) = mpsc::channel();
        let written = Written::default();
        let gathered = Gathered::new(Slow(wait, written.clone())).unwrap();
        (go, written, gathered)
    }

    #[test]
    fn lines_are_gathered_in_their_order_and_none_is_lost_at_the_end() {
        let (go, written, gathered) = slow();
        let mut line = gathered.lines.make_writer();
        for number in 0..1000 {
            writeln!(line, "line {number}").unwrap();
        }
        drop(go);
        drop(gathered);
        let written = written.lock().unwrap();
        assert!(written.len() < 500, "{} writes", written.len());
        let text = String::from_utf8(written.concat()).unwrap();
        let expected: String = (0..1000).map(|number| format!("line {number}\n")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn a_reader_that_stands_still_stops_nobody_and_is_told_what_it_missed() {
        let (go, written, gathered) = slow();
        let mut line = gathered.lines.make_writer();
        let text = "x".repeat(1 << 20);
        for _ in 0..20 {
            line.write_all(text.as_bytes()).unwrap();
        }
        drop(go);
        drop(gathered);
        let written = written.lock().unwrap().concat();
        assert!(written.len() < 12 << 20, "{}", written.len());
        let end = &written[written.len() - 60..];
        let end = String::from_utf8_lossy(end);
        assert!(end.contains("log lines were dropped"), "{end}");
    }
}
