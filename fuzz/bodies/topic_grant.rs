//! Two grants and a topic, a line each: a grant reads as it was written, and what covers a filter matches
//! whatever the filter matches.

use hedgerow_policy::{TopicGrant, TopicGrants};

pub(super) fn run(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let mut lines = text.split('\n');
    let mut grant = || TopicGrant::parse(lines.next().unwrap_or_default()).ok();
    let (Some(wide), Some(narrow)) = (grant(), grant()) else { return false };
    assert_eq!(TopicGrant::parse(&wide.to_string()).as_ref(), Ok(&wide));
    let topic = lines.next().unwrap_or_default();
    let compile = |grant: &TopicGrant| {
        let grant = TopicGrant::parse(&format!("subscribe {}", grant.filter())).ok();
        TopicGrants::compile(grant.as_slice()).unwrap_or_default()
    };
    let (wide, filter, narrow) = (compile(&wide), narrow.filter(), compile(&narrow));
    assert!(narrow.may_subscribe(filter), "a grant covers itself");
    if wide.may_subscribe(filter) && narrow.may_receive(topic) {
        assert!(wide.may_receive(topic), "covered, and yet it does not match");
    }
    true
}
