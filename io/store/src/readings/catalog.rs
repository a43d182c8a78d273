//! Which series there are, in memory.

use std::collections::{HashMap, HashSet};

use hedgerow_base::{DeviceId, Incarnation, TenantId};
use hedgerow_model::Kind;
use hedgerow_telemetry::{DeviceKey, SeriesId, SeriesSpec};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::error::{ReadingsError, While};

/// One series.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: SeriesId,
    pub(super) spec: SeriesSpec,
}

/// All series by device, and those that the database does not have yet.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    devices: HashMap<DeviceKey, Vec<Known>>,
    owners: HashMap<SeriesId, DeviceKey>,
    unsaved: Vec<(DeviceKey, Known)>,
    erased: HashSet<SeriesId>,
    next: u64,
}

impl Catalog {
    /// Reads all series, and up to which journal row each is sealed.
    pub(super) async fn load(
        connection: &mut SqliteConnection,
    ) -> Result<(Self, HashMap<SeriesId, i64>), ReadingsError> {
        let mut catalog = Self::default();
        let mut sealed = HashMap::new();
        let last: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'series'")
                .fetch_optional(&mut *connection)
                .await
                .while_doing("reading the series")?;
        catalog.next = number(last.unwrap_or(0)) + 1;
        let rows = sqlx::query("SELECT * FROM series ORDER BY id").fetch_all(connection).await;
        for row in rows.while_doing("reading the series")? {
            let (device, known) =
                read(&row).ok_or(ReadingsError::Damaged("the list of series", 0))?;
            sealed.insert(known.id, row.get("sealed_journal"));
            catalog.insert(device, known);
        }
        Ok((catalog, sealed))
    }

    /// The numbers of a device's series; unknown ones are made.
    pub(super) fn series(&mut self, device: DeviceKey, specs: &[SeriesSpec]) -> Vec<SeriesId> {
        specs.iter().map(|spec| self.one(device, spec)).collect()
    }

    fn one(&mut self, device: DeviceKey, spec: &SeriesSpec) -> SeriesId {
        let known = self.devices.entry(device).or_default();
        let same =
            |known: &&mut Known| known.spec.name == spec.name && known.spec.kind == spec.kind;
        if let Some(known) = known.iter_mut().find(same) {
            if known.spec.retention_days != spec.retention_days {
                known.spec.retention_days = spec.retention_days;
                self.unsaved.push((device, known.clone()));
            }
            return known.id;
        }
        let known = Known { id: SeriesId(self.next), spec: spec.clone() };
        self.next += 1;
        self.unsaved.push((device, known.clone()));
        let id = known.id;
        self.insert(device, known);
        id
    }

    fn insert(&mut self, device: DeviceKey, known: Known) {
        self.owners.insert(known.id, device);
        self.devices.entry(device).or_default().push(known);
    }

    /// The series of a device.
    pub(super) fn of(&self, device: &DeviceKey) -> &[Known] {
        self.devices.get(device).map_or(&[], Vec::as_slice)
    }

    /// Whose series it is; `None` when it is not known, or erased.
    pub(super) fn owner(&self, series: SeriesId) -> Option<DeviceKey> {
        self.owners.get(&series).copied()
    }

    /// Whether readings of it are to be dropped.
    pub(super) fn is_erased(&self, series: SeriesId) -> bool {
        !self.erased.is_empty() && self.erased.contains(&series)
    }

    /// Forgets a device; readings that still come for it are dropped.
    pub(super) fn erase(&mut self, device: &DeviceKey) {
        for known in self.devices.remove(device).unwrap_or_default() {
            self.owners.remove(&known.id);
            self.erased.insert(known.id);
        }
        self.unsaved.retain(|(owner, _)| owner != device);
    }

    /// Takes out what the database does not have yet.
    pub(super) fn take_unsaved(&mut self) -> Vec<(DeviceKey, Known)> {
        core::mem::take(&mut self.unsaved)
    }

    /// Puts back what could not be saved.
    pub(super) fn put_back(&mut self, unsaved: Vec<(DeviceKey, Known)>) {
        let newer = core::mem::replace(&mut self.unsaved, unsaved);
        self.unsaved.extend(newer);
        let owners = &self.owners;
        self.unsaved.retain(|(_, known)| owners.contains_key(&known.id));
    }
}

/// Saves new series, and changed retentions.
pub(super) async fn save(
    connection: &mut SqliteConnection,
    unsaved: &[(DeviceKey, Known)],
) -> Result<(), sqlx::Error> {
    for (device, known) in unsaved {
        sqlx::query(
            "INSERT INTO series (id, tenant, device, incarnation, name, kind, retention_days)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET retention_days = excluded.retention_days",
        )
        .bind(row(known.id.0))
        .bind(i64::from(device.tenant.0))
        .bind(device.id.as_bytes().to_vec())
        .bind(i64::from(device.incarnation.0))
        .bind(&*known.spec.name)
        .bind(i64::from(known.spec.kind.code()))
        .bind(i64::from(known.spec.retention_days))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn read(row: &SqliteRow) -> Option<(DeviceKey, Known)> {
    let device: Vec<u8> = row.get("device");
    let whole = |column: &str| u32::try_from(row.get::<i64, _>(column)).ok();
    let key = DeviceKey {
        tenant: TenantId(whole("tenant")?),
        id: DeviceId::from_bytes(device.try_into().ok()?),
        incarnation: Incarnation(whole("incarnation")?),
    };
    let spec = SeriesSpec {
        name: row.get::<String, _>("name").into(),
        kind: Kind::from_code(u8::try_from(whole("kind")?).ok()?)?,
        retention_days: whole("retention_days")?,
    };
    Some((key, Known { id: SeriesId(number(row.get("id"))), spec }))
}

/// A series' number as a row id.
pub(super) const fn row(id: u64) -> i64 {
    id.cast_signed()
}

const fn number(row: i64) -> u64 {
    row.cast_unsigned()
}
