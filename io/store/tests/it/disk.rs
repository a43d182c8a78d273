//! A disk that loses power: an SQLite file system that remembers what was synced.
//!
//! Everything passes through to the machine's own files. Beside them this keeps, for each file, the bytes
//! as of its last sync and the writes since. [`cut`] gives what a power cut at that moment may leave: the
//! synced bytes with none, some or all of the writes since, as a seed says.
#![expect(unsafe_code, reason = "SQLite's file systems are tables of C functions")]

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char, c_int, c_void},
    mem::size_of,
    path::Path,
    ptr,
    sync::{Mutex, OnceLock},
};

use libsqlite3_sys::{
    SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find,
    sqlite3_vfs_register,
};

/// The name for `SqliteConnectOptions::vfs`.
pub(crate) const NAME: &str = "losing-power";

#[derive(Clone, Default)]
struct Remembered {
    synced: Option<Vec<u8>>,
    since: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

type Files = BTreeMap<String, Remembered>;
type Watch = Box<dyn FnMut() + Send>;

static FILES: Mutex<Files> = Mutex::new(BTreeMap::new());
static WATCHES: Mutex<BTreeMap<String, Watch>> = Mutex::new(BTreeMap::new());

/// Has `watch` called after each write, truncation and sync below `folder`.
pub(crate) fn watch(folder: &Path, watch: impl FnMut() + Send + 'static) {
    WATCHES.lock().unwrap().insert(folder.to_string_lossy().into_owned(), Box::new(watch));
}

/// Ends the watch of a folder.
pub(crate) fn look_away(folder: &Path) {
    WATCHES.lock().unwrap().remove(&*folder.to_string_lossy());
}

/// What a power cut at this moment leaves of the files below `folder`. Without a seed every write since
/// the last sync is lost; with one, some of them are there, in whatever order.
pub(crate) fn cut(folder: &Path, seed: Option<u64>) -> BTreeMap<String, Vec<u8>> {
    let folder = folder.to_string_lossy();
    let files = FILES.lock().unwrap();
    let mut seed = seed;
    let below = files.iter().filter(|(path, _)| path.starts_with(&*folder));
    let mut left = BTreeMap::new();
    for (path, file) in below {
        let name = path[folder.len() + 1..].to_owned();
        let mut file = file.clone();
        if let Some(seed) = &mut seed {
            let kept: Vec<_> = file.since.iter().filter(|_| coin(seed)).cloned().collect();
            if !kept.is_empty() {
                let mut bytes = file.synced.take().unwrap_or_default();
                kept.iter().for_each(|change| apply(&mut bytes, change));
                file.synced = Some(bytes);
            }
        }
        if let Some(bytes) = file.synced {
            left.insert(name, bytes);
        }
    }
    left
}

fn coin(seed: &mut u64) -> bool {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed & 1 == 0
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, written) => {
            if bytes.len() < at + written.len() {
                bytes.resize(at + written.len(), 0);
            }
            bytes[*at..at + written.len()].copy_from_slice(written);
        }
        Change::Truncate(length) => bytes.truncate(*length),
    }
}

fn remember(path: &str, act: impl FnOnce(&mut Remembered)) {
    act(FILES.lock().unwrap().entry(path.to_owned()).or_default());
    let mut watches = WATCHES.lock().unwrap();
    let watched = watches.iter_mut().find(|(folder, _)| path.starts_with(&***folder));
    if let Some((_, watch)) = watched {
        watch();
    }
}

/// Registers the file system, once.
pub(crate) fn register() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // SAFETY: the default file system exists; the copy lives for ever, and differs in its name, the
        // size of its files, and the two functions below, which keep the contract of those they wrap.
        unsafe {
            let real = sqlite3_vfs_find(ptr::null());
            assert!(!real.is_null());
            let mut ours = *real;
            ours.szOsFile += c_int::try_from(size_of::<File>()).unwrap();
            ours.pNext = ptr::null_mut();
            ours.zName = c"losing-power".as_ptr();
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            assert_eq!(sqlite3_vfs_register(Box::leak(Box::new(ours)), 0), SQLITE_OK);
        }
    });
}

/// One open file; the machine's own follows it in memory.
#[repr(C)]
struct File {
    base: sqlite3_file,
    path: *mut String,
}

unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` made room for both, one after the other.
    unsafe { file.cast::<File>().add(1).cast() }
}

unsafe fn methods(file: *mut sqlite3_file) -> *const sqlite3_io_methods {
    // SAFETY: the machine's own file was opened before any of its methods is called.
    unsafe { (*real(file)).pMethods }
}

unsafe fn path<'f>(file: *mut sqlite3_file) -> &'f str {
    // SAFETY: set when the file was opened, freed when it is closed.
    unsafe { &*(*file.cast::<File>()).path }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: called by SQLite with `szOsFile` bytes at `file`, and a name that is null or a C string.
    unsafe {
        let default = sqlite3_vfs_find(ptr::null());
        let done = (*default).xOpen.unwrap()(default, name, real(file), flags, out_flags);
        (*file).pMethods = ptr::null();
        if !(*real(file)).pMethods.is_null() {
            let name = if name.is_null() { "" } else { CStr::from_ptr(name).to_str().unwrap() };
            (*file.cast::<File>()).path = Box::into_raw(Box::new(name.to_owned()));
            (*file).pMethods = &METHODS;
        }
        done
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: called by SQLite with a C string.
    unsafe {
        let default = sqlite3_vfs_find(ptr::null());
        FILES.lock().unwrap().remove(CStr::from_ptr(name).to_str().unwrap());
        (*default).xDelete.unwrap()(default, name, sync)
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the path was made by `open`, and nothing uses the file after this.
    unsafe {
        drop(Box::from_raw((*file.cast::<File>()).path));
        (*methods(file)).xClose.unwrap()(real(file))
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives `length` readable bytes at `from`.
    unsafe {
        let done = (*methods(file)).xWrite.unwrap()(real(file), from, length, at);
        let (at, length) = (usize::try_from(at).unwrap(), usize::try_from(length).unwrap());
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), length).to_vec();
        if done == SQLITE_OK {
            remember(path(file), |file| file.since.push(Change::Write(at, bytes)));
        }
        done
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: as SQLite calls it.
    unsafe {
        let done = (*methods(file)).xTruncate.unwrap()(real(file), length);
        let length = usize::try_from(length).unwrap();
        remember(path(file), |file| file.since.push(Change::Truncate(length)));
        done
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: as SQLite calls it.
    unsafe {
        let done = (*methods(file)).xSync.unwrap()(real(file), flags);
        remember(path(file), |file| {
            let mut bytes = file.synced.take().unwrap_or_default();
            file.since.drain(..).for_each(|change| apply(&mut bytes, &change));
            file.synced = Some(bytes);
        });
        done
    }
}

/// Passes a method through to the machine's own file.
macro_rules! pass {
    ($name:ident, $method:ident, ($($argument:ident: $type:ty),*) -> $result:ty) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) -> $result {
            // SAFETY: the arguments are those that SQLite gave for the same method.
            unsafe { (*methods(file)).$method.unwrap()(real(file), $($argument),*) }
        }
    };
}

pass!(read, xRead, (to: *mut c_void, length: c_int, at: sqlite3_int64) -> c_int);
pass!(file_size, xFileSize, (size: *mut sqlite3_int64) -> c_int);
pass!(lock, xLock, (level: c_int) -> c_int);
pass!(unlock, xUnlock, (level: c_int) -> c_int);
pass!(check_reserved_lock, xCheckReservedLock, (out: *mut c_int) -> c_int);
pass!(file_control, xFileControl, (op: c_int, argument: *mut c_void) -> c_int);
pass!(sector_size, xSectorSize, () -> c_int);
pass!(device_characteristics, xDeviceCharacteristics, () -> c_int);
pass!(shm_map, xShmMap, (page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int);
pass!(shm_lock, xShmLock, (offset: c_int, count: c_int, flags: c_int) -> c_int);
pass!(shm_barrier, xShmBarrier, () -> ());
pass!(shm_unmap, xShmUnmap, (delete: c_int) -> c_int);

/// Version 2: shared memory, but no memory-mapped pages, which would pass us by.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
