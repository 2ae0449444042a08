//! What the index knows of an event: enough to find it. The event itself is the evidence.

use std::borrow::Cow;

use serde::Deserialize;

/// What an event says of itself; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Projection {
    pub(crate) uid: String,
    pub(crate) correlation_uid: String,
    pub(crate) code: String,
    pub(crate) time_ms: i64,
    pub(crate) class_uid: i64,
    pub(crate) action: String,
    pub(crate) user: String,
    pub(crate) operation: String,
    pub(crate) resource: String,
    pub(crate) status: i64,
}

/// Text that may hold escapes.
type Text<'a> = Cow<'a, str>;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    time: i64,
    class_uid: i64,
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    actor: Option<Actor<'a>>,
    #[serde(borrow)]
    api: Option<Api<'a>>,
    #[serde(borrow)]
    resources: Vec<Resource<'a>>,
    http_response: Option<Answer>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
    #[serde(borrow)]
    correlation_uid: Text<'a>,
    #[serde(borrow)]
    event_code: Text<'a>,
}

#[derive(Deserialize)]
struct Actor<'a> {
    #[serde(borrow)]
    user: Option<User<'a>>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    uid: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Api<'a> {
    #[serde(borrow)]
    operation: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    uid: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Answer {
    code: Option<i64>,
}

impl Projection {
    /// Reads a verified value.
    pub(crate) fn of(value: &[u8]) -> Self {
        let wire: Wire<'_> = serde_json::from_slice(value).unwrap_or_default();
        let text = |text: Option<Text<'_>>| text.map(Text::into_owned).unwrap_or_default();
        let user = wire.actor.and_then(|actor| actor.user).and_then(|user| user.uid);
        let resource = wire.resources.into_iter().next().and_then(|resource| resource.uid);
        Self {
            uid: wire.metadata.uid.into_owned(),
            correlation_uid: wire.metadata.correlation_uid.into_owned(),
            code: wire.metadata.event_code.into_owned(),
            time_ms: wire.time,
            class_uid: wire.class_uid,
            action: text(wire.action),
            user: text(user),
            operation: text(wire.api.and_then(|api| api.operation)),
            resource: text(resource),
            status: wire.http_response.and_then(|answer| answer.code).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_by_what_it_says() {
        let value = r#"{"class_uid":6003,"time":5,"action":"Denied","api":{"operation":"read"},
            "actor":{"user":{"uid":"acme|\u0061lice","type_id":1}},"unmapped":{"action":"x"},
            "resources":[{"uid":"o-1"},{"uid":"o-2"}],"http_response":{"code":403},
            "metadata":{"uid":"u","correlation_uid":"c","event_code":"decision"}}"#;
        let want = Projection {
            uid: "u".into(),
            correlation_uid: "c".into(),
            code: "decision".into(),
            time_ms: 5,
            class_uid: 6003,
            action: "Denied".into(),
            user: "acme|alice".into(),
            operation: "read".into(),
            resource: "o-1".into(),
            status: 403,
        };
        assert_eq!(Projection::of(value.as_bytes()), want);
    }

    #[test]
    fn what_an_event_does_not_say_is_empty() {
        let heartbeat = br#"{"time":5,"metadata":{"event_code":"heartbeat"}}"#;
        let want = Projection { time_ms: 5, code: "heartbeat".into(), ..Projection::default() };
        assert_eq!(Projection::of(heartbeat), want);
        assert_eq!(Projection::of(b"no event"), Projection::default());
    }
}
