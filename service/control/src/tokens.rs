//! Tokens: how programs sign in.

use hedgerow_base::{Fault, TenantId, Timestamp};
use hedgerow_policy::Scopes;
use hedgerow_registry::check_name;

use crate::{
    Change, Control, Ctx, Failure,
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

/// A token as the hub keeps it: without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Of the tenant.
    pub tenant: TenantId,
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
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
    /// How long it works.
    pub life_ms: i64,
}

impl Control {
    /// Makes a token; `hash` is SHA-256 over the secret that the caller made and shows once.
    ///
    /// # Errors
    /// Not allowed, a bad name or life, or too many.
    pub async fn create_token(
        &self,
        ctx: &Ctx,
        new: NewToken,
        hash: [u8; 32],
    ) -> Result<Token, Failure> {
        let permit = self.permit::<MakeToken>(ctx).await?;
        if !(1..=TOKEN_LIFE_MS_MAX).contains(&new.life_ms) {
            let days = TOKEN_LIFE_MS_MAX / 86_400_000;
            return Err(Failure::new(
                Fault::Invalid,
                format!("a token works for up to {days} days"),
            ));
        }
        let name = check_name(&new.name)?.to_owned();
        let expires = Some(ctx.now.plus_ms(new.life_ms));
        let token = self.next_token(permit.tenant(), name, new.scopes, ctx.now, expires).await?;
        let effects = Effects::on(format!("token:{}", token.id), vec![add(&token, hash)])
            .saying("scopes", new.scopes.words().collect::<Vec<_>>().join(" "));
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
        let name = MACHINE_TOKEN.to_owned();
        let old = self.store.tokens(tenant).await?.into_iter().filter(|t| t.expires.is_none());
        let mut changes: Vec<_> = old.map(|t| Change::RemoveToken(tenant, t.id)).collect();
        let token = self.next_token(tenant, name, all, ctx.now, None).await?;
        changes.push(add(&token, hash));
        self.commit(ctx, permit, Effects::on(format!("token:{}", token.id), changes)).await
    }

    async fn next_token(
        &self,
        tenant: TenantId,
        name: String,
        scopes: Scopes,
        created: Timestamp,
        expires: Option<Timestamp>,
    ) -> Result<Token, Failure> {
        let tokens = self.store.tokens(tenant).await?;
        if tokens.len() >= usize::try_from(TOKENS_MAX).unwrap_or(usize::MAX) {
            let reason = format!("there are {TOKENS_MAX} tokens; remove some first");
            return Err(Failure::new(Fault::TooMuch, reason));
        }
        let id = i64::from_be_bytes(self.random()) & (i64::MAX >> 11);
        Ok(Token { tenant, id, name, scopes, created, expires })
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
        let change = Change::RemoveToken(tenant, id);
        self.commit(ctx, permit, Effects::on(format!("token:{id}"), vec![change])).await
    }

    /// Tokens, without their secrets.
    ///
    /// # Errors
    /// Not allowed.
    pub async fn tokens(&self, ctx: &Ctx) -> Result<Vec<Token>, Failure> {
        let permit = self.permit::<ListTokens>(ctx).await?;
        self.store.tokens(permit.tenant()).await
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

fn add(token: &Token, hash: [u8; 32]) -> Change {
    Change::AddToken {
        tenant: token.tenant,
        token: token.id,
        hash,
        name: token.name.clone(),
        scopes: token.scopes,
        expires: token.expires,
    }
}
