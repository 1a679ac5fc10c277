//! Owner and access control list of a file or directory.

use super::users;
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_FILE_OBJECT};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce, INHERIT_ONLY_ACE,
    OWNER_SECURITY_INFORMATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_APPEND_DATA, FILE_DELETE_CHILD, FILE_FLAG_BACKUP_SEMANTICS, FILE_READ_DATA,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_DATA, READ_CONTROL, WRITE_DAC,
    WRITE_OWNER,
};

const GENERIC_ALL: u32 = 0x1000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
const GENERIC_READ: u32 = 0x8000_0000;
/// Types of entries that allow: the plain one, and the one with a condition.
const ALLOWED: [u8; 2] = [0, 9];

/// Rights that let someone change a file, or put another in its place.
pub(crate) const CHANGE_FILE: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_ALL
    | GENERIC_WRITE;
/// Rights that let someone add files to a directory (the same bit as writing to a file), or replace what is in it.
pub(crate) const CHANGE_DIRECTORY: u32 = FILE_WRITE_DATA
    | FILE_DELETE_CHILD
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_ALL
    | GENERIC_WRITE;
/// Rights that let someone replace what is in a directory. Only adding to it replaces nothing.
pub(crate) const REPLACE_IN_DIRECTORY: u32 =
    FILE_DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_ALL;
/// Rights that let someone read a file.
pub(crate) const READ_FILE: u32 = FILE_READ_DATA | GENERIC_ALL | GENERIC_READ;

/// Owner and access control list.
#[derive(Debug)]
pub(crate) struct Access {
    /// The owner's security identifier.
    pub(crate) owner: String,
    /// Who is allowed what; `None` without a list, which allows everyone everything. Entries that deny are not
    /// looked at.
    allowed: Option<Vec<(String, u32)>>,
}

/// Who has a right, beyond the owner, the system and administrators.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A group that takes in every user.
    World(String),
    /// A user or group.
    Other(String),
}

impl Access {
    /// Of what lies at a path. Links are followed.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options
            .access_mode(READ_CONTROL)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
        Self::of(&options.open(path)?)
    }

    /// Of an open file or directory.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let (mut owner, mut list) = (ptr::null_mut(), ptr::null_mut());
        let mut descriptor = ptr::null_mut();
        // SAFETY: an open handle, and room for three addresses; the rest is not asked for.
        let code = unsafe {
            GetSecurityInfo(
                file.as_raw_handle(),
                SE_FILE_OBJECT,
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                &mut owner,
                ptr::null_mut(),
                &mut list,
                ptr::null_mut(),
                &mut descriptor,
            )
        };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code.cast_signed()));
        }
        // SAFETY: both lie in the descriptor, which is freed after their use.
        let read = unsafe { Self::read(owner, list) };
        // SAFETY: allocated by the call above, and freed once.
        unsafe { LocalFree(descriptor) };
        read
    }

    /// # Safety
    ///
    /// Each leads to a valid identifier or list, or is null.
    unsafe fn read(owner: *mut c_void, list: *mut ACL) -> io::Result<Self> {
        if owner.is_null() {
            return Err(io::Error::other("it has no owner"));
        }
        // SAFETY: by the contract of this function.
        let owner = unsafe { users::text(owner) }?;
        // SAFETY: by the contract of this function.
        let Some(about) = (unsafe { list.as_ref() }) else {
            return Ok(Self {
                owner,
                allowed: None,
            });
        };
        let mut allowed = Vec::new();
        for number in 0..u32::from(about.AceCount) {
            let mut entry = ptr::null_mut();
            // SAFETY: a valid list, and room for an address.
            if unsafe { GetAce(list, number, &mut entry) } == 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: each entry begins with a header.
            let header = unsafe { &*entry.cast::<ACE_HEADER>() };
            let is_inherited_only = u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0;
            if is_inherited_only || !ALLOWED.contains(&header.AceType) {
                continue;
            }
            // SAFETY: an entry of these types: a mask, and an identifier behind it.
            let entry = unsafe { &*entry.cast::<ACCESS_ALLOWED_ACE>() };
            let user = (&raw const entry.SidStart).cast_mut().cast::<c_void>();
            // SAFETY: as above.
            allowed.push((unsafe { users::text(user) }?, entry.Mask));
        }
        Ok(Self {
            owner,
            allowed: Some(allowed),
        })
    }

    /// The first that has one of these rights and need not be trusted; a group of every user before others.
    pub(crate) fn holder(&self, rights: u32) -> Option<Holder> {
        let Some(allowed) = &self.allowed else {
            return Some(Holder::World("S-1-1-0".to_owned()));
        };
        let holders = allowed.iter().filter(|(user, mask)| {
            mask & rights != 0 && *user != self.owner && !users::is_trusted_owner(user)
        });
        let (world, others): (Vec<_>, Vec<_>) = holders
            .map(|(user, _)| user.clone())
            .partition(|user| users::is_world(user));
        let world = world.into_iter().next().map(Holder::World);
        world.or_else(|| others.into_iter().next().map(Holder::Other))
    }
}
