//! Values made from what usually goes wrong, always the same from the same seed.

use distribute::dialect::Dialect;
use distribute::words::{KeyName, Secret};

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

const PARTS: [&[u8]; 64] = [
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

/// What a dialect accepted, and of how many.
pub struct Values {
    pub values: Vec<(KeyName, Secret)>,
    pub asked: usize,
}

impl Values {
    pub fn make(random: &mut Lcg, asked: usize, dialect: Dialect, is_taken: &dyn Fn(&[u8]) -> bool) -> Self {
        let mut values = Vec::new();
        for index in 0..asked {
            // Most hold one or two of what goes wrong, between harmless ones; some are nothing else.
            let length = [0, 1, 2, 3, 3, 4, 6, 9][random.below(8)];
            let part = |random: &mut Lcg| match random.below(3) {
                0 => &b"ab"[..],
                _ => PARTS[random.below(PARTS.len())],
            };
            let value: Vec<u8> = (0..length).flat_map(|_| part(random)).copied().collect();
            let key = KeyName::new(format!("K{index}{}", ["", "_x", "_", "-y"][index % 4])).unwrap();
            let value = Secret::new(value);
            if dialect.refuses(&key, &value).is_none() && is_taken(value.expose()) {
                values.push((key, value));
            }
        }
        Self { values, asked }
    }
}
