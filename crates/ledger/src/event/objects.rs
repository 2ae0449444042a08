//! The OCSF objects inside an event.

use std::net::IpAddr;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::printable::push_hex;
use super::wire::{Coded, OCSF_VERSION, pair};
use super::{Producer, limit};

/// `metadata`.
#[derive(Debug)]
pub(super) struct Metadata<'a> {
    pub(super) uid: Uuid,
    pub(super) correlation_uid: Option<Uuid>,
    pub(super) event_code: &'static str,
    pub(super) profiles: &'static [&'static str],
    pub(super) producer: &'a Producer,
    /// Set when something was cut: the size it would have had, KiB.
    pub(super) untruncated_kib: Option<usize>,
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        let mut fields = serializer.serialize_struct("Metadata", 10)?;
        fields.serialize_field("version", OCSF_VERSION)?;
        fields.serialize_field("product", &Product::new(self.producer))?;
        fields.serialize_field("profiles", self.profiles)?;
        fields.serialize_field("event_code", self.event_code)?;
        fields.serialize_field("uid", self.uid.hyphenated().encode_lower(&mut buffer))?;
        if let Some(uid) = self.correlation_uid {
            fields
                .serialize_field("correlation_uid", uid.hyphenated().encode_lower(&mut buffer))?;
        }
        fields.serialize_field("log_name", &self.producer.log)?;
        fields.serialize_field("log_provider", &self.producer.instance)?;
        if let Some(size) = self.untruncated_kib {
            fields.serialize_field("is_truncated", &true)?;
            fields.serialize_field("untruncated_size", &size)?;
        }
        fields.end()
    }
}

/// `product`.
#[derive(Debug, Serialize)]
pub(super) struct Product<'a> {
    name: &'static str,
    vendor_name: &'static str,
    version: &'a str,
}

impl<'a> Product<'a> {
    pub(super) fn new(producer: &'a Producer) -> Self {
        Self { name: "Portcullis", vendor_name: "Portcullis", version: &producer.version }
    }
}

/// `authorization`.
#[derive(Debug, Serialize)]
pub(super) struct Authorization<'a> {
    pub(super) decision: &'static str,
    pub(super) policy: Policy<'a>,
}

/// `policy`.
#[derive(Debug, Serialize)]
pub(super) struct Policy<'a> {
    pub(super) uid: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) is_applied: bool,
}

/// `firewall_rule`.
#[derive(Debug, Serialize)]
pub(super) struct FirewallRule<'a> {
    pub(super) uid: &'a str,
    pub(super) name: &'a str,
    pub(super) match_location: &'a str,
}

/// `actor`.
#[derive(Debug, Serialize)]
pub(super) struct Actor<'a> {
    pub(super) user: User<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idp: Option<Idp<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_uid: Option<&'a str>,
}

/// `user`.
#[derive(Debug)]
pub(super) struct User<'a> {
    pub(super) uid: &'a str,
    pub(super) kind: Coded,
    pub(super) groups: &'a [String],
}

impl Serialize for User<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("User", 4)?;
        fields.serialize_field("uid", self.uid)?;
        pair(&mut fields, "type_id", "type", self.kind)?;
        if !self.groups.is_empty() {
            let groups = self.groups.iter().take(limit::PROJECTED_MAX);
            fields
                .serialize_field("groups", &groups.map(|uid| Named { uid }).collect::<Vec<_>>())?;
        }
        fields.end()
    }
}

/// An object of which we know the id alone.
#[derive(Debug, Serialize)]
struct Named<'a> {
    uid: &'a str,
}

/// `idp`.
#[derive(Debug, Serialize)]
pub(super) struct Idp<'a> {
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) issuer: &'a str,
}

/// `api`, with the decision's id as the request's.
#[derive(Debug)]
pub(super) struct Api<'a> {
    pub(super) operation: &'a str,
    pub(super) service: &'a str,
    pub(super) request: Uuid,
}

impl Serialize for Api<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Service<'a> {
            name: &'a str,
        }
        let mut buffer = Uuid::encode_buffer();
        let mut fields = serializer.serialize_struct("Api", 3)?;
        fields.serialize_field("operation", self.operation)?;
        fields.serialize_field("service", &Service { name: self.service })?;
        let uid = self.request.hyphenated().encode_lower(&mut buffer);
        fields.serialize_field("request", &Named { uid })?;
        fields.end()
    }
}

/// `resource_details`.
#[derive(Debug, Serialize)]
pub(super) struct Resource<'a> {
    pub(super) uid: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
}

/// `http_request`.
#[derive(Debug, Default, Serialize)]
pub(super) struct HttpRequest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<Url<'a>>,
}

/// `url`, without its query.
#[derive(Debug, Serialize)]
pub(super) struct Url<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    pub(super) path: &'a str,
}

/// `http_response`.
#[derive(Debug, Serialize)]
pub(super) struct HttpResponse {
    pub(super) code: u16,
    pub(super) latency: u64,
    pub(super) body_length: u64,
}

/// `network_endpoint`.
#[derive(Debug, Serialize)]
pub(super) struct Endpoint<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u16>,
    #[serde(skip_serializing_if = "<[IpAddr]>::is_empty")]
    pub(super) intermediate_ips: &'a [IpAddr],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) svc_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance_uid: Option<&'a str>,
}

impl<'a> Endpoint<'a> {
    /// The other side of a connection; port 0 is an unknown one.
    pub(super) fn peer(ip: IpAddr, port: u16) -> Self {
        Self {
            ip: Some(ip.to_canonical()),
            port: (port != 0).then_some(port),
            intermediate_ips: &[],
            svc_name: None,
            instance_uid: None,
        }
    }

    /// This instance.
    pub(super) fn instance(producer: &'a Producer) -> Self {
        Self {
            ip: None,
            port: None,
            intermediate_ips: &[],
            svc_name: None,
            instance_uid: Some(&producer.instance),
        }
    }

    /// The same, behind these proxies, of which the nearest to it are named.
    pub(super) fn behind(self, proxies: &'a [IpAddr]) -> Self {
        let intermediate_ips = proxies.get(..limit::PROJECTED_MAX).unwrap_or(proxies);
        Self { intermediate_ips, ..self }
    }
}

/// `tls`.
#[derive(Debug, Serialize)]
pub(super) struct Tls<'a> {
    pub(super) version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) cipher: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) sni: &'a str,
}

/// `finding_info`.
#[derive(Debug)]
pub(super) struct FindingInfo {
    pub(super) uid: Uuid,
    pub(super) title: &'static str,
    pub(super) analytic: Analytic,
    pub(super) created_time: i64,
    pub(super) related_events: [RelatedEvent; 1],
}

impl Serialize for FindingInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        let mut fields = serializer.serialize_struct("FindingInfo", 5)?;
        fields.serialize_field("uid", self.uid.hyphenated().encode_lower(&mut buffer))?;
        fields.serialize_field("title", self.title)?;
        fields.serialize_field("analytic", &self.analytic)?;
        fields.serialize_field("created_time", &self.created_time)?;
        fields.serialize_field("related_events", &self.related_events)?;
        fields.end()
    }
}

/// `analytic`: what detected it.
#[derive(Debug)]
pub(super) struct Analytic {
    pub(super) uid: &'static str,
    pub(super) kind: Coded,
}

impl Serialize for Analytic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Analytic", 3)?;
        fields.serialize_field("uid", self.uid)?;
        pair(&mut fields, "type_id", "type", self.kind)?;
        fields.end()
    }
}

/// `related_event`.
#[derive(Debug)]
pub(super) struct RelatedEvent {
    pub(super) uid: Uuid,
}

impl Serialize for RelatedEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        Named { uid: self.uid.hyphenated().encode_lower(&mut buffer) }.serialize(serializer)
    }
}

/// `evidences`, one of them.
#[derive(Debug, Serialize)]
pub(super) struct Evidence<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<Actor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api: Option<Api<'a>>,
    pub(super) http_request: HttpRequest<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) http_response: Option<HttpResponse>,
    pub(super) src_endpoint: Endpoint<'a>,
}

/// `trace` (W3C Trace Context).
#[derive(Debug)]
pub(super) struct Trace<'a> {
    pub(super) traceparent: &'a str,
    pub(super) uid: &'a str,
    pub(super) span: &'a str,
    pub(super) sampled: bool,
    pub(super) parent_span: Option<&'a str>,
    pub(super) start_time: i64,
    pub(super) end_time: i64,
}

impl<'a> Trace<'a> {
    /// Version 00 of a `traceparent` (W3C Trace Context §3.2), or `None` if it is malformed.
    pub(super) fn parse(traceparent: &'a str, start_time: i64, end_time: i64) -> Option<Self> {
        let (uid, rest) = traceparent.strip_prefix("00-")?.split_at_checked(32)?;
        let (span, rest) = rest.strip_prefix('-')?.split_at_checked(16)?;
        let flags = rest.strip_prefix('-')?;
        if !is_hex(uid, 32) || !is_span(span) || !is_hex(flags, 2) {
            return None;
        }
        let sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        Some(Self { traceparent, uid, span, sampled, parent_span: None, start_time, end_time })
    }
}

/// A span id: 16 lower case hex digits.
pub(super) fn is_span(text: &str) -> bool {
    is_hex(text, 16)
}

fn is_hex(text: &str, digits: usize) -> bool {
    let other = |byte: u8| u8::from(!matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // Without a branch for each byte: each event has some of these.
    text.len() == digits && text.bytes().fold(0, |any, byte| any | other(byte)) == 0
}

impl Serialize for Trace<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Span<'a> {
            uid: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            parent_uid: Option<&'a str>,
            start_time: i64,
            end_time: i64,
        }
        let mut fields = serializer.serialize_struct("Trace", 3)?;
        fields.serialize_field("uid", self.uid)?;
        if self.sampled {
            fields.serialize_field("flags", &["sampled"])?;
        }
        let Self { span: uid, parent_span: parent_uid, start_time, end_time, .. } = *self;
        fields.serialize_field("span", &Span { uid, parent_uid, start_time, end_time })?;
        fields.end()
    }
}

/// A digest as events write it.
pub(super) fn sha256(digest: [u8; 32]) -> String {
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    push_hex(&mut text, &digest);
    text
}
