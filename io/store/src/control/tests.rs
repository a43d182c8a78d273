//! The store against its port: what lands, what is refused, what survives.

use std::sync::Arc;

use hedgerow_base::{DeviceId, Fault, Incarnation, TenantId, Timestamp};
use hedgerow_control::{
    AuthorityId, CertificateRecord, Change, Commit, Event, Failure, NamedAs, ProfileRecord,
    TimelineEntry, Token, TokenCertificate,
    ports::{AuditFilter, Keys, Notary, Store},
};
use hedgerow_identity::{Claim, ClaimState, Serial, revocation::Reason};
use hedgerow_model::mapping::Names;
use hedgerow_policy::{
    CertificateId, Fact, Overlay, PersonId, Role, Scopes, Standing, TopicGrant,
    audit::{Effect, Entry},
};
use hedgerow_registry::{Device, DeviceKey, Filter, KeyStorage, Label, Page, State};
use hedgerow_tlog::{Checkpoint, Frontier, Hash, Note, leaf_hash};

use super::ControlStore;

pub(super) const TENANT: TenantId = TenantId::FIRST;
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

struct Plain;

impl Notary for Plain {
    fn checkpoint(&self, tenant: TenantId, size: u64, root: Hash) -> Result<Note, Failure> {
        let checkpoint = Checkpoint { origin: format!("test/{tenant}"), size, root };
        Note::sign(&checkpoint, &[0; 32], |_| Ok([0; 64]))
    }
}

pub(super) async fn open(directory: &tempfile::TempDir) -> ControlStore {
    ControlStore::open(directory.path(), Arc::new(Plain)).await.unwrap()
}

pub(super) fn commit(changes: Vec<Change>) -> Commit {
    Commit { now: NOW, changes, audit: vec![entry("test")], events: Vec::<Event>::new() }
}

fn entry(action: &'static str) -> Entry {
    Entry {
        at: NOW,
        tenant: TENANT,
        actor: "hub:test".into(),
        action,
        subject: "device:x".into(),
        effect: Effect::Done,
        detail: Vec::new(),
    }
}

pub(super) fn key(n: u8) -> DeviceKey {
    let id = DeviceId::from_bytes([n; 16]);
    DeviceKey { tenant: TENANT, id, incarnation: Incarnation::FIRST }
}

pub(super) fn device(n: u8, name: &str) -> Device {
    Device {
        key: key(n),
        name: name.into(),
        state: State::Enrolled,
        standing: Standing::Full,
        because: Some(Fact::Certified),
        profile: "linux-host".into(),
        names: Names::default(),
        carrier: None,
        group: None,
        labels: vec![Label::new("room", "Kitchen").unwrap()],
        key_storage: KeyStorage::Unknown,
        certificate: None,
        password: None,
        created: NOW,
        last_seen: None,
        is_connected: false,
        revision: 1,
    }
}

fn claim(n: u8) -> Claim {
    Claim {
        secret_hash: [n; 32],
        name: "lamp".into(),
        profile: "linux-host".into(),
        names: Names::default(),
        created: NOW,
        expires: NOW.plus_ms(1000),
        state: ClaimState::Open,
    }
}

pub(super) fn certificate(n: u8, serial: u8) -> CertificateRecord {
    CertificateRecord {
        id: CertificateId([serial; 32]),
        device: key(n),
        issuer: AuthorityId::NONE,
        serial: Serial::from_random([serial; 16]),
        key: vec![1, 2, 3],
        der: vec![serial],
        not_before: NOW,
        not_after: NOW.plus_ms(1000),
        revoked: None,
        used: None,
    }
}

#[tokio::test]
async fn a_device_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let added = device(1, "Lamp");
    let record = certificate(1, 9);
    store
        .commit(commit(vec![
            Change::AddDevice(Box::new(added.clone())),
            Change::AddCertificate(Box::new(record.clone())),
            Change::AddFact(added.key, Fact::Certified),
        ]))
        .await
        .unwrap();
    let read = store.device(TENANT, added.key.id).await.unwrap().unwrap();
    assert_eq!(read.certificate.map(|c| c.id), Some(record.id));
    assert_eq!(Device { certificate: None, ..read }, added);
    assert_eq!(store.certificate(record.id).await.unwrap(), Some(record));
    assert_eq!(store.facts(added.key).await.unwrap(), [Fact::Certified]);
}

#[tokio::test]
async fn one_refused_change_takes_the_whole_commit_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store.commit(commit(vec![Change::AddClaim(TENANT, claim(1))])).await.unwrap();
    let (one, two) = (key(1).id, key(2).id);
    let take = |device| Change::UseClaim { secret_hash: [1; 32], device };
    store.commit(commit(vec![take(one)])).await.unwrap();
    store.commit(commit(vec![take(one)])).await.unwrap();
    let refused = store
        .commit(commit(vec![Change::AddDevice(Box::new(device(2, "thief"))), take(two)]))
        .await
        .unwrap_err();
    assert_eq!(refused.fault, Fault::Conflict);
    assert_eq!(store.device(TENANT, two).await.unwrap(), None);
    let audit = store.audit_from(TENANT, 0, 10).await.unwrap();
    assert_eq!(audit.len(), 3, "a refused commit leaves no record");
}

#[tokio::test]
async fn stale_editors_and_wrong_states_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store.commit(commit(vec![Change::AddDevice(Box::new(device(1, "a")))])).await.unwrap();
    let edit = |revision| Change::EditDevice {
        device: key(1),
        revision,
        name: "b".into(),
        group: Some("g".into()),
        labels: Vec::new(),
    };
    store.commit(commit(vec![edit(1)])).await.unwrap();
    assert_eq!(store.commit(commit(vec![edit(1)])).await.unwrap_err().fault, Fault::Conflict);
    let step = |from, to| Change::MoveDevice { device: key(1), from, to };
    let wrong = commit(vec![step(State::Active, State::Retired)]);
    assert_eq!(store.commit(wrong).await.unwrap_err().fault, Fault::Conflict);
    let right = commit(vec![step(State::Enrolled, State::Active)]);
    store.commit(right).await.unwrap();
    let read = store.device(TENANT, key(1).id).await.unwrap().unwrap();
    assert_eq!((read.name.as_str(), read.state, read.revision), ("b", State::Active, 3));
}

#[tokio::test]
async fn devices_are_found_by_text_state_and_label_page_by_page() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    for n in 1..=5 {
        let added = Change::AddDevice(Box::new(device(n, &format!("Lamp {n}"))));
        store.commit(commit(vec![added])).await.unwrap();
    }
    let find = async |filter: Filter, page| {
        let found = store.devices(TENANT, &filter, page).await.unwrap();
        found.iter().map(|d| d.key.id.as_bytes()[0]).collect::<Vec<_>>()
    };
    let all = Page::default();
    assert_eq!(find(Filter::default().search("lamp 3").unwrap(), all).await, [3]);
    assert_eq!(find(Filter::default().search("KITCHEN").unwrap(), all).await.len(), 5);
    let id = key(4).id.to_string();
    assert_eq!(find(Filter::default().search(&id[..12]).unwrap(), all).await, [4]);
    assert_eq!(find(Filter::default().label("room=Kitchen").unwrap(), all).await.len(), 5);
    assert!(find(Filter::default().label("room=Attic").unwrap(), all).await.is_empty());
    assert!(find(Filter::default().state("retired").unwrap(), all).await.is_empty());
    let page = Page::new(Some(key(2).id), 2).unwrap();
    assert_eq!(find(Filter::default(), page).await, [3, 4]);
    let odd = Filter::default().search("100%_'").unwrap();
    assert!(find(odd, all).await.is_empty());
}

#[tokio::test]
async fn keys_and_certificates_are_counted_by_the_newest_of_each_device() {
    const DAY_MS: i64 = 86_400_000;
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let ends = [0, 7 * DAY_MS, 7 * DAY_MS + 1, 14 * DAY_MS, 14 * DAY_MS + 1, 30 * DAY_MS];
    let mut changes = Vec::new();
    for (n, ends) in (1..).zip(ends) {
        let storage = if n % 2 == 0 { KeyStorage::Tpm } else { KeyStorage::Unknown };
        changes
            .push(Change::AddDevice(Box::new(Device { key_storage: storage, ..device(n, "d") })));
        // An older one that ended long ago does not count.
        let old = CertificateRecord { not_after: NOW.plus_ms(-9), ..certificate(n, 100 + n) };
        changes.push(Change::AddCertificate(Box::new(old)));
        let record = CertificateRecord { not_after: NOW.plus_ms(ends), ..certificate(n, n) };
        changes.push(Change::AddCertificate(Box::new(record)));
    }
    let (password, retired, cut) = (device(20, "p"), device(21, "r"), device(22, "c"));
    let retired = Device { state: State::Retired, ..retired };
    let cut = Device { standing: Standing::Cut, ..cut };
    changes.extend([password, retired, cut].map(|one| Change::AddDevice(Box::new(one))));
    store.commit(commit(changes)).await.unwrap();
    let keys = store.keys(TENANT, NOW).await.unwrap();
    assert_eq!((keys.without, keys.ended, keys.late, keys.soon, keys.later), (1, 1, 1, 2, 2));
    assert_eq!(keys.storage.into_iter().collect::<Vec<_>>(), [("tpm", 3), ("unknown", 4)]);
    assert_eq!(keys.issuers, [(AuthorityId::NONE, 6)]);
    assert_eq!(store.keys(TenantId(2), NOW).await.unwrap(), Keys::default());

    let found = async |filter: Filter| {
        let page = Page { after: None, size: 99 };
        let found = store.devices(TENANT, &filter, page).await.unwrap();
        found.iter().map(|one| one.key.id.as_bytes()[0]).collect::<Vec<_>>()
    };
    let under = |days| Filter::default().days_left(days, NOW).unwrap();
    assert_eq!(found(under(7)).await, [1]);
    assert_eq!(found(under(8)).await, [1, 2, 3]);
    assert_eq!(found(under(31)).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(found(under(31).key_storage("tpm").unwrap()).await, [2, 4, 6]);
}

#[tokio::test]
async fn revocation_and_standing_are_kept_with_their_reasons() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let judge = Change::Judge {
        device: key(1),
        facts: vec![Fact::Certified, Fact::Retired],
        standing: Standing::Cut,
        because: Some(Fact::Retired),
    };
    let told = TimelineEntry { at: NOW, kind: "retired".into(), detail: "why".into() };
    let later = TimelineEntry { at: NOW, kind: "connected".into(), detail: "later".into() };
    store
        .commit(commit(vec![
            Change::AddDevice(Box::new(device(1, "a"))),
            Change::AddCertificate(Box::new(certificate(1, 9))),
            judge,
            Change::RevokeCertificates(key(1), Reason::CessationOfOperation),
            Change::Tell(key(1), told.clone()),
            Change::TellAll(vec![(key(1), later.clone()), (key(2), told.clone())]),
        ]))
        .await
        .unwrap();
    let read = store.device(TENANT, key(1).id).await.unwrap().unwrap();
    assert_eq!((read.standing, read.because), (Standing::Cut, Some(Fact::Retired)));
    let revoked = store.revoked(AuthorityId::NONE, NOW).await.unwrap();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].reason, Reason::CessationOfOperation);
    assert!(store.revoked(AuthorityId::NONE, NOW.plus_ms(1000)).await.unwrap().is_empty());
    let timeline = store.timeline(key(1), None, 10).await.unwrap();
    assert_eq!(timeline.iter().map(|(_, e)| e).collect::<Vec<_>>(), [&later, &told]);
}

#[tokio::test]
async fn the_log_grows_across_restarts_with_a_checkpoint_for_each_transaction() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let store = open(&directory).await;
        for _ in 0..3 {
            store.commit(commit(Vec::new())).await.unwrap();
        }
    }
    let store = open(&directory).await;
    let records = store.audit_from(TENANT, 0, 100).await.unwrap();
    let mut log = Frontier::default();
    for record in &records {
        assert_eq!(record.leaf, leaf_hash(record.record.as_bytes()));
        log.append(record.leaf);
    }
    let checkpoints = store.checkpoints(TENANT, 0, 100).await.unwrap();
    let (size, note) = checkpoints.last().unwrap();
    let checkpoint = Note::from_text(note.clone()).open("test/1", &[0; 32], |_, _| true).unwrap();
    assert_eq!((*size, checkpoint.size, checkpoint.root), (9, 9, log.root()));
    let newest = store.audit(TENANT, &AuditFilter::default(), 2).await.unwrap();
    assert_eq!(newest.iter().map(|r| r.index).collect::<Vec<_>>(), [8, 7]);
    let none = AuditFilter { actor: Some("person:1".into()), ..AuditFilter::default() };
    assert!(store.audit(TENANT, &none, 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn many_commits_at_once_land_in_one_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&directory).await);
    let tasks: Vec<_> = (0..200u8)
        .map(|n| {
            let store = Arc::clone(&store);
            let change = Change::AddDevice(Box::new(device(n, "x")));
            tokio::spawn(async move { store.commit(commit(vec![change])).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.counts(TENANT, NOW).await.unwrap().devices, 200);
    assert_eq!(store.audit_from(TENANT, 0, 1000).await.unwrap().len(), 200);
}

#[tokio::test]
async fn links_work_once_and_people_sign_in_until_they_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let person = PersonId(7);
    let (name, role) = ("owner".to_owned(), Role::Owner);
    let link =
        Change::AddLink { tenant: TENANT, hash: [1; 32], person: None, expires: NOW.plus_ms(1) };
    store
        .commit(commit(vec![link, Change::AddPerson { tenant: TENANT, person, name, role }]))
        .await
        .unwrap();
    assert!(store.link([1; 32]).await.unwrap().is_some());
    store.commit(commit(vec![Change::UseLink { hash: [1; 32] }])).await.unwrap();
    assert!(store.link([1; 32]).await.unwrap().is_none());
    let again = store.commit(commit(vec![Change::UseLink { hash: [1; 32] }])).await;
    assert_eq!(again.unwrap_err().fault, Fault::Conflict);
    let session = Change::AddSession { hash: [2; 32], person, expires: NOW.plus_ms(10) };
    store.commit(commit(vec![session])).await.unwrap();
    assert_eq!(store.session([2; 32]).await.unwrap().unwrap().0.name, "owner");
    assert!(store.person_by_name("OWNER").await.unwrap().is_some());
    store.commit(commit(vec![Change::RemovePerson(person)])).await.unwrap();
    assert!(store.session([2; 32]).await.unwrap().is_none());
}

#[tokio::test]
async fn tokens_are_found_by_their_hash_until_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let script = Token {
        certificate: None,
        tenant: TENANT,
        id: 5,
        hash: [3; 32],
        name: "script".into(),
        scopes: Scopes::READ.and(Scopes::DEVICES),
        grants: Vec::new(),
        created: NOW,
        expires: None,
    };
    let grants = ["subscribe things/+/properties/#", "publish a b/#"];
    let grants = grants.map(|grant| TopicGrant::parse(grant).unwrap()).to_vec();
    let (id, serial) = (CertificateId([8; 32]), Some(Serial::from_random([8; 16])));
    let certificate = Some(TokenCertificate { id, issuer: AuthorityId::NONE, serial });
    let bridge =
        Token { id: 6, hash: [4; 32], certificate, scopes: Scopes::NONE, grants, ..script.clone() };
    let add = |token: &Token| Change::AddToken(Box::new(token.clone()));
    store.commit(commit(vec![add(&script), add(&bridge)])).await.unwrap();
    assert_eq!(store.token([3; 32]).await.unwrap(), Some(script.clone()));
    assert_eq!(store.all_tokens().await.unwrap(), [script, bridge.clone()]);
    store.commit(commit(vec![Change::RemoveToken(TENANT, 5)])).await.unwrap();
    assert!(store.token([3; 32]).await.unwrap().is_none());
    assert_eq!(store.tokens(TENANT).await.unwrap(), [bridge]);
}

#[tokio::test]
async fn numbers_of_lists_only_grow() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(&directory).await.next_crl_number().await.unwrap();
    let second = open(&directory).await.next_crl_number().await.unwrap();
    assert!(second > first);
}

fn profile(name: &str) -> ProfileRecord {
    ProfileRecord {
        tenant: TENANT,
        name: name.into(),
        document: Some(b"{}".to_vec()),
        waiting: None,
        overlay: Overlay::default(),
        revision: 1,
        changed: NOW,
    }
}

fn put(seen: i64, record: &ProfileRecord) -> Commit {
    commit(vec![Change::PutProfile { seen, record: Box::new(record.clone()) }])
}

#[tokio::test]
async fn a_profile_is_read_as_it_was_written_and_two_editors_do_not_overwrite_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let first = profile("lamp");
    store.commit(put(0, &first)).await.unwrap();
    assert_eq!(store.profile(TENANT, "lamp").await.unwrap(), Some(first.clone()));
    assert_eq!(store.commit(put(0, &first)).await.unwrap_err().fault, Fault::Conflict);
    let overlay = Overlay {
        withheld: ["b".into(), "a".into()].into(),
        essential: ["c".into()].into(),
        retention_days_max: Some(7),
    };
    let second = ProfileRecord {
        waiting: Some(b"[]".to_vec()),
        document: None,
        overlay,
        revision: 2,
        ..first.clone()
    };
    store.commit(put(1, &second)).await.unwrap();
    assert_eq!(store.commit(put(1, &first)).await.unwrap_err().fault, Fault::Conflict);
    assert_eq!(store.profiles(TENANT).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(store.all_profiles().await.unwrap(), [second]);
    assert_eq!(store.profile(TENANT, "lump").await.unwrap(), None);
}

#[tokio::test]
async fn a_profile_that_is_needed_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store.commit(put(0, &profile("lamp"))).await.unwrap();
    let claimed = Claim { profile: "lamp".into(), ..claim(1) };
    let held = Device { profile: "lamp".into(), ..device(1, "Lamp") };
    let add = vec![Change::AddClaim(TENANT, claimed), Change::AddDevice(Box::new(held))];
    store.commit(commit(add)).await.unwrap();
    let remove =
        |seen| commit(vec![Change::RemoveProfile { tenant: TENANT, name: "lamp".into(), seen }]);
    assert_eq!(store.commit(remove(1)).await.unwrap_err().fault, Fault::Conflict);
    store.commit(commit(vec![Change::WithdrawClaim { secret_hash: [1; 32] }])).await.unwrap();
    assert_eq!(store.commit(remove(1)).await.unwrap_err().fault, Fault::Conflict);
    let retire = Change::MoveDevice { device: key(1), from: State::Enrolled, to: State::Retired };
    store.commit(commit(vec![retire])).await.unwrap();
    assert_eq!(store.commit(remove(2)).await.unwrap_err().fault, Fault::Conflict, "moved on");
    store.commit(remove(1)).await.unwrap();
    assert_eq!(store.profile(TENANT, "lamp").await.unwrap(), None);
}

#[tokio::test]
async fn a_closed_store_leaves_one_file_and_takes_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    store.commit(commit(vec![Change::AddDevice(Box::new(device(1, "a")))])).await.unwrap();
    store.close().await.unwrap();
    let refused = store.commit(commit(vec![])).await.unwrap_err();
    assert_eq!(refused.fault, hedgerow_base::Fault::Unavailable);
    let log = directory.path().join("hub.db-wal");
    assert_eq!(std::fs::metadata(log).map_or(0, |log| log.len()), 0);
    let again = open(&directory).await;
    assert!(again.device(TENANT, key(1).id).await.unwrap().is_some());
}

#[tokio::test]
async fn the_names_of_claims_and_devices_are_kept_and_found() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let names = Names::new([("topic", "plug1"), ("base", "a/b=c")]).unwrap();
    let carrier = Some(DeviceId::from_bytes([9; 16]));
    let device = Device { names: names.clone(), carrier, ..device(1, "lamp") };
    let claimed = Claim { names: names.clone(), ..claim(2) };
    let withdrawn = Change::WithdrawClaim { secret_hash: [3; 32] };
    let changes = vec![
        Change::AddDevice(Box::new(device.clone())),
        Change::AddClaim(TENANT, claimed.clone()),
        Change::AddClaim(TENANT, claim(3)),
        withdrawn,
    ];
    store.commit(commit(changes)).await.unwrap();
    let kept = store.device(TENANT, device.key.id).await.unwrap().unwrap();
    assert_eq!((kept.names, kept.carrier), (names, carrier));
    assert_eq!(store.claim([2; 32]).await.unwrap().unwrap().1, claimed);
    let who = |now| {
        let store = &store;
        async move { store.named(now).await.unwrap().into_iter().map(|one| one.who).collect::<Vec<_>>() }
    };
    let is = NamedAs::Device(device.key.id);
    assert_eq!(who(NOW).await, [is, NamedAs::Claim([2; 32])]);
    assert_eq!(who(claimed.expires).await, [is], "a code that has ended holds nothing");
    let retired = Change::MoveDevice { device: device.key, from: device.state, to: State::Retired };
    store.commit(commit(vec![retired])).await.unwrap();
    assert_eq!(who(claimed.expires).await, [], "nor does a device that is retired");
}

#[tokio::test]
async fn the_first_use_of_a_certificate_is_kept_and_later_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let records = [certificate(1, 8), certificate(1, 9)];
    let mut changes = vec![Change::AddDevice(Box::new(device(1, "Lamp")))];
    changes.extend(records.iter().map(|one| Change::AddCertificate(Box::new(one.clone()))));
    store.commit(commit(changes)).await.unwrap();
    for later in [5, 50] {
        let used = Change::UseCertificate(records[0].id, NOW.plus_ms(later));
        store.commit(commit(vec![used])).await.unwrap();
    }
    let used = |record: &CertificateRecord| {
        let (store, id) = (&store, record.id);
        async move { store.certificate(id).await.unwrap().unwrap().used }
    };
    assert_eq!(used(&records[0]).await, Some(NOW.plus_ms(5)));
    assert_eq!(used(&records[1]).await, None);
}
