//! A JSON text built at compile time from pieces, some of which are escaped.
//!
//! The macro needs it because `concat!` cannot escape a quote in, say, a package description.

/// One piece of a JSON text.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Piece {
    /// Copied as it is.
    Raw(&'static str),
    /// Copied as the inside of a JSON string.
    Text(&'static str),
    /// The authors of a Cargo manifest, joined by `:`, as JSON strings joined by `,`.
    Authors(&'static str),
}

/// The length of the text.
pub const fn len(pieces: &[Piece]) -> usize {
    build::<0>(pieces).1
}

/// The text; `N` is [`len`].
pub const fn text<const N: usize>(pieces: &[Piece]) -> [u8; N] {
    build::<N>(pieces).0
}

const fn build<const N: usize>(pieces: &[Piece]) -> ([u8; N], usize) {
    let mut out = Out {
        bytes: [0u8; N],
        len: 0,
    };
    let mut index = 0;
    while index < pieces.len() {
        match pieces[index] {
            Piece::Raw(text) => out = out.all(text.as_bytes(), Escape::No),
            Piece::Text(text) => out = out.all(text.as_bytes(), Escape::Json),
            Piece::Authors(text) if text.is_empty() => {}
            Piece::Authors(text) => {
                out = out
                    .push(b'"')
                    .all(text.as_bytes(), Escape::Authors)
                    .push(b'"');
            }
        }
        index += 1;
    }
    (out.bytes, out.len)
}

#[derive(Clone, Copy)]
enum Escape {
    No,
    Json,
    Authors,
}

struct Out<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Out<N> {
    const fn push(mut self, byte: u8) -> Self {
        // With N = 0 only the length is counted.
        if N > 0 {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
        self
    }

    const fn all(mut self, text: &[u8], escape: Escape) -> Self {
        let mut index = 0;
        while index < text.len() {
            let byte = text[index];
            self = match escape {
                Escape::No => self.push(byte),
                Escape::Authors if byte == b':' => self.push(b'"').push(b',').push(b'"'),
                Escape::Json | Escape::Authors => match byte {
                    b'"' | b'\\' => self.push(b'\\').push(byte),
                    0..0x20 => {
                        const HEX: &[u8; 16] = b"0123456789abcdef";
                        self.push(b'\\')
                            .push(b'u')
                            .push(b'0')
                            .push(b'0')
                            .push(HEX[(byte >> 4) as usize])
                            .push(HEX[(byte & 15) as usize])
                    }
                    _ => self.push(byte),
                },
            };
            index += 1;
        }
        self
    }
}
