//! The hub's parts, put together.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError},
    time::Duration,
};

use hedgerow_api::RevocationLists;
use hedgerow_base::{Secret, TenantId};
use hedgerow_control::{Control, Ctx, Ports, ports::Random};
use hedgerow_identity::rescue::Grace;
use hedgerow_keys::{
    Argon2id, Authority as Keys, KeyFile, LogKey, Notary, SealingKey, SystemRandom, write_durably,
};
use hedgerow_listen::server::now;
use hedgerow_onboarding::est;
use hedgerow_plane::{LocalBus, Plane, StoredSessions};
use hedgerow_policy::Actor;
use hedgerow_store::{
    ControlStore, MasterKey, ReadingsStore, SessionsStore, readings::system_clock,
};
use tokio::sync::Mutex;

use super::{
    Problem, doors::Doors, herald::Messenger, names::Names, notices, profiles::Profiles,
    renewal::Renewal, trust::Trust, voice::Voice,
};
use crate::{args::Up, config::Config};

/// How often it is looked whether a token has expired: its sessions end within a second.
const CLOCK_EVERY: Duration = Duration::from_millis(500);
/// So many of these make the time that a session can outlive its certificate: 30 s.
const CERTIFICATES_EVERY: u64 = 60;

/// Everything that serves have in common.
pub(super) struct Hub {
    /// The data directory.
    pub(super) data: PathBuf,
    pub(super) notices: Arc<notices::Queue>,
    pub(super) control: Arc<Control>,
    pub(super) plane: Plane,
    pub(super) bus: Arc<LocalBus>,
    pub(super) store: Arc<ControlStore>,
    pub(super) readings: ReadingsStore,
    pub(super) sessions: SessionsStore,
    /// What outlived the last hub, until the wire takes it.
    stored_sessions: StdMutex<StoredSessions>,
    pub(super) notary: Arc<Notary>,
    pub(super) revocation: Arc<RevocationLists>,
    /// The hub's own certificates.
    pub(super) trust: Arc<Trust>,
    pub(super) renewal: Arc<Renewal>,
    pub(super) names: Names,
    /// Of the root's key, as in claim codes, in hex.
    pub(super) fingerprint: String,
    pub(super) profiles: Arc<Profiles>,
    pub(super) voice: Arc<Voice>,
}

impl Hub {
    /// Opens everything; at the first start it is made.
    pub(super) async fn open(
        data: &Path,
        sealing: SealingKey,
        up: &Up,
        file: &Config,
    ) -> Result<Self, Problem> {
        let sealing = Arc::new(sealing);
        let directory = data.join("keys");
        let keys = Arc::new(Keys::new(&directory, Arc::clone(&sealing)));
        let log_key = LogKey::open_or_make(&KeyFile::new(&directory, "log"), &sealing)?;
        let root = keys.key("root")?;
        let hub: String = hedgerow_onboarding::ClaimCode::hub_fingerprint(root.spki())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let notary = Arc::new(Notary::new(log_key, hub.clone()));
        let store = Arc::new(ControlStore::open(data, Arc::clone(&notary) as _).await?);
        let key = |of| master_key(&directory, &sealing, of);
        let readings = ReadingsStore::open(data, key("telemetry")?, system_clock()).await?;
        let (sessions, stored) = SessionsStore::open(data, key("sessions")?, now()).await?;
        let bus = Arc::new(LocalBus::default());
        let (queue, waiting) = notices::queue();
        let plane =
            Plane::new(Arc::new(readings.clone()), Arc::clone(&bus) as _, Arc::clone(&queue) as _)
                .with_sessions(Arc::new(sessions.clone()));
        let revocation = Arc::new(RevocationLists::default());
        let profiles = Arc::new(Profiles::new()?);
        let messenger = Arc::new(Messenger {
            store: Arc::clone(&store) as _,
            plane: plane.clone(),
            profiles: Arc::clone(&profiles),
            revocation: Arc::clone(&revocation),
            trust: OnceLock::new(),
            turn: Mutex::default(),
        });
        let voice = Arc::new(Voice::default());
        let control = Control::new(Ports {
            store: Arc::clone(&store) as _,
            signer: Arc::clone(&keys) as _,
            random: Arc::new(SystemRandom),
            passwords: Arc::new(Argon2id::default()),
            history: Arc::new(readings.clone()),
            voice: Arc::clone(&voice) as _,
            herald: Arc::clone(&messenger) as _,
        });
        let control = Arc::new(control.with_grace(Grace { days: file.limits.rescue_days }));
        let names = Names::find(&up.names);
        let renewal = Arc::new(Renewal { control: Arc::clone(&control), names: names.clone() });
        let authority = renewal.authority(now()).await?;
        write_durably(&data.join("ca.pem"), est::to_pem(&authority.root).as_bytes())?;
        let trust = Arc::new(Trust::new(keys, authority)?);
        let _ = messenger.trust.set(Arc::clone(&trust));
        messenger.fill().await?;
        tokio::spawn(waiting.carry(Arc::clone(&control)));
        tokio::spawn(watch_the_clock(plane.clone()));
        Ok(Self {
            data: data.to_owned(),
            store,
            notices: queue,
            control,
            plane,
            bus,
            readings,
            sessions,
            stored_sessions: StdMutex::new(stored),
            notary,
            revocation,
            trust,
            renewal,
            names,
            fingerprint: hub,
            profiles,
            voice,
        })
    }

    /// Prints the one-time link while nobody can sign in, and makes the token of this machine.
    pub(super) async fn announce_sign_in(&self, data: &Path, doors: &Doors) -> Result<(), Problem> {
        let ctx = Ctx::new(Actor::Hub(TenantId::FIRST, "start"), now());
        let token = secret();
        self.control.create_machine_token(&ctx, digest(&token)).await?;
        write_durably(&data.join("admin.token"), format!("{token}\n").as_bytes())?;
        let url = format!("http://localhost:{}\n", doors.local.port());
        write_durably(&data.join("local.url"), url.as_bytes())?;
        let link = secret();
        if self.control.first_link(&ctx, digest(&link)).await? {
            println!("\n  Sign in here, once, within 15 minutes:");
            println!("  http://localhost:{}/sign-in#{link}\n", doors.local.port());
        } else {
            println!("\n  Sign in at http://localhost:{}\n", doors.local.port());
        }
        Ok(())
    }

    /// Sessions and retained messages that outlived the last hub; once.
    pub(super) fn take_sessions(&self) -> StoredSessions {
        let mut stored = self.stored_sessions.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *stored)
    }

    /// Lets what waits reach the disk.
    pub(super) async fn close(self) {
        if let Err(failure) = self.store.close().await {
            tracing::warn!(%failure, "the control store did not close well");
        }
        if let Err(error) = self.readings.close().await {
            tracing::warn!(%error, "the readings' store did not close well; its journal is replayed");
        }
        if let Err(error) = self.sessions.close().await {
            tracing::warn!(%error, "the sessions' store did not close well");
        }
    }
}

/// Has sessions judged again when a token has expired, and now and then all: that a certificate expires
/// changes nothing in the store.
async fn watch_the_clock(plane: Plane) {
    let mut clock = tokio::time::interval(CLOCK_EVERY);
    for turn in 1u64.. {
        clock.tick().await;
        plane.directory().expire_tokens(now());
        if turn % CERTIFICATES_EVERY == 0 {
            plane.directory().time_passed();
        }
    }
}

/// 256 random bits as text, for links, cookies and tokens.
fn secret() -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = [0; 32];
    SystemRandom.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn digest(secret: &str) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(secret.as_bytes()).into()
}

fn master_key(directory: &Path, sealing: &SealingKey, of: &str) -> Result<MasterKey, Problem> {
    let file = KeyFile::new(directory, of);
    let bytes: [u8; 32] = match file.read(sealing)? {
        Some(bytes) => bytes.as_slice().try_into()?,
        None => {
            let fresh = SystemRandom.bytes()?;
            file.write(sealing, &fresh)?;
            fresh
        }
    };
    Ok(MasterKey::new(&Secret::new(bytes))?)
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;
    use hedgerow_base::Timestamp;
    use hedgerow_control::ListOf;

    use super::*;
    use crate::args::{Args, Command};

    /// A hub in a folder of its own, without doors.
    pub(in crate::up) async fn hub() -> (tempfile::TempDir, Hub) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let sealing = SealingKey::from_file(&folder.path().join("seal")).unwrap();
        let Command::Up(up) = Args::try_parse_from(["hedgerow", "up"]).unwrap().command else {
            panic!("another command")
        };
        let hub = Hub::open(&data, sealing, &up, &Config::default()).await.unwrap();
        (folder, hub)
    }

    #[tokio::test]
    async fn the_revocation_list_is_made_anew_when_it_is_old_or_something_was_revoked() {
        let (_folder, hub) = hub().await;
        let at = |ms| {
            let (list, control) = (Arc::clone(&hub.revocation), Arc::clone(&hub.control));
            async move {
                let issuing = control.issuing_authorities().await.unwrap()[0].id;
                let of = ListOf::Issuing(issuing);
                let at = Timestamp::from_ms(ms);
                list.current(&control, of, "https://hub/crl", at).await.unwrap().whole
            }
        };
        let (start, keep) = (1_800_000_000_000, hedgerow_api::limits::CRL_KEEP_MS);
        let first = at(start).await;
        assert_eq!(at(start + keep - 1).await, first);
        let second = at(start + keep).await;
        assert_ne!(second, first, "nobody is given a list that is about to end");
        assert_eq!(at(start + keep + 1).await, second);
        hub.revocation.forget();
        assert_ne!(at(start + keep + 1).await, second);
    }
}
