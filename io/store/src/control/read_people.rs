use hedgerow_base::{TenantId, Timestamp};
use hedgerow_control::{AuthorityId, Failure, Person, Token, TokenCertificate};
use hedgerow_identity::Serial;
use hedgerow_policy::{CertificateId, PersonId, Role, Scopes, TopicGrant};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{
    error::{damaged, failure},
    rows,
};

fn person(row: &SqliteRow) -> Result<Person, Failure> {
    Ok(Person {
        tenant: TenantId(rows::get(row, "tenant")?),
        id: PersonId(rows::get(row, "id")?),
        name: rows::get(row, "name")?,
        role: Role::parse(rows::get(row, "role")?).ok_or_else(|| damaged("a role"))?,
        password: rows::get(row, "password")?,
        failures: rows::get(row, "failures")?,
        locked_until: rows::maybe_time(row, "locked_until")?,
    })
}

pub(super) async fn all(readers: &SqlitePool, tenant: TenantId) -> Result<Vec<Person>, Failure> {
    let found = sqlx::query("SELECT * FROM people WHERE tenant = ? ORDER BY created, id")
        .bind(tenant.0)
        .fetch_all(readers)
        .await
        .map_err(failure)?;
    found.iter().map(person).collect()
}

pub(super) async fn by_name(readers: &SqlitePool, name: &str) -> Result<Option<Person>, Failure> {
    let row = sqlx::query("SELECT * FROM people WHERE name = ?")
        .bind(name)
        .fetch_optional(readers)
        .await
        .map_err(failure)?;
    row.as_ref().map(person).transpose()
}

pub(super) async fn by_id(readers: &SqlitePool, id: PersonId) -> Result<Option<Person>, Failure> {
    let row = sqlx::query("SELECT * FROM people WHERE id = ?")
        .bind(id.0)
        .fetch_optional(readers)
        .await
        .map_err(failure)?;
    row.as_ref().map(person).transpose()
}

pub(super) async fn passkeys(
    readers: &SqlitePool,
    person: PersonId,
) -> Result<Vec<(Vec<u8>, String, String)>, Failure> {
    sqlx::query_as("SELECT credential, name, data FROM passkeys WHERE person = ? ORDER BY created")
        .bind(person.0)
        .fetch_all(readers)
        .await
        .map_err(failure)
}

pub(super) async fn session(
    readers: &SqlitePool,
    hash: [u8; 32],
) -> Result<Option<(Person, Timestamp)>, Failure> {
    let row = sqlx::query(
        "SELECT p.*, s.expires FROM sessions s JOIN people p ON p.id = s.person WHERE s.hash = ?",
    )
    .bind(hash.as_slice())
    .fetch_optional(readers)
    .await
    .map_err(failure)?;
    let read = |row| Ok((person(row)?, rows::time(row, "expires")?));
    row.as_ref().map(read).transpose()
}

pub(super) async fn link(
    readers: &SqlitePool,
    hash: [u8; 32],
) -> Result<Option<(TenantId, Option<PersonId>, Timestamp)>, Failure> {
    let found: Option<(u32, Option<i64>, i64)> =
        sqlx::query_as("SELECT tenant, person, expires FROM links WHERE hash = ? AND used = 0")
            .bind(hash.as_slice())
            .fetch_optional(readers)
            .await
            .map_err(failure)?;
    Ok(found.map(|(tenant, person, expires)| {
        (TenantId(tenant), person.map(PersonId), Timestamp::from_ms(expires))
    }))
}

fn token_of(row: &SqliteRow) -> Result<Token, Failure> {
    let scopes = match rows::get(row, "scopes")? {
        "" => Some(Scopes::NONE),
        words => Scopes::parse(words.split(' ')),
    };
    let grants: &str = rows::get(row, "grants")?;
    let grants: Result<_, _> = grants.lines().map(TopicGrant::parse).collect();
    let certificate: Option<Vec<u8>> = rows::get(row, "certificate")?;
    let certificate = match certificate {
        Some(id) => {
            let (issuer, serial): (Option<i64>, Option<Vec<u8>>) =
                (rows::get(row, "issuer")?, rows::get(row, "serial")?);
            let serial = serial.map(TryInto::try_into).transpose();
            Some(TokenCertificate {
                id: CertificateId(id.try_into().map_err(|_| damaged("a token's certificate"))?),
                issuer: issuer.map_or(AuthorityId::NONE, AuthorityId),
                serial: serial
                    .map_err(|_| damaged("the serial number of a token's certificate"))?
                    .map(Serial::from_bytes),
            })
        }
        None => None,
    };
    Ok(Token {
        certificate,
        tenant: TenantId(rows::get(row, "tenant")?),
        id: rows::get(row, "id")?,
        hash: rows::bytes(row, "hash")?,
        name: rows::get(row, "name")?,
        scopes: scopes.ok_or_else(|| damaged("a token's scopes"))?,
        grants: grants.map_err(|_| damaged("a token's grants"))?,
        created: rows::time(row, "created")?,
        expires: rows::maybe_time(row, "expires")?,
    })
}

pub(super) async fn token(readers: &SqlitePool, hash: [u8; 32]) -> Result<Option<Token>, Failure> {
    let row = sqlx::query("SELECT * FROM tokens WHERE hash = ?")
        .bind(hash.as_slice())
        .fetch_optional(readers)
        .await
        .map_err(failure)?;
    row.as_ref().map(token_of).transpose()
}

pub(super) async fn tokens(readers: &SqlitePool, tenant: TenantId) -> Result<Vec<Token>, Failure> {
    let found = sqlx::query("SELECT * FROM tokens WHERE tenant = ? ORDER BY created, id")
        .bind(tenant.0)
        .fetch_all(readers)
        .await
        .map_err(failure)?;
    found.iter().map(token_of).collect()
}

pub(super) async fn all_tokens(readers: &SqlitePool) -> Result<Vec<Token>, Failure> {
    let found = sqlx::query("SELECT * FROM tokens").fetch_all(readers).await.map_err(failure)?;
    found.iter().map(token_of).collect()
}
