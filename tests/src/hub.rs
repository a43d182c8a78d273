use std::{
    fs,
    net::TcpListener,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long a hub may take to be up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hub that runs, or was just killed.
pub struct RunningHub {
    folder: TempDir,
    child: Option<Child>,
    options: Vec<String>,
    ports: [u16; 4],
    disk: Disk,
    /// Days by which its clock runs ahead of ours.
    days_ahead: u32,
}

/// What the data directory lies on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// The machine's own.
    Own,
    /// A file system of so many mebibytes.
    Small(u32),
    /// One that forgets what was not synced when the power is cut.
    LosingPower,
}

/// What was built with the tests: the program, and what is laid under it.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().map(|path| path.join(name)).find(|path| path.is_file());
    built.unwrap_or_else(|| panic!("{name} was not built; `cargo xtask test` does it first"))
}

/// Four free ports below those that the system lends (32768 and up): no connection and no other hub of
/// the tests takes them while this hub is down.
fn ports() -> [u16; 4] {
    static TURN: AtomicU16 = AtomicU16::new(0);
    const LOWEST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    let process = u16::try_from(std::process::id() % 997).unwrap().wrapping_mul(64);
    loop {
        let turn = TURN.fetch_add(4, Ordering::Relaxed);
        let first = LOWEST + process.wrapping_add(turn) % (COUNT - 4);
        let four = [first, first + 1, first + 2, first + 3];
        if four.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return four;
        }
    }
}

impl RunningHub {
    /// Starts a hub in an empty folder.
    #[must_use]
    pub fn start(options: &[&str]) -> Self {
        Self::start_on(options, Disk::Own)
    }

    /// Starts a hub whose data directory is a small file system of its own (tmpfs in a mount namespace).
    #[must_use]
    pub fn start_on_small_disk(mebibytes: u32) -> Self {
        Self::start_on(&[], Disk::Small(mebibytes))
    }

    /// Starts a hub whose every write is lost in [`cut_power`](Self::cut_power) unless it was synced.
    #[must_use]
    pub fn start_on_disk_losing_power(options: &[&str]) -> Self {
        Self::start_on(options, Disk::LosingPower)
    }

    fn start_on(options: &[&str], disk: Disk) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut hub = Self { folder, child: None, options, ports: ports(), disk, days_ahead: 0 };
        hub.restart();
        hub
    }

    /// The data directory, as the hub's process names it.
    fn own_data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The data directory, as the test reaches it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        match (self.disk, &self.child) {
            (Disk::Small(_), Some(child)) => {
                let inside = self.own_data();
                let inside = inside.strip_prefix("/").unwrap();
                PathBuf::from(format!("/proc/{}/root", child.id())).join(inside)
            }
            (Disk::Own | Disk::LosingPower, _) | (Disk::Small(_), None) => self.own_data(),
        }
    }

    /// The folder of the test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The hub's own certificates of a kind, the newest first.
    #[must_use]
    pub fn own(&self, kind: &str) -> Vec<Value> {
        let found = self.get("/api/v1/authority");
        let items = found["items"].as_array().unwrap();
        items.iter().filter(|one| one["kind"] == kind).cloned().collect()
    }

    /// What a script for bash says in the test's folder, which has the hub's root as `root.pem`; it must succeed.
    /// `DEVICES` and `MQTTS` are the hub's doors, and its clock is the hub's.
    #[expect(clippy::must_use_candidate, reason = "what it does may be all that is wanted")]
    pub fn script(&self, script: &str) -> String {
        let root = self.own("root");
        fs::write(self.folder().join("root.pem"), root[0]["pem"].as_str().unwrap()).unwrap();
        let done = Command::new("bash")
            .args(["-o", "pipefail", "-ec", script])
            .current_dir(self.folder())
            .envs(self.clock())
            .env("DEVICES", format!("localhost:{}", self.devices_port()))
            .env("MQTTS", format!("localhost:{}", self.mqtts_port()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{script}: {said}");
        said.into_owned()
    }

    /// Stops the hub and starts it again with a clock that is this many days ahead of ours.
    pub fn restart_days_ahead(&mut self, days: u32) {
        assert!(self.stop(), "{}", self.log());
        self.days_ahead = days;
        self.restart();
    }

    /// What a program's environment needs to have the hub's clock.
    #[must_use]
    pub fn clock(&self) -> Vec<(&'static str, String)> {
        if self.days_ahead == 0 {
            return Vec::new();
        }
        let libraries = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
        let mut found = libraries.map(|path| path.join("faketime/libfaketime.so.1"));
        let library = found.find(|path| path.is_file()).expect("faketime: `cargo xtask setup`");
        vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME", format!("+{}d", self.days_ahead)),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }

    /// Starts the hub again where it was, on the ports that it had.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the hub runs already");
        let log = |name: &str| {
            let path = self.folder.path().join(name);
            fs::OpenOptions::new().create(true).append(true).open(path).unwrap()
        };
        let _ = fs::remove_file(self.folder.path().join("out"));
        let mut command = match self.disk {
            Disk::Own => Command::new(built("hedgerow")),
            Disk::LosingPower => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(self.own_data()).unwrap();
                let mut command = Command::new(built("hedgerow"));
                command.env("LD_PRELOAD", built("libhedgerow_losing_power.so"));
                command.env("LOSING_POWER_DATA", self.own_data());
                command.env("LOSING_POWER_PLATTER", self.platter());
                command
            }
            Disk::Small(mebibytes) => {
                fs::create_dir_all(self.own_data()).unwrap();
                let script =
                    format!("mount -t tmpfs -o size={mebibytes}m tmpfs \"$0\" && exec \"$@\"");
                let mut command = Command::new("unshare");
                command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
                command.arg(self.own_data()).arg(built("hedgerow"));
                command
            }
        };
        command.arg("--data").arg(self.own_data()).arg("up");
        for (name, port) in ["--https", "--devices", "--mqtts", "--local"].iter().zip(self.ports) {
            command.arg(name).arg(format!("127.0.0.1:{port}"));
        }
        let child = command
            .args(&self.options)
            .envs(self.clock())
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .stdin(Stdio::null())
            .stdout(log("out"))
            .stderr(log("err"))
            .spawn()
            .unwrap();
        self.child = Some(child);
        self.ports = self.wait();
    }

    /// Waits until the hub has said where it listens.
    fn wait(&mut self) -> [u16; 4] {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let out = fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
            let port = |line: &str| {
                let line = out.lines().find(|l| l.contains(line))?;
                let digits = line.rsplit(':').next()?;
                digits.split('/').next()?.trim().parse::<u16>().ok()
            };
            let found = [
                port("people and programs"),
                port("devices enrol at"),
                port("devices publish to"),
                port("http://localhost:"),
            ];
            if let [Some(https), Some(devices), Some(mqtts), Some(local)] = found {
                return [https, devices, mqtts, local];
            }
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("the hub ended with {status}: {}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the hub did not come up: {}", self.log());
    }

    /// What the hub wrote to its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("err")).unwrap_or_default()
    }

    /// The number of its process; 0 while it is down.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Ends it at once, as a power cut of the process: SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Bytes of memory that its process holds.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    fn platter(&self) -> PathBuf {
        self.folder.path().join("platter")
    }

    /// Ends it as the end of the machine's power does: what was not synced is gone.
    pub fn cut_power(&mut self) {
        assert!(self.disk == Disk::LosingPower, "the hub was started on another disk");
        self.kill();
        fs::remove_dir_all(self.own_data()).unwrap();
        let copied =
            Command::new("cp").arg("-a").arg(self.platter()).arg(self.own_data()).status().unwrap();
        assert!(copied.success(), "the platter is read");
    }

    /// Ends it as an operator does: SIGTERM; whether it ended well.
    pub fn stop(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return false };
        let told = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        told.success() && child.wait().unwrap().success()
    }

    /// Runs a command of the operator's on the hub's data directory: how it ended, and what it printed.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> (i32, String) {
        let done = Command::new(built("hedgerow"))
            .arg("--data")
            .arg(self.own_data())
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .output()
            .unwrap();
        (done.status.code().unwrap_or(-1), String::from_utf8(done.stdout).unwrap())
    }

    /// Where devices enrol.
    #[must_use]
    pub const fn devices_port(&self) -> u16 {
        self.ports[1]
    }

    /// Where devices publish.
    #[must_use]
    pub const fn mqtts_port(&self) -> u16 {
        self.ports[2]
    }

    /// Where it takes plain MQTT, of a hub that was told to.
    #[must_use]
    pub fn insecure_port(&self) -> u16 {
        let log = self.log();
        let line = log.lines().rev().find(|line| line.contains("INSECURE")).unwrap();
        let rest = line.split("127.0.0.1:").nth(1).unwrap();
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    }

    /// The loopback door.
    #[must_use]
    pub const fn local_port(&self) -> u16 {
        self.ports[3]
    }

    /// The token of this machine.
    #[must_use]
    pub fn token(&self) -> String {
        fs::read_to_string(self.data().join("admin.token")).unwrap().trim().to_owned()
    }

    /// Asks the API; the status and the body.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask_as(Some(&self.token()), method, path, body)
    }

    /// Asks the API with another token, or none.
    #[must_use]
    pub fn ask_as(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        self.ask_with(token, method, path, &[], body)
    }

    /// Asks the API with further headers.
    #[must_use]
    pub fn ask_with(
        &self,
        token: Option<&str>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Value) {
        let url = format!("http://localhost:{}{path}", self.local_port());
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        let agent: ureq::Agent = config.into();
        let request = ureq::http::Request::builder().method(method).uri(url);
        let request = request.header("content-type", "application/json");
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut answer = agent.run(request.body(body).unwrap()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Has the API change what was seen at this revision.
    #[must_use]
    pub fn change(&self, method: &str, path: &str, seen: i64, body: &Value) -> (u16, Value) {
        let tag = format!("\"{seen}\"");
        self.ask_with(Some(&self.token()), method, path, &[("if-match", &tag)], body)
    }

    /// Asks the API for something that has to be there.
    #[must_use]
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Has the API do something that has to work.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("POST", path, body);
        assert!((200..300).contains(&status), "{path}: {answer}");
        answer
    }
}

impl Drop for RunningHub {
    fn drop(&mut self) {
        self.kill();
    }
}
