//! What was synced.

use std::{
    collections::BTreeMap,
    env,
    ffi::CStr,
    fs::{self, File, Permissions},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

/// Ranges written since the last sync; none for a file that is not ours.
type Since = Option<Vec<(u64, u64)>>;

/// By device and inode.
static FILES: Mutex<BTreeMap<(u64, u64), Since>> = Mutex::new(BTreeMap::new());

struct Disk {
    data: PathBuf,
    platter: PathBuf,
}

fn disk() -> Option<&'static Disk> {
    static DISK: OnceLock<Option<Disk>> = OnceLock::new();
    let named = |name| env::var_os(name).map(PathBuf::from);
    DISK.get_or_init(|| {
        let data = fs::canonicalize(named("LOSING_POWER_DATA")?).ok()?;
        Some(Disk { data, platter: named("LOSING_POWER_PLATTER")? })
    })
    .as_ref()
}

/// Where a file of ours is on the platter.
fn place(path: &Path) -> Option<PathBuf> {
    let disk = disk()?;
    Some(disk.platter.join(path.strip_prefix(&disk.data).ok()?))
}

fn of(fd: i32) -> Option<(PathBuf, fs::Metadata)> {
    let path = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let metadata = fs::metadata(format!("/proc/self/fd/{fd}")).ok()?;
    metadata.is_file().then_some((path, metadata))
}

/// Bytes were written, not synced; a length of none is a new end.
pub(crate) fn written(fd: i32, at: i64, length: i64) {
    let (Ok(at), Ok(length)) = (u64::try_from(at), u64::try_from(length)) else { return };
    let Some((path, metadata)) = of(fd) else { return };
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let since = files
        .entry((metadata.dev(), metadata.ino()))
        .or_insert_with(|| place(&path).map(|_| Vec::new()));
    if let Some(since) = since {
        since.push((at, at + length));
    }
}

/// What was written so far is on the platter now.
pub(crate) fn synced(fd: i32) {
    let Some((path, metadata)) = of(fd) else { return };
    let Some(place) = place(&path) else { return };
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let since = files.get_mut(&(metadata.dev(), metadata.ino()));
    let ranges = since.and_then(Option::as_mut).map(std::mem::take).unwrap_or_default();
    // Under the lock: two syncs of one file go to the platter one after the other.
    if let Err(error) = copy(&path, &place, &ranges, &metadata) {
        eprintln!("the platter can't take {}: {error}", path.display());
        std::process::abort();
    }
}

fn copy(
    path: &Path,
    place: &Path,
    ranges: &[(u64, u64)],
    metadata: &fs::Metadata,
) -> std::io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let from = File::open(path)?;
    let to = File::options().create(true).truncate(false).write(true).open(place)?;
    for &(begin, end) in ranges {
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap_or_default()];
        let mut read = 0;
        // The file may have become shorter since.
        while let Some(room) = bytes.get_mut(read..).filter(|room| !room.is_empty()) {
            match from.read_at(room, begin + read as u64)? {
                0 => break,
                count => read += count,
            }
        }
        to.write_all_at(bytes.get(..read).unwrap_or_default(), begin)?;
    }
    to.set_len(from.metadata()?.len())?;
    to.set_permissions(Permissions::from_mode(metadata.mode() & 0o777))
}

/// A file has another name. Its bytes come along as far as they were synced.
pub(crate) fn renamed(from: &CStr, to: &CStr) {
    let path = |name: &CStr| name.to_str().ok().and_then(|name| place(Path::new(name)));
    if let (Some(from), Some(to)) = (path(from), path(to))
        && fs::rename(from, &to).is_err()
    {
        let _ = fs::write(to, []);
    }
}

/// A file is about to go.
pub(crate) fn unlinking(path: &CStr) {
    let Some(path) = path.to_str().ok().map(Path::new) else { return };
    let Some(place) = place(path) else { return };
    if let Ok(metadata) = fs::symlink_metadata(path) {
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        files.remove(&(metadata.dev(), metadata.ino()));
    }
    let _ = fs::remove_file(place);
}
