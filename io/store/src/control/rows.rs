//! Rows back into values; what can't be read was damaged, and says so.

use hedgerow_base::{DeviceId, Incarnation, TenantId, Timestamp};
use hedgerow_control::{AuthorityId, CertificateRecord, Failure, Named, NamedAs};
use hedgerow_identity::{Claim, ClaimState, Serial, revocation::Reason};
use hedgerow_model::mapping::Names;
use hedgerow_policy::{CertificateId, Fact, PasswordId, Standing};
use hedgerow_registry::{Certificate, Device, DeviceKey, KeyStorage, Label, State};
use sqlx::{ColumnIndex, Decode, Row, Sqlite, Type, sqlite::SqliteRow};

use super::error::{damaged, failure};

pub(super) fn get<'r, T>(row: &'r SqliteRow, column: &str) -> Result<T, Failure>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
    for<'a> &'a str: ColumnIndex<SqliteRow>,
{
    row.try_get(column).map_err(failure)
}

pub(super) fn bytes<const N: usize>(row: &SqliteRow, column: &str) -> Result<[u8; N], Failure> {
    let bytes: Vec<u8> = get(row, column)?;
    bytes.try_into().map_err(|_| damaged(column))
}

pub(super) fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, Failure> {
    get(row, column).map(Timestamp::from_ms)
}

pub(super) fn maybe_time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, Failure> {
    let ms: Option<i64> = get(row, column)?;
    Ok(ms.map(Timestamp::from_ms))
}

fn key(row: &SqliteRow, id: &str) -> Result<DeviceKey, Failure> {
    Ok(DeviceKey {
        tenant: TenantId(get(row, "tenant")?),
        id: DeviceId::from_bytes(bytes(row, id)?),
        incarnation: Incarnation(get(row, "incarnation")?),
    })
}

/// A device from a row of [`super::read_devices`]' query; labels are added by the caller.
pub(super) fn device(row: &SqliteRow) -> Result<Device, Failure> {
    let state: &str = get(row, "state")?;
    let standing: &str = get(row, "standing")?;
    let because: Option<&str> = get(row, "because")?;
    let certificate: Option<Vec<u8>> = get(row, "certificate")?;
    let certificate = match certificate {
        Some(id) => Some(Certificate {
            id: CertificateId(id.try_into().map_err(|_| damaged("a certificate's id"))?),
            not_before: time(row, "not_before")?,
            not_after: time(row, "not_after")?,
        }),
        None => None,
    };
    let password: Option<Vec<u8>> = get(row, "password")?;
    let password = match password {
        Some(hash) => Some(PasswordId(hash.try_into().map_err(|_| damaged("a password's hash"))?)),
        None => None,
    };
    let labels: Option<&str> = get(row, "labels")?;
    Ok(Device {
        key: key(row, "id")?,
        name: get(row, "name")?,
        state: State::parse(state).ok_or_else(|| damaged("a device's state"))?,
        // A standing that can't be read means no.
        standing: Standing::parse(standing).unwrap_or(Standing::Cut),
        because: because.and_then(Fact::parse),
        profile: get(row, "profile")?,
        names: names(row)?,
        carrier: carrier(row)?,
        group: get(row, "grouping")?,
        labels: labels.map(read_labels).unwrap_or_default(),
        key_storage: KeyStorage::parse(get(row, "key_storage")?),
        certificate,
        password,
        created: time(row, "created")?,
        last_seen: maybe_time(row, "last_seen")?,
        is_connected: get(row, "connected")?,
        revision: get(row, "revision")?,
    })
}

fn carrier(row: &SqliteRow) -> Result<Option<DeviceId>, Failure> {
    let id: Option<Vec<u8>> = get(row, "carrier")?;
    let id = id.map(|id| id.try_into().map_err(|_| damaged("a device's carrier"))).transpose()?;
    Ok(id.map(DeviceId::from_bytes))
}

fn names(row: &SqliteRow) -> Result<Names, Failure> {
    Names::parse(get(row, "names")?).map_err(|_| damaged("the names of a device"))
}

/// Who has foreign topics, or will have.
pub(super) fn named(row: &SqliteRow) -> Result<Named, Failure> {
    let device: Option<Vec<u8>> = get(row, "device")?;
    let who = match device {
        Some(id) => {
            let id = id.try_into().map_err(|_| damaged("a device's id"))?;
            NamedAs::Device(DeviceId::from_bytes(id))
        }
        None => NamedAs::Claim(bytes(row, "claim")?),
    };
    let tenant = TenantId(get(row, "tenant")?);
    Ok(Named { tenant, profile: get(row, "profile")?, names: names(row)?, who })
}

/// Labels as the query joins them: unit separator within, record separator between.
fn read_labels(joined: &str) -> Vec<Label> {
    let pairs = joined.split('\u{1e}').filter_map(|pair| pair.split_once('\u{1f}'));
    let mut labels: Vec<Label> = pairs.filter_map(|(k, v)| Label::new(k, v).ok()).collect();
    labels.sort();
    labels
}

pub(super) fn claim(row: &SqliteRow) -> Result<Claim, Failure> {
    let used_by: Option<Vec<u8>> = get(row, "used_by")?;
    let is_withdrawn: bool = get(row, "withdrawn")?;
    let state = match used_by {
        Some(id) => {
            let id = id.try_into().map_err(|_| damaged("a claim's device"))?;
            ClaimState::UsedBy(DeviceId::from_bytes(id))
        }
        None if is_withdrawn => ClaimState::Withdrawn,
        None => ClaimState::Open,
    };
    Ok(Claim {
        secret_hash: bytes(row, "secret_hash")?,
        name: get(row, "name")?,
        profile: get(row, "profile")?,
        names: names(row)?,
        created: time(row, "created")?,
        expires: time(row, "expires")?,
        state,
    })
}

pub(super) fn certificate(row: &SqliteRow) -> Result<CertificateRecord, Failure> {
    let revoked = match maybe_time(row, "revoked_at")? {
        Some(at) => {
            let reason: Option<u8> = get(row, "reason")?;
            Some((at, Reason::from_code(reason.unwrap_or(0))))
        }
        None => None,
    };
    Ok(CertificateRecord {
        id: CertificateId(bytes(row, "id")?),
        device: key(row, "device")?,
        issuer: AuthorityId(get(row, "issuer")?),
        serial: Serial::from_bytes(bytes(row, "serial")?),
        key: get(row, "spki")?,
        der: get(row, "der")?,
        not_before: time(row, "not_before")?,
        not_after: time(row, "not_after")?,
        revoked,
        used: maybe_time(row, "used")?,
    })
}
