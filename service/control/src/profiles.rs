//! Device profiles: added, narrowed, widened with consent.
//!
//! 1. Somebody adds a Thing Model under a name. The first one is in force at once.
//! 2. A later version that is equal or narrower is in force at once; a wider one waits.
//! 3. The owner sees what it would widen, and accepts it, or does not.
//! 4. The owner's overlay takes away from whatever is in force.
//!
//! Every change answers only when open sessions are judged by it.

use hedgerow_base::{Fault, TenantId, Timestamp};
use hedgerow_model::{
    ESPHOME_SENSOR_SWITCH, LINUX_HOST, Profile, ProfileError, SHELLY_PLUS_1PM, SPARKPLUG_B_NODE,
    TASMOTA_PLUG, ZIGBEE2MQTT_BRIDGE, ZIGBEE2MQTT_SENSOR, limits::RETENTION_DAYS_MAX,
};
use hedgerow_policy::{Action, Overlay, Permit, Widening, widenings};

use crate::{
    Change, Control, Ctx, Event, Failure, ProfileRecord,
    gate::{Effects, action},
    limits::{PROFILE_ERRORS_TOLD_MAX, PROFILE_NAME_BYTES_MAX, PROFILES_MAX},
};

action!(
    /// A person looks at profiles.
    ReadProfiles = "profile.read", role Viewer, scope READ
);
action!(
    /// A person adds a profile, or a new version of one.
    AddProfile = "profile.add", role Operator, scope DEVICES
);
action!(
    /// An owner agrees to a wider version.
    AcceptProfile = "profile.accept", role Owner, scope ADMIN
);
action!(
    /// An owner sets what is taken away from a profile.
    NarrowProfile = "profile.narrow", role Owner, scope ADMIN
);
action!(
    /// An owner takes a profile out that no device needs.
    RemoveProfile = "profile.remove", role Owner, scope ADMIN
);

/// The profiles that a hub brings with it: their names and documents. They can be narrowed, not replaced.
pub const BUILT_IN: [(&str, &str); 7] = [
    ("linux-host", LINUX_HOST),
    ("esphome-sensor-switch", ESPHOME_SENSOR_SWITCH),
    ("shelly-plus-1pm", SHELLY_PLUS_1PM),
    ("sparkplug-b-node", SPARKPLUG_B_NODE),
    ("tasmota-plug", TASMOTA_PLUG),
    ("zigbee2mqtt-bridge", ZIGBEE2MQTT_BRIDGE),
    ("zigbee2mqtt-sensor", ZIGBEE2MQTT_SENSOR),
];

/// A Thing Model to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProfile {
    /// What claims will name it by.
    pub name: String,
    /// The revision that was seen; 0 when it is to be new.
    pub seen: i64,
    /// The Thing Model, byte for byte.
    pub document: Vec<u8>,
    /// SHA-256 over it, for the record.
    pub digest: [u8; 32],
}

/// A version that waits for the owner's consent.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// As it was sent.
    pub document: Vec<u8>,
    /// The same, understood.
    pub profile: Profile,
    /// What it would widen.
    pub widens: Vec<Widening>,
}

/// A profile that devices can be held to.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownProfile {
    /// What claims name it by.
    pub name: String,
    /// Whether the hub brought it.
    pub is_built_in: bool,
    /// The Thing Model in force, as it was sent.
    pub document: Vec<u8>,
    /// The same, understood.
    pub profile: Profile,
    /// A wider version.
    pub waiting: Option<Waiting>,
    /// What the owner takes away.
    pub overlay: Overlay,
    /// Grows with every change; 0 for a built-in one that nobody touched.
    pub revision: i64,
    /// When it changed last; none when it never did.
    pub changed: Option<Timestamp>,
}

impl KnownProfile {
    /// The profiles that every hub knows, untouched.
    pub fn built_in() -> impl Iterator<Item = Self> {
        BUILT_IN.iter().filter_map(|(name, _)| Self::untouched(name))
    }

    fn untouched(name: &str) -> Option<Self> {
        let document = built_in(name)?;
        let profile = Profile::parse(document).ok()?;
        Some(Self {
            name: name.into(),
            is_built_in: true,
            document: document.into(),
            profile,
            waiting: None,
            overlay: Overlay::default(),
            revision: 0,
            changed: None,
        })
    }

    /// What a record says.
    ///
    /// # Errors
    /// When this hub does not understand a document that it stored once.
    pub fn read(record: ProfileRecord) -> Result<Self, Failure> {
        let ProfileRecord { name, document, waiting, overlay, revision, changed, .. } = record;
        let damaged =
            |what: &str| Failure::new(Fault::Broken, format!("the stored profile {name}: {what}"));
        let is_built_in = document.is_none();
        let document = document.or_else(|| built_in(&name).map(Into::into));
        let document = document.ok_or_else(|| damaged("it has no document"))?;
        let parse =
            |document: &[u8]| Profile::parse(document).map_err(|error| damaged(&error.to_string()));
        let profile = parse(&document)?;
        let waiting = match waiting {
            Some(document) => {
                let new = parse(&document)?;
                let widens = widenings(&profile, &new);
                Some(Waiting { document, profile: new, widens })
            }
            None => None,
        };
        let changed = Some(changed);
        Ok(Self { name, is_built_in, document, profile, waiting, overlay, revision, changed })
    }

    fn record(self, tenant: TenantId, now: Timestamp) -> ProfileRecord {
        ProfileRecord {
            tenant,
            name: self.name,
            document: (!self.is_built_in).then_some(self.document),
            waiting: self.waiting.map(|waiting| waiting.document),
            overlay: self.overlay,
            revision: self.revision,
            changed: now,
        }
    }
}

fn built_in(name: &str) -> Option<&'static [u8]> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, document)| document.as_bytes())
}

impl Control {
    /// Every profile that devices can be held to, by name.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn profiles(&self, ctx: &Ctx) -> Result<Vec<KnownProfile>, Failure> {
        let permit = self.permit::<ReadProfiles>(ctx).await?;
        let records = self.store.profiles(permit.tenant()).await?;
        let known = records.into_iter().map(KnownProfile::read);
        let mut known = known.collect::<Result<Vec<_>, _>>()?;
        for built_in in KnownProfile::built_in() {
            if !known.iter().any(|one| one.name == built_in.name) {
                known.push(built_in);
            }
        }
        known.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(known)
    }

    /// One profile.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn profile(&self, ctx: &Ctx, name: &str) -> Result<KnownProfile, Failure> {
        let permit = self.permit::<ReadProfiles>(ctx).await?;
        self.known_profile(permit.tenant(), name).await?.ok_or_else(absent)
    }

    /// Whether the actor may add profiles: asked before anything is said about how.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn may_add_profiles(&self, ctx: &Ctx) -> Result<(), Failure> {
        self.permit::<AddProfile>(ctx).await.map(drop)
    }

    /// Whether the actor may decide what profiles allow: asked before anything is said about how.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn may_narrow_profiles(&self, ctx: &Ctx) -> Result<(), Failure> {
        self.permit::<NarrowProfile>(ctx).await.map(drop)
    }

    /// Adds a profile, or a new version of one: in force at once unless it is wider than what is.
    ///
    /// # Errors
    /// Not allowed, no profile, another device's profile, a built-in one, too many, or somebody else was
    /// faster.
    pub async fn add_profile(&self, ctx: &Ctx, new: NewProfile) -> Result<KnownProfile, Failure> {
        let permit = self.permit::<AddProfile>(ctx).await?;
        let tenant = permit.tenant();
        check_profile_name(&new.name)?;
        let profile = Profile::check(&new.document).map_err(|errors| told(&errors))?;
        let seen = self.known_profile(tenant, &new.name).await?;
        let next = match seen {
            None => {
                self.refuse_too_many(tenant).await?;
                first_version(&new, profile)
            }
            Some(known) => next_version(known, &new, profile)?,
        };
        let digest: String = new.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let effect = if next.waiting.is_some() { "waits for consent" } else { "in force" };
        let detail = [
            ("sha256", digest),
            (
                "version",
                next.waiting.as_ref().map_or(&next.profile, |w| &w.profile).version.to_string(),
            ),
            ("effect", effect.to_owned()),
        ];
        self.keep_profile(ctx, permit, new.seen, next, detail).await
    }

    /// The owner agrees to the version that waits.
    ///
    /// # Errors
    /// Not allowed, absent, nothing waits, it is another one than was seen, or two devices would be given
    /// the same foreign topic.
    pub async fn accept_profile(
        &self,
        ctx: &Ctx,
        name: &str,
        seen: i64,
    ) -> Result<KnownProfile, Failure> {
        let permit = self.permit::<AcceptProfile>(ctx).await?;
        let known = self.known_profile(permit.tenant(), name).await?.ok_or_else(absent)?;
        let Some(Waiting { document, profile, widens }) = known.waiting else {
            let reason = "no version of this profile waits for consent";
            return Err(Failure::new(Fault::Conflict, reason));
        };
        self.refuse_colliding_topics(permit.tenant(), name, profile.plan(), ctx.now).await?;
        let detail =
            [("version", profile.version.to_string()), ("widens", widens.len().to_string())];
        let next = KnownProfile { document, profile, waiting: None, ..known };
        self.keep_profile(ctx, permit, seen, next, detail).await
    }

    /// The owner says what devices of a profile may not do here, whatever it declares.
    ///
    /// # Errors
    /// Not allowed, absent, a name that the profile does not declare, or somebody else was faster.
    pub async fn narrow_profile(
        &self,
        ctx: &Ctx,
        name: &str,
        seen: i64,
        overlay: Overlay,
    ) -> Result<KnownProfile, Failure> {
        let permit = self.permit::<NarrowProfile>(ctx).await?;
        let known = self.known_profile(permit.tenant(), name).await?.ok_or_else(absent)?;
        check_overlay(&overlay, &known.profile)?;
        let withheld: Vec<&str> = overlay.withheld.iter().map(|name| &**name).collect();
        let essential: Vec<&str> = overlay.essential.iter().map(|name| &**name).collect();
        let days = overlay.retention_days_max;
        let detail = [
            ("withheld", withheld.join(" ")),
            ("essential", essential.join(" ")),
            ("retention_days_max", days.map_or_else(|| "none".into(), |days| days.to_string())),
        ];
        let next = KnownProfile { overlay, ..known };
        self.keep_profile(ctx, permit, seen, next, detail).await
    }

    /// Takes a profile out.
    ///
    /// # Errors
    /// Not allowed, absent, built in, needed by a device or an open claim, or somebody else was faster.
    pub async fn remove_profile(&self, ctx: &Ctx, name: &str, seen: i64) -> Result<(), Failure> {
        let permit = self.permit::<RemoveProfile>(ctx).await?;
        let tenant = permit.tenant();
        let known = self.known_profile(tenant, name).await?.ok_or_else(absent)?;
        if known.is_built_in {
            return Err(Failure::new(
                Fault::Conflict,
                "this profile is part of the hub; narrow it instead",
            ));
        }
        let change = Change::RemoveProfile { tenant, name: known.name.clone(), seen };
        let effects = Effects::on(format!("profile:{name}"), vec![change])
            .telling(Event::Profile(tenant, known.name));
        self.commit(ctx, permit, effects).await
    }

    async fn keep_profile<A: Action>(
        &self,
        ctx: &Ctx,
        permit: Permit<A>,
        seen: i64,
        next: KnownProfile,
        detail: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<KnownProfile, Failure> {
        let (tenant, name) = (permit.tenant(), next.name.clone());
        let record = Box::new(next.record(tenant, ctx.now));
        let mut effects =
            Effects::on(format!("profile:{name}"), vec![Change::PutProfile { seen, record }])
                .telling(Event::Profile(tenant, name.clone()));
        effects.detail.extend(detail);
        self.commit(ctx, permit, effects).await?;
        self.known_profile(tenant, &name).await?.ok_or_else(absent)
    }

    pub(crate) async fn known_profile(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<KnownProfile>, Failure> {
        match self.store.profile(tenant, name).await? {
            Some(record) => KnownProfile::read(record).map(Some),
            None => Ok(KnownProfile::untouched(name)),
        }
    }

    /// Refuses a name under which there is no profile.
    pub(crate) async fn need_profile(&self, tenant: TenantId, name: &str) -> Result<(), Failure> {
        if built_in(name).is_some() || self.store.profile(tenant, name).await?.is_some() {
            return Ok(());
        }
        let reason = "there is no profile of that name; add it first, or see which there are with `hedgerow profile list`";
        Err(Failure::new(Fault::Conflict, reason))
    }

    async fn refuse_too_many(&self, tenant: TenantId) -> Result<(), Failure> {
        let records = self.store.profiles(tenant).await?;
        let added = records.iter().filter(|record| record.document.is_some()).count();
        if added + BUILT_IN.len() < PROFILES_MAX {
            return Ok(());
        }
        let reason = format!("there are {PROFILES_MAX} profiles; remove one that no device needs");
        Err(Failure::new(Fault::TooMuch, reason))
    }
}

fn absent() -> Failure {
    Failure::absent("profile")
}

fn first_version(new: &NewProfile, profile: Profile) -> KnownProfile {
    KnownProfile {
        name: new.name.clone(),
        is_built_in: false,
        document: new.document.clone(),
        profile,
        waiting: None,
        overlay: Overlay::default(),
        revision: 0,
        changed: None,
    }
}

fn next_version(
    known: KnownProfile,
    new: &NewProfile,
    profile: Profile,
) -> Result<KnownProfile, Failure> {
    if known.is_built_in {
        let reason = "a profile of this name is part of the hub; add yours under another name";
        return Err(Failure::new(Fault::Conflict, reason));
    }
    if (&known.profile.maker, &known.profile.model) != (&profile.maker, &profile.model) {
        let reason = format!(
            "this name belongs to the model {} of {}; add yours under another name",
            known.profile.model, known.profile.maker
        );
        return Err(Failure::new(Fault::Conflict, reason));
    }
    let (widens, document) = (widenings(&known.profile, &profile), new.document.clone());
    Ok(match widens.is_empty() {
        true => KnownProfile { document, profile, waiting: None, ..known },
        false => KnownProfile { waiting: Some(Waiting { document, profile, widens }), ..known },
    })
}

fn told(errors: &[ProfileError]) -> Failure {
    let mut lines: Vec<String> =
        errors.iter().take(PROFILE_ERRORS_TOLD_MAX).map(ToString::to_string).collect();
    if errors.len() > lines.len() {
        lines.push(format!("and {} more", errors.len() - lines.len()));
    }
    Failure::new(Fault::Invalid, format!("this is no device profile: {}", lines.join("; ")))
}

fn check_profile_name(name: &str) -> Result<(), Failure> {
    let is_plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
    };
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if begins_well && name.len() <= PROFILE_NAME_BYTES_MAX && name.bytes().all(is_plain) {
        return Ok(());
    }
    let reason = format!(
        "a profile's name has 1 to {PROFILE_NAME_BYTES_MAX} lower-case letters, digits, dots, hyphens and \
         underscores, a letter or digit first"
    );
    Err(Failure::new(Fault::Invalid, reason))
}

/// A name that guards nothing is a typing error.
fn check_overlay(overlay: &Overlay, profile: &Profile) -> Result<(), Failure> {
    let is_property = |name: &str| profile.property_index(name).is_some();
    let is_declared = |name: &str| {
        is_property(name)
            || profile.event_index(name).is_some()
            || profile.action_index(name).is_some()
    };
    let wrong = |reason: String| Err(Failure::new(Fault::Invalid, reason));
    if let Some(name) = overlay.withheld.iter().find(|name| !is_declared(name)) {
        return wrong(format!("the profile declares no property, event or action called {name}"));
    }
    if let Some(name) = overlay.essential.iter().find(|name| !is_property(name)) {
        return wrong(format!("the profile declares no property called {name}"));
    }
    let is_possible = |days: u32| (1..=RETENTION_DAYS_MAX).contains(&days);
    if !overlay.retention_days_max.is_none_or(is_possible) {
        return wrong(format!("readings are kept for 1 to {RETENTION_DAYS_MAX} days"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_one_past_the_limit_or_of_other_letters_are_refused() {
        assert!(check_profile_name(&"n".repeat(PROFILE_NAME_BYTES_MAX)).is_ok());
        assert!(check_profile_name(&"n".repeat(PROFILE_NAME_BYTES_MAX + 1)).is_err());
        for name in ["", "-a", ".a", "A", "a b", "ä", "a/b"] {
            assert!(check_profile_name(name).is_err(), "{name}");
        }
        assert!(BUILT_IN.iter().all(|(name, _)| check_profile_name(name).is_ok()));
    }

    #[test]
    fn an_overlay_of_undeclared_names_is_refused() {
        let profile = KnownProfile::built_in().next().unwrap().profile;
        let overlay = |withheld: &str, essential: &str, days| Overlay {
            withheld: withheld.split_terminator(' ').map(Into::into).collect(),
            essential: essential.split_terminator(' ').map(Into::into).collect(),
            retention_days_max: days,
        };
        let check = |overlay| check_overlay(&overlay, &profile).is_ok();
        assert!(check(overlay("cpuPercent agentStarted identify", "load1", Some(1))));
        assert!(!check(overlay("cpupercent", "", None)));
        assert!(!check(overlay("", "agentStarted", None)), "an event is never essential");
        assert!(!check(overlay("", "", Some(0))));
        assert!(check(overlay("", "", Some(RETENTION_DAYS_MAX))));
        assert!(!check(overlay("", "", Some(RETENTION_DAYS_MAX + 1))));
    }

    #[test]
    fn of_many_errors_some_are_told() {
        let error = ProfileError { pointer: "/p".into(), what: "wrong".into() };
        let reason = |count: usize| told(&vec![error.clone(); count]).reason;
        assert_eq!(reason(PROFILE_ERRORS_TOLD_MAX).matches("/p").count(), PROFILE_ERRORS_TOLD_MAX);
        let more = reason(PROFILE_ERRORS_TOLD_MAX + 1);
        assert!(
            more.ends_with("and 1 more") && more.matches("/p").count() == PROFILE_ERRORS_TOLD_MAX
        );
    }
}
