//! What it costs to ask whether a topic may be published to, by the number of grants and the shape of both.

use std::{collections::HashSet, error::Error, hint::black_box, time::Instant};

use hedgerow_base::DeviceId;
use hedgerow_model::{LINUX_HOST, Profile};
use hedgerow_policy::{Grants, Overlay, Standing, TopicGrant, TopicGrants};

const CHECKS: u32 = 1_000_000;
const ROUNDS: u32 = 5;

/// Nanoseconds of one check, in the best of some rounds: what the machine does besides only adds.
pub(crate) fn cost(check: impl Fn(&str) -> bool, topics: &[String]) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut yes = 0u32;
        for topic in topics.iter().cycle().take(CHECKS as usize) {
            yes += u32::from(check(black_box(topic)));
        }
        black_box(yes);
        best = best.min(begun.elapsed().as_secs_f64() * 1e9 / f64::from(CHECKS));
    }
    Ok(best)
}

/// A filter: how its levels are made from its number.
type Shape = (&'static str, fn(usize) -> String);

const SHAPES: [Shape; 3] = [
    ("one name each", |n| format!("publish site/line{n}/machine/state")),
    ("wildcards at different levels", |n| {
        let level = |at: usize| if n >> at & 1 == 1 { "+".into() } else { format!("l{at}") };
        let levels: Vec<String> = (0..6).map(level).collect();
        format!("publish {}/end{n}", levels.join("/"))
    }),
    ("24 levels, every second one a wildcard", |n| {
        let level =
            |at: usize| if (at + n).is_multiple_of(2) { "+".into() } else { format!("l{at}") };
        let levels: Vec<String> = (0..23).map(level).collect();
        format!("publish {}/end{n}", levels.join("/"))
    }),
];

fn topics_for(shape: usize) -> Vec<String> {
    let levels = |count: usize| (0..count).map(|at| format!("l{at}")).collect::<Vec<_>>().join("/");
    let of = |n: usize| match shape {
        0 => format!("site/line{n}/machine/state"),
        1 => format!("{}/end{n}", levels(6)),
        _ => format!("{}/end{n}", levels(23)),
    };
    // Twice as many as there are grants: half of them are refused at the last level.
    (0..128).map(of).collect()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    println!("nanoseconds to ask whether a topic may be published to, best of {ROUNDS}");
    println!(
        "grants of a token                             1      8     64 | one look in a set of topics"
    );
    for (place, (name, shape)) in SHAPES.into_iter().enumerate() {
        let topics = topics_for(place);
        let mut row = Vec::new();
        for count in [1, 8, 64] {
            let grants: Result<Vec<_>, _> =
                (0..count).map(|n| TopicGrant::parse(&shape(n))).collect();
            let grants = TopicGrants::compile(&grants.map_err(|error| error.to_string())?)
                .map_err(|error| error.to_string())?;
            row.push(cost(|topic| grants.may_publish(topic), &topics)?);
        }
        let set: HashSet<&str> = topics.iter().map(String::as_str).collect();
        let floor = cost(|topic| set.contains(topic), &topics)?;
        if let [one, eight, all] = row[..] {
            println!("{name:<40} {one:>6.0} {eight:>6.0} {all:>6.0} | {floor:>6.0}");
        }
    }
    let profile = Profile::parse(LINUX_HOST.as_bytes())?;
    let device = DeviceId::from_bytes([7; 16]);
    let grants = Grants::compile(device, &profile, &Overlay::default(), Standing::Full);
    let names = profile.properties().iter().map(|property| property.name.to_string());
    let topics: Vec<String> =
        names.map(|name| format!("things/{device}/properties/{name}")).collect();
    let own = cost(|topic| grants.publish(topic).is_ok(), &topics)?;
    println!("a device's own topic                     {own:>6.0}");
    Ok(())
}
