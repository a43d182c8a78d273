//! Mutual TLS for the scenarios `idle` and `connect`: an authority of its own in a directory that goes
//! when the run ends, and clients that block.

use std::{
    env,
    error::Error,
    fs,
    io::{Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use hedgerow_base::DeviceId;
use hedgerow_listen::{
    HandshakeKey, Identity,
    client::{Stream, Trust, config, connect},
};
use hedgerow_mqtt::{Connect, Packet, Properties, Version};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PublicKeyData, SanType, SigningKey, string::Ia5String,
};

/// OpenSSL takes certificates for self-signed whose subject is their issuer's.
fn named(name: &str, hosts: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// Keys and certificates: in files for the servers, in memory for the clients.
pub(crate) struct Authority {
    directory: PathBuf,
    root: Vec<u8>,
    client: Identity,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let directory = env::temp_dir().join(format!("hedgerow-bench-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let put = |name: &str, bytes: &[u8]| fs::write(directory.join(name), bytes);

        let root_key = KeyPair::generate()?;
        let mut root = named("root", Vec::new())?;
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key)?;
        put("root.der", root_certificate.der())?;
        put("root.pem", root_certificate.pem().as_bytes())?;
        let issuer = Issuer::from_params(&root, &root_key);

        let server_key = KeyPair::generate()?;
        let mut server = named("server", vec!["127.0.0.1".into()])?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = server.signed_by(&server_key, &issuer)?;
        put("server.der", server.der())?;
        put("server.pem", server.pem().as_bytes())?;
        put("server.key.der", &server_key.serialize_der())?;
        put("server.key.pem", server_key.serialize_pem().as_bytes())?;

        let client_key = KeyPair::generate()?;
        let device = DeviceId::from_public_key(&client_key.subject_public_key_info());
        let mut client = named("client", Vec::new())?;
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uri = Ia5String::try_from(format!("urn:hedgerow:device:{device}"))?;
        client.subject_alt_names = vec![SanType::URI(uri)];
        let client = client.signed_by(&client_key, &issuer)?;
        let spki = client_key.subject_public_key_info();
        let sign = move |message: &[u8]| client_key.sign(message).map_err(|e| e.to_string());
        let client =
            Identity { chain: vec![client.der().to_vec()], key: HandshakeKey::new(spki, sign) };
        Ok(Self { root: root_certificate.der().to_vec(), directory, client })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The root certificate, in DER.
    pub(crate) fn root(&self) -> &[u8] {
        &self.root
    }

    /// Who the clients of this run are.
    pub(crate) const fn client(&self) -> &Identity {
        &self.client
    }

    /// What the clients of this run have in common.
    pub(crate) fn clients(&self) -> Result<Clients, Box<dyn Error>> {
        Clients::of(self.root.clone(), &self.client)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

pub(crate) struct Clients {
    config: Arc<rustls::ClientConfig>,
}

impl Clients {
    /// Clients that all are `identity`, and trust `root`.
    pub(crate) fn of(root: Vec<u8>, identity: &Identity) -> Result<Self, Box<dyn Error>> {
        Ok(Self { config: config(Trust::Root(root), Some(identity))? })
    }

    /// A connection of 3.1.1 that the server has accepted.
    pub(crate) fn open(&self, address: SocketAddr, number: u32) -> Result<Stream, Box<dyn Error>> {
        let mut stream = connect("127.0.0.1", address.port(), &self.config)?;
        greet(&mut stream, number, false)?;
        Ok(stream)
    }

    /// Says goodbye and closes.
    pub(crate) fn close(mut stream: Stream) -> Result<(), Box<dyn Error>> {
        stream.write_all(&[0xE0, 0])?;
        stream.conn.send_close_notify();
        stream.flush()?;
        Ok(())
    }
}

/// CONNECT of 3.1.1 and its answer.
pub(crate) fn greet(
    stream: &mut (impl Read + Write),
    number: u32,
    is_lasting: bool,
) -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    Packet::Connect(Connect {
        version: Version::V311,
        clean_start: !is_lasting,
        keep_alive_s: 600,
        client_id: &format!("client-{number}"),
        will: None,
        username: None,
        password: None,
        properties: Properties::NONE,
    })
    .encode(Version::V311, &mut bytes)?;
    stream.write_all(&bytes)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    match answer {
        [0x20, 2, 0, 0] => Ok(()),
        _ => Err(format!("refused: {answer:?}").into()),
    }
}
