//! What a candidate would have answered is in the completion, whoever comes first; and nothing
//! that becomes of the candidate keeps a completion back for ever.

use std::sync::Arc;

use serde_json::Value;

use super::{NOW_MS, assert_verified, decision, json, read_all, start};
use crate::event::{
    Agreement, CandidateDigests, Completion, Durability, Kind, Opinion, Outcome, Unheard,
};
use crate::receipt::Open;
use crate::trial::Trial;

fn digests() -> Arc<CandidateDigests> {
    let digest = |text: &str| text.to_owned();
    Arc::new(CandidateDigests {
        policies: digest("aa"),
        schema: digest("bb"),
        entities: digest("cc"),
    })
}

fn opinion() -> Opinion {
    Opinion {
        agreement: Agreement::WouldAllow,
        refusal: None,
        determining: vec!["next".to_owned()],
        errors: Vec::new(),
    }
}

fn end(open: Open) {
    open.close(Completion { status: Some(200), ..Completion::new(Outcome::Answered, NOW_MS) });
}

/// `unmapped` of the one completion of a log in which `both` come in some order.
async fn completion(both: impl FnOnce(Trial, Open)) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let mut receipt = ledger.open(decision(), Durability::Buffered, ()).await.unwrap();
    let trial = receipt.try_candidate(digests());
    let ((), open) = receipt.split();
    both(trial, open);
    ledger.close().await.unwrap();
    drop(ledger);
    let logs = read_all(dir.path());
    assert_verified(&logs);
    let [completion] = logs[0].of_kind(Kind::Completion)[..] else { panic!("one completion") };
    json(completion)["unmapped"].clone()
}

#[tokio::test]
async fn whoever_comes_first_the_completion_has_both() {
    let found_first = completion(|trial, open| {
        trial.found(Ok(opinion()));
        end(open);
    });
    let ended_first = completion(|trial, open| {
        end(open);
        trial.found(Ok(opinion()));
    });
    for unmapped in [found_first.await, ended_first.await] {
        assert_eq!(unmapped["outcome"], "answered");
        let candidate = &unmapped["candidate"];
        assert_eq!(candidate["health"], "ok");
        assert_eq!(candidate["agreement"], "would_allow");
        assert_eq!(candidate["determining"], serde_json::json!(["next"]));
        assert_eq!(candidate["digests"]["policies"], "aa");
    }
}

#[tokio::test]
async fn a_candidate_that_is_not_heard_ends_the_request_all_the_same() {
    let check = async |unheard: &str, both: fn(Trial, Open)| {
        let unmapped = completion(both).await;
        assert_eq!(unmapped["outcome"], "answered", "{unheard}");
        let candidate = &unmapped["candidate"];
        assert_eq!(
            (&candidate["health"], &candidate["problem"]),
            (&"unavailable".into(), &unheard.into())
        );
    };
    check("panicked", |trial, open| {
        end(open);
        trial.found(Err(Unheard::Panicked));
    })
    .await;
    check("dropped", |trial, open| {
        end(open);
        drop(trial);
    })
    .await;
    check("dropped", |trial, open| {
        drop(trial);
        end(open);
    })
    .await;
}

#[tokio::test]
async fn an_abandoned_decision_does_not_wait_for_its_candidate() {
    let unmapped = completion(|trial, open| {
        drop(open);
        trial.found(Ok(opinion()));
    });
    let unmapped = unmapped.await;
    assert_eq!(unmapped["outcome"], "abandoned");
    assert!(unmapped.get("candidate").is_none(), "{unmapped}");
}

#[tokio::test]
async fn the_end_of_the_log_does_not_wait_for_a_candidate() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = start(dir.path());
    let mut receipt = ledger.open(decision(), Durability::Buffered, ()).await.unwrap();
    let trial = receipt.try_candidate(digests());
    end(receipt.split().1);
    ledger.close().await.unwrap();
    trial.found(Ok(opinion()));
    drop(ledger);
    let outcomes: Vec<_> =
        read_all(dir.path())[0].completions().into_iter().map(|(_, o)| o).collect();
    assert_eq!(outcomes, ["abandoned"]);
}
