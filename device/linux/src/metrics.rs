//! What a Linux host knows of itself, from `/proc` and `/sys`.

use std::{fs, path::Path};

use hedgerow_base::Timestamp;

/// What was read at one moment; missing sources are missing values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Share of the time that was not idle since the sample before, 0 to 100.
    pub cpu_percent: Option<f64>,
    /// Load average over one minute.
    pub load1: Option<f64>,
    /// Bytes that are not available to new programs.
    pub memory_used_bytes: Option<u64>,
    /// Bytes of memory.
    pub memory_total_bytes: Option<u64>,
    /// Share of the root file system in use, 0 to 100.
    pub disk_used_percent: Option<f64>,
    /// Bytes a second received on all interfaces but loopback.
    pub network_received: Option<f64>,
    /// Bytes a second sent on all interfaces but loopback.
    pub network_sent: Option<f64>,
    /// The warmest sensor, in degrees Celsius.
    pub temperature: Option<f64>,
    /// Seconds since the system started.
    pub uptime_seconds: Option<u64>,
}

/// Reads samples; keeps the counters of the one before.
#[derive(Debug, Default)]
pub struct Metrics {
    cpu: Option<(u64, u64)>,
    network: Option<(Timestamp, u64, u64)>,
}

impl Metrics {
    /// Reads everything now. Rates are there from the second sample on.
    pub fn sample(&mut self, now: Timestamp) -> Sample {
        let (memory_total_bytes, memory_used_bytes) = match memory(&text("/proc/meminfo")) {
            Some((total, available)) => (Some(total), Some(total.saturating_sub(available))),
            None => (None, None),
        };
        let (network_received, network_sent) = self.network(&text("/proc/net/dev"), now);
        Sample {
            cpu_percent: self.cpu(&text("/proc/stat")),
            load1: first_number(&text("/proc/loadavg")),
            memory_used_bytes,
            memory_total_bytes,
            disk_used_percent: disk(Path::new("/")),
            network_received,
            network_sent,
            temperature: temperature(Path::new("/sys/class")),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds")]
            uptime_seconds: first_number(&text("/proc/uptime")).map(|seconds| seconds as u64),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "ticks since the last sample are few")]
    fn cpu(&mut self, stat: &str) -> Option<f64> {
        let now = cpu_ticks(stat)?;
        let (busy, total) = self.cpu.replace(now)?;
        let all = now.1.checked_sub(total).filter(|ticks| *ticks > 0)?;
        let busy = now.0.saturating_sub(busy).min(all);
        Some(busy as f64 * 100.0 / all as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "bytes since the last sample are few")]
    fn network(&mut self, dev: &str, now: Timestamp) -> (Option<f64>, Option<f64>) {
        let Some((received, sent)) = network_bytes(dev) else { return (None, None) };
        let Some((then, r, s)) = self.network.replace((now, received, sent)) else {
            return (None, None);
        };
        let ms = now.since_ms(then);
        if ms <= 0 {
            return (None, None);
        }
        let rate = |new: u64, old: u64| {
            new.checked_sub(old).map(|bytes| bytes as f64 * 1000.0 / ms as f64)
        };
        (rate(received, r), rate(sent, s))
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn first_number(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// Busy and total ticks of all processors (proc_stat(5)): idle and iowait are not busy.
fn cpu_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<u64> =
        line.split_ascii_whitespace().skip(1).take(8).filter_map(|t| t.parse().ok()).collect();
    let total: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((total - idle, total))
}

/// Total and available bytes (proc_meminfo(5)).
fn memory(meminfo: &str) -> Option<(u64, u64)> {
    let field = |name: &str| -> Option<u64> {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
        kib.checked_mul(1024)
    };
    Some((field("MemTotal")?, field("MemAvailable")?))
}

/// Received and sent bytes over all interfaces but loopback (proc_net(5)).
fn network_bytes(dev: &str) -> Option<(u64, u64)> {
    let mut all = None;
    for line in dev.lines() {
        let Some((name, counters)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let field = |at| counters.split_ascii_whitespace().nth(at)?.parse::<u64>().ok();
        let (received, sent) = (field(0)?, field(8)?);
        let (r, s) = all.unwrap_or((0u64, 0u64));
        all = Some((r.saturating_add(received), s.saturating_add(sent)));
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "a share of blocks")]
fn disk(path: &Path) -> Option<f64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    // As df counts: reserved blocks are neither used nor available.
    let used = stat.f_blocks.checked_sub(stat.f_bfree)?;
    let usable = used.checked_add(stat.f_bavail).filter(|blocks| *blocks > 0)?;
    Some(used as f64 * 100.0 / usable as f64)
}

/// The warmest of the thermal zones and hardware monitors under `class`.
fn temperature(class: &Path) -> Option<f64> {
    let children =
        |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let zones = children(&class.join("thermal")).map(|zone| zone.join("temp"));
    let monitors = children(&class.join("hwmon")).flat_map(|monitor| children(&monitor));
    let monitors = monitors.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("temp") && name.ends_with("_input")
    });
    let degrees = zones
        .chain(monitors)
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<f64>().ok())
        .map(|thousandths| thousandths / 1000.0)
        .filter(|degrees| (-60.0..=200.0).contains(degrees));
    degrees.fold(None, |warmest, degrees| Some(warmest.map_or(degrees, |w: f64| w.max(degrees))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_the_busy_share_between_two_samples() {
        let mut metrics = Metrics::default();
        assert_eq!(metrics.cpu("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1"), None);
        let half = metrics.cpu("cpu  150 0 100 750 100 0 0 0 0 0\n").unwrap();
        assert!((half - 50.0).abs() < 1e-9);
        assert_eq!(metrics.cpu("cpu  150 0 100 750 100 0 0 0 0 0\n"), None, "no time has passed");
        assert_eq!(metrics.cpu("nonsense"), None);
    }

    #[test]
    fn counters_that_start_anew_give_no_rate() {
        let mut metrics = Metrics::default();
        let line = |r: u64, s: u64| {
            format!("head\n lo: 9 0 0 0 0 0 0 0 9 0\neth0: {r} 0 0 0 0 0 0 0 {s} 0\n")
        };
        let at = Timestamp::from_secs;
        assert_eq!(metrics.network(&line(1000, 10), at(0)), (None, None));
        assert_eq!(metrics.network(&line(3000, 20), at(2)), (Some(1000.0), Some(5.0)));
        assert_eq!(metrics.network(&line(0, 30), at(3)), (None, Some(10.0)));
        assert_eq!(metrics.network(&line(0, 30), at(3)), (None, None));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let meminfo = "MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(memory(meminfo), Some((2 << 20, 1 << 20)));
        assert_eq!(memory("MemTotal: x"), None);
    }

    #[test]
    fn the_warmest_sensible_sensor_counts() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, value: &str| {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value).unwrap();
        };
        assert_eq!(temperature(directory.path()), None);
        write("thermal/thermal_zone0/temp", "41000\n");
        write("hwmon/hwmon0/temp1_input", "45500\n");
        write("hwmon/hwmon0/temp2_input", "999000\n");
        write("hwmon/hwmon0/fan1_input", "90000\n");
        assert_eq!(temperature(directory.path()), Some(45.5));
    }

    #[test]
    fn this_very_machine_can_be_read() {
        let mut metrics = Metrics::default();
        let sample = metrics.sample(Timestamp::from_secs(1));
        assert!(sample.memory_total_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(sample.disk_used_percent.is_some_and(|share| (0.0..=100.0).contains(&share)));
        assert!(sample.uptime_seconds.is_some());
    }
}
