//! The standard output of the program, kept from plugins.

use std::fs::File;
use std::io;

/// Keeps standard output for the program: what a plugin prints goes to standard error from now on. Returns the
/// standard output that the program was started with.
///
/// # Errors
///
/// What the operating system says.
pub fn keep() -> io::Result<File> {
    // A descriptor of its own, which a plugin does not know.
    let own = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3);
    let own = match own {
        Ok(own) => File::from(own),
        // Closed by the caller: what is written fails, as it would on the closed descriptor.
        Err(_) => File::open("/dev/null")?,
    };
    if rustix::stdio::dup2_stdout(rustix::stdio::stderr()).is_err() {
        let null = File::options().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
    }
    Ok(own)
}
