//! Directives: rules, what changes rules, and settings.

use crate::{
    nearest::nearest,
    problem::Fault,
    syntax::{self, Argument, Directive, Piece},
};

use super::{EngineState, build::Building};

/// Directives that are accepted and do nothing here: the gateway has its own log, limits and
/// files, and time limits of patterns are for engines that need them.
const WITHOUT_MEANING: [&str; 47] = [
    "SecArgumentSeparatorV0",
    "SecAuditEngine",
    "SecAuditLog",
    "SecAuditLog2",
    "SecAuditLogDir",
    "SecAuditLogDirMode",
    "SecAuditLogFileMode",
    "SecAuditLogFormat",
    "SecAuditLogParts",
    "SecAuditLogPrefix",
    "SecAuditLogRelevantStatus",
    "SecAuditLogStorageDir",
    "SecAuditLogType",
    "SecChrootDir",
    "SecCollectionTimeout",
    "SecConnEngine",
    "SecConnReadStateLimit",
    "SecConnWriteStateLimit",
    "SecContentInjection",
    "SecCookieFormat",
    "SecCookieV0Separator",
    "SecDataDir",
    "SecDebugLog",
    "SecDebugLogLevel",
    "SecDisableBackendCompression",
    "SecGeoLookupDb",
    "SecGsbLookupDb",
    "SecGuardianLog",
    "SecHttpBlKey",
    "SecInterceptOnError",
    "SecPcreMatchLimit",
    "SecPcreMatchLimitRecursion",
    "SecRequestBodyInMemoryLimit",
    "SecRequestBodyLimitAction",
    "SecRequestBodyNoFilesLimit",
    "SecResponseBodyLimitAction",
    "SecRuleInheritance",
    "SecRulePerfTime",
    "SecSensorId",
    "SecServerSignature",
    "SecStatusEngine",
    "SecTmpDir",
    "SecTmpSaveUploadedFiles",
    "SecUnicodeMapFile",
    "SecUploadDir",
    "SecUploadFileLimit",
    "SecUploadFileMode",
];

/// The others of that kind.
const WITHOUT_MEANING_TOO: [&str; 4] =
    ["SecUploadKeepFiles", "SecWebAppId", "SecXmlExternalEntity", "SecUnicodeCodePage"];

/// Those that have a meaning.
const KNOWN: [&str; 27] = [
    "Include",
    "SecAction",
    "SecArgumentSeparator",
    "SecArgumentsLimit",
    "SecComponentSignature",
    "SecDefaultAction",
    "SecMarker",
    "SecRequestBodyAccess",
    "SecRequestBodyJsonDepthLimit",
    "SecRequestBodyLimit",
    "SecResponseBodyAccess",
    "SecResponseBodyLimit",
    "SecResponseBodyMimeType",
    "SecResponseBodyMimeTypesClear",
    "SecRule",
    "SecRuleEngine",
    "SecRuleRemoveById",
    "SecRuleRemoveByMsg",
    "SecRuleRemoveByTag",
    "SecRuleUpdateActionById",
    "SecRuleUpdateTargetById",
    "SecRuleUpdateTargetByMsg",
    "SecRuleUpdateTargetByTag",
    "SecTargetsLimit",
    "IncludeOptional",
    "SecReadStateLimit",
    "SecWriteStateLimit",
];

impl Building<'_> {
    /// Reads the directives of a file; each fault is noted and the rest is read on.
    pub(crate) fn directives(&mut self, text: &str) {
        let mut faults = Vec::new();
        let directives = syntax::directives(text, &mut faults);
        self.faults(faults);
        let mut last = 0;
        for directive in &directives {
            last = directive.name.at;
            if let Err(fault) = self.directive(directive) {
                self.fault(fault);
            }
        }
        if std::mem::take(&mut self.chained) {
            self.fault(Fault::new(last, "`chain` with no rule after it"));
        }
    }

    fn directive(&mut self, directive: &Directive) -> Result<(), Fault> {
        let name = &directive.name;
        let all = KNOWN.iter().chain(&WITHOUT_MEANING).chain(&WITHOUT_MEANING_TOO);
        let Some(known) = all.clone().find(|known| known.eq_ignore_ascii_case(&name.text)) else {
            let fault = Fault::new(name.at, format!("unknown directive `{}`", name.text));
            return Err(match nearest(&name.text, all.copied()) {
                Some(known) => fault.hint(format!("`{known}` is known")),
                None => fault,
            });
        };
        if self.chained && *known != "SecRule" {
            self.chained = false;
            return Err(Fault::new(name.at, format!("`{known}` cannot be part of a chain")));
        }
        match *known {
            "SecRule" => self.rule(directive),
            "SecAction" => self.unconditional(directive),
            "SecMarker" => {
                let marker = self.one(directive)?;
                self.markers.push((marker.text, self.drafts.len()));
                Ok(())
            }
            "Include" | "IncludeOptional" => {
                let pattern = self.one(directive)?;
                self.include(pattern.at, &pattern.text)
            }
            "SecDefaultAction" => self.default_action(directive),
            update if update.starts_with("SecRuleRemove") => self.remove(update, directive),
            update if update.starts_with("SecRuleUpdate") => self.update(update, directive),
            setting if KNOWN.contains(&setting) => self.setting(setting, directive),
            _ => {
                self.notice(name.at, format!("`{known}` has no meaning here"));
                Ok(())
            }
        }
    }

    /// The only argument of a directive.
    pub(crate) fn one(&self, directive: &Directive) -> Result<Piece, Fault> {
        match directive.arguments.as_slice() {
            [argument] => Ok(argument.piece()),
            arguments => Err(Fault::new(
                directive.name.at,
                format!("`{}` takes one argument, not {}", directive.name.text, arguments.len()),
            )),
        }
    }

    fn setting(&mut self, name: &str, directive: &Directive) -> Result<(), Fault> {
        if name == "SecResponseBodyMimeType" {
            let types = directive.arguments.iter().flat_map(|types| types.text.split_whitespace());
            self.engine.response_types = types.map(str::to_ascii_lowercase).collect();
            return Ok(());
        }
        if name == "SecResponseBodyMimeTypesClear" {
            self.engine.response_types.clear();
            return Ok(());
        }
        let value = self.one(directive)?;
        match name {
            "SecRuleEngine" => {
                self.engine.state = engine_state(&value)?;
                if self.engine.state == EngineState::DetectionOnly {
                    let message = "`DetectionOnly` holds for what denies by itself, not for scores";
                    self.notice(value.at, message.to_owned());
                }
            }
            "SecRequestBodyAccess" => self.engine.request_body = on(&value)?,
            "SecResponseBodyAccess" => self.engine.response_body = on(&value)?,
            "SecRequestBodyLimit" => self.engine.request_body_bytes_max = Some(whole(&value)?),
            "SecResponseBodyLimit" => self.engine.response_body_bytes_max = Some(whole(&value)?),
            "SecArgumentsLimit" => self.engine.arguments_max = Some(whole(&value)?),
            "SecRequestBodyJsonDepthLimit" => self.engine.json_depth_max = Some(whole(&value)?),
            "SecArgumentSeparator" => match value.text.as_bytes() {
                [byte] => self.engine.argument_separator = *byte,
                _ => return Err(Fault::new(value.at, "a separator is one character")),
            },
            "SecComponentSignature" => self.engine.signatures.push(value.text),
            _ => self.notice(directive.name.at, format!("`{name}` has no meaning here")),
        }
        Ok(())
    }
}

/// `On`, `Off`, `DetectionOnly`.
pub(crate) fn engine_state(value: &Piece) -> Result<EngineState, Fault> {
    match value.text.to_ascii_lowercase().as_str() {
        "on" => Ok(EngineState::On),
        "detectiononly" => Ok(EngineState::DetectionOnly),
        "off" => Ok(EngineState::Off),
        _ => Err(Fault::new(
            value.at,
            format!("`{}` is none of `On`, `Off`, `DetectionOnly`", value.text),
        )),
    }
}

/// `On` or `Off`.
pub(crate) fn on(value: &Piece) -> Result<bool, Fault> {
    match value.text.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Fault::new(value.at, format!("`{}` is neither `On` nor `Off`", value.text))),
    }
}

fn whole(value: &Piece) -> Result<usize, Fault> {
    value.text.parse().map_err(|_| Fault::new(value.at, format!("`{}` is no number", value.text)))
}

/// The directive's arguments are so many.
pub(crate) fn wrong_count(directive: &Directive, wanted: &str) -> Fault {
    let (name, count) = (&directive.name, directive.arguments.len());
    Fault::new(name.at, format!("`{}` takes {wanted}, not {count} arguments", name.text))
}

/// The first argument is empty or blank.
pub(crate) fn is_blank(argument: &Argument) -> bool {
    argument.text.trim().is_empty()
}
