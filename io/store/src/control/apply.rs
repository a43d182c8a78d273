//! One change, one statement or two.

use hedgerow_base::{Fault, Timestamp};
use hedgerow_control::{CertificateRecord, Change, Failure, Token};
use hedgerow_identity::Claim;
use hedgerow_policy::{Fact, PasswordId, TopicGrant};
use hedgerow_registry::{Device, DeviceKey, Label};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::{authority, error::failure, profiles};

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

pub(super) async fn run(
    connection: &mut SqliteConnection,
    statement: Statement<'_>,
) -> Result<u64, Failure> {
    statement.execute(connection).await.map(|done| done.rows_affected()).map_err(failure)
}

/// Runs a statement that has to change exactly one row.
pub(super) async fn one(
    connection: &mut SqliteConnection,
    statement: Statement<'_>,
    otherwise: &str,
) -> Result<(), Failure> {
    match run(connection, statement).await? {
        1 => Ok(()),
        _ => Err(Failure::new(Fault::Conflict, otherwise)),
    }
}

pub(super) const MOVED_ON: &str = "somebody else changed it in the meantime; look again";

#[expect(clippy::too_many_lines, reason = "a flat table: one arm a change")]
pub(super) async fn change(
    connection: &mut SqliteConnection,
    now: Timestamp,
    change: &Change,
) -> Result<(), Failure> {
    let now_ms = now.as_ms();
    match change {
        Change::AddClaim(tenant, claim) => add_claim(connection, tenant.0, claim).await,
        Change::UseClaim { secret_hash, device } => {
            let statement = sqlx::query(
                "UPDATE claims SET used_by = ?1
                 WHERE secret_hash = ?2 AND withdrawn = 0 AND (used_by IS NULL OR used_by = ?1)",
            )
            .bind(device.as_bytes().as_slice())
            .bind(secret_hash.as_slice());
            one(connection, statement, "the claim code was used by another device").await
        }
        Change::WithdrawClaim { secret_hash } => {
            let statement = sqlx::query(
                "UPDATE claims SET withdrawn = 1 WHERE secret_hash = ? AND used_by IS NULL",
            )
            .bind(secret_hash.as_slice());
            one(connection, statement, "the claim code was used already").await
        }
        Change::AddDevice(device) => add_device(connection, device).await,
        Change::MoveDevice { device, from, to } => {
            let statement = sqlx::query(
                "UPDATE devices SET state = ?, revision = revision + 1
                 WHERE tenant = ? AND id = ? AND incarnation = ? AND state = ?",
            );
            let statement = keyed(statement.bind(to.word()), device).bind(from.word());
            one(connection, statement, MOVED_ON).await
        }
        Change::EditDevice { device, revision, name, group, labels } => {
            let search = search_text(name, labels);
            let statement = sqlx::query(
                "UPDATE devices SET name = ?, grouping = ?, search = ?, revision = revision + 1
                 WHERE tenant = ? AND id = ? AND incarnation = ? AND revision = ?",
            )
            .bind(name.as_str())
            .bind(group.as_deref())
            .bind(search);
            one(connection, keyed(statement, device).bind(*revision), MOVED_ON).await?;
            replace_labels(connection, device, labels).await
        }
        Change::NoteKeyStorage(device, storage) => {
            let statement = sqlx::query(
                "UPDATE devices SET key_storage = ?
                 WHERE tenant = ? AND id = ? AND incarnation = ?",
            );
            one(connection, keyed(statement.bind(storage.word()), device), MOVED_ON).await
        }
        Change::SetDevicePassword(device, password) => {
            let statement = sqlx::query(
                "UPDATE devices SET password = ?, revision = revision + 1
                 WHERE tenant = ? AND id = ? AND incarnation = ?",
            );
            let hash = password.map(|PasswordId(hash)| hash.to_vec());
            one(connection, keyed(statement.bind(hash), device), MOVED_ON).await
        }
        Change::AddFact(device, fact) => {
            let statement = keyed(
                sqlx::query(
                    "INSERT INTO facts (tenant, device, incarnation, fact, since)
                     VALUES (?, ?, ?, ?, ?)",
                ),
                device,
            );
            one(connection, statement.bind(fact.word()).bind(now_ms), MOVED_ON).await
        }
        Change::EndFact(device, fact) => {
            let statement = sqlx::query(
                "UPDATE facts SET ended = ?
                 WHERE tenant = ? AND device = ? AND incarnation = ? AND fact = ? AND ended IS NULL",
            );
            let statement = keyed(statement.bind(now_ms), device).bind(fact.word());
            one(connection, statement, MOVED_ON).await
        }
        Change::Judge { device, facts, standing, because } => {
            let because = because.map(Fact::word);
            let statement = sqlx::query(
                "UPDATE devices SET standing = ?, because = ?, revision = revision + 1
                 WHERE tenant = ? AND id = ? AND incarnation = ?",
            );
            let statement = keyed(statement.bind(standing.word()).bind(because), device);
            one(connection, statement, MOVED_ON).await?;
            let facts = facts.iter().map(|fact| fact.word()).collect::<Vec<_>>().join(" ");
            let statement = sqlx::query(
                "INSERT INTO decisions (tenant, device, incarnation, at, facts, standing, because)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            );
            let statement = keyed(statement, device).bind(now_ms).bind(facts);
            run(connection, statement.bind(standing.word()).bind(because)).await.map(drop)
        }
        Change::AddCertificate(record) => add_certificate(connection, now_ms, record).await,
        Change::UseCertificate(id, at) => {
            let statement =
                sqlx::query("UPDATE certificates SET used = ? WHERE id = ? AND used IS NULL");
            let statement = statement.bind(at.as_ms()).bind(id.0.as_slice());
            run(connection, statement).await.map(drop)
        }
        Change::RevokeCertificates(device, reason) => {
            let statement = sqlx::query(
                "UPDATE certificates SET revoked_at = ?, reason = ?
                 WHERE tenant = ? AND device = ? AND incarnation = ? AND revoked_at IS NULL",
            );
            let statement = keyed(statement.bind(now_ms).bind(reason.code()), device);
            run(connection, statement).await.map(drop)
        }
        Change::Tell(device, entry) => {
            let statement = sqlx::query(
                "INSERT INTO timeline (tenant, device, incarnation, at, kind, detail)
                 VALUES (?, ?, ?, ?, ?, ?)",
            );
            let statement = keyed(statement, device).bind(entry.at.as_ms());
            let statement = statement.bind(entry.kind.as_str()).bind(entry.detail.as_str());
            run(connection, statement).await.map(drop)
        }
        Change::TellAll(entries) => {
            let mut statement = QueryBuilder::<Sqlite>::new(
                "INSERT INTO timeline (tenant, device, incarnation, at, kind, detail) ",
            );
            statement.push_values(entries, |mut row, (device, entry)| {
                row.push_bind(device.tenant.0)
                    .push_bind(device.id.as_bytes().to_vec())
                    .push_bind(device.incarnation.0)
                    .push_bind(entry.at.as_ms())
                    .push_bind(entry.kind.as_str())
                    .push_bind(entry.detail.as_str());
            });
            run(connection, statement.build()).await.map(drop)
        }
        Change::Seen { device, at, is_connected } => {
            let statement = sqlx::query(
                "UPDATE devices SET last_seen = ?, connected = ?
                 WHERE tenant = ? AND id = ? AND incarnation = ?",
            );
            let statement = keyed(statement.bind(at.as_ms()).bind(*is_connected), device);
            run(connection, statement).await.map(drop)
        }
        Change::PutProfile { seen, record } => profiles::put(connection, now, *seen, record).await,
        Change::RemoveProfile { tenant, name, seen } => {
            profiles::remove(connection, now, (*tenant, name), *seen).await
        }
        Change::AddAuthority { kind, seen, der } => {
            authority::add(connection, now, (kind, *seen), der).await
        }
        Change::DistrustIssuers { newest, reason, cut_off_max, told } => {
            let what = (*newest, *reason);
            authority::distrust(connection, now, what, *cut_off_max, told).await
        }
        Change::AddLink { tenant, hash, person, expires } => {
            let statement = sqlx::query(
                "INSERT INTO links (hash, tenant, person, expires) VALUES (?, ?, ?, ?)",
            )
            .bind(hash.as_slice())
            .bind(tenant.0)
            .bind(person.map(|person| person.0))
            .bind(expires.as_ms());
            run(connection, statement).await.map(drop)
        }
        Change::UseLink { hash } => {
            let statement = sqlx::query(
                "UPDATE links SET used = 1 WHERE hash = ? AND used = 0 AND expires > ?",
            )
            .bind(hash.as_slice())
            .bind(now_ms);
            one(connection, statement, "the link was used or has expired").await
        }
        Change::AddPerson { tenant, person, name, role } => {
            let statement = sqlx::query(
                "INSERT INTO people (id, tenant, name, role, created) VALUES (?, ?, ?, ?, ?)",
            )
            .bind(person.0)
            .bind(tenant.0)
            .bind(name.as_str())
            .bind(role.word())
            .bind(now_ms);
            run(connection, statement).await.map(drop)
        }
        Change::SetRole(person, role) => {
            let statement = sqlx::query("UPDATE people SET role = ? WHERE id = ?");
            one(connection, statement.bind(role.word()).bind(person.0), MOVED_ON).await
        }
        Change::RemovePerson(person) => {
            let statement = sqlx::query("DELETE FROM people WHERE id = ?").bind(person.0);
            one(connection, statement, MOVED_ON).await
        }
        Change::SetPassword(person, phc) => {
            let statement = sqlx::query("UPDATE people SET password = ? WHERE id = ?");
            one(connection, statement.bind(phc.as_deref()).bind(person.0), MOVED_ON).await
        }
        Change::NoteSignIn { person, failures, locked_until } => {
            let statement =
                sqlx::query("UPDATE people SET failures = ?, locked_until = ? WHERE id = ?")
                    .bind(*failures)
                    .bind(locked_until.map(Timestamp::as_ms))
                    .bind(person.0);
            one(connection, statement, MOVED_ON).await
        }
        Change::PutPasskey { person, credential, name, data } => {
            let statement = sqlx::query(
                "INSERT INTO passkeys (credential, person, name, data, created)
                 VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (credential) DO UPDATE SET data = excluded.data
                 WHERE person = excluded.person",
            )
            .bind(credential.as_slice())
            .bind(person.0)
            .bind(name.as_str())
            .bind(data.as_str())
            .bind(now_ms);
            one(connection, statement, "that passkey belongs to somebody else").await
        }
        Change::RemovePasskey(person, credential) => {
            let statement = sqlx::query("DELETE FROM passkeys WHERE credential = ? AND person = ?")
                .bind(credential.as_slice())
                .bind(person.0);
            one(connection, statement, "there is no such passkey").await
        }
        Change::AddSession { hash, person, expires } => {
            run(connection, sqlx::query("DELETE FROM sessions WHERE expires <= ?").bind(now_ms))
                .await?;
            let statement = sqlx::query(
                "INSERT INTO sessions (hash, person, created, expires) VALUES (?, ?, ?, ?)",
            )
            .bind(hash.as_slice())
            .bind(person.0)
            .bind(now_ms)
            .bind(expires.as_ms());
            run(connection, statement).await.map(drop)
        }
        Change::EndSession(hash) => {
            let statement = sqlx::query("DELETE FROM sessions WHERE hash = ?");
            run(connection, statement.bind(hash.as_slice())).await.map(drop)
        }
        Change::AddToken(token) => add_token(connection, token).await,
        Change::RemoveToken(tenant, token) => {
            authority::remove_token(connection, now, *tenant, *token).await
        }
    }
}

/// Binds the three parts of a device's key.
fn keyed<'q>(statement: Statement<'q>, device: &DeviceKey) -> Statement<'q> {
    let id = device.id.as_bytes().to_vec();
    statement.bind(device.tenant.0).bind(id).bind(device.incarnation.0)
}

async fn add_token(connection: &mut SqliteConnection, token: &Token) -> Result<(), Failure> {
    if let Some(certificate) = token.certificate {
        authority::refuse_old_issuer(connection, certificate.issuer).await?;
    }
    let grants: Vec<String> = token.grants.iter().map(TopicGrant::to_string).collect();
    let statement = sqlx::query(
        "INSERT INTO tokens (id, hash, tenant, name, scopes, grants, created, expires, certificate,
                             issuer, serial)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(token.id)
    .bind(token.hash.as_slice())
    .bind(token.tenant.0)
    .bind(token.name.as_str())
    .bind(token.scopes.words().collect::<Vec<_>>().join(" "))
    .bind(grants.join("\n"))
    .bind(token.created.as_ms())
    .bind(token.expires.map(Timestamp::as_ms))
    .bind(token.certificate.map(|certificate| certificate.id.0.to_vec()))
    .bind(token.certificate.map(|certificate| certificate.issuer.0))
    .bind(token.certificate.and_then(|certificate| Some(certificate.serial?.as_bytes().to_vec())));
    run(connection, statement).await.map(drop)
}

async fn add_claim(
    connection: &mut SqliteConnection,
    tenant: u32,
    claim: &Claim,
) -> Result<(), Failure> {
    let statement = sqlx::query(
        "INSERT INTO claims (secret_hash, tenant, name, profile, names, created, expires)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(claim.secret_hash.as_slice())
    .bind(tenant)
    .bind(claim.name.as_str())
    .bind(claim.profile.as_str())
    .bind(claim.names.to_string())
    .bind(claim.created.as_ms())
    .bind(claim.expires.as_ms());
    run(connection, statement).await.map(drop)
}

async fn add_device(connection: &mut SqliteConnection, device: &Device) -> Result<(), Failure> {
    let statement = sqlx::query(
        "INSERT INTO devices (tenant, id, incarnation, name, state, standing, because, profile,
                              names, carrier, grouping, key_storage, created, revision, id_text,
                              search, password)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let statement = keyed(statement, &device.key)
        .bind(device.name.as_str())
        .bind(device.state.word())
        .bind(device.standing.word())
        .bind(device.because.map(Fact::word))
        .bind(device.profile.as_str())
        .bind(device.names.to_string())
        .bind(device.carrier.map(|id| id.as_bytes().to_vec()))
        .bind(device.group.as_deref())
        .bind(device.key_storage.word())
        .bind(device.created.as_ms())
        .bind(device.revision)
        .bind(device.key.id.to_string())
        .bind(search_text(&device.name, &device.labels))
        .bind(device.password.map(|PasswordId(hash)| hash.to_vec()));
    run(connection, statement).await?;
    replace_labels(connection, &device.key, &device.labels).await
}

/// What the search looks through besides the id, in lower case.
fn search_text(name: &str, labels: &[Label]) -> String {
    let values = labels.iter().map(Label::value);
    std::iter::once(name).chain(values).collect::<Vec<_>>().join("\n").to_lowercase()
}

async fn replace_labels(
    connection: &mut SqliteConnection,
    device: &DeviceKey,
    labels: &[Label],
) -> Result<(), Failure> {
    let statement =
        sqlx::query("DELETE FROM labels WHERE tenant = ? AND device = ? AND incarnation = ?");
    run(connection, keyed(statement, device)).await?;
    for label in labels {
        let statement = sqlx::query(
            "INSERT INTO labels (tenant, device, incarnation, key, value) VALUES (?, ?, ?, ?, ?)",
        );
        run(connection, keyed(statement, device).bind(label.key()).bind(label.value())).await?;
    }
    Ok(())
}

async fn add_certificate(
    connection: &mut SqliteConnection,
    now_ms: i64,
    record: &CertificateRecord,
) -> Result<(), Failure> {
    authority::refuse_old_issuer(connection, record.issuer).await?;
    let statement = sqlx::query(
        "INSERT INTO certificates (id, tenant, device, incarnation, serial, spki, der,
                                   not_before, not_after, created, issuer)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(record.id.0.as_slice());
    let statement = keyed(statement, &record.device)
        .bind(record.serial.as_bytes().as_slice())
        .bind(record.key.as_slice())
        .bind(record.der.as_slice())
        .bind(record.not_before.as_ms())
        .bind(record.not_after.as_ms())
        .bind(now_ms)
        .bind(record.issuer.0);
    run(connection, statement).await.map(drop)
}
