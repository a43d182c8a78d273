//! The device as a witness: the hub's audit log may only grow.

use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_keys::verify_log_signature;
use hedgerow_tlog::{Checkpoint, Hash, Note, verify_consistency};
use rustls::ClientConfig;
use std::sync::Arc;

use crate::{AgentError, HubUrl, State, enrol::get};

const FILE: &str = "checkpoint";

/// What the hub answered: its log's key, a proof, a signed checkpoint.
struct Answer {
    key: [u8; 32],
    proof: Vec<Hash>,
    note: Note,
}

/// Asks the hub for its newest checkpoint, checks that it contains the last one that this device saw,
/// and remembers it. Gives its size.
///
/// # Errors
/// [`AgentError::HistoryChanged`] when the log was rewritten; what was remembered stays.
pub(crate) fn check(
    state: &State,
    hub: &HubUrl,
    config: &Arc<ClientConfig>,
) -> Result<u64, AgentError> {
    let known = state.read(FILE)?.and_then(|bytes| String::from_utf8(bytes).ok());
    let known = known.as_deref().map(parse).transpose()?;
    let seen = match &known {
        Some(known) => Some(open(&known.key, &known.note)?),
        None => None,
    };
    let from = seen.as_ref().map_or(0, |seen| seen.size);
    let body =
        get(hub, config, &format!("/audit/checkpoint?from={from}")).map_err(|e| match e {
            AgentError::Refused(409, words) => AgentError::HistoryChanged(words.trim().to_owned()),
            other => other,
        })?;
    let text = String::from_utf8(body).map_err(|_| AgentError::Answer("it is not text"))?;
    let answer = parse(&text)?;
    let said = judge(known.as_ref().zip(seen.as_ref()), &answer)?;
    state.write(FILE, text.as_bytes())?;
    Ok(said.size)
}

fn judge(
    before: Option<(&Answer, &Checkpoint)>,
    answer: &Answer,
) -> Result<Checkpoint, AgentError> {
    let said = open(&answer.key, &answer.note)?;
    let Some((known, seen)) = before else { return Ok(said) };
    let changed = |why: &str| Err(AgentError::HistoryChanged(why.into()));
    if known.key != answer.key || seen.origin != said.origin {
        return changed("it is signed by another key, or is another log");
    }
    let (old, new) = ((seen.size, &seen.root), (said.size, &said.root));
    if verify_consistency(old, new, &answer.proof) {
        return Ok(said);
    }
    changed("what this device saw before is not in it any more")
}

fn parse(text: &str) -> Result<Answer, AgentError> {
    let wrong = AgentError::Answer("the checkpoint has not the form that was agreed");
    let Some((head, note)) = text.split_once("\n\n") else { return Err(wrong) };
    let decode = |value: &str| STANDARD.decode(value).ok().and_then(|b| Hash::try_from(b).ok());
    let values = |name: &'static str| {
        head.lines().filter_map(move |line| line.strip_prefix(name)).map(decode)
    };
    let key = values("key ").next().flatten();
    let proof: Option<Vec<Hash>> = values("proof ").collect();
    let (Some(key), Some(proof)) = (key, proof) else { return Err(wrong) };
    Ok(Answer { key, proof, note: Note::from_text(note.to_owned()) })
}

fn open(key: &[u8; 32], note: &Note) -> Result<Checkpoint, AgentError> {
    let origin = note.as_str().lines().next().unwrap_or_default();
    note.open(origin, key, |message, signature| verify_log_signature(key, message, signature))
        .map_err(|problem| AgentError::HistoryChanged(problem.to_string()))
}

#[cfg(test)]
mod tests {
    use hedgerow_keys::{KeyFile, LogKey, SealingKey};
    use hedgerow_tlog::{Frontier, consistency, leaf_hash};
    use std::collections::BTreeMap;

    use super::*;

    struct Log {
        key: LogKey,
        frontier: Frontier,
        nodes: BTreeMap<hedgerow_tlog::NodeId, Hash>,
    }

    impl Log {
        fn new(directory: &std::path::Path) -> Self {
            let sealing = SealingKey::from_file(&directory.join("elsewhere/seal")).unwrap();
            let key = LogKey::open_or_make(&KeyFile::new(directory, "log"), &sealing).unwrap();
            Self { key, frontier: Frontier::default(), nodes: BTreeMap::new() }
        }

        fn grow(&mut self, records: &[&str]) {
            for record in records {
                let full = self.frontier.append(leaf_hash(record.as_bytes()));
                self.nodes.extend(full.into_iter().map(|node| (node.id, node.hash)));
            }
        }

        fn answer(&self, from: u64) -> Answer {
            let (size, root) = (self.frontier.size(), self.frontier.root());
            let checkpoint = Checkpoint { origin: "hedgerow/x/1".into(), size, root };
            let key = *self.key.public_key();
            let note = Note::sign(&checkpoint, &key, |m| self.key.sign(m)).unwrap();
            let proof = if from == 0 || from == size {
                Vec::new()
            } else {
                consistency(from, size, |id| self.nodes.get(&id).copied()).unwrap_or_default()
            };
            Answer { key, proof, note }
        }
    }

    fn text(answer: &Answer) -> String {
        let mut text = format!("key {}\n", STANDARD.encode(answer.key));
        answer.proof.iter().for_each(|h| text += &format!("proof {}\n", STANDARD.encode(h)));
        text + "\n" + answer.note.as_str()
    }

    #[test]
    fn a_log_that_grew_is_believed_and_a_rewritten_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::new(directory.path());
        log.grow(&["a", "b", "c"]);
        let first = parse(&text(&log.answer(0))).unwrap();
        let seen = judge(None, &first).unwrap();
        log.grow(&["d"]);
        let grown = parse(&text(&log.answer(3))).unwrap();
        assert_eq!(judge(Some((&first, &seen)), &grown).unwrap().size, 4);
        let mut rewritten = Log::new(directory.path());
        rewritten.grow(&["a", "B", "c", "d"]);
        let refused = judge(Some((&first, &seen)), &rewritten.answer(3));
        assert!(matches!(refused, Err(AgentError::HistoryChanged(_))));
        let mut shortened = Log::new(directory.path());
        shortened.grow(&["a", "b"]);
        assert!(judge(Some((&first, &seen)), &shortened.answer(0)).is_err());
    }

    #[test]
    fn another_key_and_a_changed_note_are_refused() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut log, mut other) = (Log::new(here.path()), Log::new(there.path()));
        log.grow(&["a"]);
        other.grow(&["a"]);
        let first = log.answer(0);
        let seen = judge(None, &first).unwrap();
        assert!(judge(Some((&first, &seen)), &other.answer(1)).is_err());
        let forged = text(&first).replacen("\n1\n", "\n2\n", 1);
        assert!(judge(None, &parse(&forged).unwrap()).is_err());
        assert!(parse("").is_err());
    }
}
