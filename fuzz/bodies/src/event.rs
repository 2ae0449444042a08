//! Events, as they come from a topic: what is taken for one says what its JSON says, and its bytes
//! are left alone, for they are the leaf. What the reader skips it does not check.

use ledger::{
    Record,
    event::{DecisionRef, Glance},
};
use serde_json::Value;

/// Reads an event.
pub fn event(data: &[u8]) -> bool {
    let decision = DecisionRef::read(data);
    let Ok(record) = Record::read(data.to_vec()) else { return false };
    assert_eq!(record.value, data);
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return false };
    assert_eq!(json["class_uid"], record.class_uid);
    assert_eq!(json["time"], record.time_ms);
    let uid = json["metadata"]["uid"].as_str().expect("its id");
    assert_eq!(uid.parse(), Ok(record.uid));
    let glance = Glance::read(data).expect("the same event");
    assert_eq!(json["metadata"]["event_code"], glance.event_code);
    if let Ok(decision) = decision {
        assert_eq!(decision.uid(), record.uid);
    }
    true
}
