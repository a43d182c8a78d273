//! A disk that loses power, laid under a program that knows nothing of it (`LD_PRELOAD`).
//!
//! What the program writes below `LOSING_POWER_DATA` goes to the machine's own files. What it syncs is
//! copied, byte for byte and range for range, to the same place below `LOSING_POWER_PLATTER`. After a
//! `kill -9` the platter is what a power cut at that moment leaves: every write that was not synced is
//! lost. A file that was renamed before its bytes were synced is empty there, as after a cut on ext4.
//!
//! 1. `write`, `pwrite`, `ftruncate`: the range is remembered for the file.
//! 2. `fsync`, `fdatasync`: once the machine's own has come back, the ranges go to the platter.
//! 3. `rename`, `unlink`: done on the platter too.
//!
//! Not seen: memory-mapped writes (SQLite's `-shm` is made anew at each start) and what directories keep.
#![expect(unsafe_code, reason = "libc's functions are replaced by functions of the same name")]

mod platter;

use std::{
    cell::Cell,
    ffi::{CStr, c_char, c_int, c_void},
    mem,
};

use libc::{off_t, size_t, ssize_t};

thread_local! {
    /// Set while the platter is written: its own calls pass through.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Does something about the platter, but for calls that it makes itself.
fn aside(act: impl FnOnce()) {
    if INSIDE.replace(true) {
        return;
    }
    act();
    INSIDE.set(false);
}

/// The function that this one stands before.
unsafe fn next(name: &CStr) -> *mut c_void {
    // SAFETY: a name that ends in zero. Every name asked for is one of libc's.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null(), "libc has {name:?}");
    found
}

/// Calls libc's own function of this name and type.
macro_rules! next {
    ($name:literal as fn($($type:ty),*) -> $result:ty, $($argument:expr),*) => {{
        type Function = unsafe extern "C" fn($($type),*) -> $result;
        // SAFETY: this is the type that libc declares, and the arguments are those of the caller.
        unsafe { mem::transmute::<*mut c_void, Function>(next($name))($($argument),*) }
    }};
}

/// See write(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, from: *const c_void, count: size_t) -> ssize_t {
    let done = next!(c"write" as fn(c_int, *const c_void, size_t) -> ssize_t, fd, from, count);
    if done > 0 {
        // SAFETY: asks where the file stands, after what was written.
        let end = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
        if end >= 0 {
            aside(|| platter::written(fd, end - done as off_t, done as off_t));
        }
    }
    done
}

fn written_at(fd: c_int, done: ssize_t, at: off_t) -> ssize_t {
    if done > 0 {
        aside(|| platter::written(fd, at, done as off_t));
    }
    done
}

type WriteAt = unsafe extern "C" fn(c_int, *const c_void, size_t, off_t) -> ssize_t;

/// See pwrite(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(fd: c_int, from: *const c_void, n: size_t, at: off_t) -> ssize_t {
    // SAFETY: libc's type and the caller's arguments.
    let done = unsafe { mem::transmute::<*mut c_void, WriteAt>(next(c"pwrite"))(fd, from, n, at) };
    written_at(fd, done, at)
}

/// See pwrite(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, from: *const c_void, n: size_t, at: off_t) -> ssize_t {
    // SAFETY: libc's type and the caller's arguments.
    let done =
        unsafe { mem::transmute::<*mut c_void, WriteAt>(next(c"pwrite64"))(fd, from, n, at) };
    written_at(fd, done, at)
}

/// See ftruncate(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(fd: c_int, length: off_t) -> c_int {
    let done = next!(c"ftruncate" as fn(c_int, off_t) -> c_int, fd, length);
    aside(|| platter::written(fd, length, 0));
    done
}

/// See ftruncate(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, length: off_t) -> c_int {
    let done = next!(c"ftruncate64" as fn(c_int, off_t) -> c_int, fd, length);
    aside(|| platter::written(fd, length, 0));
    done
}

/// See fsync(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    let done = next!(c"fsync" as fn(c_int) -> c_int, fd);
    aside(|| platter::synced(fd));
    done
}

/// See fdatasync(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    let done = next!(c"fdatasync" as fn(c_int) -> c_int, fd);
    aside(|| platter::synced(fd));
    done
}

/// See rename(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's paths end in zero.
    let (old, new) = unsafe { (CStr::from_ptr(from), CStr::from_ptr(to)) };
    let done = next!(c"rename" as fn(*const c_char, *const c_char) -> c_int, from, to);
    if done == 0 {
        aside(|| platter::renamed(old, new));
    }
    done
}

/// See unlink(2).
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's path ends in zero.
    let gone = unsafe { CStr::from_ptr(path) };
    aside(|| platter::unlinking(gone));
    next!(c"unlink" as fn(*const c_char) -> c_int, path)
}
