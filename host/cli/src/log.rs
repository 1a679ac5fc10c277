//! Log lines, on standard error.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, OnceLock};

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format;

use crate::commands::serve::LogFormat;
use crate::values::printable;

/// Bytes that are written at once when that many wait.
const BATCH: usize = 32 << 10;
/// Most lines that wait for the reader of standard error. A slow reader must not stop a server: further
/// lines are dropped and counted.
const MOST: usize = 16 << 10;

/// Logs as the command line says, each line at once.
pub(crate) fn to_stderr(verbose: u8) {
    if let Some(level) = level(verbose) {
        let log = tracing_subscriber::fmt()
            .fmt_fields(fields())
            .with_writer(io::stderr);
        log.with_ansi(io::stderr().is_terminal())
            .with_max_level(level)
            .init();
    }
}

/// Logs of a server, by a thread of their own. Those that wait are written when the answer is dropped,
/// unless standard error is not read.
pub(crate) fn gathered(verbose: u8, format: LogFormat) -> Option<WorkerGuard> {
    let level = level(verbose).filter(|_| format != LogFormat::Off)?;
    let (lines, guard) = writer(io::stderr());
    let log = tracing_subscriber::fmt()
        .with_writer(lines)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(level);
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text | LogFormat::Off => log.fmt_fields(fields()).init(),
    }
    Some(guard)
}

/// Fields of text lines, without control characters: a message of a plugin must not forge a line or
/// move the cursor of a terminal.
fn fields() -> impl for<'a> FormatFields<'a> + Send + Sync + 'static {
    format::debug_fn(|writer, field, value| {
        let value = printable(&format!("{value:?}"));
        match field.name() {
            "message" => writer.write_str(&value),
            name => write!(writer, "{}={value}", name.trim_start_matches("r#")),
        }
    })
    .delimited(" ")
}

fn level(verbose: u8) -> Option<LevelFilter> {
    match verbose {
        0 => None,
        1 => Some(LevelFilter::INFO),
        2 => Some(LevelFilter::DEBUG),
        _ => Some(LevelFilter::TRACE),
    }
}

fn writer(out: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let counter = Arc::new(OnceLock::new());
    let counting = Counting {
        out: BufWriter::with_capacity(BATCH, out),
        counter: counter.clone(),
        told: 0,
    };
    let builder = NonBlockingBuilder::default().thread_name("log");
    let (lines, guard) = builder.buffered_lines_limit(MOST).finish(counting);
    let _ = counter.set(lines.error_counter());
    (lines, guard)
}

/// Reports how many lines were dropped, as soon as no line waits.
struct Counting<W: Write> {
    out: BufWriter<W>,
    /// Known once the thread runs.
    counter: Arc<OnceLock<ErrorCounter>>,
    told: usize,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.out.write(line)
    }

    /// Called when no line waits.
    fn flush(&mut self) -> io::Result<()> {
        let dropped = self.counter.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.told {
            let new = dropped - self.told;
            self.told = dropped;
            writeln!(
                self.out,
                "{new} log lines were dropped: standard error was not read"
            )?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};
    use std::time::{Duration, Instant};

    /// What was written, call by call.
    type Written = Arc<Mutex<Vec<Vec<u8>>>>;

    /// Accepts one write for each message of its channel.
    struct Slow(mpsc::Receiver<()>, Written);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The channel is closed: everything is accepted.
            let _ = self.0.recv();
            self.1.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (mpsc::Sender<()>, Written, (NonBlocking, WorkerGuard)) {
        let (go, wait) = mpsc::channel();
        let written = Written::default();
        let writer = writer(Slow(wait, written.clone()));
        (go, written, writer)
    }

    fn until(written: &Written, end: &str) -> String {
        let started = Instant::now();
        loop {
            let text = String::from_utf8(written.lock().unwrap().concat()).unwrap();
            if text.ends_with(end) {
                return text;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "no {end:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn lines_are_gathered_in_their_order_and_none_is_lost_at_the_end() {
        let (go, written, (mut lines, guard)) = slow();
        for number in 0..1000 {
            writeln!(lines, "line {number}").unwrap();
        }
        drop(go);
        drop(guard);
        let text = until(&written, "line 999\n");
        let writes = written.lock().unwrap().len();
        assert!(writes < 500, "{writes} writes");
        let expected: String = (0..1000).map(|number| format!("line {number}\n")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn a_slow_reader_does_not_block_writers_and_sees_how_many_lines_were_dropped() {
        const MORE: usize = 10_000;
        let (go, written, (mut lines, guard)) = slow();
        for _ in 0..MOST + MORE {
            lines.write_all(b"a line\n").unwrap();
        }
        drop(go);
        let text = until(
            &written,
            " log lines were dropped: standard error was not read\n",
        );
        drop(guard);
        let came = text.lines().filter(|line| *line == "a line").count();
        // One batch is the writer's own.
        assert!(came <= MOST + BATCH, "{came}");
        let told = text.lines().last().unwrap().split(' ').next().unwrap();
        assert_eq!(told.parse::<usize>().unwrap(), MOST + MORE - came);
    }

    #[test]
    fn a_server_ends_when_its_log_is_not_read() {
        let (go, _, (mut lines, guard)) = slow();
        lines.write_all(b"a line\n").unwrap();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || {
            drop(guard);
            ended.send(()).unwrap();
        });
        assert!(end.recv_timeout(Duration::from_secs(60)).is_ok());
        drop(go);
    }
}
