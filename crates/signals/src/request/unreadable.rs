//! Why a request could not be read: the refusals of `read`, each with a code and a status.

/// Why a request could not be read. Nothing of it was forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each says itself what it is")]
pub enum Unreadable {
    AbsoluteFormMismatch,
    AsteriskForm,
    AuthorityForm,
    Backslash,
    BadContentLength,
    BadForwarded,
    BadHeaderName,
    BadHeaderValue,
    BadHost,
    BadMethod,
    BadPercentEncoding,
    BadRequestLine,
    BadTarget,
    BadTransferEncoding,
    BareCr,
    BareLf,
    BodyMalformed,
    BodyTimeout,
    BodyTooLong,
    ClAndTe,
    DotSegment,
    DuplicateContentLength,
    DuplicateContentType,
    DuplicateHost,
    EmptySegment,
    EncodedNul,
    EncodedSlash,
    ExpectUnsupported,
    Fragment,
    HeadIncomplete,
    HeadTimeout,
    HeadTooLong,
    InspectionFull,
    MatrixParams,
    Misdirected,
    MissingHost,
    ObsFold,
    PathNotUtf8,
    RecordTooLong,
    SeveralAuthorizations,
    SpaceBeforeColon,
    TargetTooLong,
    TooManyHeaders,
    TooManyHops,
    UnderscoreHeader,
    Upgrade,
    UserInfo,
    VersionUnsupported,
}

impl Unreadable {
    /// The code in the event.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// The status of the answer (RFC 9110 §15.5).
    pub fn status(self) -> u16 {
        self.row().1
    }

    fn row(self) -> (&'static str, u16) {
        match self {
            Self::AbsoluteFormMismatch => ("absolute_form_mismatch", 400),
            Self::AsteriskForm => ("asterisk_form", 400),
            Self::AuthorityForm => ("authority_form", 501),
            Self::Backslash => ("backslash", 400),
            Self::BadContentLength => ("bad_content_length", 400),
            Self::BadForwarded => ("bad_forwarded", 400),
            Self::BadHeaderName => ("bad_header_name", 400),
            Self::BadHeaderValue => ("bad_header_value", 400),
            Self::BadHost => ("bad_host", 400),
            Self::BadMethod => ("bad_method", 400),
            Self::BadPercentEncoding => ("bad_percent_encoding", 400),
            Self::BadRequestLine => ("bad_request_line", 400),
            Self::BadTarget => ("bad_target", 400),
            Self::BadTransferEncoding => ("bad_transfer_encoding", 400),
            Self::BareCr => ("bare_cr", 400),
            Self::BareLf => ("bare_lf", 400),
            Self::BodyMalformed => ("body_malformed", 400),
            Self::BodyTimeout => ("body_timeout", 408),
            Self::BodyTooLong => ("body_too_long", 413),
            Self::ClAndTe => ("cl_and_te", 400),
            Self::DotSegment => ("dot_segment", 400),
            Self::DuplicateContentLength => ("duplicate_content_length", 400),
            Self::DuplicateContentType => ("duplicate_content_type", 400),
            Self::DuplicateHost => ("duplicate_host", 400),
            Self::EmptySegment => ("empty_segment", 400),
            Self::EncodedNul => ("encoded_nul", 400),
            Self::EncodedSlash => ("encoded_slash", 400),
            Self::ExpectUnsupported => ("expect_unsupported", 417),
            Self::Fragment => ("fragment", 400),
            Self::HeadIncomplete => ("head_incomplete", 400),
            Self::HeadTimeout => ("head_timeout", 408),
            Self::HeadTooLong => ("head_too_long", 431),
            Self::InspectionFull => ("inspection_full", 503),
            Self::MatrixParams => ("matrix_params", 400),
            Self::Misdirected => ("misdirected", 421),
            Self::MissingHost => ("missing_host", 400),
            Self::ObsFold => ("obs_fold", 400),
            Self::PathNotUtf8 => ("path_not_utf8", 400),
            Self::RecordTooLong => ("record_too_long", 431),
            Self::SeveralAuthorizations => ("several_authorizations", 400),
            Self::SpaceBeforeColon => ("space_before_colon", 400),
            Self::TargetTooLong => ("target_too_long", 414),
            Self::TooManyHeaders => ("too_many_headers", 431),
            Self::TooManyHops => ("too_many_hops", 400),
            Self::UnderscoreHeader => ("underscore_header", 400),
            Self::Upgrade => ("upgrade", 501),
            Self::UserInfo => ("user_info", 400),
            Self::VersionUnsupported => ("version_unsupported", 505),
        }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Unreadable {}
