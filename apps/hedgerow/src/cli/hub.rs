//! The hub's API, as the command line uses it.

use std::{fmt, fs, io::BufReader, path::PathBuf, sync::Arc, time::Duration};

use serde_json::Value;
use ureq::{
    Agent, Body,
    http::{Request, Response, Uri},
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
};

use super::Remote;
use crate::paths;

/// How long the hub may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hub that can be asked.
pub(crate) struct Hub {
    agent: Agent,
    base: String,
    token: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// No hub was started here, or it is another user's.
    NoHub(PathBuf),
    /// The address, the CA or the token can't be used.
    Setup(String),
    /// Nobody answered.
    Unreachable(String, String),
    /// The hub refused: its status, and its own words.
    Refused(u16, String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHub(data) => write!(
                f,
                "no hub runs with the data directory {}; start one with `hedgerow up`, name another with \
                 --data, or one elsewhere with --hub and --token",
                data.display()
            ),
            Self::Setup(what) => f.write_str(what),
            Self::Unreachable(base, why) => {
                write!(f, "{base} can't be reached ({why}); is the hub running?")
            }
            Self::Refused(_, words) => f.write_str(words),
        }
    }
}

impl std::error::Error for AskError {}

impl Hub {
    /// The hub of `--hub`, else the one that was started with the data directory.
    pub(crate) fn find(data: Option<PathBuf>, remote: &Remote) -> Result<Self, AskError> {
        if let (Some(base), Some(token)) = (&remote.hub, &remote.token) {
            let base = base.trim_end_matches('/').to_owned();
            if !base.starts_with("https://") {
                return Err(AskError::Setup("--hub wants https://host:port".into()));
            }
            return Ok(Self { agent: agent(remote)?, base, token: token.clone() });
        }
        let data = paths::data(data);
        let read = |name: &str| {
            let text = fs::read_to_string(data.join(name));
            text.map(|text| text.trim().to_owned()).map_err(|_| AskError::NoHub(data.clone()))
        };
        Ok(Self { agent: agent(remote)?, base: read("local.url")?, token: read("admin.token")? })
    }

    /// Its address: `https://host:port`, or that of the loopback door.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Asks for `path` below `/api/v1`.
    pub(crate) fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, AskError> {
        let request = self.agent.get(self.uri(path, query)?);
        let answer = request.header("Authorization", self.bearer()).call();
        json(self.judge(answer)?)
    }

    /// The same, as the hub wrote it.
    pub(crate) fn text(&self, path: &str) -> Result<String, AskError> {
        let request = self.agent.get(self.uri(path, &[])?);
        let answer = request.header("Authorization", self.bearer()).call();
        text(self.judge(answer)?)
    }

    /// Changes what was seen at this revision; none when nothing was there.
    pub(crate) fn change(
        &self,
        method: &str,
        path: &str,
        seen: Option<i64>,
        body: &[u8],
    ) -> Result<Value, AskError> {
        json(self.changed(method, path, seen, body)?)
    }

    /// The same for what has no answer.
    pub(crate) fn set(&self, method: &str, path: &str, body: &Value) -> Result<(), AskError> {
        self.changed(method, path, None, body.to_string().as_bytes()).map(drop)
    }

    fn changed(
        &self,
        method: &str,
        path: &str,
        seen: Option<i64>,
        body: &[u8],
    ) -> Result<Response<Body>, AskError> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.uri(path, &[])?)
            .header("Authorization", self.bearer())
            .header("Content-Type", "application/json");
        if let Some(seen) = seen {
            request = request.header("If-Match", format!("\"{seen}\""));
        }
        let request =
            request.body(body).map_err(|error| AskError::Setup(format!("a request: {error}")))?;
        self.judge(self.agent.run(request))
    }

    /// Takes away what was seen at this revision.
    pub(crate) fn delete_seen(&self, path: &str, seen: Option<i64>) -> Result<(), AskError> {
        let request = self.agent.delete(self.uri(path, &[])?);
        let request = request.header("If-Match", format!("\"{}\"", seen.unwrap_or_default()));
        self.judge(request.header("Authorization", self.bearer()).call()).map(drop)
    }

    /// Has something done that has no answer.
    pub(crate) fn command(&self, path: &str, body: &Value) -> Result<(), AskError> {
        self.send(path, body).map(drop)
    }

    /// Has something done.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, AskError> {
        json(self.send(path, body)?)
    }

    fn send(&self, path: &str, body: &Value) -> Result<Response<Body>, AskError> {
        let request = self.agent.post(self.uri(path, &[])?);
        let answer = request
            .header("Authorization", self.bearer())
            .content_type("application/json")
            .send(body.to_string());
        self.judge(answer)
    }

    /// Has something taken away.
    pub(crate) fn delete(&self, path: &str) -> Result<(), AskError> {
        let request = self.agent.delete(self.uri(path, &[])?);
        let answer = request.header("Authorization", self.bearer()).call();
        self.judge(answer).map(drop)
    }

    /// A stream of server-sent events, line by line.
    pub(crate) fn stream(&self, path: &str) -> Result<impl std::io::BufRead + use<>, AskError> {
        let request = self.agent.get(self.uri(path, &[])?);
        let request = request.config().timeout_global(None).build();
        let answer = request.header("Authorization", self.bearer()).call();
        Ok(BufReader::new(self.judge(answer)?.into_body().into_reader()))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn uri(&self, path: &str, query: &[(&str, String)]) -> Result<Uri, AskError> {
        let mut text = format!("{}/api/v1{path}", self.base);
        for (at, (name, value)) in query.iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.push_str(&format!("{name}={}", escaped(value)));
        }
        text.parse().map_err(|_| AskError::Setup(format!("{text} is no address")))
    }

    fn judge(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, AskError> {
        let unreachable =
            |error: ureq::Error| AskError::Unreachable(self.base.clone(), error.to_string());
        let mut answer = answer.map_err(unreachable)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let words = problem.get("detail").and_then(Value::as_str).map(str::to_owned);
        let words = words.unwrap_or_else(|| format!("the hub answered {status}"));
        Err(AskError::Refused(status, words))
    }
}

fn text(mut answer: Response<Body>) -> Result<String, AskError> {
    let limit = 256 * 1024 * 1024;
    let text = answer.body_mut().with_config().limit(limit).read_to_string();
    text.map_err(|error| AskError::Setup(format!("the answer was cut: {error}")))
}

fn json(answer: Response<Body>) -> Result<Value, AskError> {
    serde_json::from_str(&text(answer)?)
        .map_err(|error| AskError::Setup(format!("the answer is no JSON: {error}")))
}

fn agent(remote: &Remote) -> Result<Agent, AskError> {
    let mut tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(hedgerow_listen::provider());
    if let Some(path) = &remote.ca {
        let wrong = |error: String| AskError::Setup(format!("{}: {error}", path.display()));
        let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let root = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        tls = tls.root_certs(RootCerts::Specific(Arc::new(vec![root])));
    }
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .proxy(None)
        .build();
    Ok(config.into())
}

/// Percent-encoding (RFC 3986): everything but unreserved characters.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_unreserved_characters_is_escaped() {
        assert_eq!(escaped("a b&c=ü/~"), "a%20b%26c%3D%C3%BC%2F~");
    }
}
