//! Tokens: how programs sign in.

use hedgerow_base::{Fault, TenantId, Timestamp};
use hedgerow_identity::{Request, Serial, enrol};
use hedgerow_policy::{
    CertificateId, Permit, Scopes, TopicGrant, TopicGrants,
    audit::{Effect, Entry},
};
use hedgerow_registry::check_name;

use crate::{
    AuthorityId, Change, Commit, Control, Ctx, Event, Failure,
    gate::{Effects, action},
    limits::{TOKEN_LIFE_MS_MAX, TOKENS_MAX},
};

action!(
    /// An owner makes a token.
    MakeToken = "token.create", role Owner, scope ADMIN
);
action!(
    /// An owner takes a token away.
    RemoveToken = "token.remove", role Owner, scope ADMIN
);
action!(
    /// An owner looks at the tokens.
    ListTokens = "token.list", role Owner, scope ADMIN
);
action!(
    /// The hub makes the token of its own machine.
    MakeMachineToken = "token.machine", only HUB
);

/// The certificate that a program shows instead of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCertificate {
    /// SHA-256 over its DER.
    pub id: CertificateId,
    /// By which issuing CA.
    pub issuer: AuthorityId,
    /// Its serial number; not known of the oldest.
    pub serial: Option<Serial>,
}

/// A token as the hub keeps it: without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Of the tenant.
    pub tenant: TenantId,
    /// Its number.
    pub id: i64,
    /// SHA-256 over its secret, which has 256 random bits; of a program with a certificate nobody knows any.
    pub hash: [u8; 32],
    /// The certificate that its program shows instead.
    pub certificate: Option<TokenCertificate>,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// What it may say and hear over MQTT; with none, what its scopes say.
    pub grants: Vec<TopicGrant>,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it works.
    pub expires: Option<Timestamp>,
}

/// What an owner asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What people will call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// What it may say and hear over MQTT; with none, what its scopes say.
    pub grants: Vec<TopicGrant>,
    /// How long it works.
    pub life_ms: i64,
}

impl Control {
    /// Makes a token; `hash` is SHA-256 over the secret that the caller made and shows once.
    ///
    /// # Errors
    /// Not allowed, a bad name or life, nothing that it may do, or too many.
    pub async fn create_token(
        &self,
        ctx: &Ctx,
        new: NewToken,
        hash: [u8; 32],
    ) -> Result<Token, Failure> {
        let permit = self.permit::<MakeToken>(ctx).await?;
        let token = self.token(ctx, permit.tenant(), new, hash).await?;
        self.add_token(ctx, permit, token).await
    }

    /// Makes a token whose program proves itself by a certificate of this hub, for the key of `request`;
    /// gives the certificate too. `digest` names a certificate by its DER.
    ///
    /// # Errors
    /// As [`Control::create_token`], or a request that is none.
    pub async fn create_token_with_certificate(
        &self,
        ctx: &Ctx,
        new: NewToken,
        request: &[u8],
        digest: impl Fn(&[u8]) -> CertificateId + Send,
    ) -> Result<(Token, Vec<u8>), Failure> {
        let permit = self.permit::<MakeToken>(ctx).await?;
        let request = Request::parse(request)?;
        let mut token = self.token(ctx, permit.tenant(), new, self.random()).await?;
        let issuing = self.issuing().await?;
        let (until, serial) = (token.expires.unwrap_or(ctx.now), self.serial());
        let plan = enrol::application(token.id, &request, serial, ctx.now, until);
        let der = self.signer.certificate(plan, Some(issuing.der)).await?;
        let (id, serial) = (digest(&der), Some(serial));
        token.certificate = Some(TokenCertificate { id, issuer: issuing.id, serial });
        Ok((self.add_token(ctx, permit, token).await?, der))
    }

    async fn token(
        &self,
        ctx: &Ctx,
        tenant: TenantId,
        new: NewToken,
        hash: [u8; 32],
    ) -> Result<Token, Failure> {
        if !(1..=TOKEN_LIFE_MS_MAX).contains(&new.life_ms) {
            let days = TOKEN_LIFE_MS_MAX / 86_400_000;
            return Err(Failure::new(
                Fault::Invalid,
                format!("a token works for up to {days} days"),
            ));
        }
        if new.scopes == Scopes::NONE && new.grants.is_empty() {
            let reason = "choose at least one thing that the token may do: a scope or a grant";
            return Err(Failure::new(Fault::Invalid, reason));
        }
        TopicGrants::compile(&new.grants)?;
        Ok(Token {
            tenant,
            id: self.token_number(tenant).await?,
            hash,
            certificate: None,
            name: check_name(&new.name)?.to_owned(),
            scopes: new.scopes,
            grants: new.grants,
            created: ctx.now,
            expires: Some(ctx.now.plus_ms(new.life_ms)),
        })
    }

    async fn add_token(
        &self,
        ctx: &Ctx,
        permit: Permit<MakeToken>,
        token: Token,
    ) -> Result<Token, Failure> {
        let mut effects = Effects::on(subject(token.id), vec![add(&token)])
            .saying("scopes", token.scopes.words().collect::<Vec<_>>().join(" "))
            .telling(Event::Token(token.tenant, token.id));
        if !token.grants.is_empty() {
            let grants: Vec<_> = token.grants.iter().map(TopicGrant::to_string).collect();
            effects = effects.saying("grants", grants.join("; "));
        }
        if token.certificate.is_some() {
            effects = effects.saying("proof", "certificate");
        }
        self.commit(ctx, permit, effects).await?;
        Ok(token)
    }

    /// Makes the token of the machine that the hub runs on; the caller writes the secret where only its
    /// own user can read it. An earlier one stops working.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn create_machine_token(&self, ctx: &Ctx, hash: [u8; 32]) -> Result<(), Failure> {
        let permit = self.permit::<MakeMachineToken>(ctx).await?;
        let tenant = permit.tenant();
        let all = Scopes::READ.and(Scopes::DEVICES).and(Scopes::ADMIN);
        let token = Token {
            tenant,
            id: self.token_number(tenant).await?,
            hash,
            certificate: None,
            name: MACHINE_TOKEN.to_owned(),
            scopes: all,
            grants: Vec::new(),
            created: ctx.now,
            expires: None,
        };
        let mut effects = Effects::on(subject(token.id), Vec::new());
        let tokens = self.store.tokens(tenant).await?;
        for old in tokens.iter().filter(|token| token.expires.is_none()) {
            effects.changes.push(Change::RemoveToken(tenant, old.id));
            effects = effects.telling(Event::Token(tenant, old.id));
        }
        effects.changes.push(add(&token));
        self.commit(ctx, permit, effects.telling(Event::Token(tenant, token.id))).await
    }

    async fn token_number(&self, tenant: TenantId) -> Result<i64, Failure> {
        let tokens = self.store.tokens(tenant).await?;
        if tokens.len() >= usize::try_from(TOKENS_MAX).unwrap_or(usize::MAX) {
            let reason = format!("there are {TOKENS_MAX} tokens; remove some first");
            return Err(Failure::new(Fault::TooMuch, reason));
        }
        Ok(i64::from_be_bytes(self.random()) & (i64::MAX >> 11))
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// Not allowed or absent.
    pub async fn remove_token(&self, ctx: &Ctx, id: i64) -> Result<(), Failure> {
        let permit = self.permit::<RemoveToken>(ctx).await?;
        let tenant = permit.tenant();
        let tokens = self.store.tokens(tenant).await?;
        let found = tokens.iter().find(|token| token.id == id);
        if found.ok_or_else(|| Failure::absent("token"))?.expires.is_none() {
            let reason =
                "this is the token of the hub's own machine; it is made anew at each start";
            return Err(Failure::new(Fault::Conflict, reason));
        }
        let effects = Effects::on(subject(id), vec![Change::RemoveToken(tenant, id)]);
        let effects = effects.telling(Event::Token(tenant, id)).telling(Event::Revoked);
        self.commit(ctx, permit, effects).await
    }

    /// Tokens, without their secrets.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn tokens(&self, ctx: &Ctx) -> Result<Vec<Token>, Failure> {
        let permit = self.permit::<ListTokens>(ctx).await?;
        self.store.tokens(permit.tenant()).await
    }

    /// The plane denied a program something for the first time: recorded.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn program_denied(
        &self,
        (tenant, token): (TenantId, i64),
        at: Timestamp,
        word: &'static str,
        topic: &str,
    ) -> Result<(), Failure> {
        let entry = Entry {
            at,
            tenant,
            actor: subject(token),
            action: "token.mqtt",
            subject: subject(token),
            effect: Effect::Denied,
            detail: vec![("why", word.to_owned()), ("topic", topic.to_owned())],
        };
        let (changes, events) = (Vec::new(), Vec::new());
        self.store.commit(Commit { now: at, changes, audit: vec![entry], events }).await
    }

    /// The token of a hash, when it still works.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn token_of(&self, hash: [u8; 32], now: Timestamp) -> Result<Option<Token>, Failure> {
        let token = self.store.token(hash).await?;
        Ok(token.filter(|token| token.expires.is_none_or(|expires| now < expires)))
    }
}

const MACHINE_TOKEN: &str = "this machine";

fn subject(token: i64) -> String {
    format!("token:{token}")
}

fn add(token: &Token) -> Change {
    Change::AddToken(Box::new(token.clone()))
}
