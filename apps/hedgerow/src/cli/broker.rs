use std::io::BufRead;

use clap::Subcommand;
use serde_json::Value;

use super::{
    Done,
    hub::{Hub, escaped},
    show::{self, out},
    status::size,
};

/// The MQTT broker.
#[derive(Debug, Subcommand)]
pub(crate) enum Broker {
    /// Sessions, connected and away
    ///
    /// Example: hedgerow broker sessions --find agent --connected true
    Sessions {
        /// Only those whose name has this in it: a device's id, a client identifier, `token:`
        #[arg(long, value_name = "TEXT")]
        find: Option<String>,
        /// Only those whose client is connected, or is not
        #[arg(long)]
        connected: Option<bool>,
        /// `next` of the page before
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        /// Sessions in the page
        #[arg(long)]
        limit: Option<u32>,
    },
    /// One session: subscriptions, queue, will
    ///
    /// Example: hedgerow broker session token:4:dashboard
    Session {
        /// Its name, as `broker sessions` shows it
        name: String,
    },
    /// End a session: its connection, its subscriptions, and what waits in it; its client may come back
    ///
    /// Example: hedgerow broker kick token:4:dashboard
    Kick {
        /// Its name, as `broker sessions` shows it
        name: String,
    },
    /// Messages as they come by
    ///
    /// Example: hedgerow broker watch 'things/+/properties/#'
    Watch {
        /// A topic filter
        filter: String,
        /// Begin with the messages that are retained now
        #[arg(long)]
        retained: bool,
        /// End after so many seconds, 600 at most
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
}

pub(crate) fn run(hub: &Hub, json: bool, broker: Broker) -> Done {
    match broker {
        Broker::Sessions { find, connected, after, limit } => {
            let named = [
                ("q", find),
                ("connected", connected.map(|is| is.to_string())),
                ("after", after),
                ("limit", limit.map(|limit| limit.to_string())),
            ];
            let query: Vec<_> = named.into_iter().filter_map(|(n, v)| Some((n, v?))).collect();
            sessions(hub, json, &query)
        }
        Broker::Session { name } => session(hub, json, &name),
        Broker::Kick { name } => {
            hub.delete(&format!("/broker/sessions/{}", escaped(&name)))?;
            Ok(())
        }
        Broker::Watch { filter, retained, seconds } => {
            let filter = escaped(&filter);
            let query = format!("filter={filter}&retained={retained}&seconds={seconds}&shown=true");
            watch(hub, json, &query)
        }
    }
}

fn sessions(hub: &Hub, json: bool, query: &[(&str, String)]) -> Done {
    let mut found = hub.get("/broker/sessions", query)?;
    if json {
        show::json(&found);
        return Ok(());
    }
    let items = found.get_mut("items").and_then(Value::as_array_mut);
    items.into_iter().flatten().for_each(name_safely);
    let columns = [
        ("NAME", "name"),
        ("CONNECTED", "connected"),
        ("SINCE", "since"),
        ("FILTERS", "subscriptions"),
        ("QUEUED", "queued"),
        ("IN", "messages_in"),
        ("OUT", "messages_out"),
        ("MISSED", "dropped"),
    ];
    show::table(&found, &columns);
    Ok(())
}

/// Clients choose their identifiers: nothing in one is to reach the terminal as a command.
fn name_safely(session: &mut Value) {
    let name = escape(&show::text(session, "name"));
    if let Some(members) = session.as_object_mut() {
        members.insert("name".into(), name.into());
    }
}

/// Text without characters that a terminal obeys, or that nobody sees.
fn escape(text: &str) -> String {
    let plain = |c: char| !c.is_control() && c.escape_debug().len() == 1;
    let shown = |c: char| {
        if plain(c) || "\"'\\".contains(c) { c.into() } else { c.escape_debug().to_string() }
    };
    text.chars().map(shown).collect()
}

fn session(hub: &Hub, json: bool, name: &str) -> Done {
    let found = hub.get(&format!("/broker/sessions/{}", escaped(name)), &[])?;
    if json {
        show::json(&found);
        return Ok(());
    }
    out!("{}", escape(&show::text(&found, "session.name")));
    for (label, name) in [
        ("connected", "connected"),
        ("since", "since"),
        ("ends", "until"),
        ("version", "version"),
        ("transport", "transport"),
        ("from", "from"),
        ("heard", "heard"),
        ("silence, at most, s", "silence_max_s"),
        ("kept for, s", "expiry_s"),
        ("queued", "queued"),
        ("in flight", "in_flight"),
        ("bytes unread", "out_bytes"),
        ("messages in", "messages_in"),
        ("messages out", "messages_out"),
        ("missed", "dropped"),
        ("slow since", "slow.since"),
    ] {
        out!("  {label:20} {}", show::text(&found, &format!("session.{name}")));
    }
    let subscriptions = found.get("subscriptions").and_then(Value::as_array);
    for one in subscriptions.into_iter().flatten() {
        let (filter, qos) = (escape(&show::text(one, "filter")), show::text(one, "qos"));
        out!("  subscribed to        {filter} (qos {qos})");
    }
    if let Some(will) = found.get("will").filter(|will| !will.is_null()) {
        out!("  will                 {}", escape(&show::text(will, "topic")));
    }
    Ok(())
}

fn watch(hub: &Hub, json: bool, query: &str) -> Done {
    let mut event = String::new();
    for line in hub.stream(&format!("/broker/messages?{query}"))?.lines() {
        let line = line?;
        if let Some(name) = line.strip_prefix("event:") {
            name.trim().clone_into(&mut event);
        }
        let Some(data) = line.strip_prefix("data:") else { continue };
        let data: Value = serde_json::from_str(data)?;
        match event.as_str() {
            "message" if json => out!("{data}"),
            "message" => message(&data),
            "left-out" => eprintln!("({} more came by)", show::text(&data, "count")),
            "end" => eprintln!("(it ended: {}; begin again to go on)", show::text(&data, "why")),
            _ => {}
        }
    }
    Ok(())
}

fn message(data: &Value) {
    let retained = if show::text(data, "retain") == "yes" { " retained" } else { "" };
    let bytes = data.get("bytes").and_then(Value::as_u64).map_or_else(String::new, size);
    let (at, qos) = (show::text(data, "at"), show::text(data, "qos"));
    out!("{at}  {}  qos {qos}{retained} {bytes}", show::text(data, "shown.topic"));
    for line in show::text(data, "shown.payload").lines() {
        out!("    {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn nothing_of_a_stranger_reaches_the_terminal_as_a_command() {
        assert_eq!(escape("a \"b\" grün/#"), "a \"b\" grün/#");
        assert_eq!(escape("\u{1b}[31m\u{202e}\n\u{9b}"), "\\u{1b}[31m\\u{202e}\\n\\u{9b}");
    }
}
