//! The variables of SecLang, by their names.

/// Where a value of a variable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It is read from the message once and does not change in a phase.
    Message,
    /// Rules make it, or it changes while they run.
    Rules,
    /// Collections that outlive a transaction, clocks, environments: not evaluated here.
    Elsewhere,
}

macro_rules! variables {
    ($($source:ident { $($variant:ident $name:literal,)* })*) => {
        /// A variable of the reference manual, or a part of one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Variable { $($(#[doc = $name] $variant,)*)* }

        impl Variable {
            /// Every variable.
            pub(crate) const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// As rule files write it.
            pub fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)*)* }
            }

            /// Where its values come from.
            pub(crate) fn source(self) -> Source {
                match self { $($(Self::$variant => Source::$source,)*)* }
            }
        }
    };
}

variables! {
    Message {
        Args "ARGS",
        ArgsCombinedSize "ARGS_COMBINED_SIZE",
        ArgsGet "ARGS_GET",
        ArgsGetNames "ARGS_GET_NAMES",
        ArgsNames "ARGS_NAMES",
        ArgsPost "ARGS_POST",
        ArgsPostNames "ARGS_POST_NAMES",
        AuthType "AUTH_TYPE",
        Files "FILES",
        FilesCombinedSize "FILES_COMBINED_SIZE",
        FilesNames "FILES_NAMES",
        FilesSizes "FILES_SIZES",
        FullRequest "FULL_REQUEST",
        FullRequestLength "FULL_REQUEST_LENGTH",
        MultipartBoundaryQuoted "MULTIPART_BOUNDARY_QUOTED",
        MultipartBoundaryWhitespace "MULTIPART_BOUNDARY_WHITESPACE",
        MultipartCrlfLfLines "MULTIPART_CRLF_LF_LINES",
        MultipartDataAfter "MULTIPART_DATA_AFTER",
        MultipartDataBefore "MULTIPART_DATA_BEFORE",
        MultipartFileLimitExceeded "MULTIPART_FILE_LIMIT_EXCEEDED",
        MultipartFilename "MULTIPART_FILENAME",
        MultipartHeaderFolding "MULTIPART_HEADER_FOLDING",
        MultipartInvalidHeaderFolding "MULTIPART_INVALID_HEADER_FOLDING",
        MultipartInvalidPart "MULTIPART_INVALID_PART",
        MultipartInvalidQuoting "MULTIPART_INVALID_QUOTING",
        MultipartLfLine "MULTIPART_LF_LINE",
        MultipartMissingSemicolon "MULTIPART_MISSING_SEMICOLON",
        MultipartName "MULTIPART_NAME",
        MultipartPartHeaders "MULTIPART_PART_HEADERS",
        MultipartStrictError "MULTIPART_STRICT_ERROR",
        MultipartUnmatchedBoundary "MULTIPART_UNMATCHED_BOUNDARY",
        PathInfo "PATH_INFO",
        QueryString "QUERY_STRING",
        RemoteAddr "REMOTE_ADDR",
        RemoteHost "REMOTE_HOST",
        RemotePort "REMOTE_PORT",
        ReqbodyError "REQBODY_ERROR",
        ReqbodyErrorMsg "REQBODY_ERROR_MSG",
        ReqbodyProcessorError "REQBODY_PROCESSOR_ERROR",
        ReqbodyProcessorErrorMsg "REQBODY_PROCESSOR_ERROR_MSG",
        RequestBasename "REQUEST_BASENAME",
        RequestBody "REQUEST_BODY",
        RequestBodyLength "REQUEST_BODY_LENGTH",
        RequestCookies "REQUEST_COOKIES",
        RequestCookiesNames "REQUEST_COOKIES_NAMES",
        RequestFilename "REQUEST_FILENAME",
        RequestHeaders "REQUEST_HEADERS",
        RequestHeadersNames "REQUEST_HEADERS_NAMES",
        RequestLine "REQUEST_LINE",
        RequestMethod "REQUEST_METHOD",
        RequestProtocol "REQUEST_PROTOCOL",
        RequestUri "REQUEST_URI",
        RequestUriRaw "REQUEST_URI_RAW",
        ResponseBody "RESPONSE_BODY",
        ResponseContentLength "RESPONSE_CONTENT_LENGTH",
        ResponseContentType "RESPONSE_CONTENT_TYPE",
        ResponseHeaders "RESPONSE_HEADERS",
        ResponseHeadersNames "RESPONSE_HEADERS_NAMES",
        ResponseProtocol "RESPONSE_PROTOCOL",
        ResponseStatus "RESPONSE_STATUS",
        ServerName "SERVER_NAME",
        StatusLine "STATUS_LINE",
        UniqueId "UNIQUE_ID",
        UrlencodedError "URLENCODED_ERROR",
        XmlAttributes "XML://@*",
        XmlText "XML:/*",
    }
    Rules {
        Duration "DURATION",
        MatchedVar "MATCHED_VAR",
        MatchedVarName "MATCHED_VAR_NAME",
        MatchedVars "MATCHED_VARS",
        MatchedVarsNames "MATCHED_VARS_NAMES",
        ReqbodyProcessor "REQBODY_PROCESSOR",
        Rule "RULE",
        Tx "TX",
    }
    Elsewhere {
        Env "ENV",
        Geo "GEO",
        Global "GLOBAL",
        Ip "IP",
        RemoteUser "REMOTE_USER",
        Resource "RESOURCE",
        ServerAddr "SERVER_ADDR",
        ServerPort "SERVER_PORT",
        Session "SESSION",
        SessionId "SESSIONID",
        Time "TIME",
        TimeDay "TIME_DAY",
        TimeEpoch "TIME_EPOCH",
        TimeHour "TIME_HOUR",
        TimeMin "TIME_MIN",
        TimeMon "TIME_MON",
        TimeSec "TIME_SEC",
        TimeWday "TIME_WDAY",
        TimeYear "TIME_YEAR",
        User "USER",
        UserId "USERID",
        WebAppId "WEBAPPID",
    }
}

/// How many there are.
pub(crate) const COUNT: usize = Variable::ALL.len();

impl Variable {
    /// The variable of that name, in whatever case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// The collections that hold its values.
    pub(crate) fn parts(self) -> &'static [Self] {
        match self {
            Self::Args => &[Self::ArgsGet, Self::ArgsPost],
            Self::ArgsNames => &[Self::ArgsGetNames, Self::ArgsPostNames],
            Self::MultipartFilename => &[Self::Files],
            Self::MultipartName => &[Self::FilesNames],
            // One element in a list of itself: what a variable that is no union holds.
            _ => {
                let at = Self::ALL.get(self as usize..=self as usize);
                at.unwrap_or_default()
            }
        }
    }

    /// It has members with names, of which a rule may choose.
    pub(crate) fn is_collection(self) -> bool {
        matches!(
            self,
            Self::Args
                | Self::ArgsGet
                | Self::ArgsGetNames
                | Self::ArgsNames
                | Self::ArgsPost
                | Self::ArgsPostNames
                | Self::Env
                | Self::Files
                | Self::FilesNames
                | Self::FilesSizes
                | Self::Geo
                | Self::Global
                | Self::Ip
                | Self::MatchedVars
                | Self::MatchedVarsNames
                | Self::MultipartFilename
                | Self::MultipartName
                | Self::MultipartPartHeaders
                | Self::RequestCookies
                | Self::RequestCookiesNames
                | Self::RequestHeaders
                | Self::RequestHeadersNames
                | Self::Resource
                | Self::ResponseHeaders
                | Self::ResponseHeadersNames
                | Self::Rule
                | Self::Session
                | Self::Tx
                | Self::User
        )
    }
}
