//! Servers under measurement: started on their core, their CPU read from the kernel.

use std::{
    error::Error,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The core of the server, and the one of the generator.
pub(crate) const SERVER_CORE: &str = "0";
/// See [`SERVER_CORE`].
pub(crate) const GENERATOR_CORE: &str = "1";

/// Clock ticks a second in `/proc/<pid>/stat`; fixed on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server that is killed when dropped, and its directory removed.
pub(crate) struct Server {
    child: Child,
    directory: Option<PathBuf>,
}

impl Server {
    /// Starts `program` on the server's core, and waits until it accepts at `address`.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        address: SocketAddr,
    ) -> Result<Self, Box<dyn Error>> {
        let child = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(program)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { child, directory: None };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if server.child.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(10) {
                return Err(format!("{} does not listen at {address}", program.display()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Takes a directory that goes when the server does.
    pub(crate) fn with_directory(mut self, directory: PathBuf) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Kibibytes of memory that are resident.
    pub(crate) fn resident_kib(&self) -> Result<u64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("no VmRSS")?.parse()?)
    }

    /// Asks it to stop, and waits until it has; its directory stays.
    pub(crate) fn stop(mut self) -> Result<Option<PathBuf>, Box<dyn Error>> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(self.directory.take())
        } else {
            Err("it did not stop well".into())
        }
    }

    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    pub(crate) fn cpu(&self) -> Result<Cpu, Box<dyn Error>> {
        Cpu::of(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// Seconds of CPU that a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    /// Of a process id, or `self`.
    pub(crate) fn of(pid: &str) -> Result<Self, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, which may hold anything, ends at the last bracket.
        let (_, fields) = stat.rsplit_once(')').ok_or("an odd stat line")?;
        let mut times = fields.split_whitespace().skip(11);
        let mut next = || -> Result<f64, Box<dyn Error>> {
            Ok(times.next().ok_or("an odd stat line")?.parse::<f64>()? / TICKS_PER_SECOND)
        };
        Ok(Self { user: next()?, system: next()? })
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

/// An address of this machine that nobody listens at.
pub(crate) fn free_address() -> Result<SocketAddr, Box<dyn Error>> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
