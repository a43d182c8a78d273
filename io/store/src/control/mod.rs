//! The control plane in SQLite.

mod apply;
mod audit;
mod authority;
mod error;
mod limits;
mod profiles;
mod read_audit;
mod read_devices;
mod read_people;
mod rows;
mod writer;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc, time::Duration};

use hedgerow_base::{DeviceId, TenantId, Timestamp};
use hedgerow_control::{
    AuthorityId, AuthorityRecord, CertificateRecord, Commit, Failure, Named, Person, ProfileRecord,
    TimelineEntry, Token,
    ports::{AuditFilter, AuditRecord, Counts, Keys, Notary, Pending, Store},
};
use hedgerow_identity::{Claim, Serial, ocsp::Issued, revocation::Revoked};
use hedgerow_policy::{CertificateId, Fact, PersonId};
use hedgerow_registry::{Device, DeviceKey, Filter, Page};
use hedgerow_tlog::{Hash, NodeId};
use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::{error::failure, limits::READERS, writer::Writer};

/// The control plane's store: `hub.db` in the data directory.
pub struct ControlStore {
    readers: SqlitePool,
    writer: Writer,
}

impl ControlStore {
    /// Opens `hub.db` in `directory`, brings its schema up to date, and starts the writer on the current
    /// runtime. Devices that were connected when the hub stopped are not any more.
    ///
    /// # Errors
    /// When the file can't be used.
    pub async fn open(directory: &Path, notary: Arc<dyn Notary>) -> Result<Self, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(directory.join("hub.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .pragma("secure_delete", "ON")
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(failure)?;
        sqlx::migrate!("./migrations/sqlite/control")
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|error| failure(error.into()))?;
        sqlx::query("UPDATE devices SET connected = 0 WHERE connected = 1")
            .execute(&mut connection)
            .await
            .map_err(failure)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(failure)?;
        Ok(Self { readers, writer: Writer::start(options, connection, notary) })
    }

    /// Writes what waits and closes the file. What is committed later is refused.
    ///
    /// # Errors
    /// When the file can't be written, or it was closed before.
    pub async fn close(&self) -> Result<(), Failure> {
        self.readers.close().await;
        self.writer.close().await
    }
}

impl Store for ControlStore {
    fn commit(&self, commit: Commit) -> Pending<'_, ()> {
        Box::pin(self.writer.commit(commit))
    }

    fn device(&self, tenant: TenantId, id: DeviceId) -> Pending<'_, Option<Device>> {
        Box::pin(read_devices::one(&self.readers, tenant, id))
    }

    fn devices<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a Filter,
        page: Page,
    ) -> Pending<'a, Vec<Device>> {
        Box::pin(read_devices::page(&self.readers, tenant, filter, page))
    }

    fn all_devices(&self) -> Pending<'_, Vec<Device>> {
        Box::pin(read_devices::all(&self.readers))
    }

    fn counts(&self, tenant: TenantId, now: Timestamp) -> Pending<'_, Counts> {
        Box::pin(read_devices::counts(&self.readers, tenant, now))
    }

    fn keys(&self, tenant: TenantId, now: Timestamp) -> Pending<'_, Keys> {
        Box::pin(read_devices::keys(&self.readers, tenant, now))
    }

    fn weak_devices(&self, tenant: TenantId) -> Pending<'_, u64> {
        Box::pin(read_devices::weak(&self.readers, tenant))
    }

    fn facts(&self, device: DeviceKey) -> Pending<'_, Vec<Fact>> {
        Box::pin(read_devices::facts(&self.readers, device))
    }

    fn timeline(
        &self,
        device: DeviceKey,
        before: Option<i64>,
        limit: u32,
    ) -> Pending<'_, Vec<(i64, TimelineEntry)>> {
        Box::pin(read_devices::timeline(&self.readers, device, before, limit))
    }

    fn claim(&self, secret_hash: [u8; 32]) -> Pending<'_, Option<(TenantId, Claim)>> {
        Box::pin(read_devices::claim(&self.readers, secret_hash))
    }

    fn open_claims(&self, tenant: TenantId) -> Pending<'_, Vec<Claim>> {
        Box::pin(read_devices::open_claims(&self.readers, tenant))
    }

    fn named(&self, now: Timestamp) -> Pending<'_, Vec<Named>> {
        Box::pin(read_devices::named(&self.readers, now))
    }

    fn profile<'a>(
        &'a self,
        tenant: TenantId,
        name: &'a str,
    ) -> Pending<'a, Option<ProfileRecord>> {
        Box::pin(profiles::by_name(&self.readers, tenant, name))
    }

    fn profiles(&self, tenant: TenantId) -> Pending<'_, Vec<ProfileRecord>> {
        Box::pin(profiles::of(&self.readers, tenant))
    }

    fn all_profiles(&self) -> Pending<'_, Vec<ProfileRecord>> {
        Box::pin(profiles::all(&self.readers))
    }

    fn certificate(&self, id: CertificateId) -> Pending<'_, Option<CertificateRecord>> {
        Box::pin(read_devices::certificate(&self.readers, id))
    }

    fn certificates(&self, device: DeviceKey) -> Pending<'_, Vec<CertificateRecord>> {
        Box::pin(read_devices::certificates(&self.readers, device))
    }

    fn revoked(&self, issuer: AuthorityId, now: Timestamp) -> Pending<'_, Vec<Revoked>> {
        Box::pin(authority::revoked(&self.readers, issuer, now))
    }

    fn issued(&self, issuer: AuthorityId, serial: Serial) -> Pending<'_, Issued> {
        Box::pin(authority::issued(&self.readers, issuer, serial))
    }

    fn distrusted(&self, now: Timestamp) -> Pending<'_, Vec<CertificateId>> {
        Box::pin(authority::distrusted(&self.readers, now))
    }

    fn hanging_on_others(&self, issuer: AuthorityId, now: Timestamp) -> Pending<'_, u64> {
        Box::pin(authority::hanging_on_others(&self.readers, issuer, now))
    }

    fn next_crl_number(&self) -> Pending<'_, u64> {
        Box::pin(self.writer.next_number("crl"))
    }

    fn authorities(&self, kind: &'static str) -> Pending<'_, Vec<AuthorityRecord>> {
        Box::pin(authority::of_kind(&self.readers, kind))
    }

    fn audit<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a AuditFilter,
        limit: u32,
    ) -> Pending<'a, Vec<AuditRecord>> {
        Box::pin(read_audit::page(&self.readers, tenant, filter, limit))
    }

    fn audit_from(
        &self,
        tenant: TenantId,
        index: u64,
        limit: u32,
    ) -> Pending<'_, Vec<AuditRecord>> {
        Box::pin(read_audit::from(&self.readers, tenant, index, limit))
    }

    fn checkpoint(&self, tenant: TenantId) -> Pending<'_, Option<String>> {
        Box::pin(read_audit::newest_checkpoint(&self.readers, tenant))
    }

    fn checkpoints(
        &self,
        tenant: TenantId,
        from_size: u64,
        limit: u32,
    ) -> Pending<'_, Vec<(u64, String)>> {
        Box::pin(read_audit::checkpoints(&self.readers, tenant, from_size, limit))
    }

    fn audit_nodes<'a>(
        &'a self,
        tenant: TenantId,
        ids: &'a [NodeId],
    ) -> Pending<'a, Vec<(NodeId, Hash)>> {
        Box::pin(read_audit::nodes(&self.readers, tenant, ids))
    }

    fn people(&self, tenant: TenantId) -> Pending<'_, Vec<Person>> {
        Box::pin(read_people::all(&self.readers, tenant))
    }

    fn person_by_name<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Person>> {
        Box::pin(read_people::by_name(&self.readers, name))
    }

    fn person(&self, id: PersonId) -> Pending<'_, Option<Person>> {
        Box::pin(read_people::by_id(&self.readers, id))
    }

    fn passkeys(&self, person: PersonId) -> Pending<'_, Vec<(Vec<u8>, String, String)>> {
        Box::pin(read_people::passkeys(&self.readers, person))
    }

    fn session(&self, hash: [u8; 32]) -> Pending<'_, Option<(Person, Timestamp)>> {
        Box::pin(read_people::session(&self.readers, hash))
    }

    fn link(&self, hash: [u8; 32]) -> Pending<'_, Option<(TenantId, Option<PersonId>, Timestamp)>> {
        Box::pin(read_people::link(&self.readers, hash))
    }

    fn token(&self, hash: [u8; 32]) -> Pending<'_, Option<Token>> {
        Box::pin(read_people::token(&self.readers, hash))
    }

    fn tokens(&self, tenant: TenantId) -> Pending<'_, Vec<Token>> {
        Box::pin(read_people::tokens(&self.readers, tenant))
    }

    fn all_tokens(&self) -> Pending<'_, Vec<Token>> {
        Box::pin(read_people::all_tokens(&self.readers))
    }
}
