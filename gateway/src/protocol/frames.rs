//! HTTP/2 frames as they pass (RFC 9113 §4.1): where each begins, where it ends, and what its
//! head says. What it says does not depend on where the bytes were split.
//!
//! Deliberately absent: header blocks, flow control and errors, which are the h2 crate's. Of a
//! stream of bytes that does not begin as HTTP/2 nothing is said.

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEAD_BYTES: usize = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// What a frame is for, as far as anyone here asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A piece of a body.
    Data,
    /// A head or trailers, or the first part of them.
    Headers,
    /// `RST_STREAM`.
    Reset,
    /// `GOAWAY`.
    GoAway,
    /// More of a head or of trailers.
    Continuation,
    /// Anything else.
    Control,
}

/// The head of a frame, and as much of its payload as says why something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub kind: Kind,
    /// The stream; 0 for the connection.
    pub stream: u32,
    /// Bytes of the payload.
    pub length: u32,
    flags: u8,
    start: [u8; 8],
}

/// What was seen of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Its head.
    Begun(Frame),
    /// Its last byte.
    Whole(Frame),
}

impl Frame {
    fn new(head: [u8; HEAD_BYTES]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Headers,
            3 => Kind::Reset,
            7 => Kind::GoAway,
            9 => Kind::Continuation,
            _ => Kind::Control,
        };
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        Self { kind, stream, length: u32::from_be_bytes([0, l0, l1, l2]), flags, start: [0; 8] }
    }

    /// Nothing follows on its stream from the one who sent it.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, Kind::Data | Kind::Headers) && self.flags & END_STREAM != 0
    }

    /// The head or the trailers end with it.
    pub fn ends_head(&self) -> bool {
        matches!(self.kind, Kind::Headers | Kind::Continuation) && self.flags & END_HEADERS != 0
    }

    /// Why a stream or the connection ends, once the frame is whole (RFC 9113 §7).
    pub fn code(&self) -> Option<u32> {
        let [a, b, c, d, e, f, g, h] = self.start;
        match (self.kind, self.length) {
            (Kind::Reset, 4) => Some(u32::from_be_bytes([a, b, c, d])),
            (Kind::GoAway, 8..) => Some(u32::from_be_bytes([e, f, g, h])),
            _ => None,
        }
    }
}

/// Follows the frames that one side sends.
#[derive(Debug)]
pub struct Frames {
    at: At,
}

#[derive(Debug)]
enum At {
    Preface {
        seen: usize,
    },
    Head {
        seen: usize,
        head: [u8; HEAD_BYTES],
    },
    Payload {
        seen: u32,
        frame: Frame,
    },
    /// This is not HTTP/2.
    Lost,
}

const NEXT: At = At::Head { seen: 0, head: [0; HEAD_BYTES] };

impl Frames {
    /// Of a client: the preface comes first.
    pub fn of_client() -> Self {
        Self { at: At::Preface { seen: 0 } }
    }

    /// Of a server.
    pub fn of_server() -> Self {
        Self { at: NEXT }
    }

    /// The preface is not there yet.
    pub fn before_first(&self) -> bool {
        matches!(self.at, At::Preface { .. })
    }

    /// It was not HTTP/2.
    pub fn lost(&self) -> bool {
        matches!(self.at, At::Lost)
    }

    /// Tells `tell` what is in `bytes`, which follow those given before.
    pub fn follow(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Seen)) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match &mut self.at {
                At::Lost => return,
                At::Preface { seen } => {
                    let right = PREFACE.get(*seen) == Some(&byte);
                    *seen += 1;
                    match (right, *seen == PREFACE.len()) {
                        (false, _) => self.at = At::Lost,
                        (true, true) => self.at = NEXT,
                        (true, false) => {}
                    }
                    bytes = rest;
                }
                At::Head { seen, head } => {
                    if let Some(place) = head.get_mut(*seen) {
                        *place = byte;
                    }
                    *seen += 1;
                    if *seen == HEAD_BYTES {
                        let frame = Frame::new(*head);
                        tell(Seen::Begun(frame));
                        self.at = within(0, frame, &mut tell);
                    }
                    bytes = rest;
                }
                At::Payload { seen, frame } => {
                    let left = usize::try_from(frame.length.saturating_sub(*seen));
                    let now = left.unwrap_or(usize::MAX).min(bytes.len());
                    let (payload, rest) = bytes.split_at_checked(now).unwrap_or((bytes, &[]));
                    let room = frame.start.iter_mut().skip(usize::try_from(*seen).unwrap_or(8));
                    for (to, from) in room.zip(payload) {
                        *to = *from;
                    }
                    let (seen, frame) = (*seen + u32::try_from(now).unwrap_or(0), *frame);
                    self.at = within(seen, frame, &mut tell);
                    bytes = rest;
                }
            }
        }
    }
}

/// After `seen` bytes of the payload.
fn within(seen: u32, frame: Frame, tell: &mut impl FnMut(Seen)) -> At {
    if seen < frame.length {
        return At::Payload { seen, frame };
    }
    tell(Seen::Whole(frame));
    NEXT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// What is seen, whatever the size of the pieces: kind, stream and code of each whole frame.
    fn check(mut frames: impl FnMut() -> Frames, bytes: &[u8], want: &[(Kind, u32, Option<u32>)]) {
        for step in [1, 2, 3, 9, 10, bytes.len().max(1)] {
            let (mut frames, mut begun, mut whole) = (frames(), Vec::new(), Vec::new());
            for piece in bytes.chunks(step) {
                frames.follow(piece, |seen| match seen {
                    Seen::Begun(frame) => begun.push((frame.kind, frame.stream)),
                    Seen::Whole(frame) => whole.push((frame.kind, frame.stream, frame.code())),
                });
            }
            assert_eq!(whole, want, "in steps of {step}");
            let same: Vec<_> = whole.iter().map(|(kind, stream, _)| (*kind, *stream)).collect();
            assert_eq!(begun.get(..same.len()), Some(&same[..]), "in steps of {step}");
        }
    }

    #[test]
    fn frames_whole_and_in_pieces() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        bytes.extend(frame(1, 4, 1, b"\x82\x84"));
        bytes.extend(frame(0, 1, 1, &[0; 300]));
        bytes.extend(frame(3, 0, 0x8000_0003, &[0, 0, 0, 8]));
        bytes.extend(frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 11, b'd']));
        bytes.extend(frame(9, 4, 5, b"x"));
        let want = [
            (Kind::Control, 0, None),
            (Kind::Headers, 1, None),
            (Kind::Data, 1, None),
            (Kind::Reset, 3, Some(8)),
            (Kind::GoAway, 0, Some(11)),
            (Kind::Continuation, 5, None),
        ];
        check(Frames::of_client, &bytes, &want);
        check(Frames::of_server, &bytes[PREFACE.len()..], &want);
        check(Frames::of_client, &bytes[..bytes.len() - 1], &want[..5]);
    }

    #[test]
    fn what_is_not_http_2_says_nothing() {
        check(Frames::of_client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[]);
        check(Frames::of_client, &[&PREFACE[..23], b"x", &frame(1, 4, 1, b"")].concat(), &[]);
        check(Frames::of_server, &frame(3, 0, 1, &[0; 3]), &[(Kind::Reset, 1, None)]);
    }

    #[test]
    fn flags() {
        let of = |kind, flags| Frame::new([0, 0, 0, kind, flags, 0, 0, 0, 1]);
        for (kind, flags, ends_stream, ends_head) in [
            (0, 0, false, false),
            (0, 1, true, false),
            (1, 5, true, true),
            (9, 4, false, true),
            (9, 1, false, false),
            (4, 1, false, false),
        ] {
            let frame = of(kind, flags);
            assert_eq!((frame.ends_stream(), frame.ends_head()), (ends_stream, ends_head));
        }
    }
}
