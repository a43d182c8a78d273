//! This machine as the first device.

use std::{path::Path, process::Stdio, time::Duration};

use hedgerow_base::TenantId;
use hedgerow_control::{Ctx, NewClaim};
use hedgerow_listen::server::now;
use hedgerow_model::mapping::Names;
use hedgerow_policy::Actor;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use super::{Problem, doors::Doors, hub::Hub};
use crate::paths;

/// How long the agent may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

/// The agent of this machine, in a process of its own.
pub(super) struct FirstDevice {
    child: Child,
    /// Closed when the hub ends, whatever ends it: the agent then ends too.
    lifeline: ChildStdin,
}

pub(super) async fn start(hub: &Hub, data: &Path, doors: &Doors) -> Result<FirstDevice, Problem> {
    let state = data.join("this-device");
    let code = if state.join("certificate.der").exists() {
        String::new()
    } else {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = if name.trim().is_empty() { "This machine" } else { name.trim() };
        let ctx = Ctx::new(Actor::Hub(TenantId::FIRST, "with-agent"), now());
        let new = NewClaim {
            name: name.chars().take(60).collect(),
            profile: "linux-host".into(),
            names: Names::default(),
            life_ms: Some(600_000),
        };
        hub.control.claim_this_machine(&ctx, new).await?.code.to_string()
    };
    let mut child = Command::new(std::env::current_exe()?)
        .arg("this-device")
        .arg("--at")
        .arg(format!("https://localhost:{}", doors.devices.port()))
        .arg("--state")
        .arg(&state)
        .arg("--seal")
        .arg(paths::seal(data, "this-device-seal"))
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lifeline = child.stdin.take().ok_or("the agent has no standard input")?;
    lifeline.write_all(format!("{code}\n").as_bytes()).await?;
    lifeline.flush().await?;
    Ok(FirstDevice { child, lifeline })
}

impl FirstDevice {
    pub(super) async fn stop(mut self) {
        drop(self.lifeline);
        if timeout(GOODBYE, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}
