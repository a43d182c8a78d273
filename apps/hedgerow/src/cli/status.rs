use serde_json::Value;

use super::{
    Done,
    hub::Hub,
    show::{self, out},
};

pub(crate) fn run(hub: &Hub, json: bool, all_limits: bool) -> Done {
    let mut status = hub.get("/status", &[])?;
    let limits = hub.get("/limits", &[])?;
    let broker = hub.get("/broker", &[])?;
    if json {
        if let Some(status) = status.as_object_mut() {
            status.insert("limits".into(), limits);
            status.insert("broker".into(), broker);
        }
        show::json(&status);
        return Ok(());
    }
    out!("hub {} is up", show::text(&status, "version"));
    for (label, name) in [
        ("devices", "devices"),
        ("connected", "connected"),
        ("below full standing", "below_full"),
        ("claim codes waiting", "claims_open"),
        ("messages received", "messages_received"),
        ("  refused", "messages_refused"),
        ("readings stored", "readings_stored"),
        ("devices enrol at", "devices_url"),
        ("devices publish to", "mqtts"),
        ("fingerprint", "fingerprint"),
    ] {
        out!("  {label:20} {}", show::text(&status, name));
    }
    for (label, name) in [
        ("in memory", "unsealed_bytes"),
        ("databases", "database_bytes"),
        ("disk, free", "disk_free_bytes"),
    ] {
        let bytes = status.get(name).and_then(Value::as_u64);
        out!("  {label:20} {}", bytes.map_or_else(|| "-".into(), size));
    }
    show_broker(&broker);
    let refusals = status.get("refusals").and_then(Value::as_object);
    for (kind, count) in refusals.into_iter().flatten() {
        out!("  refused: {kind:11} {count}");
    }
    show_limits(limits.as_array().map_or(&[], Vec::as_slice), all_limits);
    if let Some(warning) = status.get("warning").and_then(Value::as_str) {
        out!("\nWARNING: {warning}");
    }
    Ok(())
}

/// The broker's numbers, each beside its limit.
fn show_broker(broker: &Value) {
    let number = |name: &str| broker.pointer(name).and_then(Value::as_u64).unwrap_or(0);
    for (label, now, most) in [
        ("MQTT connections", "/doorstep/connections", "/limits/connections"),
        ("  not accepted yet", "/doorstep/half_open", "/limits/half_open"),
        ("sessions away", "/sessions_away", "/limits/sessions_away"),
        ("retained topics", "/retained", "/limits/retained"),
    ] {
        out!("  {label:20} {} of {}", number(now), number(most));
    }
    let (bytes, most) = (number("/retained_bytes"), number("/limits/retained_bytes"));
    out!("  {:20} {} of {}", "retained", size(bytes), size(most));
    let (waiting, most) = (number("/messages_waiting"), number("/limits/queued"));
    out!("  {:20} {waiting}; {most} a session at most", "messages waiting");
    let slow = broker.get("slow").and_then(Value::as_array).map_or(0, Vec::len);
    out!("  {:20} {slow} now; found {} times", "slow subscribers", number("/slow_found"));
    if let Some(flow) = broker.get("a_second").filter(|flow| !flow.is_null()) {
        let (come, go) = (show::text(flow, "messages_in"), show::text(flow, "messages_out"));
        out!("  {:20} {come} in, {go} out", "messages a second");
    }
    let dropped = broker.get("dropped").and_then(Value::as_object);
    for (kind, count) in dropped.into_iter().flatten().filter(|(_, count)| **count != 0) {
        out!("  missed: {kind:12} {count}");
    }
}

/// Those that were reached, or are more than half taken; or all.
fn show_limits(limits: &[Value], all: bool) {
    let number = |limit: &Value, name: &str| limit.get(name).and_then(Value::as_u64);
    let is_near = |limit: &Value| {
        let is_half = number(limit, "now").zip(number(limit, "max"));
        number(limit, "reached").is_some_and(|reached| reached > 0)
            || is_half.is_some_and(|(now, max)| now > max / 2)
    };
    let shown: Vec<_> = limits.iter().filter(|limit| all || is_near(limit)).collect();
    if shown.is_empty() {
        out!("  {:20} none of {} is near", "limits", limits.len());
        return;
    }
    out!("\n{:32} {:>12} {:>10} {:>10}", "limit", "at most", "now", "reached");
    for limit in shown {
        let text = |name| number(limit, name).map_or_else(|| "-".into(), |n| n.to_string());
        let (max, now, reached) = (text("max"), text("now"), text("reached"));
        out!("{:32} {max:>12} {now:>10} {reached:>10}", show::text(limit, "name"));
    }
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    let steps = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match steps.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (bytes >> (shift - 10)) * 10 / 1024;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_by_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (20 << 20, "20.0 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
