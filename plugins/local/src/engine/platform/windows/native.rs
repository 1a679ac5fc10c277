//! The calls of the native interface, each in one safe function.

use super::Errno;
use super::spelling::LONGEST;
use std::ffi::c_void;
use std::fs::File;
use std::mem::offset_of;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle};
use std::ptr::{null, null_mut};
use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_ALL_INFORMATION, FILE_BASIC_INFORMATION, FILE_DISPOSITION_INFORMATION,
    FILE_DISPOSITION_INFORMATION_EX, FILE_INFORMATION_CLASS, FILE_INTERNAL_INFORMATION,
    FILE_LINK_INFORMATION, FILE_OPEN_REPARSE_POINT, FILE_RENAME_INFORMATION,
    FILE_STANDARD_INFORMATION, FILE_SYNCHRONOUS_IO_NONALERT, FS_INFORMATION_CLASS,
    FileDirectoryInformation, NtCreateFile, NtFlushBuffersFile, NtQueryDirectoryFile,
    NtQueryInformationFile, NtQueryVolumeInformationFile, NtSetInformationFile,
};
use windows_sys::Wdk::System::SystemServices::{
    FILE_FS_DEVICE_INFORMATION, FILE_FS_FULL_SIZE_INFORMATION, FILE_FS_VOLUME_INFORMATION,
};
use windows_sys::Win32::Foundation::{
    HANDLE, NTSTATUS, OBJ_CASE_INSENSITIVE, RtlNtStatusToDosError, STATUS_BUFFER_OVERFLOW,
    STATUS_NO_MORE_FILES, STATUS_NO_SUCH_FILE, UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_NORMAL, FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;

/// A structure of fixed size that the system reads or fills.
///
/// # Safety
///
/// The type is `repr(C)`, and every value that the system writes is a value of it.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: numbers, and BOOLEANs of which the system writes 0 and 1.
unsafe impl Plain for FILE_ALL_INFORMATION {}
// SAFETY: numbers.
unsafe impl Plain for FILE_BASIC_INFORMATION {}
// SAFETY: a number.
unsafe impl Plain for FILE_INTERNAL_INFORMATION {}
// SAFETY: numbers, and BOOLEANs of which the system writes 0 and 1.
unsafe impl Plain for FILE_STANDARD_INFORMATION {}
// SAFETY: a BOOLEAN; it is only read by the system.
unsafe impl Plain for FILE_DISPOSITION_INFORMATION {}
// SAFETY: a number.
unsafe impl Plain for FILE_DISPOSITION_INFORMATION_EX {}
// SAFETY: numbers.
unsafe impl Plain for FILE_FS_DEVICE_INFORMATION {}
// SAFETY: numbers.
unsafe impl Plain for FILE_FS_FULL_SIZE_INFORMATION {}
// SAFETY: numbers, and a BOOLEAN of which the system writes 0 and 1.
unsafe impl Plain for FILE_FS_VOLUME_INFORMATION {}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) access: u32,
    pub(super) options: u32,
    pub(super) disposition: u32,
}

fn check(status: NTSTATUS) -> Result<(), Errno> {
    if status >= 0 {
        return Ok(());
    }
    let dos = |status| {
        // SAFETY: the function takes any number.
        unsafe { RtlNtStatusToDosError(status) }
    };
    Err(Errno::from_status(status, dos))
}

fn length_of<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

fn text_of(units: &[u16]) -> UNICODE_STRING {
    let bytes = u16::try_from(size_of_val(units)).unwrap_or(u16::MAX & !1);
    UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        // The calls only read it.
        Buffer: units.as_ptr().cast_mut(),
    }
}

/// Opens a name below a directory, or the directory again if the name is empty; never what a reparse point leads to.
pub(super) fn open(dir: BorrowedHandle<'_>, name: &[u16], wanted: Wanted) -> Result<File, Errno> {
    let text = text_of(name);
    let attributes = OBJECT_ATTRIBUTES {
        Length: length_of::<OBJECT_ATTRIBUTES>(),
        RootDirectory: dir.as_raw_handle(),
        ObjectName: &raw const text,
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: null(),
        SecurityQualityOfService: null(),
    };
    let mut handle: HANDLE = null_mut();
    let mut result = IO_STATUS_BLOCK::default();
    // SAFETY: every pointer is to a local variable or to `name`, which live through the call; the lengths are
    // those of what they belong to; null is allowed where it is passed.
    let status = unsafe {
        NtCreateFile(
            &raw mut handle,
            wanted.access,
            &raw const attributes,
            &raw mut result,
            null(),
            FILE_ATTRIBUTE_NORMAL,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            wanted.disposition,
            wanted.options | FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_REPARSE_POINT,
            null(),
            0,
        )
    };
    check(status)?;
    // SAFETY: the call has succeeded, so this is an open handle, and no one else owns it.
    Ok(unsafe { File::from_raw_handle(handle) })
}

/// Facts about an open file.
pub(super) fn query<T: Plain + Default>(
    file: BorrowedHandle<'_>,
    class: FILE_INFORMATION_CLASS,
) -> Result<T, Errno> {
    let mut facts = T::default();
    let mut result = IO_STATUS_BLOCK::default();
    // SAFETY: both pointers are to local variables of the lengths that are passed, and by `Plain` what is
    // written is a value of the type.
    let status = unsafe {
        NtQueryInformationFile(
            file.as_raw_handle(),
            &raw mut result,
            (&raw mut facts).cast::<c_void>(),
            length_of::<T>(),
            class,
        )
    };
    match status {
        // The name at the end did not fit; the rest did.
        STATUS_BUFFER_OVERFLOW => Ok(facts),
        status => check(status).map(|()| facts),
    }
}

/// Facts about the volume of an open file.
pub(super) fn query_volume<T: Plain + Default>(
    file: BorrowedHandle<'_>,
    class: FS_INFORMATION_CLASS,
) -> Result<T, Errno> {
    let mut facts = T::default();
    let mut result = IO_STATUS_BLOCK::default();
    // SAFETY: as in `query`.
    let status = unsafe {
        NtQueryVolumeInformationFile(
            file.as_raw_handle(),
            &raw mut result,
            (&raw mut facts).cast::<c_void>(),
            length_of::<T>(),
            class,
        )
    };
    match status {
        // The label at the end did not fit; the rest did.
        STATUS_BUFFER_OVERFLOW => Ok(facts),
        status => check(status).map(|()| facts),
    }
}

/// Changes an open file.
pub(super) fn set<T: Plain>(
    file: BorrowedHandle<'_>,
    class: FILE_INFORMATION_CLASS,
    value: &T,
) -> Result<(), Errno> {
    let mut result = IO_STATUS_BLOCK::default();
    // SAFETY: the value is read within its length; `result` is a local variable.
    let status = unsafe {
        NtSetInformationFile(
            file.as_raw_handle(),
            &raw mut result,
            (&raw const *value).cast::<c_void>(),
            length_of::<T>(),
            class,
        )
    };
    check(status)
}

/// A new name of a file: `FILE_RENAME_INFORMATION` and `FILE_LINK_INFORMATION`, with room for the name.
#[repr(C)]
pub(super) struct Named<'d> {
    flags: u32,
    dir: BorrowedHandle<'d>,
    /// In bytes.
    length: u32,
    name: [u16; LONGEST],
}

const _: () = {
    assert!(offset_of!(Named<'static>, dir) == offset_of!(FILE_RENAME_INFORMATION, RootDirectory));
    assert!(offset_of!(Named<'static>, dir) == offset_of!(FILE_LINK_INFORMATION, RootDirectory));
    assert!(offset_of!(Named<'static>, name) == offset_of!(FILE_RENAME_INFORMATION, FileName));
    assert!(offset_of!(Named<'static>, name) == offset_of!(FILE_LINK_INFORMATION, FileName));
};

impl<'d> Named<'d> {
    /// A name of at most 255 units in a directory.
    pub(super) fn new(dir: BorrowedHandle<'d>, name: &[u16], flags: u32) -> Result<Self, Errno> {
        let mut named = Self {
            flags,
            dir,
            length: u32::try_from(size_of_val(name)).map_err(|_| Errno::NAMETOOLONG)?,
            name: [0; LONGEST],
        };
        let room = named.name.get_mut(..name.len());
        room.ok_or(Errno::NAMETOOLONG)?.copy_from_slice(name);
        Ok(named)
    }
}

/// Gives an open file a name.
pub(super) fn name(
    file: BorrowedHandle<'_>,
    class: FILE_INFORMATION_CLASS,
    named: &Named<'_>,
) -> Result<(), Errno> {
    let mut result = IO_STATUS_BLOCK::default();
    // SAFETY: the structure is read within its length, and its fields lie where the system expects them, which
    // is checked above; `result` is a local variable.
    let status = unsafe {
        NtSetInformationFile(
            file.as_raw_handle(),
            &raw mut result,
            (&raw const *named).cast::<c_void>(),
            length_of::<Named<'_>>(),
            class,
        )
    };
    check(status)
}

/// Reads names of a directory: those that match, or all. `None`: there are no more.
pub(super) fn read_directory<'b>(
    dir: BorrowedHandle<'_>,
    buffer: &'b mut [u64],
    name: Option<&[u16]>,
    first: bool,
) -> Result<Option<&'b [u8]>, Errno> {
    let text = text_of(name.unwrap_or_default());
    let pattern = name.map_or(null(), |_| &raw const text);
    let mut result = IO_STATUS_BLOCK::default();
    let room = size_of_val(buffer);
    // SAFETY: the buffer has the length that is passed, and the alignment that the structures need; `text` and
    // `result` are local variables; null is allowed where it is passed.
    let status = unsafe {
        NtQueryDirectoryFile(
            dir.as_raw_handle(),
            null_mut(),
            None,
            null(),
            &raw mut result,
            buffer.as_mut_ptr().cast::<c_void>(),
            u32::try_from(room).unwrap_or(u32::MAX),
            FileDirectoryInformation,
            false,
            pattern,
            first,
        )
    };
    if matches!(status, STATUS_NO_MORE_FILES | STATUS_NO_SUCH_FILE) {
        return Ok(None);
    }
    check(status)?;
    let read = result.Information.min(room);
    // SAFETY: the buffer holds at least `read` bytes, all of them initialised, and is borrowed as long as these.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), read) };
    Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
}

/// Waits until an open file is on the medium.
pub(super) fn flush(file: BorrowedHandle<'_>) -> Result<(), Errno> {
    let mut result = IO_STATUS_BLOCK::default();
    // SAFETY: `result` is a local variable.
    let status = unsafe { NtFlushBuffersFile(file.as_raw_handle(), &raw mut result) };
    check(status)
}
