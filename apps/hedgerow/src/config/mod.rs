//! The configuration file: what the command line says about addresses, and every limit.
//!
//! `hedgerow.toml` in the data directory, or the file of `--config`. What the command line says goes first.
//! A word that is not known is an error: a limit with a typing error limits nothing.

pub(crate) mod limits;

use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use hedgerow_listen::Network;
use hedgerow_mqtt::{QueuePolicy, limits::SERVER_REFERENCE_BYTES_MAX};
use toml::{Table, Value};

use crate::{
    args::{ConfigCommand, Up},
    cli::{Done, show::out},
    paths,
};
use limits::{Limits, ROWS};

/// The file's name in the data directory.
const FILE: &str = "hedgerow.toml";
/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What is wrong with the file.
#[derive(Debug)]
pub(crate) struct Wrong {
    file: PathBuf,
    what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

impl std::error::Error for Wrong {}

/// What the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    listen: Listen,
    names: Vec<String>,
    /// A Unix socket for MQTT of programs on this machine.
    pub(crate) mqtt_socket: Option<PathBuf>,
    /// With defaults for those that it does not name.
    pub(crate) limits: Limits,
}

#[derive(Clone, Copy, Debug, Default)]
struct Listen {
    https: Option<SocketAddr>,
    devices: Option<SocketAddr>,
    mqtts: Option<SocketAddr>,
    local: Option<SocketAddr>,
    mqtts_weak: Option<SocketAddr>,
}

impl Config {
    /// Reads `named`, or the file in the data directory if there is one.
    ///
    /// # Errors
    /// When a named file is missing, or a file says something that is not understood.
    pub(crate) fn read(named: Option<&Path>, data: &Path) -> Result<Self, Wrong> {
        let file = named.map_or_else(|| data.join(FILE), Path::to_path_buf);
        let wrong = |what: String| Wrong { file: file.clone(), what };
        let size = match fs::metadata(&file) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(error) => return Err(wrong(error.to_string())),
        };
        if size > FILE_BYTES_MAX {
            return Err(wrong(format!("it has {size} bytes, more than {FILE_BYTES_MAX}")));
        }
        let text = fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        text.parse().map_err(wrong)
    }

    /// What the command line leaves open is as the file says; `is_said` knows the flags that were given.
    pub(crate) fn complete(&mut self, up: &mut Up, is_said: impl Fn(&str) -> bool) {
        let Listen { https, devices, mqtts, local, mqtts_weak } = self.listen;
        for (name, address, place) in [
            ("https", https, &mut up.addresses.https),
            ("devices", devices, &mut up.addresses.devices),
            ("mqtts", mqtts, &mut up.addresses.mqtts),
            ("local", local, &mut up.addresses.local),
        ] {
            if let Some(address) = address.filter(|_| !is_said(name)) {
                *place = address;
            }
        }
        up.mqtts_weak = up.mqtts_weak.or(mqtts_weak);
        if up.names.is_empty() {
            up.names.clone_from(&self.names);
        }
        if is_said("mqtt_keep_alive_max") {
            self.limits.wire.mqtt.keep_alive_s_max = up.mqtt_keep_alive_max;
        }
        if up.mqtt_socket.is_some() {
            self.mqtt_socket.clone_from(&up.mqtt_socket);
        }
    }

    /// The file that says what holds now, with a comment for each limit.
    pub(crate) fn to_toml(&self) -> String {
        let mut text = String::from("[limits]\n");
        for row in ROWS {
            let (from, to) = row.range.clone().into_inner();
            let value = (row.get)(&self.limits);
            text += &format!("# {}; {from} to {to}\n{} = {value}\n", row.what, row.name);
        }
        let wire = &self.limits.wire;
        let policy = POLICIES.iter().find(|(_, policy)| *policy == wire.mqtt.queue.policy);
        text += "\n[mqtt]\n# what a full queue does: refuse-new or drop-oldest\n";
        text += &format!("queue-policy = \"{}\"\n", policy.map_or("", |(word, _)| word));
        let proxies: Vec<_> = wire.proxies.iter().map(|proxy| format!("\"{proxy}\"")).collect();
        text += "# networks whose connections begin with a PROXY header of version 2\n";
        text += &format!("proxies = [{}]\n", proxies.join(", "));
        let said = |value: Option<String>, name: &str, what: &str| match value {
            Some(value) => format!("# {what}\n{name} = {value:?}\n"),
            None => format!("# {what}\n# {name} = \"\"\n"),
        };
        let socket = self.mqtt_socket.as_ref().map(|path| path.display().to_string());
        text += &said(socket, "socket", "a Unix socket for programs on this machine");
        let to = wire.mqtt.server_reference.as_ref().map(ToString::to_string);
        text += &said(to, "redirect", "clients of 5.0 are sent to this server instead");
        text += &format!("# for good\nredirect-permanently = {}\n", wire.has_moved);
        text
    }
}

/// `hedgerow config`.
pub(crate) fn run(data: Option<PathBuf>, command: &ConfigCommand) -> Done {
    let (ConfigCommand::Show { file } | ConfigCommand::Check { file }) = command;
    let config = Config::read(file.as_deref(), &paths::data(data))?;
    match command {
        ConfigCommand::Show { .. } => out!("{}", config.to_toml().trim_end()),
        ConfigCommand::Check { .. } => out!("the configuration is understood"),
    }
    Ok(())
}

const POLICIES: [(&str, QueuePolicy); 2] =
    [("refuse-new", QueuePolicy::RefuseNew), ("drop-oldest", QueuePolicy::DropOldest)];

impl FromStr for Config {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let mut config = Self::default();
        for (section, value) in &table {
            let Value::Table(entries) = value else {
                return Err(unknown(section, &["hub", "listen", "limits", "mqtt"]));
            };
            for (key, value) in entries {
                let path = format!("{section}.{key}");
                let taken = match section.as_str() {
                    "hub" => config.take_hub(key, value),
                    "listen" => config.take_listen(key, value),
                    "limits" => config.take_limit(key, value),
                    "mqtt" => config.take_mqtt(key, value),
                    _ => return Err(unknown(section, &["hub", "listen", "limits", "mqtt"])),
                };
                taken.map_err(|what| format!("{path}: {what}"))?;
            }
        }
        Ok(config)
    }
}

fn unknown(word: &str, known: &[&str]) -> String {
    format!("{word} is not known here; known are {}", known.join(", "))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "a text in quotation marks is needed".to_owned())
}

fn texts(value: &Value) -> Result<Vec<&str>, String> {
    let list = value.as_array().ok_or("a list of texts in brackets is needed")?;
    list.iter().map(text).collect()
}

impl Config {
    fn take_hub(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "names" => self.names = texts(value)?.into_iter().map(Into::into).collect(),
            _ => return Err(unknown(key, &["names"])),
        }
        Ok(())
    }

    fn take_listen(&mut self, key: &str, value: &Value) -> Result<(), String> {
        let address = text(value)?
            .parse()
            .map_err(|_| "an address with a port is needed, like [::]:8883 or 127.0.0.1:8080")?;
        let place = match key {
            "https" => &mut self.listen.https,
            "devices" => &mut self.listen.devices,
            "mqtts" => &mut self.listen.mqtts,
            "local" => &mut self.listen.local,
            "mqtts-weak" => &mut self.listen.mqtts_weak,
            _ => {
                return Err(unknown(key, &["https", "devices", "mqtts", "local", "mqtts-weak"]));
            }
        };
        *place = Some(address);
        Ok(())
    }

    fn take_limit(&mut self, key: &str, value: &Value) -> Result<(), String> {
        let Some(row) = ROWS.iter().find(|row| row.name == key) else {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            return Err(unknown(key, &names));
        };
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        let Some(number) = number.filter(|number| row.range.contains(number)) else {
            let (from, to) = row.range.clone().into_inner();
            return Err(format!("a whole number from {from} to {to} is needed"));
        };
        (row.set)(&mut self.limits, number);
        Ok(())
    }

    fn take_mqtt(&mut self, key: &str, value: &Value) -> Result<(), String> {
        let wire = &mut self.limits.wire;
        match key {
            "queue-policy" => {
                let word = text(value)?;
                let found = POLICIES.iter().find(|(name, _)| *name == word);
                let (_, policy) = found.ok_or_else(|| unknown(word, &POLICIES.map(|(n, _)| n)))?;
                wire.mqtt.queue.policy = *policy;
            }
            "proxies" => {
                let networks = texts(value)?.into_iter().map(str::parse::<Network>);
                let networks: Result<Vec<_>, _> = networks.collect();
                wire.proxies = networks.map_err(|error| error.to_string())?.into();
            }
            "socket" => self.mqtt_socket = Some(text(value)?.into()),
            "redirect" => {
                let to = text(value)?;
                if to.is_empty() || to.len() > SERVER_REFERENCE_BYTES_MAX {
                    return Err(format!(
                        "a name of 1 to {SERVER_REFERENCE_BYTES_MAX} bytes is needed"
                    ));
                }
                wire.mqtt.server_reference = Some(to.into());
            }
            "redirect-permanently" => {
                wire.has_moved = value.as_bool().ok_or("true or false is needed")?;
            }
            _ => {
                let known =
                    ["queue-policy", "proxies", "socket", "redirect", "redirect-permanently"];
                return Err(unknown(key, &known));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back_the_same() {
        let text = "[limits]\npacket-bytes = 4096\nqueue-age-ms = 60000\n[mqtt]\n\
                    queue-policy = \"drop-oldest\"\nproxies = [\"10.0.0.0/8\", \"fd00::1\"]\n\
                    socket = \"/run/hedgerow/mqtt\"\nredirect = \"other.example:8883\"\n\
                    redirect-permanently = true\n";
        let config: Config = text.parse().unwrap();
        let shown = config.to_toml();
        let again: Config = shown.parse().unwrap();
        assert_eq!(again.to_toml(), shown);
        let wire = &again.limits.wire;
        assert_eq!(wire.mqtt.packet_bytes_max, 4096);
        assert_eq!(wire.mqtt.queue.policy, QueuePolicy::DropOldest);
        assert_eq!(wire.proxies.len(), 2);
        assert_eq!(wire.mqtt.server_reference.as_deref(), Some("other.example:8883"));
        assert!(wire.has_moved);
        assert_eq!(again.mqtt_socket.as_deref(), Some(Path::new("/run/hedgerow/mqtt")));
        let plain = Config::default().to_toml();
        assert_eq!(plain.parse::<Config>().unwrap().to_toml(), plain);
    }

    #[test]
    fn limits_are_held_to_their_range_and_one_past_it_is_told() {
        for row in ROWS {
            let (from, to) = row.range.clone().into_inner();
            let set = |value: i128| format!("[limits]\n{} = {value}", row.name).parse::<Config>();
            assert!(set(from.into()).is_ok() && set(to.into()).is_ok(), "{}", row.name);
            for past in [i128::from(from) - 1, i128::from(to) + 1] {
                let told = set(past).unwrap_err();
                let needed = format!("a whole number from {from} to {to}");
                assert!(told.contains(row.name) && told.contains(&needed), "{told}");
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_told_with_what_would_be() {
        for (text, told) in [
            ("[limit]\nconnections = 1", "limit is not known here; known are hub, listen"),
            ("connections = 1", "connections is not known here"),
            ("[limits]\nconections = 1", "limits.conections: conections is not known here; known"),
            ("[limits]\nconnections = \"1\"", "limits.connections: a whole number from 1 to"),
            ("[listen]\nmqtts = \"8883\"", "listen.mqtts: an address with a port"),
            ("[listen]\nmqtt = \"[::]:1883\"", "listen.mqtt: mqtt is not known here"),
            ("[mqtt]\nqueue-policy = \"drop\"", "drop is not known here; known are refuse-new"),
            ("[mqtt]\nproxies = [\"10.0.0.1/8\"]", "mqtt.proxies: not a network"),
            ("[mqtt]\nproxies = \"10.0.0.0/8\"", "mqtt.proxies: a list of texts"),
            ("[mqtt]\nredirect = \"\"", "mqtt.redirect: a name of 1 to 256 bytes"),
            ("[hub]\nname = []", "hub.name: name is not known here"),
            ("[limits\n", "TOML parse error"),
        ] {
            let error = text.parse::<Config>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_is_read_where_it_is_and_missed_only_if_it_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = |named: Option<&Path>| Config::read(named, folder.path());
        assert!(read(None).is_ok());
        let named = folder.path().join("other.toml");
        assert!(read(Some(&named)).unwrap_err().to_string().contains("other.toml"));
        fs::write(folder.path().join(FILE), "[limits]\nsubscriptions = 5\n").unwrap();
        assert_eq!(read(None).unwrap().limits.wire.mqtt.subscriptions_max, 5);
        fs::write(&named, "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap())).unwrap();
        assert!(read(Some(&named)).is_ok());
        fs::write(&named, "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() + 1)).unwrap();
        assert!(read(Some(&named)).unwrap_err().to_string().contains("more than"));
    }
}
