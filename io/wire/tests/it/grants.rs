//! Grants are judged by a table of their own, in a room that does not know MQTT's: both must agree.

use hedgerow_mqtt::topic;
use hedgerow_policy::{TopicGrant, TopicGrants};

#[test]
fn a_grant_matches_a_topic_exactly_where_the_router_does() {
    let levels = ["a", "bc", "", "$x", "+", "#"];
    let two = levels.iter().flat_map(|head| levels.map(|tail| format!("{head}/{tail}")));
    let three = two.clone().flat_map(|head| levels.map(|tail| format!("{head}/{tail}")));
    let all: Vec<String> = levels.map(String::from).into_iter().chain(two).chain(three).collect();
    let (mut filters, mut pairs) = (0, 0);
    for filter in &all {
        let grant = TopicGrant::parse(&format!("subscribe {filter}"));
        assert_eq!(grant.is_ok(), topic::check_filter(filter).is_ok(), "{filter}");
        let Ok(grant) = grant else { continue };
        let grants = TopicGrants::compile(&[grant]).unwrap();
        filters += 1;
        for name in all.iter().filter(|name| topic::check_name(name).is_ok()) {
            assert_eq!(grants.may_receive(name), topic::matches(filter, name), "{filter} {name}");
            pairs += 1;
        }
    }
    assert!(filters > 150 && pairs > 10_000, "{filters} filters, {pairs} pairs");
}
