//! The OCSF 1.8.0 event: the fields we write, in the order we write them. An id and its caption are one
//! value here ([`Coded`]), so that they cannot disagree.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::objects::{
    Actor, Api, Authorization, Endpoint, Evidence, FindingInfo, FirewallRule, HttpRequest,
    HttpResponse, Metadata, Policy, Product, Resource, Tls, Trace,
};

/// OCSF's version that events are written in.
pub(super) const OCSF_VERSION: &str = "1.8.0";

/// The methods that OCSF has names for.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];

/// Whether OCSF has a name for the method.
pub(super) fn is_named(method: &str) -> bool {
    METHODS.contains(&method)
}

/// Profiles of a request's events.
pub(super) const REQUEST_PROFILES: &[&str] = &["security_control", "trace"];

/// The classes we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// 6003 API Activity
    Api,
    /// 4002 HTTP Activity
    Http,
    /// 6002 Application Lifecycle
    Lifecycle,
    /// 2004 Detection Finding
    Finding,
}

impl Class {
    /// `class_uid`.
    pub(super) const fn uid(self) -> u32 {
        match self {
            Self::Api => 6003,
            Self::Http => 4002,
            Self::Lifecycle => 6002,
            Self::Finding => 2004,
        }
    }

    /// `class_name`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Api => "API Activity",
            Self::Http => "HTTP Activity",
            Self::Lifecycle => "Application Lifecycle",
            Self::Finding => "Detection Finding",
        }
    }

    const fn category(self) -> Coded {
        match self {
            Self::Api | Self::Lifecycle => Coded(6, "Application Activity"),
            Self::Http => Coded(4, "Network Activity"),
            Self::Finding => Coded(2, "Findings"),
        }
    }

    /// The activity of a method.
    pub(super) fn activity(self, method: Option<&str>) -> Coded {
        match (self, method) {
            (Self::Lifecycle | Self::Finding, _) | (_, None) => Coded(0, "Unknown"),
            (Self::Api, Some("POST")) => Coded(1, "Create"),
            (Self::Api, Some("GET" | "HEAD" | "OPTIONS")) => Coded(2, "Read"),
            (Self::Api, Some("PUT" | "PATCH")) => Coded(3, "Update"),
            (Self::Api, Some("DELETE")) => Coded(4, "Delete"),
            (Self::Http, Some("CONNECT")) => Coded(1, "Connect"),
            (Self::Http, Some("DELETE")) => Coded(2, "Delete"),
            (Self::Http, Some("GET")) => Coded(3, "Get"),
            (Self::Http, Some("HEAD")) => Coded(4, "Head"),
            (Self::Http, Some("OPTIONS")) => Coded(5, "Options"),
            (Self::Http, Some("POST")) => Coded(6, "Post"),
            (Self::Http, Some("PUT")) => Coded(7, "Put"),
            (Self::Http, Some("TRACE")) => Coded(8, "Trace"),
            (Self::Http, Some("PATCH")) => Coded(9, "Patch"),
            (Self::Api | Self::Http, Some(_)) => Coded(99, "Other"),
        }
    }

    /// The activity of an `activity_id` that [`Class::activity`] gave.
    pub(super) fn activity_of(self, id: u32) -> Coded {
        let known = METHODS.iter().map(|method| self.activity(Some(method)));
        known
            .chain([self.activity(None)])
            .find(|activity| activity.0 == id)
            .unwrap_or(self.activity(Some("")))
    }
}

/// An OCSF id and its caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coded(pub(super) u32, pub(super) &'static str);

/// `severity_id`.
pub(super) mod severity {
    use super::Coded;
    pub(in super::super) const INFORMATIONAL: Coded = Coded(1, "Informational");
    pub(in super::super) const LOW: Coded = Coded(2, "Low");
    pub(in super::super) const MEDIUM: Coded = Coded(3, "Medium");
    pub(in super::super) const HIGH: Coded = Coded(4, "High");
}

/// `status_id`.
pub(super) const SUCCESS: Coded = Coded(1, "Success");
/// `status_id`.
pub(super) const FAILURE: Coded = Coded(2, "Failure");

/// `action_id` and `disposition_id`.
pub(super) const ALLOWED: Coded = Coded(1, "Allowed");
/// `action_id`.
pub(super) const DENIED: Coded = Coded(2, "Denied");

/// Fields of an event, at most; a serializer is told.
const FIELDS_MAX: usize = 48;

/// What a decision did (profile `security_control`).
#[derive(Debug)]
pub(super) struct Control<'a> {
    pub(super) action: Coded,
    pub(super) disposition: Coded,
    pub(super) is_alert: bool,
    pub(super) authorizations: Vec<Authorization<'a>>,
    pub(super) policy: Option<Policy<'a>>,
    pub(super) firewall_rule: Option<FirewallRule<'a>>,
    pub(super) risk_score: Option<u8>,
}

/// One event. `None` is not written.
#[derive(Debug)]
pub(super) struct Event<'a, U> {
    pub(super) class: Class,
    pub(super) activity: Coded,
    pub(super) severity: Coded,
    pub(super) time: i64,
    pub(super) start_time: Option<i64>,
    pub(super) status: Option<Coded>,
    pub(super) status_code: Option<u16>,
    pub(super) status_detail: Option<&'a str>,
    pub(super) message: String,
    pub(super) count: Option<u64>,
    pub(super) control: Option<Control<'a>>,
    pub(super) finding: Option<FindingInfo>,
    pub(super) evidence: Option<Evidence<'a>>,
    pub(super) metadata: Metadata<'a>,
    pub(super) app: Option<Product<'a>>,
    pub(super) actor: Option<Actor<'a>>,
    pub(super) api: Option<Api<'a>>,
    pub(super) resource: Option<Resource<'a>>,
    pub(super) http_request: Option<HttpRequest<'a>>,
    pub(super) http_response: Option<HttpResponse>,
    pub(super) src_endpoint: Option<Endpoint<'a>>,
    pub(super) dst_endpoint: Option<Endpoint<'a>>,
    pub(super) tls: Option<Tls<'a>>,
    pub(super) trace: Option<Trace<'a>>,
    pub(super) unmapped: U,
}

impl<'a, U> Event<'a, U> {
    /// An event with what every event has.
    pub(super) fn new(class: Class, time: i64, metadata: Metadata<'a>, unmapped: U) -> Self {
        Self {
            class,
            activity: Coded(0, "Unknown"),
            severity: severity::INFORMATIONAL,
            time,
            start_time: None,
            status: None,
            status_code: None,
            status_detail: None,
            message: String::new(),
            count: None,
            control: None,
            finding: None,
            evidence: None,
            metadata,
            app: None,
            actor: None,
            api: None,
            resource: None,
            http_request: None,
            http_response: None,
            src_endpoint: None,
            dst_endpoint: None,
            tls: None,
            trace: None,
            unmapped,
        }
    }
}

impl<U: Serialize> Serialize for Event<'_, U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Event", FIELDS_MAX)?;
        pair(&mut fields, "category_uid", "category_name", self.class.category())?;
        pair(&mut fields, "class_uid", "class_name", Coded(self.class.uid(), self.class.name()))?;
        pair(&mut fields, "activity_id", "activity_name", self.activity)?;
        fields.serialize_field("type_uid", &(self.class.uid() * 100 + self.activity.0))?;
        pair(&mut fields, "severity_id", "severity", self.severity)?;
        fields.serialize_field("time", &self.time)?;
        if let Some(start) = self.start_time {
            fields.serialize_field("start_time", &start)?;
            fields.serialize_field("end_time", &self.time)?;
            fields.serialize_field("duration", &self.time.saturating_sub(start).max(0))?;
        }
        if let Some(status) = self.status {
            pair(&mut fields, "status_id", "status", status)?;
        }
        if let Some(code) = self.status_code {
            fields.serialize_field("status_code", &format_args!("{code}"))?;
        }
        entry(&mut fields, "status_detail", self.status_detail.as_ref())?;
        fields.serialize_field("message", &self.message)?;
        entry(&mut fields, "count", self.count.as_ref())?;
        fields.serialize_field("metadata", &self.metadata)?;
        if let Some(control) = &self.control {
            control.entries(&mut fields)?;
        }
        entry(&mut fields, "finding_info", self.finding.as_ref())?;
        entry(
            &mut fields,
            "evidences",
            self.evidence.as_ref().map(|evidence| [evidence]).as_ref(),
        )?;
        entry(&mut fields, "app", self.app.as_ref())?;
        entry(&mut fields, "actor", self.actor.as_ref())?;
        entry(&mut fields, "api", self.api.as_ref())?;
        entry(
            &mut fields,
            "resources",
            self.resource.as_ref().map(|resource| [resource]).as_ref(),
        )?;
        entry(&mut fields, "http_request", self.http_request.as_ref())?;
        entry(&mut fields, "http_response", self.http_response.as_ref())?;
        entry(&mut fields, "src_endpoint", self.src_endpoint.as_ref())?;
        entry(&mut fields, "dst_endpoint", self.dst_endpoint.as_ref())?;
        entry(&mut fields, "tls", self.tls.as_ref())?;
        entry(&mut fields, "trace", self.trace.as_ref())?;
        fields.serialize_field("unmapped", &self.unmapped)?;
        fields.end()
    }
}

impl Control<'_> {
    fn entries<S: SerializeStruct>(&self, fields: &mut S) -> Result<(), S::Error> {
        pair(fields, "action_id", "action", self.action)?;
        pair(fields, "disposition_id", "disposition", self.disposition)?;
        fields.serialize_field("is_alert", &self.is_alert)?;
        let authorizations = (!self.authorizations.is_empty()).then_some(&self.authorizations);
        entry(fields, "authorizations", authorizations)?;
        entry(fields, "policy", self.policy.as_ref())?;
        entry(fields, "firewall_rule", self.firewall_rule.as_ref())?;
        entry(fields, "risk_score", self.risk_score.as_ref())
    }
}

fn entry<S: SerializeStruct, T: Serialize>(
    fields: &mut S,
    key: &'static str,
    value: Option<&T>,
) -> Result<(), S::Error> {
    value.map_or(Ok(()), |value| fields.serialize_field(key, value))
}

/// An id and its caption.
pub(super) fn pair<S: SerializeStruct>(
    fields: &mut S,
    id: &'static str,
    caption: &'static str,
    coded: Coded,
) -> Result<(), S::Error> {
    fields.serialize_field(id, &coded.0)?;
    fields.serialize_field(caption, coded.1)
}
