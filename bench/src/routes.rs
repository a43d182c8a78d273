//! What it costs to find the subscribers of a topic that no route is remembered for, by the number of
//! subscriptions. Beside it, one look into a hash map with as many names: what memory alone costs.

use std::{collections::HashMap, error::Error};

use hedgerow_mqtt::TopicTree;

use crate::grants::cost;

/// Topics that are asked for, spread over all clients.
const TOPICS: u32 = 50_000;

/// A subscription of a client: one of four shapes.
fn filter(number: u32) -> String {
    let client = number / 4;
    match number % 4 {
        0 => format!("site/{client}/line/temperature"),
        1 => format!("site/{client}/+/pressure"),
        2 => format!("things/{client}/#"),
        _ => format!("+/{client}/alarm"),
    }
}

/// A topic that three of these match: for so many clients.
fn topic(number: u32, clients: u32) -> String {
    let client = number.wrapping_mul(2_654_435_761) % clients;
    match number % 3 {
        0 => format!("site/{client}/line/temperature"),
        1 => format!("things/{client}/alarm"),
        _ => format!("site/{client}/door/pressure"),
    }
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    println!("nanoseconds to find who subscribed to a topic");
    println!("subscriptions        tree    one look in a map of as many    matches a topic");
    for count in [1_000, 10_000, 100_000, 1_000_000u32] {
        let (mut tree, mut map) = (TopicTree::new(), HashMap::new());
        for number in 0..count {
            let name = filter(number);
            tree.insert(&name, number, ())?;
            map.insert(name, number);
        }
        let topics: Vec<String> = (0..TOPICS).map(|number| topic(number, count / 4)).collect();
        let found = |topic: &str| {
            let mut found = 0u32;
            tree.visit(topic, &mut |_, ()| found += 1);
            found
        };
        let all: u32 = topics.iter().map(|topic| found(topic)).sum();
        let tree_ns = cost(|topic| found(topic) > 0, &topics)?;
        let map_ns = cost(|topic| map.contains_key(topic), &topics)?;
        let each = f64::from(all) / f64::from(TOPICS);
        println!("{count:>13} {tree_ns:>11.0} {map_ns:>31.0} {each:>18.2}");
    }
    Ok(())
}
