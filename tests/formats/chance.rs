//! Bytes by chance, always the same from the same seed. The unit tests of src/dialect use them, too.

/// A generator of our own: nobody's release changes what it makes.
pub struct Lcg(u64);

impl Lcg {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end as u64).unwrap()
    }
}

/// What usually goes wrong.
pub const PARTS: [&[u8]; 64] = [
    b"'",
    b"\"",
    b"$",
    b"\\",
    b"#",
    b" ",
    b"=",
    b"\n",
    b"\t",
    b"\r",
    b"a",
    b"Z9",
    b"\x01",
    b"\x1b[2J",
    b"\x7f",
    b"\xff",
    b"\xc3",
    b"${x}",
    b"${HOME}",
    b"$HOME",
    b"`id`",
    b"$(id)",
    b"%s",
    b"%%",
    b"~",
    b"~root",
    b";",
    b"&",
    b"|",
    b"<",
    b">",
    b"(",
    b")",
    b"[",
    b"]",
    b"{",
    b"}",
    b"*",
    b"?",
    b"!",
    b"!!",
    b"^",
    b",",
    b":",
    b"@",
    b" #",
    b"\\n",
    b"\\\"",
    b"\\'",
    b"\\$",
    b"$$",
    b"\xef\xbb\xbf",
    b"\xc3\xa4",
    b"\xf0\x9f\x98\x80",
    b"\xc2\xa0",
    b"\xe2\x80\xa8",
    b"\xef\xbf\xbe",
    b"\xc2\x85",
    b"export ",
    b"A=1\n",
    b"\x1c",
    b"\x81\x82\x83\x84\x85\x86\x87\x88",
    b"\x0b\x0c",
    b"${y:-z}",
];
