//! How it stands with single certificates (RFC 6960), for whoever asks.

use hedgerow_base::Timestamp;
use hedgerow_identity::{
    Serial, authority,
    ocsp::{self, Issued},
};
use hedgerow_onboarding::ocsp::{CertId, IssuerHashes, Request};

use crate::{AuthorityRecord, Control, Failure, ListOf};

/// A signed word on certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The response.
    pub der: Vec<u8>,
    /// Whether all that it is about were issued here.
    pub is_known: bool,
}

/// A CA that answers for what it issued.
#[derive(Clone, Debug)]
pub struct Responder {
    /// Which.
    pub of: ListOf,
    /// What clients name it by.
    hashes: IssuerHashes,
    /// Its certificate.
    der: Vec<u8>,
}

impl Responder {
    fn new(of: ListOf, der: Vec<u8>) -> Option<Self> {
        let (subject, key) = (authority::subject(&der)?, authority::public_key(&der)?);
        let hashes = IssuerHashes::of(&subject, &key).ok()?;
        Some(Self { of, hashes, der })
    }

    /// Whether a certificate is of this CA.
    #[must_use]
    pub fn issued(&self, certificate: &CertId) -> bool {
        self.hashes.issued(certificate)
    }
}

impl Control {
    /// The CAs that answer: the root and every issuing CA that the hub ever had.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn responders(&self) -> Result<Vec<Responder>, Failure> {
        let root = self.newest("root").await?.map(|root| (ListOf::Root, root.der));
        let issuing = self.store.authorities("issuing").await?;
        let issuing = issuing.into_iter().map(|one| (ListOf::Issuing(one.id), one.der));
        let all = issuing.chain(root);
        Ok(all.filter_map(|(of, der)| Responder::new(of, der)).collect())
    }

    /// A signed response. Of certificates of other CAs it says that they are unknown.
    ///
    /// # Errors
    /// When keys or store can't be used.
    pub async fn certificate_status(
        &self,
        responder: &Responder,
        request: &Request,
        now: Timestamp,
    ) -> Result<Word, Failure> {
        let issuing = self.store.authorities("issuing").await?;
        let mut known = Vec::with_capacity(request.certificates().len());
        for certificate in request.certificates() {
            let serial = ocsp::serial(certificate).filter(|_| responder.issued(certificate));
            let issued = match serial {
                Some(serial) => self.issued(responder.of, serial, &issuing).await?,
                None => Issued::Never,
            };
            known.push((certificate, issued));
        }
        let is_known = known.iter().all(|(_, issued)| *issued != Issued::Never);
        let plan = ocsp::plan(known, request.nonce(), now);
        let der = self.signer.ocsp(plan, responder.der.clone()).await?;
        Ok(Word { der, is_known })
    }

    async fn issued(
        &self,
        by: ListOf,
        serial: Serial,
        issuing: &[AuthorityRecord],
    ) -> Result<Issued, Failure> {
        let has = |der: &[u8]| authority::serial(der) == Some(serial);
        let stands = |one: &AuthorityRecord| match one.distrusted {
            Some((at, reason)) => Issued::Revoked(at, reason),
            None => Issued::Good,
        };
        let id = match by {
            ListOf::Root => {
                let found = issuing.iter().find(|one| has(&one.der));
                return Ok(found.map_or(Issued::Never, stands));
            }
            ListOf::Issuing(id) => id,
        };
        match self.store.issued(id, serial).await? {
            Issued::Never => {}
            known @ (Issued::Good | Issued::Revoked(..)) => return Ok(known),
        }
        // The hub's own servers; their CA speaks for them while it is trusted.
        let servers = self.store.authorities("server").await?;
        let issuer = issuing.iter().find(|one| one.id == id);
        let is_server = servers.iter().any(|one| {
            has(&one.der) && issuer.is_some_and(|ca| authority::is_issued_by(&one.der, &ca.der))
        });
        Ok(issuer.filter(|_| is_server).map_or(Issued::Never, stands))
    }
}
