//! The corpus: every seed in each carrier that such a text comes in, sent by clients that differ.
//! Deliberately not chosen by what passes; what the CRS blocks stays, and is listed.
//!
//! A row is called by how it is sent and by its seed. What is around a seed (agent, cookies,
//! languages, referer) is drawn from the seeds that have rows of their own; one whose own row is
//! listed as blocked is not drawn, or it would be listed with every row that it is in.

mod client;
mod token;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    known::Known,
    random::Random,
    request::{Encoding, Part, Request, encoded, query},
};
use client::Clients;

const AGENTS: &str = include_str!("corpus/agents.txt");
const COMMENTS: &str = include_str!("corpus/comments.txt");
const COOKIES: &str = include_str!("corpus/cookies.txt");
const FILENAMES: &str = include_str!("corpus/filenames.txt");
const GRAPHQL: &str = include_str!("corpus/graphql.txt");
const JSON: &str = include_str!("corpus/json.txt");
const MARKDOWN: &str = include_str!("corpus/markdown.txt");
const PATHS: &str = include_str!("corpus/paths.txt");
const PEOPLE: &str = include_str!("corpus/people.txt");
const PROSE: &str = include_str!("corpus/prose.txt");
const REFERERS: &str = include_str!("corpus/referers.txt");
const SEARCHES: &str = include_str!("corpus/searches.txt");
const URLS: &str = include_str!("corpus/urls.txt");
const VALUES: &str = include_str!("corpus/values.txt");
const WEBHOOKS: &str = include_str!("corpus/webhooks.txt");
const XML: &str = include_str!("corpus/xml.txt");

const LINES: [&str; 12] = [
    AGENTS, COMMENTS, COOKIES, FILENAMES, JSON, PATHS, PEOPLE, PROSE, REFERERS, SEARCHES, URLS,
    VALUES,
];

/// Characters of a seed that its row is called by.
const NAME_CHARS_MAX: usize = 100;

const JSON_TYPE: &str = "application/json";

/// A request and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) request: Request,
}

/// How many seeds there are, all different.
pub(crate) fn seeds() -> usize {
    let lines: BTreeSet<&str> = LINES.iter().flat_map(|file| file.lines()).collect();
    let blocks = [GRAPHQL, MARKDOWN, XML].iter().map(|file| blocks(file).count()).sum::<usize>();
    lines.len() + WEBHOOKS.lines().count() + blocks
}

/// All rows.
pub(crate) fn rows(known: &Known) -> Result<Vec<Row>> {
    let mut corpus = Corpus {
        rows: Vec::new(),
        clients: Clients::new(AGENTS, COOKIES, REFERERS, known),
        random: Random::new(5),
    };
    corpus.heads();
    corpus.texts();
    corpus.people()?;
    corpus.files();
    corpus.documents()?;
    corpus.tokens();
    corpus.methods();
    let mut names = BTreeSet::new();
    for row in &corpus.rows {
        ensure!(names.insert(&row.name), "two rows are called `{}`", row.name);
    }
    Ok(corpus.rows)
}

struct Corpus {
    rows: Vec<Row>,
    clients: Clients,
    random: Random,
}

impl Corpus {
    /// Adds a row that a browser sends.
    fn add(&mut self, kind: &str, seed: &str, request: Request) {
        let request = self.clients.browser(request, &mut self.random);
        self.push(kind, seed, request);
    }

    /// Adds a row that a program sends.
    fn api(&mut self, kind: &str, seed: &str, request: Request) {
        let request = self.clients.program(request, &mut self.random);
        self.push(kind, seed, request);
    }

    fn push(&mut self, kind: &str, seed: &str, request: Request) {
        let seed: String = seed.chars().take(NAME_CHARS_MAX).collect();
        self.rows.push(Row { name: format!("{kind}: {seed}"), request });
    }

    /// Agents, cookies, referers and paths: each alone.
    fn heads(&mut self) {
        for agent in AGENTS.lines() {
            let request = Request::get("/".to_owned());
            self.push("agent", agent, client::plain(request, agent));
        }
        for cookie in COOKIES.lines() {
            let request = client::plain(Request::get("/account".to_owned()), client::AGENT);
            self.push("cookie", cookie, request.with("Cookie", cookie));
        }
        for referer in REFERERS.lines() {
            let request = client::plain(Request::get("/landing".to_owned()), client::AGENT);
            self.push("referer", referer, request.with("Referer", referer));
        }
        for path in PATHS.lines() {
            self.add("path", path, Request::get(path.to_owned()));
        }
    }

    /// What people write into fields.
    fn texts(&mut self) {
        for (nth, text) in SEARCHES.lines().enumerate() {
            let name =
                ["q", "query", "search", "s", "keywords"][..].get(nth % 5).copied().unwrap_or("q");
            self.parameter("search", text, "/search", &[(name, text), ("page", "1")]);
            let body = json!({"query": text, "page": 1, "filters": {"in_stock": true}});
            self.json("search", text, "/api/search", &body);
        }
        for (nth, text) in VALUES.lines().enumerate() {
            let names = ["value", "filter", "title", "default", "v", "name", "label"];
            let name = names.get(nth % names.len()).copied().unwrap_or("value");
            self.parameter("value", text, "/items", &[(name, text), ("sort", "-date")]);
            let body = json!({"id": nth, name: text, "previous": null, "labels": [text, "x"]});
            self.json("value", text, "/api/items", &body);
        }
        for text in URLS.lines() {
            let state = self.token(12);
            let fields = [("client_id", "web"), ("redirect_uri", text), ("state", &state)];
            self.parameter("url", text, "/authorize", &fields);
            self.add(
                "url form",
                text,
                Request::form("/bookmarks", &[("url", text), ("title", "")]),
            );
            self.json("url", text, "/api/links", &json!({"url": text, "tags": ["read later"]}));
        }
        for text in PROSE.lines() {
            let token = self.token(32);
            let fields =
                [("csrf_token", token.as_str()), ("subject", "Question"), ("message", text)];
            self.add("prose form", text, Request::form("/contact", &fields));
            self.json(
                "prose",
                text,
                "/api/comments",
                &json!({"post": 42, "body": text, "parent": null}),
            );
            let photo = self.bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0", 300);
            let parts = [
                Part { name: "rating", file: None, content: b"4" },
                Part { name: "review", file: None, content: text.as_bytes() },
                Part { name: "photo", file: Some(("IMG_1.jpg", "image/jpeg")), content: &photo },
            ];
            let request = Request::parts("/reviews", &parts, &mut self.random);
            self.add("prose parts", text, request);
        }
        for text in COMMENTS.lines() {
            let fields = [("comment", text), ("post_id", "42"), ("submit", "Post comment")];
            self.add("comment form", text, Request::form("/comments", &fields));
            self.json("comment", text, "/api/comments", &json!({"body": text, "thread": "t-1"}));
        }
    }

    /// Registration, checkout, and a profile with a picture.
    fn people(&mut self) -> Result<()> {
        for line in PEOPLE.lines() {
            let parts: Vec<&str> = line.split('|').collect();
            let [name, street, city, zip, phone, email] = parts[..] else {
                anyhow::bail!("people.txt: `{line}`");
            };
            let fields = [
                ("name", name),
                ("email", email),
                ("phone", phone),
                ("password", "Tr0ub4dor&3!"),
                ("newsletter", "on"),
            ];
            self.add("person form", name, Request::form("/register", &fields));
            let to =
                json!({"name": name, "street": street, "city": city, "zip": zip, "phone": phone});
            let body = json!({"shipTo": to, "billTo": null, "email": email, "total": "89.95"});
            self.json("person", name, "/api/checkout", &body);
            let picture = self.bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 200);
            let file = format!("{name}.png");
            let parts = [
                Part { name: "display_name", file: None, content: name.as_bytes() },
                Part { name: "address[street]", file: None, content: street.as_bytes() },
                Part { name: "address[city]", file: None, content: city.as_bytes() },
                Part { name: "avatar", file: Some((&file, "image/png")), content: &picture },
            ];
            let request = Request::parts("/profile", &parts, &mut self.random);
            self.add("person parts", name, request);
        }
        Ok(())
    }

    /// Uploads and downloads.
    fn files(&mut self) {
        for name in FILENAMES.lines() {
            let content = self.bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", 500);
            let file = Some((name, "application/octet-stream"));
            let parts = [
                Part { name: "folder", file: None, content: b"/Documents/2024" },
                Part { name: "file", file, content: &content },
            ];
            let request = Request::parts("/upload", &parts, &mut self.random);
            self.add("file parts", name, request);
            self.parameter("file", name, "/download", &[("name", name), ("inline", "1")]);
        }
    }

    /// Bodies that programs and editors send.
    fn documents(&mut self) -> Result<()> {
        for body in JSON.lines() {
            let _: Value = serde_json::from_str(body).with_context(|| body.to_owned())?;
            self.api("json", body, Request::post("/api/v1/data", JSON_TYPE, body.into()));
        }
        for (title, text) in blocks(GRAPHQL) {
            let body =
                json!({"query": text, "variables": {"id": "gid://shop/Product/42", "first": 10}});
            self.json("graphql", title, "/graphql", &body);
            let query = encoded(&text, Encoding::Component);
            self.api("graphql get", title, Request::get(format!("/graphql?query={query}")));
        }
        for line in WEBHOOKS.lines() {
            let mut parts = line.splitn(3, '|');
            let (title, field, body) = (parts.next(), parts.next(), parts.next());
            let (Some(title), Some(field), Some(body)) = (title, field, body) else {
                anyhow::bail!("webhooks.txt: `{line}`");
            };
            let _: Value = serde_json::from_str(body).with_context(|| title.to_owned())?;
            let (name, value) = field.split_once(": ").with_context(|| title.to_owned())?;
            let request = Request::post("/webhooks/in", JSON_TYPE, body.into()).with(name, value);
            self.api("webhook", title, request);
        }
        for (title, text) in blocks(XML) {
            let known = ["text/xml", "application/xml", "application/soap+xml"];
            let kind = known.iter().find(|kind| title.ends_with(**kind)).copied();
            let kind = format!("{}; charset=utf-8", kind.unwrap_or("text/xml"));
            self.api("xml", title, Request::post("/services/in", &kind, text.into()));
        }
        for (title, text) in blocks(MARKDOWN) {
            let text = text.replace('\n', "\r\n");
            let fields = [("title", title), ("content", text.as_str()), ("minor_edit", "1")];
            self.add("markdown form", title, Request::form("/wiki/edit", &fields));
            let body = json!({"title": title, "body": text, "labels": []});
            self.json("markdown", title, "/api/issues", &body);
            let file = format!("{}.md", title.replace(' ', "-"));
            let part = Part {
                name: "file",
                file: Some((&file, "text/markdown")),
                content: text.as_bytes(),
            };
            let request = Request::parts("/notes/import", &[part], &mut self.random);
            self.add("markdown parts", title, request);
        }
        Ok(())
    }

    /// Bytes that look like nothing: tokens, signatures, coded files.
    fn tokens(&mut self) {
        for nth in 0..40 {
            let seed = nth.to_string();
            let jwt = token::jwt(nth, &mut self.random);
            let request = Request::get("/api/me".to_owned());
            self.api("bearer", &seed, request.with("Authorization", &format!("Bearer {jwt}")));
            let body = json!({"refresh_token": self.token(43), "id_token": jwt});
            self.json("token", &seed, "/oauth/token", &body);
            let size = 30 + self.random.below(3_000);
            let blob = token::base64(&self.bytes(b"", size));
            let fields = [("name", "signature.png"), ("data", blob.as_str())];
            self.add("base64 form", &seed, Request::form("/signatures", &fields));
            let body = json!({"file": format!("data:image/png;base64,{blob}"), "size": size});
            self.json("base64", &seed, "/api/files", &body);
            let (state, nonce) = (token::url_safe(&self.bytes(b"", 24)), self.token(16));
            let fields =
                [("code", blob.get(..40).unwrap_or("x")), ("state", &state), ("nonce", &nonce)];
            self.parameter("callback", &seed, "/callback", &fields);
            let login = format!("user{nth}:{}", self.token(10));
            let login = format!("Basic {}", token::base64(login.as_bytes()));
            self.api(
                "basic",
                &seed,
                Request::get("/feed".to_owned()).with("Authorization", &login),
            );
        }
    }

    /// What else than GET and POST an API has, and preflights.
    fn methods(&mut self) {
        for (method, path) in [("PUT", "/api/items/42"), ("PATCH", "/api/items/42")] {
            let mut request = Request::post(path, JSON_TYPE, b"{\"name\":\"Lamp\"}".to_vec());
            request.method = method;
            self.api("method", method, request);
        }
        for (method, path) in
            [("DELETE", "/api/items/42"), ("HEAD", "/"), ("HEAD", "/downloads/a.zip")]
        {
            let request = Request { method, ..Request::get(path.to_owned()) };
            self.api("method", &format!("{method} {path}"), request);
        }
        for path in ["/api/items", "/graphql", "/upload"] {
            let request = Request { method: "OPTIONS", ..Request::get(path.to_owned()) };
            let request =
                request.with("Access-Control-Request-Headers", "authorization,content-type");
            self.add("preflight", path, request.with("Access-Control-Request-Method", "POST"));
        }
        for kind in ["application/octet-stream", "application/vnd.api+json", "text/plain"] {
            self.api("type", kind, Request::post("/ingest", kind, b"{\"a\":1}".to_vec()));
        }
    }

    fn parameter(&mut self, kind: &str, seed: &str, path: &str, fields: &[(&str, &str)]) {
        let encoding = self.random.below(2);
        let encoding = if encoding == 0 { Encoding::Form } else { Encoding::Component };
        let target = format!("{path}?{}", query(fields, encoding));
        self.add(&format!("{kind} get"), seed, Request::get(target));
    }

    fn json(&mut self, kind: &str, seed: &str, path: &str, body: &Value) {
        let request = Request::post(path, JSON_TYPE, body.to_string().into());
        self.add(&format!("{kind} json"), seed, request);
    }

    fn bytes(&mut self, start: &[u8], count: usize) -> Vec<u8> {
        start.iter().copied().chain((0..count).map(|_| self.random.byte())).collect()
    }

    fn token(&mut self, count: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        (0..count).map(|_| char::from(self.random.one(LETTERS))).collect()
    }
}

/// Texts of several lines, each after a line with its title.
fn blocks(file: &'static str) -> impl Iterator<Item = (&'static str, String)> {
    file.split("=== ").filter_map(|block| {
        let (title, text) = block.split_once('\n')?;
        Some((title, text.trim_end().to_owned()))
    })
}
