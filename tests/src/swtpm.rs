//! An emulated TPM 2.0, with a state of its own. Tests of several rooms include this file.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running swtpm; it ends with this value.
pub struct Swtpm {
    state: TempDir,
    at: SocketAddr,
    process: Option<Child>,
}

impl Default for Swtpm {
    fn default() -> Self {
        Self::new()
    }
}

impl Swtpm {
    /// Makes a new TPM, with seeds that no other has, and starts it.
    #[must_use]
    pub fn new() -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let state = tempfile::tempdir().unwrap();
        let mut tpm = Self { state, at: free(), process: None };
        let begun = Instant::now();
        // Somebody may be faster to take a port that was free; then swtpm ends at once.
        while !tpm.is_started() {
            assert!(begun.elapsed() < PATIENCE, "swtpm does not start");
            tpm.at = free();
        }
        tpm
    }

    /// What an agent is told.
    #[must_use]
    pub fn address(&self) -> String {
        format!("tpm:swtpm:{}", self.at)
    }

    /// Where it listens.
    #[must_use]
    pub const fn at(&self) -> SocketAddr {
        self.at
    }

    /// Ends it as a power cut does.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again at the same place, with the state that it had.
    pub fn start(&mut self) {
        let begun = Instant::now();
        while !self.is_started() {
            assert!(begun.elapsed() < PATIENCE, "swtpm does not start again");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_started(&mut self) -> bool {
        self.stop();
        let mut process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", self.state.path().display()))
            .arg("--server")
            .arg(format!("type=tcp,bindaddr=127.0.0.1,port={}", self.at.port()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm is there; `cargo xtask setup` installs it");
        let begun = Instant::now();
        let mut is_heard = false;
        while begun.elapsed() < PATIENCE && process.try_wait().unwrap().is_none() && !is_heard {
            thread::sleep(Duration::from_millis(5));
            is_heard = TcpStream::connect(self.at).is_ok();
        }
        let is_alive = process.try_wait().unwrap().is_none();
        self.process = Some(process);
        is_heard && is_alive
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.stop();
    }
}
