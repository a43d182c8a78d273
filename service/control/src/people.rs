//! People: how they sign in, what they may do.
//!
//! Secrets reach this file only as SHA-256 (links, cookies: 256 random bits each) or go straight to
//! [`Passwords`](crate::ports::Passwords). Failed sign-ins lock the account for a while that doubles.

use hedgerow_base::{Fault, TenantId, Timestamp};
use hedgerow_policy::{Actor, PersonId, Role, Witness};

use crate::{
    Change, Control, Ctx, Failure,
    gate::{Effects, action},
    limits::{
        FAILED_SIGN_INS_MAX, LINK_LIFE_MS, LOCK_MS, LOCK_MS_MAX, PASSKEYS_MAX, PASSWORD_CHARS_MAX,
        PASSWORD_CHARS_MIN, PEOPLE_MAX, PERSON_NAME_CHARS_MAX, SESSION_LIFE_MS,
    },
};

action!(
    /// The hub makes the link of the first owner.
    MakeFirstLink = "person.first-link", only HUB
);
action!(
    /// A person signs in; the hub acts for them until they have.
    EnterByLink = "person.sign-in", only HUB
);
action!(
    /// A person changes how they themselves sign in.
    ChangeOwnKeys = "person.keys", role Viewer
);
action!(
    /// An owner looks at the people.
    ListPeople = "person.list", role Owner, scope ADMIN
);
action!(
    /// An owner adds a person.
    AddPerson = "person.add", role Owner, scope ADMIN
);
action!(
    /// An owner changes what a person may do.
    ChangeRole = "person.role", role Owner, scope ADMIN
);
action!(
    /// An owner takes a person out.
    RemovePerson = "person.remove", role Owner, scope ADMIN
);

/// Somebody with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Of the tenant.
    pub tenant: TenantId,
    /// Their number.
    pub id: PersonId,
    /// What they sign in with.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// PHC string of their password.
    pub password: Option<String>,
    /// Failed sign-ins in a row.
    pub failures: u32,
    /// Until when the account is locked.
    pub locked_until: Option<Timestamp>,
}

/// A way to show who one is.
#[derive(Clone, Debug)]
pub enum SignInRequest {
    /// A one-time link; SHA-256 over its token.
    Link([u8; 32]),
    /// Name and password.
    Password(String, String),
    /// A passkey whose assertion `io/api` has verified.
    Passkey(PersonId),
}

/// Somebody who just signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Who.
    pub person: Person,
    /// Until when the session lasts.
    pub expires: Timestamp,
}

impl Control {
    /// Makes the link by which the first owner signs in, when nobody can sign in yet. `hash` is SHA-256
    /// over its token. Gives whether it was made.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn first_link(&self, ctx: &Ctx, hash: [u8; 32]) -> Result<bool, Failure> {
        let permit = self.permit::<MakeFirstLink>(ctx).await?;
        let tenant = permit.tenant();
        for person in self.store.people(tenant).await? {
            if person.password.is_some() || !self.store.passkeys(person.id).await?.is_empty() {
                return Ok(false);
            }
        }
        let owner = self.store.people(tenant).await?.into_iter().find(|p| p.role == Role::Owner);
        let expires = ctx.now.plus_ms(LINK_LIFE_MS);
        let person = owner.map(|owner| owner.id);
        let change = Change::AddLink { tenant, hash, person, expires };
        self.commit(ctx, permit, Effects::on("link:first".into(), vec![change])).await?;
        Ok(true)
    }

    /// Signs a person in; `session` is SHA-256 over the cookie that the caller made.
    ///
    /// # Errors
    /// A refusal that does not say which part was wrong, or an outage.
    pub async fn sign_in(
        &self,
        request: SignInRequest,
        session: [u8; 32],
        now: Timestamp,
    ) -> Result<SignIn, Failure> {
        let (person, mut changes) = match request {
            SignInRequest::Link(hash) => self.enter_by_link(hash, now).await?,
            SignInRequest::Password(name, password) => {
                (self.enter_by_password(&name, password, now).await?, Vec::new())
            }
            SignInRequest::Passkey(id) => {
                let person = self.store.person(id).await?.ok_or_else(wrong)?;
                refuse_locked(&person, now)?;
                (person, Vec::new())
            }
        };
        let ctx = Ctx::new(Actor::Hub(person.tenant, "sign-in"), now);
        let permit = self.permit::<EnterByLink>(&ctx).await?;
        let expires = now.plus_ms(SESSION_LIFE_MS);
        if person.failures > 0 {
            let (person, failures) = (person.id, 0);
            changes.push(Change::NoteSignIn { person, failures, locked_until: None });
        }
        changes.push(Change::AddSession { hash: session, person: person.id, expires });
        let subject = format!("person:{}", person.id.0);
        self.commit(&ctx, permit, Effects::on(subject, changes)).await?;
        Ok(SignIn { person, expires })
    }

    async fn enter_by_link(
        &self,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<(Person, Vec<Change>), Failure> {
        let gone = || {
            let reason = "the link was used or has expired; start the hub again for a new one, or ask an owner";
            Failure::new(Fault::Denied, reason)
        };
        let (tenant, person, expires) = self.store.link(hash).await?.ok_or_else(gone)?;
        if now >= expires {
            return Err(gone());
        }
        let mut changes = vec![Change::UseLink { hash }];
        if let Some(id) = person {
            return Ok((self.store.person(id).await?.ok_or_else(gone)?, changes));
        }
        let owner = self.next_person(tenant, "owner", Role::Owner).await?;
        changes.push(add(&owner));
        Ok((owner, changes))
    }

    async fn enter_by_password(
        &self,
        name: &str,
        password: String,
        now: Timestamp,
    ) -> Result<Person, Failure> {
        let person = self.store.person_by_name(name).await?;
        if let Some(person) = &person {
            refuse_locked(person, now)?;
        }
        let too_long = password.chars().nth(PASSWORD_CHARS_MAX).is_some();
        let phc = person.as_ref().and_then(|person| person.password.clone());
        let password = if too_long { String::new() } else { password };
        let fits = self.passwords.verify(password, phc).await?;
        let Some(person) = person else { return Err(wrong()) };
        if fits {
            return Ok(person);
        }
        let failures = person.failures.saturating_add(1);
        let locked_until = lock_after(failures).map(|ms| now.plus_ms(ms));
        let change = Change::NoteSignIn { person: person.id, failures, locked_until };
        let ctx = Ctx::new(Actor::Hub(person.tenant, "sign-in"), now);
        let permit = self.permit::<EnterByLink>(&ctx).await?;
        let effects = Effects::on(format!("person:{}", person.id.0), vec![change])
            .saying("outcome", "wrong password");
        self.commit(&ctx, permit, effects).await?;
        Err(wrong())
    }

    /// Whose browser it is, as a peer; `hash` is SHA-256 over the cookie.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn session_of(
        &self,
        witness: Witness,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<(Person, Actor)>, Failure> {
        let session = self.store.session(hash).await?;
        Ok(session.filter(|(_, expires)| now < *expires).map(|(person, _)| {
            let peer = witness.person(person.tenant, person.id, person.role);
            (person, Actor::Peer(peer))
        }))
    }

    /// Signs out.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn sign_out(&self, ctx: &Ctx, hash: [u8; 32]) -> Result<(), Failure> {
        let permit = self.permit::<ChangeOwnKeys>(ctx).await?;
        self.commit(ctx, permit, Effects::on("session:".into(), vec![Change::EndSession(hash)]))
            .await
    }

    /// Sets one's own password.
    ///
    /// # Errors
    /// Not allowed, or too short or too long.
    pub async fn set_password(&self, ctx: &Ctx, password: String) -> Result<(), Failure> {
        let permit = self.permit::<ChangeOwnKeys>(ctx).await?;
        let person = own_number(ctx)?;
        let length = password.chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&length) {
            let reason = format!(
                "a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters; this one has {length}"
            );
            return Err(Failure::new(Fault::Invalid, reason));
        }
        let phc = self.passwords.hash(password).await?;
        let effects = Effects::on(
            format!("person:{}", person.0),
            vec![Change::SetPassword(person, Some(phc))],
        );
        self.commit(ctx, permit, effects.saying("set", "password")).await
    }

    /// Keeps a passkey that `io/api` has verified, new or with a counter moved on.
    ///
    /// # Errors
    /// Not allowed, or too many.
    pub async fn put_passkey(
        &self,
        ctx: &Ctx,
        credential: Vec<u8>,
        name: String,
        data: String,
    ) -> Result<(), Failure> {
        let permit = self.permit::<ChangeOwnKeys>(ctx).await?;
        let person = own_number(ctx)?;
        let known = self.store.passkeys(person).await?;
        let is_new = known.iter().all(|(id, ..)| *id != credential);
        if is_new && known.len() >= PASSKEYS_MAX {
            let reason = format!("you have {PASSKEYS_MAX} passkeys; remove one first");
            return Err(Failure::new(Fault::TooMuch, reason));
        }
        let change = Change::PutPasskey { person, credential, name, data };
        let effects = Effects::on(format!("person:{}", person.0), vec![change]);
        self.commit(ctx, permit, effects.saying("set", "passkey")).await
    }

    /// Takes one of one's own passkeys away.
    ///
    /// # Errors
    /// Not allowed, or it is the last way to sign in.
    pub async fn remove_passkey(&self, ctx: &Ctx, credential: Vec<u8>) -> Result<(), Failure> {
        let permit = self.permit::<ChangeOwnKeys>(ctx).await?;
        let id = own_number(ctx)?;
        let person = self.store.person(id).await?.ok_or_else(|| Failure::absent("person"))?;
        if person.password.is_none() && self.store.passkeys(id).await?.len() < 2 {
            let reason = "this is your only way to sign in; set a password or add a passkey first";
            return Err(Failure::new(Fault::Conflict, reason));
        }
        let change = Change::RemovePasskey(id, credential);
        let effects = Effects::on(format!("person:{}", id.0), vec![change]);
        self.commit(ctx, permit, effects.saying("removed", "passkey")).await
    }

    /// Passkeys of a person, as their library wrote them: credential, name, data.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn passkeys(
        &self,
        person: PersonId,
    ) -> Result<Vec<(Vec<u8>, String, String)>, Failure> {
        self.store.passkeys(person).await
    }

    /// A person by name, for a sign-in that is under way.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn person_by_name(&self, name: &str) -> Result<Option<Person>, Failure> {
        self.store.person_by_name(name).await
    }

    /// People of the tenant.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn people(&self, ctx: &Ctx) -> Result<Vec<Person>, Failure> {
        let permit = self.permit::<ListPeople>(ctx).await?;
        self.store.people(permit.tenant()).await
    }

    /// Adds a person, who signs in the first time by a link; `link` is SHA-256 over its token.
    ///
    /// # Errors
    /// Not allowed, a bad or taken name, or too many.
    pub async fn add_person(
        &self,
        ctx: &Ctx,
        name: &str,
        role: Role,
        link: [u8; 32],
    ) -> Result<Person, Failure> {
        let permit = self.permit::<AddPerson>(ctx).await?;
        let tenant = permit.tenant();
        check_person_name(name)?;
        if self.store.person_by_name(name).await?.is_some() {
            return Err(Failure::new(Fault::Conflict, "somebody has that name already"));
        }
        let person = self.next_person(tenant, name, role).await?;
        let expires = ctx.now.plus_ms(LINK_LIFE_MS);
        let id = Some(person.id);
        let changes =
            vec![add(&person), Change::AddLink { tenant, hash: link, person: id, expires }];
        let effects = Effects::on(format!("person:{}", person.id.0), changes);
        self.commit(ctx, permit, effects.saying("role", role.word())).await?;
        Ok(person)
    }

    /// Changes what a person may do; the last owner stays one.
    ///
    /// # Errors
    /// Not allowed, absent, or the last owner.
    pub async fn set_role(&self, ctx: &Ctx, person: PersonId, role: Role) -> Result<(), Failure> {
        let permit = self.permit::<ChangeRole>(ctx).await?;
        self.keep_an_owner(permit.tenant(), person, role == Role::Owner).await?;
        let effects =
            Effects::on(format!("person:{}", person.0), vec![Change::SetRole(person, role)]);
        self.commit(ctx, permit, effects.saying("role", role.word())).await
    }

    /// Takes a person out; the last owner stays.
    ///
    /// # Errors
    /// Not allowed, absent, or the last owner.
    pub async fn remove_person(&self, ctx: &Ctx, person: PersonId) -> Result<(), Failure> {
        let permit = self.permit::<RemovePerson>(ctx).await?;
        self.keep_an_owner(permit.tenant(), person, false).await?;
        let change = Change::RemovePerson(person);
        self.commit(ctx, permit, Effects::on(format!("person:{}", person.0), vec![change])).await
    }

    async fn keep_an_owner(
        &self,
        tenant: TenantId,
        person: PersonId,
        stays_owner: bool,
    ) -> Result<(), Failure> {
        let people = self.store.people(tenant).await?;
        let found = people.iter().find(|known| known.id == person);
        let found = found.ok_or_else(|| Failure::absent("person"))?;
        let owners = people.iter().filter(|known| known.role == Role::Owner).count();
        if found.role == Role::Owner && !stays_owner && owners < 2 {
            let reason = "this is the last owner; make somebody else an owner first";
            return Err(Failure::new(Fault::Conflict, reason));
        }
        Ok(())
    }

    async fn next_person(
        &self,
        tenant: TenantId,
        name: &str,
        role: Role,
    ) -> Result<Person, Failure> {
        let people = self.store.people(tenant).await?;
        if people.len() >= usize::try_from(PEOPLE_MAX).unwrap_or(usize::MAX) {
            let reason = format!("there are {PEOPLE_MAX} people; remove some first");
            return Err(Failure::new(Fault::TooMuch, reason));
        }
        // Numbers are never used again: the log names people by them.
        let id = PersonId(i64::from_be_bytes(self.random()) & (i64::MAX >> 11));
        let name = name.to_owned();
        Ok(Person { tenant, id, name, role, password: None, failures: 0, locked_until: None })
    }
}

fn add(person: &Person) -> Change {
    let Person { tenant, id, name, role, .. } = person.clone();
    Change::AddPerson { tenant, person: id, name, role }
}

fn own_number(ctx: &Ctx) -> Result<PersonId, Failure> {
    match &ctx.actor {
        Actor::Peer(peer) => peer.person().map(|(id, _)| id),
        Actor::Hub(..) | Actor::Claimant(..) | Actor::Lapsed(_) => None,
    }
    .ok_or_else(|| Failure::new(Fault::Denied, "only a signed-in person has keys of their own"))
}

fn check_person_name(name: &str) -> Result<(), Failure> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    let length = name.chars().count();
    if (1..=PERSON_NAME_CHARS_MAX).contains(&length) && name.chars().all(is_plain) {
        return Ok(());
    }
    let reason = format!(
        "a name has 1 to {PERSON_NAME_CHARS_MAX} letters, digits, dots, hyphens, underscores, + or @"
    );
    Err(Failure::new(Fault::Invalid, reason))
}

fn wrong() -> Failure {
    Failure::new(Fault::Denied, "name or password is wrong, or the account does not exist")
}

fn refuse_locked(person: &Person, now: Timestamp) -> Result<(), Failure> {
    match person.locked_until {
        Some(until) if now < until => {
            let seconds = (until.since_ms(now) + 999) / 1000;
            let reason = format!("too many failed sign-ins; try again in {seconds} seconds");
            Err(Failure::new(Fault::TooMuch, reason))
        }
        Some(_) | None => Ok(()),
    }
}

/// How long an account is locked after so many failures in a row.
fn lock_after(failures: u32) -> Option<i64> {
    let over = failures.checked_sub(FAILED_SIGN_INS_MAX)?;
    Some(LOCK_MS.checked_shl(over.min(16)).unwrap_or(LOCK_MS_MAX).min(LOCK_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_double_and_end_at_the_longest() {
        assert_eq!(lock_after(FAILED_SIGN_INS_MAX - 1), None);
        assert_eq!(lock_after(FAILED_SIGN_INS_MAX), Some(LOCK_MS));
        assert_eq!(lock_after(FAILED_SIGN_INS_MAX + 1), Some(2 * LOCK_MS));
        assert_eq!(lock_after(u32::MAX), Some(LOCK_MS_MAX));
    }

    #[test]
    fn names_one_past_the_limit_or_with_blanks_are_refused() {
        assert!(check_person_name(&"n".repeat(PERSON_NAME_CHARS_MAX)).is_ok());
        assert!(check_person_name(&"n".repeat(PERSON_NAME_CHARS_MAX + 1)).is_err());
        assert!(check_person_name("a b").is_err());
        assert!(check_person_name("").is_err());
    }
}
