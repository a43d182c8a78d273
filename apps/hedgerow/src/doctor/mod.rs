//! `hedgerow doctor`: whether all is well with the hub of a data directory, running or not.
//!
//! It changes nothing. What is judged is in [`findings`]; here is where the facts come from.

mod findings;

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use hedgerow_identity::authority;
use hedgerow_keys::KeyFile;
use hedgerow_listen::server::now;
use hedgerow_store::examine;
use serde_json::{Value, json};

use crate::{
    args::{Addresses, Doctor, Seal},
    cli::{
        Remote,
        hub::Hub,
        show::{self, out},
    },
    paths,
    up::{meters, seal},
};
use findings::{Finding, State};

type Done = Result<(), Box<dyn std::error::Error>>;

/// Looks at everything and says what it found.
pub(crate) fn run(data: Option<PathBuf>, remote: &Remote, doctor: &Doctor) -> Done {
    let path = paths::data(data.clone());
    let mut found = vec![directory(&path)];
    if path.is_dir() {
        found.push(key(&path, &doctor.seal));
        found.extend(meters::disk(&path).map(|(free, all)| findings::disk(free, all)));
        found.extend(databases(&path)?);
        found.extend(hub(data, remote, &doctor.addresses));
    }
    let wrong = found.iter().filter(|one| one.state == State::Wrong).count();
    if remote.json {
        let items: Vec<Value> = found.iter().map(Finding::json).collect();
        show::json(&json!({"items": items, "next": null}));
    } else {
        found.iter().for_each(tell);
    }
    match wrong {
        0 => Ok(()),
        1 => Err("one thing is wrong".into()),
        many => Err(format!("{many} things are wrong").into()),
    }
}

fn tell(finding: &Finding) {
    out!("{:8} {:22} {}", finding.state.word(), finding.check, finding.says);
    if !finding.advice.is_empty() {
        out!("{:8} {:22} → {}", "", "", finding.advice);
    }
}

fn directory(path: &Path) -> Finding {
    match fs::metadata(path) {
        Ok(metadata) => {
            let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
            findings::directory(&path.display().to_string(), metadata.mode(), is_ours)
        }
        Err(error) => {
            let says = format!("{}: {error}", path.display());
            let advice = "start a hub with `hedgerow up`, or name its directory with --data";
            Finding::new("data directory", State::Wrong, says, advice)
        }
    }
}

/// Whether the sealing key is there and opens the hub's keys.
fn key(data: &Path, given: &Seal) -> Finding {
    let wrong =
        |says: String, advice: &str| Finding::new("sealing key", State::Wrong, says, advice);
    let sealing = match seal::there(data, given) {
        Ok(Ok(sealing)) => sealing,
        Ok(Err(path)) => {
            let says = format!("the key file {} is not there", path.display());
            return wrong(says, "bring it back from a backup, or name what seals the keys");
        }
        Err(error) => return wrong(error.to_string(), "see to the key's file and who can read it"),
    };
    match KeyFile::new(&data.join("keys"), "log").read(&sealing) {
        Ok(Some(_)) => {
            let says = format!("{} opens the hub's keys", sealing.source());
            Finding::new("sealing key", State::Well, says, "")
        }
        Ok(None) => wrong("the hub's keys are not there".into(), "restore a backup"),
        Err(error) => {
            wrong(error.to_string(), "name what sealed the keys: --seal-file, --passphrase-file")
        }
    }
}

fn databases(data: &Path) -> Result<Vec<Finding>, std::io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (examined, now) = (runtime.block_on(examine(data)), now());
    let files = examined.files.iter().map(|(file, problems)| findings::database(file, problems));
    let mut found: Vec<Finding> = files.collect();
    found.push(findings::clock(now, examined.newest));
    for (kind, der) in &examined.certificates {
        found.push(match authority::read(der) {
            Some(((_, until), _)) => findings::certificate(kind, until, now),
            None => {
                let check = format!("{kind} certificate");
                Finding::new(check, State::Wrong, "it can't be read", "restore a backup")
            }
        });
    }
    let newest = examined.certificates.iter().find(|(kind, _)| kind == "issuing");
    let since = newest.and_then(|(_, der)| authority::read(der)).map(|((from, _), _)| from);
    found.extend(since.and_then(|since| findings::overlap(examined.overlapping.len(), since, now)));
    Ok(found)
}

/// A hub that answers is asked; where none does, its ports must be free.
fn hub(data: Option<PathBuf>, remote: &Remote, addresses: &Addresses) -> Vec<Finding> {
    let asked = Hub::find(data, remote).and_then(|hub| Ok((hub.get("/status", &[])?, hub)));
    let (status, hub) = match asked {
        Ok(found) => found,
        Err(error) => return stopped(&error.to_string(), addresses),
    };
    let mut found =
        vec![Finding::new("hub", State::Well, format!("it answers at {}", hub.base()), "")];
    if let Some(warning) = status.get("warning").and_then(Value::as_str) {
        let advice = "start the hub without --insecure-mqtt";
        found.push(Finding::new("insecure listener", State::Watch, warning, advice));
    }
    found.push(match hub.post("/audit/verify", &json!({})) {
        Ok(answer) => findings::audit(&answer),
        Err(error) => Finding::new("audit log", State::Skipped, error.to_string(), ""),
    });
    found
}

fn stopped(why: &str, addresses: &Addresses) -> Vec<Finding> {
    let Addresses { https, devices, mqtts, local } = addresses;
    let mut found = vec![
        Finding::new("hub", State::Watch, why, "start it with `hedgerow up`"),
        Finding::new("audit log", State::Skipped, "a running hub verifies it", ""),
    ];
    found.extend([https, devices, mqtts, local].map(port));
    found
}

fn port(address: &SocketAddr) -> Finding {
    let check = format!("port {}", address.port());
    // Where the system has no IPv6, `[::]` means every IPv4 address, as for the hub.
    let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
    let bound = match TcpListener::bind(address) {
        Err(error) if address.ip().is_unspecified() && error.kind() != ErrorKind::AddrInUse => {
            TcpListener::bind(v4)
        }
        bound => bound,
    };
    match bound {
        Ok(_) => Finding::new(check, State::Well, "it is free for the hub", ""),
        Err(error) => {
            let says = format!("{address} can't be listened on: {error}");
            Finding::new(
                check,
                State::Wrong,
                says,
                "end what uses it, or give the hub another address",
            )
        }
    }
}
