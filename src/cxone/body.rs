//! The body of an answer: inflated as it comes, bounded in size, in ratio and in slowness.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use super::spare_buffers::SpareBuffers;
use crate::settings::limits::{
    BODY_FLOOR_BYTES_PER_SEC, BODY_FLOOR_WINDOW_SECS, INFLATE_RATIO, INFLATE_RATIO_FREE_BYTES, WIRE_BYTES,
};

/// A body on its way.
#[derive(Debug)]
pub(super) struct Body {
    wire_bytes: usize,
    content: Content,
    spares: SpareBuffers,
}

#[derive(Debug)]
enum Content {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

/// What is said of a body that exceeds a bound of length.
pub(super) const TOO_LONG: &str = "is longer than";

/// A buffer that refuses to grow beyond a bound.
#[derive(Debug)]
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    /// What the wire has earned so far: a small body must not inflate to a huge one.
    earned: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.bytes.len() + bytes.len();
        if length > self.most {
            return Err(io::Error::other(format!("it {TOO_LONG} {} bytes", self.most)));
        }
        if length > self.earned {
            return Err(io::Error::other(format!("it inflates to more than {INFLATE_RATIO} times its size")));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body {
    /// A body in a content encoding, of at most `most` bytes once inflated, in one of the spare buffers. `length` is
    /// the length on the wire, where the headers say it.
    ///
    /// # Errors
    /// For an encoding that was not asked for.
    pub(super) fn new(
        encoding: Option<&str>,
        length: Option<usize>,
        most: usize,
        spares: &SpareBuffers,
    ) -> Result<Self, String> {
        let bounded = |length| Bounded { bytes: spares.take(length), most, earned: 0 };
        let content = match encoding.map(str::trim).unwrap_or_default() {
            "" | "identity" => Content::Plain(bounded(length.map(|length| length.min(WIRE_BYTES)))),
            "gzip" | "x-gzip" => Content::Gzip(Box::new(MultiGzDecoder::new(bounded(None)))),
            other => return Err(format!("its encoding {other:?} was not asked for")),
        };
        Ok(Self { wire_bytes: 0, content, spares: spares.clone() })
    }

    /// Takes in what came.
    ///
    /// # Errors
    /// Where a bound is exceeded, or the bytes are no gzip.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.wire_bytes += chunk.len();
        if self.wire_bytes > WIRE_BYTES {
            return Err(format!("it {TOO_LONG} {WIRE_BYTES} bytes on the wire"));
        }
        let earned = INFLATE_RATIO_FREE_BYTES.max(self.wire_bytes.saturating_mul(INFLATE_RATIO));
        let written = match &mut self.content {
            Content::Plain(bounded) => {
                bounded.earned = usize::MAX;
                bounded.write_all(chunk)
            }
            Content::Gzip(decoder) => {
                decoder.get_mut().earned = earned;
                decoder.write_all(chunk)
            }
        };
        written.map_err(|error| error.to_string())
    }

    /// The whole body.
    ///
    /// # Errors
    /// Where the gzip stream has no end.
    pub(super) fn finish(self) -> Result<Bytes, String> {
        match self.content {
            Content::Plain(bounded) => Ok(self.spares.share(bounded.bytes)),
            Content::Gzip(_) if self.wire_bytes == 0 => Ok(Bytes::new()),
            Content::Gzip(decoder) => match decoder.finish() {
                Ok(bounded) => Ok(self.spares.share(bounded.bytes)),
                // A bound that the last bytes exceeded.
                Err(error) if error.kind() == io::ErrorKind::Other => Err(error.to_string()),
                Err(error) => Err(format!("its gzip stream is cut or damaged: {error}")),
            },
        }
    }
}

/// Notices a body that comes too slowly to be worth the wait.
#[derive(Debug)]
pub(super) struct Slowness {
    since: Instant,
    bytes: usize,
}

impl Slowness {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0 }
    }

    /// The longest pause between two chunks.
    pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(BODY_FLOOR_WINDOW_SECS);

    /// Takes in that bytes came.
    ///
    /// # Errors
    /// Where fewer than the floor came over a whole window.
    pub(super) fn came(&mut self, bytes: usize, now: Instant) -> Result<(), String> {
        self.bytes += bytes;
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < Self::LONGEST_PAUSE {
            return Ok(());
        }
        let seconds = usize::try_from(elapsed.as_secs()).unwrap_or(usize::MAX);
        if self.bytes / seconds.max(1) < BODY_FLOOR_BYTES_PER_SEC {
            return Err(format!("it comes at fewer than {BODY_FLOOR_BYTES_PER_SEC} bytes per second"));
        }
        *self = Self::new(now);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn read(encoding: Option<&str>, wire: &[u8], most: usize) -> Result<Bytes, String> {
        let mut body = Body::new(encoding, None, most, &SpareBuffers::default())?;
        for chunk in wire.chunks(1000) {
            body.feed(chunk)?;
        }
        body.finish()
    }

    #[test]
    fn bodies_are_read_as_they_are_encoded() {
        let text = b"hello ".repeat(1000);
        assert_eq!(read(None, &text, 1 << 20).unwrap(), text);
        assert_eq!(read(Some("identity"), &text, 1 << 20).unwrap(), text);
        assert_eq!(read(Some("gzip"), &gzip(&text), 1 << 20).unwrap(), text);
        assert_eq!(
            read(Some("gzip"), &[gzip(&text), gzip(b"bye")].concat(), 1 << 20).unwrap(),
            [&text[..], b"bye"].concat()
        );
        assert_eq!(read(Some("gzip"), b"", 1 << 20).unwrap(), "");
        for other in ["br", "gzip, gzip", "deflate"] {
            assert_eq!(read(Some(other), &text, 1 << 20), Err(format!("its encoding {other:?} was not asked for")));
        }
    }

    #[test]
    fn the_buffer_of_a_body_is_left_for_the_next() {
        let text = b"hello ".repeat(1000);
        for (encoding, wire) in [(None, text.clone()), (Some("gzip"), gzip(&text))] {
            let spares = SpareBuffers::default();
            let mut body = Body::new(encoding, Some(wire.len()), 1 << 20, &spares).unwrap();
            body.feed(&wire).unwrap();
            assert_eq!(body.finish().unwrap(), text);
            assert!(spares.take(None).capacity() >= text.len(), "{encoding:?}");
        }
    }

    #[test]
    fn bodies_are_bounded_in_size_and_ratio() {
        let text = vec![b' '; 10_000];
        assert_eq!(read(None, &text, 9_999), Err("it is longer than 9999 bytes".to_owned()));
        assert_eq!(read(Some("gzip"), &gzip(&text), 9_999), Err("it is longer than 9999 bytes".to_owned()));
        let bomb = gzip(&vec![b' '; 8 << 20]);
        assert!(bomb.len() < 10_000);
        assert_eq!(read(Some("gzip"), &bomb, 64 << 20), Err("it inflates to more than 200 times its size".to_owned()));
    }

    #[test]
    fn a_gzip_stream_that_is_cut_or_damaged_is_no_body() {
        let mut wire = gzip(&b"hello ".repeat(1000));
        assert!(read(Some("gzip"), &wire[..wire.len() - 1], 1 << 20).is_err());
        assert!(read(Some("gzip"), b"not gzip at all", 1 << 20).is_err());
        let middle = wire.len() / 2;
        wire[middle] ^= 0xff;
        assert!(read(Some("gzip"), &wire, 1 << 20).is_err());
    }

    #[test]
    fn a_body_below_the_floor_is_given_up() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut fast = Slowness::new(start);
        for tick in 1..=120 {
            fast.came(20_000, start + second * tick).unwrap();
        }
        let mut slow = Slowness::new(start);
        let given_up = (1..=120).find(|tick| slow.came(100, start + second * *tick).is_err());
        assert_eq!(given_up, Some(30));
    }
}
