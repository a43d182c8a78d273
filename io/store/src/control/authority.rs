//! The hub's own certificates, and what hangs on them.

use hedgerow_base::{Fault, TenantId, Timestamp};
use hedgerow_control::{AuthorityId, AuthorityRecord, Failure, TimelineEntry};
use hedgerow_identity::{
    Serial,
    ocsp::Issued,
    revocation::{Reason, Revoked},
};
use hedgerow_policy::CertificateId;
use sqlx::{SqliteConnection, SqlitePool};

use super::{
    apply::{MOVED_ON, one, run},
    error::{damaged, failure},
    rows,
};

/// Devices that have a valid certificate of another issuing CA than `?1` and none of it, at `?2`.
const HANGING: &str = "
    SELECT DISTINCT c.tenant, c.device, c.incarnation FROM certificates c
    JOIN devices d ON d.tenant = c.tenant AND d.id = c.device AND d.incarnation = c.incarnation
    WHERE c.issuer IN (SELECT seq FROM authority
                       WHERE kind = 'issuing' AND seq <> ?1 AND distrusted IS NULL)
      AND c.revoked_at IS NULL AND c.not_after > ?2
      AND d.state NOT IN ('retired', 'erased')
      AND NOT EXISTS (SELECT 1 FROM certificates n
          WHERE n.tenant = c.tenant AND n.device = c.device AND n.incarnation = c.incarnation
            AND n.issuer = ?1 AND n.revoked_at IS NULL AND n.not_after > ?2)";

pub(super) async fn of_kind(
    readers: &SqlitePool,
    kind: &'static str,
) -> Result<Vec<AuthorityRecord>, Failure> {
    let found = sqlx::query(
        "SELECT seq, der, distrusted, reason FROM authority WHERE kind = ? ORDER BY seq DESC",
    )
    .bind(kind)
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    let read = |row: &_| {
        let reason: Option<u8> = rows::get(row, "reason")?;
        let since = rows::maybe_time(row, "distrusted")?;
        Ok(AuthorityRecord {
            id: AuthorityId(rows::get(row, "seq")?),
            der: rows::get(row, "der")?,
            distrusted: since.map(|at| (at, Reason::from_code(reason.unwrap_or(0)))),
        })
    };
    found.iter().map(read).collect()
}

pub(super) async fn revoked(
    readers: &SqlitePool,
    issuer: AuthorityId,
    now: Timestamp,
) -> Result<Vec<Revoked>, Failure> {
    let found = sqlx::query(
        "SELECT serial, revoked_at, reason, not_after FROM certificates
         WHERE issuer = ?1 AND not_after > ?2 AND revoked_at IS NOT NULL
         UNION ALL
         SELECT serial, revoked_at, reason, not_after FROM revoked_programs
         WHERE issuer = ?1 AND not_after > ?2",
    )
    .bind(issuer.0)
    .bind(now.as_ms())
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    let read = |row: &_| {
        let reason: Option<u8> = rows::get(row, "reason")?;
        Ok(Revoked {
            serial: Serial::from_bytes(rows::bytes(row, "serial")?),
            at: rows::time(row, "revoked_at")?,
            reason: Reason::from_code(reason.unwrap_or(0)),
            not_after: rows::time(row, "not_after")?,
        })
    };
    found.iter().map(read).collect()
}

pub(super) async fn issued(
    readers: &SqlitePool,
    issuer: AuthorityId,
    serial: Serial,
) -> Result<Issued, Failure> {
    let found = sqlx::query(
        "SELECT revoked_at, reason FROM certificates WHERE serial = ?1 AND issuer = ?2
         UNION ALL
         SELECT revoked_at, reason FROM revoked_programs WHERE serial = ?1 AND issuer = ?2
         UNION ALL
         SELECT NULL, NULL FROM tokens WHERE serial = ?1 AND issuer = ?2
         LIMIT 1",
    )
    .bind(serial.as_bytes().as_slice())
    .bind(issuer.0)
    .fetch_optional(readers)
    .await
    .map_err(failure)?;
    let Some(row) = found else { return Ok(Issued::Never) };
    let Some(at) = rows::maybe_time(&row, "revoked_at")? else { return Ok(Issued::Good) };
    let reason: Option<u8> = rows::get(&row, "reason")?;
    Ok(Issued::Revoked(at, Reason::from_code(reason.unwrap_or(0))))
}

pub(super) async fn distrusted(
    readers: &SqlitePool,
    now: Timestamp,
) -> Result<Vec<CertificateId>, Failure> {
    let ids: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT id FROM certificates WHERE not_after > ?
         AND issuer IN (SELECT seq FROM authority WHERE distrusted IS NOT NULL)",
    )
    .bind(now.as_ms())
    .fetch_all(readers)
    .await
    .map_err(failure)?;
    let read = |id: Vec<u8>| id.try_into().map_err(|_| damaged("a certificate's id"));
    ids.into_iter().map(|id| read(id).map(CertificateId)).collect()
}

pub(super) async fn hanging_on_others(
    readers: &SqlitePool,
    issuer: AuthorityId,
    now: Timestamp,
) -> Result<u64, Failure> {
    let count: i64 =
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM ({HANGING})")))
            .bind(issuer.0)
            .bind(now.as_ms())
            .fetch_one(readers)
            .await
            .map_err(failure)?;
    Ok(count.unsigned_abs())
}

/// Adds a certificate of the hub's own.
pub(super) async fn add(
    connection: &mut SqliteConnection,
    now: Timestamp,
    (kind, seen): (&str, AuthorityId),
    der: &[u8],
) -> Result<(), Failure> {
    let statement = sqlx::query(
        "INSERT INTO authority (kind, der, created) SELECT ?1, ?2, ?3
         WHERE coalesce((SELECT max(seq) FROM authority WHERE kind = ?1), 0) = ?4",
    )
    .bind(kind)
    .bind(der)
    .bind(now.as_ms())
    .bind(seen.0);
    one(connection, statement, MOVED_ON).await
}

/// What was signed by an earlier issuing CA while a new one came is not kept: nobody was told of it yet.
pub(super) async fn refuse_old_issuer(
    connection: &mut SqliteConnection,
    issuer: AuthorityId,
) -> Result<(), Failure> {
    if newest(connection).await? == issuer {
        return Ok(());
    }
    let reason = "the hub got a new issuing CA at this moment; ask again";
    Err(Failure::new(Fault::Unavailable, reason))
}

async fn newest(connection: &mut SqliteConnection) -> Result<AuthorityId, Failure> {
    let newest = "SELECT coalesce(max(seq), 0) FROM authority WHERE kind = 'issuing'";
    let newest = sqlx::query_scalar(newest).fetch_one(connection).await;
    newest.map(AuthorityId).map_err(failure)
}

/// Ends the trust in every issuing CA but the newest, and in all that they signed.
pub(super) async fn distrust(
    connection: &mut SqliteConnection,
    now: Timestamp,
    (newest_seen, reason): (AuthorityId, Reason),
    cut_off_max: u64,
    told: &TimelineEntry,
) -> Result<(), Failure> {
    if newest(connection).await? != newest_seen {
        return Err(Failure::new(Fault::Conflict, MOVED_ON));
    }
    let (newest, now_ms, code) = (newest_seen.0, now.as_ms(), reason.code());
    let statement = sqlx::AssertSqlSafe(format!(
        "INSERT INTO timeline (tenant, device, incarnation, at, kind, detail)
         SELECT tenant, device, incarnation, ?3, ?4, ?5 FROM ({HANGING})"
    ));
    let statement = sqlx::query(statement).bind(newest).bind(now_ms);
    let statement = statement.bind(told.at.as_ms()).bind(&*told.kind).bind(&*told.detail);
    let devices = run(connection, statement).await?;
    let programs: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM tokens
         WHERE certificate IS NOT NULL AND issuer <> ? AND coalesce(expires > ?, 1)",
    )
    .bind(newest)
    .bind(now_ms)
    .fetch_one(&mut *connection)
    .await
    .map_err(failure)?;
    if devices.saturating_add(programs.unsigned_abs()) > cut_off_max {
        return Err(Failure::new(Fault::Conflict, MOVED_ON));
    }
    let statement = sqlx::query(
        "UPDATE authority SET distrusted = ?, reason = ?
         WHERE kind = 'issuing' AND seq <> ? AND distrusted IS NULL",
    );
    run(connection, statement.bind(now_ms).bind(code).bind(newest)).await?;
    let statement = sqlx::query(
        "UPDATE certificates SET revoked_at = ?, reason = ? WHERE issuer <> ? AND revoked_at IS NULL",
    );
    run(connection, statement.bind(now_ms).bind(code).bind(newest)).await?;
    let others = "certificate IS NOT NULL AND issuer <> ?1";
    revoke_programs(connection, now, reason, others, newest).await?;
    let statement = sqlx::AssertSqlSafe(format!("DELETE FROM tokens WHERE {others}"));
    run(connection, sqlx::query(statement).bind(newest)).await.map(drop)
}

/// Takes a token away; its certificate is revoked with it.
pub(super) async fn remove_token(
    connection: &mut SqliteConnection,
    now: Timestamp,
    tenant: TenantId,
    token: i64,
) -> Result<(), Failure> {
    let this = "certificate IS NOT NULL AND id = ?1";
    revoke_programs(connection, now, Reason::CessationOfOperation, this, token).await?;
    let statement = sqlx::query("DELETE FROM tokens WHERE id = ? AND tenant = ?");
    one(connection, statement.bind(token).bind(tenant.0), "there is no such token").await
}

/// Puts the certificates of tokens on the lists of those who signed them. `which` is one of ours.
async fn revoke_programs(
    connection: &mut SqliteConnection,
    now: Timestamp,
    reason: Reason,
    which: &'static str,
    number: i64,
) -> Result<(), Failure> {
    let ended = sqlx::query("DELETE FROM revoked_programs WHERE not_after <= ?").bind(now.as_ms());
    run(connection, ended).await?;
    let statement = sqlx::AssertSqlSafe(format!(
        "INSERT INTO revoked_programs (serial, issuer, not_after, revoked_at, reason)
         SELECT serial, issuer, expires, ?2, ?3 FROM tokens
         WHERE serial IS NOT NULL AND expires > ?2 AND {which}"
    ));
    let statement = sqlx::query(statement).bind(number).bind(now.as_ms()).bind(reason.code());
    run(connection, statement).await.map(drop)
}

#[cfg(test)]
mod tests {
    use hedgerow_control::{CertificateRecord, Change, Token, TokenCertificate, ports::Store};
    use hedgerow_policy::Scopes;
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

    use super::{
        super::{
            ControlStore,
            tests::{NOW, TENANT, certificate, commit, device, key, open},
        },
        *,
    };

    const FIRST: AuthorityId = AuthorityId(1);
    const SECOND: AuthorityId = AuthorityId(2);

    fn ca(seen: AuthorityId, der: u8) -> Change {
        Change::AddAuthority { kind: "issuing", seen, der: vec![der] }
    }

    fn signed(n: u8, serial: u8, issuer: AuthorityId) -> Change {
        let record = CertificateRecord { issuer, ..certificate(n, serial) };
        Change::AddCertificate(Box::new(record))
    }

    fn program(number: u8, issuer: AuthorityId) -> Change {
        let (id, serial) = (CertificateId([number; 32]), Some(Serial::from_random([number; 16])));
        Change::AddToken(Box::new(Token {
            certificate: Some(TokenCertificate { id, issuer, serial }),
            tenant: TENANT,
            id: number.into(),
            hash: [number; 32],
            name: "program".into(),
            scopes: Scopes::READ,
            grants: Vec::new(),
            created: NOW,
            expires: Some(NOW.plus_ms(1000)),
        }))
    }

    fn distrust(newest: AuthorityId, cut_off_max: u64) -> Change {
        let told = TimelineEntry { at: NOW, kind: "distrusted".into(), detail: "why".into() };
        Change::DistrustIssuers { newest, reason: Reason::CaCompromise, cut_off_max, told }
    }

    /// Devices 1 (old certificate), 2 (old and new), 3 (new); a program of each CA.
    async fn overlap(directory: &tempfile::TempDir) -> ControlStore {
        let store = open(directory).await;
        let before = vec![
            ca(AuthorityId::NONE, 1),
            Change::AddDevice(Box::new(device(1, "left behind"))),
            Change::AddDevice(Box::new(device(2, "renewed"))),
            Change::AddDevice(Box::new(device(3, "new"))),
            signed(1, 11, FIRST),
            signed(2, 12, FIRST),
            program(101, FIRST),
        ];
        store.commit(commit(before)).await.unwrap();
        let after =
            vec![ca(FIRST, 2), signed(2, 22, SECOND), signed(3, 23, SECOND), program(102, SECOND)];
        store.commit(commit(after)).await.unwrap();
        store
    }

    async fn serials(store: &ControlStore, issuer: AuthorityId, now: Timestamp) -> Vec<u8> {
        let mut found: Vec<u8> =
            store.revoked(issuer, now).await.unwrap().iter().map(last).collect();
        found.sort_unstable();
        found
    }

    fn last(one: &Revoked) -> u8 {
        one.serial.as_bytes()[15]
    }

    /// What a hub from before there were several issuing CAs has kept.
    async fn before(directory: &tempfile::TempDir) {
        let options = SqliteConnectOptions::new()
            .filename(directory.path().join("hub.db"))
            .create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        let mut migrations = sqlx::migrate!("./migrations/sqlite/control");
        migrations.migrations.to_mut().retain(|one| one.version < 7);
        migrations.run_direct(None, &mut connection, false).await.unwrap();
        for statement in [
            "INSERT INTO authority (kind, der, created) VALUES ('root', x'00', 0), ('issuing', x'01', 0)",
            "INSERT INTO certificates VALUES (zeroblob(32), 1, zeroblob(16), 1, zeroblob(16), x'', x'', 0,
                                              9000000000000, 0, NULL, NULL)",
            "INSERT INTO tokens (id, hash, tenant, name, scopes, created, expires, certificate)
             VALUES (1, zeroblob(32), 1, 'certified', '', 0, 9000000000000, zeroblob(32)),
                    (2, randomblob(32), 1, 'secret', '', 0, NULL, NULL)",
        ] {
            sqlx::query(statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_signed_before_belongs_to_the_ca_that_there_was() {
        let directory = tempfile::tempdir().unwrap();
        before(&directory).await;
        let store = open(&directory).await;
        let found = store.certificate(CertificateId([0; 32])).await.unwrap().unwrap();
        assert_eq!(found.issuer, SECOND, "the second row is the issuing CA");
        assert!(found.used.is_some(), "nobody knows, so that it counts as used");
        store.commit(commit(vec![ca(SECOND, 9)])).await.unwrap();
        store.commit(commit(vec![distrust(AuthorityId(3), 1)])).await.unwrap();
        assert_eq!(store.distrusted(NOW).await.unwrap(), [CertificateId([0; 32])]);
        let left: Vec<_> = store.tokens(TENANT).await.unwrap().iter().map(|t| t.id).collect();
        assert_eq!(left, [2], "a program with a secret hangs on no CA");
    }

    #[tokio::test]
    async fn of_two_who_make_the_next_ca_at_once_one_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = overlap(&directory).await;
        let late = store.commit(commit(vec![ca(FIRST, 9)])).await;
        assert_eq!(late.unwrap_err().fault, Fault::Conflict);
        let found = store.authorities("issuing").await.unwrap();
        let ids: Vec<_> = found.iter().map(|one| (one.id, one.der[0])).collect();
        assert_eq!(ids, [(SECOND, 2), (FIRST, 1)], "newest first");
        assert!(store.authorities("server").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_an_earlier_ca_signed_while_the_next_came_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = overlap(&directory).await;
        for change in [signed(3, 31, FIRST), program(103, FIRST)] {
            let late = store.commit(commit(vec![change])).await;
            assert_eq!(late.unwrap_err().fault, Fault::Unavailable);
        }
    }

    #[tokio::test]
    async fn a_distrust_takes_what_the_earlier_signed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = overlap(&directory).await;
        assert_eq!(store.hanging_on_others(SECOND, NOW).await.unwrap(), 1);
        store.commit(commit(vec![distrust(SECOND, 2)])).await.unwrap();
        assert_eq!(serials(&store, FIRST, NOW).await, [11, 12, 101]);
        assert!(serials(&store, SECOND, NOW).await.is_empty());
        assert!(serials(&store, FIRST, NOW.plus_ms(1000)).await.is_empty(), "they have ended");
        let ids = [11, 12].map(|n| CertificateId([n; 32]));
        let mut gone = store.distrusted(NOW).await.unwrap();
        gone.sort_unstable();
        assert_eq!(gone, ids);
        let found = store.authorities("issuing").await.unwrap();
        let distrusted: Vec<_> = found.iter().map(|one| one.distrusted).collect();
        assert_eq!(distrusted, [None, Some((NOW, Reason::CaCompromise))]);
        let left: Vec<_> = store.tokens(TENANT).await.unwrap().iter().map(|t| t.id).collect();
        assert_eq!(left, [102]);
        for (n, told) in [(1, 1), (2, 0), (3, 0)] {
            let timeline = store.timeline(key(n), None, 10).await.unwrap();
            assert_eq!(timeline.len(), told, "device {n}");
        }
        assert_eq!(store.hanging_on_others(SECOND, NOW).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_distrust_that_cuts_off_one_more_than_agreed_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = overlap(&directory).await;
        for refused in [distrust(SECOND, 1), distrust(FIRST, 2)] {
            let refused = store.commit(commit(vec![refused])).await;
            assert_eq!(refused.unwrap_err().fault, Fault::Conflict);
        }
        assert!(serials(&store, FIRST, NOW).await.is_empty());
        assert_eq!(store.tokens(TENANT).await.unwrap().len(), 2);
        assert!(store.timeline(key(1), None, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_token_that_is_taken_away_leaves_its_certificate_on_the_list() {
        let directory = tempfile::tempdir().unwrap();
        let store = overlap(&directory).await;
        store.commit(commit(vec![Change::RemoveToken(TENANT, 102)])).await.unwrap();
        assert_eq!(serials(&store, SECOND, NOW).await, [102]);
        assert!(serials(&store, FIRST, NOW).await.is_empty());
    }

    #[tokio::test]
    async fn a_ca_knows_the_serial_numbers_that_it_issued_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let store = overlap(&directory).await;
        let token = store.tokens(TENANT).await.unwrap().remove(0);
        let certificate = token.certificate.unwrap();
        let (issuer, serial) = (certificate.issuer, certificate.serial.unwrap());
        let other = if issuer == FIRST { SECOND } else { FIRST };
        assert_eq!(store.issued(issuer, serial).await.unwrap(), Issued::Good);
        assert_eq!(store.issued(other, serial).await.unwrap(), Issued::Never);
        let gone = Serial::from_random([0x77; 16]);
        assert_eq!(store.issued(issuer, gone).await.unwrap(), Issued::Never);
        store.commit(commit(vec![Change::RemoveToken(TENANT, token.id)])).await.unwrap();
        let revoked = Issued::Revoked(NOW, Reason::CessationOfOperation);
        assert_eq!(store.issued(issuer, serial).await.unwrap(), revoked);

        let device = key(1);
        let its = store.certificates(device).await.unwrap().remove(0);
        assert_eq!(store.issued(its.issuer, its.serial).await.unwrap(), Issued::Good);
        let revoke = Change::RevokeCertificates(device, Reason::KeyCompromise);
        store.commit(commit(vec![revoke])).await.unwrap();
        let revoked = Issued::Revoked(NOW, Reason::KeyCompromise);
        assert_eq!(store.issued(its.issuer, its.serial).await.unwrap(), revoked);
    }
}
