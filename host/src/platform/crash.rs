//! A last word of a process that a fault of a plugin ends.

use libc::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

/// Signals that a fault raises, and the one of the limit of processor time.
const SIGNALS: [c_int; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGXCPU,
];

/// Where it is written; -1 for nowhere.
static TO: AtomicI32 = AtomicI32::new(-1);

/// From now on a fatal signal writes `{"Crashed":[SIGNAL,PAGES]}` to this descriptor before it ends the
/// process. PAGES is the size of the address space.
pub(crate) fn report_to(descriptor: c_int) {
    TO.store(descriptor, Ordering::SeqCst);
    for signal in SIGNALS {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        let handler: extern "C" fn(c_int) = on_signal;
        // SAFETY: zeroes are a valid `sigaction`; its fields are set in room that is ours.
        let action = unsafe {
            let action = action.assume_init_mut();
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK | libc::SA_RESETHAND;
            action
        };
        // SAFETY: the handler calls functions that are safe in signal handlers only; the old action is
        // not asked for.
        unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
    }
}

extern "C" fn on_signal(signal: c_int) {
    let mut line = Line::new();
    line.text(b"{\"Crashed\":[");
    line.number(u64::from(signal.unsigned_abs()));
    line.text(b",");
    line.number(pages());
    line.text(b"]}\n");
    let descriptor = TO.load(Ordering::SeqCst);
    // SAFETY: `write` of bytes that live here, to a number; a wrong number is an error.
    unsafe { libc::write(descriptor, line.bytes.as_ptr().cast(), line.length) };
    // The action is the default one again (`SA_RESETHAND`).
    // SAFETY: `raise` is safe in a signal handler. A blocked signal is delivered when the handler returns.
    unsafe { libc::raise(signal) };
}

/// The address space of this process, without allocating.
fn pages() -> u64 {
    // SAFETY: a literal that ends in zero.
    let file = unsafe { libc::open(c"/proc/self/statm".as_ptr(), libc::O_RDONLY) };
    let mut text = [0_u8; 32];
    // SAFETY: room for the bytes that are asked for; a wrong number is an error.
    let count = unsafe { libc::read(file, text.as_mut_ptr().cast(), text.len()) };
    let digits = text.iter().take(usize::try_from(count).unwrap_or(0));
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| {
        sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
    })
}

/// A line of bytes, made without allocating.
struct Line {
    bytes: [u8; 64],
    length: usize,
}

impl Line {
    fn new() -> Self {
        Self {
            bytes: [0; 64],
            length: 0,
        }
    }

    fn text(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(room) = self.bytes.get_mut(self.length) {
                *room = *byte;
                self.length += 1;
            }
        }
    }

    fn number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let (mut left, mut at) = (number, digits.len());
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
            if left == 0 || at == 0 {
                break;
            }
        }
        self.text(&digits[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_allocating() {
        let mut line = Line::new();
        for number in [0, 7, 10, u64::MAX] {
            line.number(number);
            line.text(b" ");
        }
        let text = &line.bytes[..line.length];
        assert_eq!(text, b"0 7 10 18446744073709551615 ");
    }

    #[test]
    fn the_address_space_is_that_of_the_kernel() {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        let kernel: u64 = text.split(' ').next().unwrap().parse().unwrap();
        // Other tests allocate meanwhile.
        assert!(pages().abs_diff(kernel) < kernel / 2 + 100_000);
    }
}
