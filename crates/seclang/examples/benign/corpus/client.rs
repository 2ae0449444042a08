//! What clients send beside what they want: agents, languages, cookies.

use crate::{known::Known, random::Random, request::Request};

/// The agent of rows that are about something else.
pub(super) const AGENT: &str =
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

const LANGUAGES: [&str; 12] = [
    "en-US,en;q=0.9",
    "en-GB,en;q=0.5",
    "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
    "fr-FR,fr;q=0.8,en-US;q=0.5,en;q=0.3",
    "pt-BR,pt;q=0.9,en;q=0.8",
    "ja,en-US;q=0.7,en;q=0.3",
    "zh-CN,zh;q=0.9,en;q=0.8",
    "zh-TW,zh-HK;q=0.9,zh;q=0.8",
    "ru-RU,ru;q=0.8,uk;q=0.5",
    "ar,en;q=0.5",
    "es-419,es;q=0.9",
    "*",
];

const PAGES: [&str; 4] = [
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "application/json, text/plain, */*",
    "*/*",
];

const CODINGS: [&str; 4] =
    ["gzip, deflate, br, zstd", "gzip, deflate, br", "gzip, deflate", "identity"];

/// Fields that some clients send.
const OTHERS: [(&str, &str); 24] = [
    ("Sec-CH-UA", "\"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\", \"Google Chrome\";v=\"131\""),
    ("Sec-CH-UA-Mobile", "?0"),
    ("Sec-CH-UA-Platform", "\"Windows\""),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-User", "?1"),
    ("Upgrade-Insecure-Requests", "1"),
    ("DNT", "1"),
    ("Sec-GPC", "1"),
    ("Priority", "u=0, i"),
    ("Cache-Control", "max-age=0"),
    ("Pragma", "no-cache"),
    ("If-None-Match", "W/\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
    ("If-Modified-Since", "Tue, 12 Nov 2024 14:00:15 GMT"),
    ("X-Requested-With", "XMLHttpRequest"),
    ("X-CSRF-Token", "Zr3fEAcXMopG6x4l3bJdV2uN5T8s9hYw=="),
    ("X-Forwarded-For", "203.0.113.7, 198.51.100.23"),
    ("X-Forwarded-Proto", "https"),
    ("X-Request-Id", "4b0b0a1e-7f7a-4f0b-bd23-7c3b61e11c52"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("sentry-trace", "d4cda95b652f4a1592b449d5929fda1b-6e0c63257de34c92-1"),
    ("baggage", "sentry-environment=production,sentry-release=web%401.2.3"),
    ("Origin", "https://shop.example.com"),
];

const COOKIES_MAX: usize = 7;

/// Seeds that are drawn from.
#[derive(Debug)]
pub(super) struct Clients {
    browsers: Vec<&'static str>,
    programs: Vec<&'static str>,
    cookies: Vec<&'static str>,
    referers: Vec<&'static str>,
}

impl Clients {
    pub(super) fn new(
        agents: &'static str,
        cookies: &'static str,
        referers: &'static str,
        known: &Known,
    ) -> Self {
        let drawn = |kind: &str, seeds: &'static str| -> Vec<&'static str> {
            let name = |seed: &str| {
                let seed: String = seed.chars().take(super::NAME_CHARS_MAX).collect();
                format!("{kind}: {seed}")
            };
            seeds.lines().filter(|seed| !known.contains_key(&name(seed))).collect()
        };
        let is_browser =
            |agent: &&str| agent.starts_with("Mozilla/") && !agent.contains("compatible");
        let (browsers, programs) = drawn("agent", agents).into_iter().partition(is_browser);
        let (cookies, referers) = (drawn("cookie", cookies), drawn("referer", referers));
        Self { browsers, programs, cookies, referers }
    }

    /// A browser's request.
    pub(super) fn browser(&self, mut request: Request, random: &mut Random) -> Request {
        for (name, value) in OTHERS {
            if random.below(3) == 0 {
                request = request.with(name, value);
            }
        }
        let cookies: Vec<&str> =
            (0..random.below(COOKIES_MAX + 1)).map(|_| random.one(&self.cookies)).collect();
        if !cookies.is_empty() {
            request = request.with("Cookie", &cookies.join("; "));
        }
        if random.below(2) == 0 {
            request = request.with("Referer", random.one(&self.referers));
        }
        request = request
            .with("Accept-Encoding", random.one(&CODINGS))
            .with("Accept-Language", random.one(&LANGUAGES))
            .with("Accept", random.one(&PAGES));
        plain(request, random.one(&self.browsers))
    }

    /// A program's request.
    pub(super) fn program(&self, request: Request, random: &mut Random) -> Request {
        let request = request.with("Accept-Encoding", random.one(&CODINGS)).with("Accept", "*/*");
        plain(request, random.one(&self.programs))
    }
}

/// A request of few fields.
pub(super) fn plain(request: Request, agent: &str) -> Request {
    let named = request.headers.iter().any(|(name, _)| name == "Accept");
    let request = if named { request } else { request.with("Accept", "*/*") };
    request.with("User-Agent", agent).with("Host", "shop.example.com")
}
