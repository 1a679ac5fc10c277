//! Job objects: limits of processes, and their end together.

use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::AsRawHandle;
use std::process::Child;
use std::ptr;
use std::time::Duration;
use windows_sys::Win32::Foundation::{CloseHandle, FILETIME, HANDLE};
use windows_sys::Win32::System::Diagnostics::Debug::{
    SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SEM_NOOPENFILEERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT,
    JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOB_OBJECT_LIMIT_PROCESS_TIME,
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectBasicAccountingInformation, JobObjectExtendedLimitInformation,
    QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessTimes};

/// Processes that end together. Those that are left end with this value.
pub(crate) struct Job(HANDLE);

impl Drop for Job {
    fn drop(&mut self) {
        // SAFETY: opened by `new`, and closed once.
        unsafe { CloseHandle(self.0) };
    }
}

impl Job {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no attributes, no name.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        let job = Self(job);
        job.set(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, 0, Duration::ZERO)?;
        Ok(job)
    }

    fn set(&self, flags: JOB_OBJECT_LIMIT, memory: u64, cpu: Duration) -> io::Result<()> {
        // SAFETY: zeroes are no limits.
        let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = unsafe { std::mem::zeroed() };
        limits.BasicLimitInformation.LimitFlags = flags;
        // In steps of 100 ns.
        limits.BasicLimitInformation.PerProcessUserTimeLimit =
            i64::try_from(cpu.as_nanos() / 100).unwrap_or(i64::MAX);
        limits.ProcessMemoryLimit = usize::try_from(memory).unwrap_or(usize::MAX);
        let size = size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32;
        // SAFETY: an open job, and a structure of this size.
        let set = unsafe {
            SetInformationJobObject(
                self.0,
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size,
            )
        };
        match set {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Takes a process, and all that it starts from now on.
    pub(crate) fn assign(&self, child: &Child) -> io::Result<()> {
        // SAFETY: an open job, and the handle of a child that was not waited for.
        match unsafe { AssignProcessToJobObject(self.0, child.as_raw_handle()) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Ends all its processes.
    pub(crate) fn end(&self) {
        // SAFETY: an open job.
        unsafe { TerminateJobObject(self.0, 1) };
    }

    /// The most memory that one of its processes has committed, in bytes; 0 where it is not known.
    pub(crate) fn peak_memory(&self) -> u64 {
        // SAFETY: an open job.
        let limits: Option<JOBOBJECT_EXTENDED_LIMIT_INFORMATION> =
            unsafe { query(self.0, JobObjectExtendedLimitInformation) };
        limits.map_or(0, |limits| limits.PeakProcessMemoryUsed as u64)
    }
}

/// Asks a job; null for that of this process.
///
/// # Safety
///
/// `job` is open or null, and zeroes are a valid `T`, which is the structure of this class.
unsafe fn query<T>(job: HANDLE, class: i32) -> Option<T> {
    let mut answer = MaybeUninit::<T>::zeroed();
    // SAFETY: room of this size for the answer.
    let asked = unsafe {
        QueryInformationJobObject(
            job,
            class,
            answer.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            ptr::null_mut(),
        )
    };
    // SAFETY: by the contract of this function.
    (asked != 0).then(|| unsafe { answer.assume_init() })
}

/// Limits memory and processor time of this process, for its life.
pub(crate) fn limit_this_process(memory: u64, cpu: Duration) -> io::Result<()> {
    let job = Job::new()?;
    let flags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
        | JOB_OBJECT_LIMIT_PROCESS_MEMORY
        | JOB_OBJECT_LIMIT_PROCESS_TIME
        | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
    job.set(flags, memory, cpu)?;
    // SAFETY: no preconditions; the handle is a constant.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: an open job, and the handle of this process.
    if unsafe { AssignProcessToJobObject(job.0, this) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // Closing it would end this process.
    std::mem::forget(job);
    Ok(())
}

/// Processes that the job of this process has ever had; 0 without one.
pub(crate) fn processes_of_this_job() -> u32 {
    // SAFETY: null means the job of this process.
    let accounts: Option<JOBOBJECT_BASIC_ACCOUNTING_INFORMATION> =
        unsafe { query(ptr::null_mut(), JobObjectBasicAccountingInformation) };
    accounts.map_or(0, |accounts| accounts.TotalProcesses)
}

/// Processor time that a child has had, also one that has ended.
pub(crate) fn processor_time(child: &Child) -> Duration {
    let none = FILETIME {
        dwLowDateTime: 0,
        dwHighDateTime: 0,
    };
    let (mut created, mut ended, mut system, mut user) = (none, none, none, none);
    // SAFETY: the handle of a child, which is open as long as the value, and room for four times.
    let asked = unsafe {
        GetProcessTimes(
            child.as_raw_handle(),
            &mut created,
            &mut ended,
            &mut system,
            &mut user,
        )
    };
    // In steps of 100 ns.
    let steps =
        |time: FILETIME| u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    match asked {
        0 => Duration::ZERO,
        _ => Duration::from_nanos(
            steps(system)
                .saturating_add(steps(user))
                .saturating_mul(100),
        ),
    }
}

/// From now on a fault ends this process without a dialog.
pub(crate) fn show_no_dialogs() {
    // SAFETY: no preconditions.
    unsafe {
        SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX)
    };
}
