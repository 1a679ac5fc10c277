//! Users of the machine, by the text of their security identifiers.

use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::ConvertSidToStringSidW;
use windows_sys::Win32::Security::{GetTokenInformation, PSID, TOKEN_QUERY, TOKEN_USER, TokenUser};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// The system, administrators, the installer of Windows, and the owner, by the identifier that stands for it.
const TRUSTED: [&str; 4] = [
    "S-1-5-18",
    "S-1-5-32-544",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
    "S-1-3-4",
];
/// Groups that take in everyone, or every user of the machine.
const WORLD: [&str; 8] = [
    "S-1-1-0",
    "S-1-5-2",
    "S-1-5-4",
    "S-1-5-7",
    "S-1-5-11",
    "S-1-5-32-545",
    "S-1-5-32-546",
    "S-1-5-32-547",
];

/// Whether this user may own what a host uses: the system, an administrator, or the user of this process.
pub(crate) fn is_trusted_owner(user: &str) -> bool {
    static OWN: OnceLock<Option<String>> = OnceLock::new();
    let own = OWN.get_or_init(|| current().ok());
    TRUSTED.contains(&user) || own.as_deref() == Some(user)
}

/// Whether this group takes in every user.
pub(crate) fn is_world(group: &str) -> bool {
    WORLD.contains(&group)
}

/// Whether this process has every right: no user of Windows passes by access control lists.
pub(crate) fn is_root() -> bool {
    false
}

/// A handle that is closed with this value.
struct Owned(HANDLE);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: opened by `current`, and closed once.
        unsafe { CloseHandle(self.0) };
    }
}

/// The user of this process.
pub(super) fn current() -> io::Result<String> {
    let mut token = ptr::null_mut();
    // SAFETY: no preconditions; the handle is a constant.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: the handle of this process, and room for another.
    if unsafe { OpenProcessToken(this, TOKEN_QUERY, &mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let token = Owned(token);
    // Aligned for the structure, and larger than one with the longest identifier (68 bytes).
    let mut room = [0_u64; 32];
    let size = size_of_val(&room) as u32;
    let mut used = 0;
    // SAFETY: an open token, and room of this size for the answer.
    let asked = unsafe {
        let to = room.as_mut_ptr().cast::<c_void>();
        GetTokenInformation(token.0, TokenUser, to, size, &mut used)
    };
    if asked == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has written this structure to the aligned start of `room`.
    let about = unsafe { &*room.as_ptr().cast::<TOKEN_USER>() };
    // SAFETY: an identifier in `room`.
    unsafe { text(about.User.Sid) }
}

/// The text of an identifier.
///
/// # Safety
///
/// `user` leads to a valid identifier.
pub(super) unsafe fn text(user: PSID) -> io::Result<String> {
    let mut text = ptr::null_mut();
    // SAFETY: by the contract of this function, and room for an address.
    if unsafe { ConvertSidToStringSidW(user, &mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut units = Vec::new();
    loop {
        // SAFETY: the text ends in zero, which ends the loop.
        match unsafe { *text.add(units.len()) } {
            0 => break,
            unit => units.push(unit),
        }
    }
    // SAFETY: allocated by the call above, and freed once.
    unsafe { LocalFree(text.cast()) };
    String::from_utf16(&units).map_err(io::Error::other)
}
