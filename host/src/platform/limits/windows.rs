//! Limits of the process.

use std::mem::MaybeUninit;
use std::ptr;
use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_LIMIT_JOB_MEMORY, JOB_OBJECT_LIMIT_PROCESS_MEMORY,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation,
    QueryInformationJobObject,
};

/// Returns `None`: Windows has no limit of open files that a process could raise.
pub fn raise_open_files() -> Option<u64> {
    None
}

/// Returns the memory limit of the process's job object in bytes, as a container has it, `None` for no limit.
pub fn memory() -> Option<u64> {
    let mut limits = MaybeUninit::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>::zeroed();
    let size = size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32;
    // SAFETY: no handle means the job of this process; the answer is written into room of its size.
    let asked = unsafe {
        QueryInformationJobObject(
            ptr::null_mut(),
            JobObjectExtendedLimitInformation,
            limits.as_mut_ptr().cast(),
            size,
            ptr::null_mut(),
        )
    };
    if asked == 0 {
        return None;
    }
    // SAFETY: zeroes are a valid answer, and the call filled it.
    let limits = unsafe { limits.assume_init() };
    let flags = limits.BasicLimitInformation.LimitFlags;
    let limit = |flag: u32, bytes: usize| (flags & flag != 0).then_some(bytes as u64);
    [
        limit(JOB_OBJECT_LIMIT_JOB_MEMORY, limits.JobMemoryLimit),
        limit(JOB_OBJECT_LIMIT_PROCESS_MEMORY, limits.ProcessMemoryLimit),
    ]
    .into_iter()
    .flatten()
    .min()
}
