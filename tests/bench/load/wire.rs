//! Requests as bytes, copied from templates, and answers counted without looking at what they hold.

use std::str::FromStr;

/// Digits of a key's number.
const DIGITS: usize = 12;

/// What requests and answers look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Of larder, redis-server, valkey-server.
    Resp,
    /// memcached's text protocol.
    Memcached,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "resp" => Ok(Self::Resp),
            "memcached" => Ok(Self::Memcached),
            _ => Err(format!("{name:?} is neither resp nor memcached")),
        }
    }
}

/// What a run sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// PING; `version` of memcached.
    Ping,
    /// GET.
    Get,
    /// SET.
    Set,
    /// SET to 0, so that INCR has something to count on.
    Zero,
    /// INCR.
    Incr,
    /// MGET of several keys.
    Mget,
    /// GET and SET.
    Mix,
}

impl FromStr for Load {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "ping" => Ok(Self::Ping),
            "get" => Ok(Self::Get),
            "set" => Ok(Self::Set),
            "zero" => Ok(Self::Zero),
            "incr" => Ok(Self::Incr),
            "mget" => Ok(Self::Mget),
            "mix" => Ok(Self::Mix),
            _ => Err(format!("{name:?} is none of ping, get, set, zero, incr, mget and mix")),
        }
    }
}

/// A request whose key is still open.
struct Template {
    bytes: Vec<u8>,
    /// Where the digits of the key begin.
    digits: usize,
}

impl Template {
    fn new(before: String, after: &[u8]) -> Self {
        let digits = before.len();
        let mut bytes = before.into_bytes();
        bytes.extend_from_slice(&[b'0'; DIGITS]);
        bytes.extend_from_slice(after);
        Self { bytes, digits }
    }

    fn write(&self, number: u32, out: &mut Vec<u8>) {
        let at = out.len() + self.digits;
        out.extend_from_slice(&self.bytes);
        let mut rest = number;
        for digit in out[at..at + DIGITS].iter_mut().rev() {
            if rest == 0 {
                break;
            }
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

/// The requests of a run.
pub struct Templates {
    protocol: Protocol,
    ping: Vec<u8>,
    get: Template,
    set: Template,
    zero: Template,
    incr: Template,
    /// A key of an MGET; between its head and its end there are `batch` of them.
    mget_key: Template,
    mget_head: Vec<u8>,
    mget_end: Vec<u8>,
    batch: usize,
}

impl Templates {
    /// Keys are `prefix:` and a number, values have `value_bytes`, an MGET has `batch` keys.
    pub fn new(protocol: Protocol, prefix: &str, value_bytes: usize, batch: usize) -> Self {
        let value = value(value_bytes);
        match protocol {
            Protocol::Resp => {
                let key_bytes = prefix.len() + 1 + DIGITS;
                let before = |words: usize, name: &str| {
                    format!("*{words}\r\n${}\r\n{name}\r\n${key_bytes}\r\n{prefix}:", name.len())
                };
                let bulk =
                    |value: &[u8]| [format!("\r\n${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
                Self {
                    protocol,
                    ping: b"*1\r\n$4\r\nPING\r\n".to_vec(),
                    get: Template::new(before(2, "GET"), b"\r\n"),
                    set: Template::new(before(3, "SET"), &bulk(&value)),
                    zero: Template::new(before(3, "SET"), &bulk(b"0")),
                    incr: Template::new(before(2, "INCR"), b"\r\n"),
                    mget_key: Template::new(format!("${key_bytes}\r\n{prefix}:"), b"\r\n"),
                    mget_head: format!("*{}\r\n$4\r\nMGET\r\n", batch + 1).into_bytes(),
                    mget_end: Vec::new(),
                    batch,
                }
            }
            Protocol::Memcached => {
                let stored =
                    |value: &[u8]| [format!(" 0 0 {}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
                Self {
                    protocol,
                    ping: b"version\r\n".to_vec(),
                    get: Template::new(format!("get {prefix}:"), b"\r\n"),
                    set: Template::new(format!("set {prefix}:"), &stored(&value)),
                    zero: Template::new(format!("set {prefix}:"), &stored(b"0")),
                    incr: Template::new(format!("incr {prefix}:"), b" 1\r\n"),
                    mget_key: Template::new(format!(" {prefix}:"), b""),
                    mget_head: b"get".to_vec(),
                    mget_end: b"\r\n".to_vec(),
                    batch,
                }
            }
        }
    }

    /// How answers to these are read.
    pub fn answers(&self) -> Answers {
        Answers { protocol: self.protocol, skip: 0, elements: 0, reply: Reply::default() }
    }

    /// Appends a request; `next` draws a key and whether it is to be read. `None` where there are no more keys.
    pub fn write(
        &self,
        load: Load,
        mut next: impl FnMut() -> Option<(u32, bool)>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let (first, reads) = next()?;
        match load {
            Load::Ping => out.extend_from_slice(&self.ping),
            Load::Zero => self.zero.write(first, out),
            Load::Incr => self.incr.write(first, out),
            Load::Mix if !reads => self.set.write(first, out),
            Load::Get | Load::Mix => self.get.write(first, out),
            Load::Set => self.set.write(first, out),
            Load::Mget => {
                out.extend_from_slice(&self.mget_head);
                self.mget_key.write(first, out);
                for _ in 1..self.batch {
                    self.mget_key.write(next()?.0, out);
                }
                out.extend_from_slice(&self.mget_end);
            }
        }
        Some(())
    }
}

/// Letters, digits and two signs, the same in every run: what compresses to three quarters, as text and numbers do or better.
fn value(bytes: usize) -> Vec<u8> {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 1u64;
    let next = |_| {
        // Knuth's MMIX.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        SIGNS[(state >> 58) as usize]
    };
    (0..bytes).map(next).collect()
}

/// What one request was answered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reply {
    /// Values that came.
    pub values: u32,
    /// Keys that were not there.
    pub misses: u32,
    /// Whether any of it was an error.
    pub error: bool,
}

/// Reads the answers on a connection as they come in.
pub struct Answers {
    protocol: Protocol,
    /// Bytes of a value, with its line end, that are still to come.
    skip: usize,
    /// Elements of an array that are still to come, the one under way included.
    elements: usize,
    reply: Reply,
}

impl Answers {
    /// Takes what has come, calls `answered` for each answer that ends in it, and tells how many bytes it is done with.
    /// What is left is the beginning of a line.
    pub fn take(&mut self, bytes: &[u8], mut answered: impl FnMut(Reply)) -> Result<usize, String> {
        let mut at = 0;
        loop {
            if self.skip > 0 {
                let some = self.skip.min(bytes.len() - at);
                at += some;
                self.skip -= some;
                if self.skip > 0 {
                    return Ok(at);
                }
                self.value_ended(&mut answered);
            }
            let Some(end) = bytes[at..].iter().position(|&byte| byte == b'\n') else { return Ok(at) };
            let line =
                bytes[at..at + end].strip_suffix(b"\r").ok_or_else(|| strange(&bytes[at..at + end]))?;
            at += end + 1;
            match self.protocol {
                Protocol::Resp => self.resp(line, &mut answered)?,
                Protocol::Memcached => self.memcached(line, &mut answered)?,
            }
        }
    }

    fn resp(&mut self, line: &[u8], answered: &mut impl FnMut(Reply)) -> Result<(), String> {
        let number = || std::str::from_utf8(&line[1..]).ok().and_then(|text| text.parse::<i64>().ok());
        match line.first() {
            Some(b'$') => match number().ok_or_else(|| strange(line))? {
                ..0 => {
                    self.reply.misses += 1;
                    self.element_ended(answered);
                }
                length => self.skip = length as usize + 2,
            },
            Some(b'*') => match number().ok_or_else(|| strange(line))? {
                ..=0 => self.element_ended(answered),
                elements => self.elements = elements as usize,
            },
            Some(b'+' | b':') => {
                self.reply.values += 1;
                self.element_ended(answered);
            }
            Some(b'-') => {
                self.reply.error = true;
                self.element_ended(answered);
            }
            _ => return Err(strange(line)),
        }
        Ok(())
    }

    fn memcached(&mut self, line: &[u8], answered: &mut impl FnMut(Reply)) -> Result<(), String> {
        if line.starts_with(b"VALUE ") {
            let length =
                line.rsplit(|&byte| byte == b' ').next().and_then(|word| std::str::from_utf8(word).ok());
            self.skip = length.and_then(|text| text.parse::<usize>().ok()).ok_or_else(|| strange(line))? + 2;
            return Ok(());
        }
        match line {
            // How many of the keys of a get are missing is not said.
            b"END" if self.reply.values == 0 => self.reply.misses += 1,
            b"END" => {}
            b"NOT_FOUND" => self.reply.misses += 1,
            _ if line == b"STORED"
                || line.starts_with(b"VERSION ")
                || line.iter().all(u8::is_ascii_digit) =>
            {
                self.reply.values += 1;
            }
            _ if line == b"ERROR"
                || line.starts_with(b"CLIENT_ERROR")
                || line.starts_with(b"SERVER_ERROR") =>
            {
                self.reply.error = true;
            }
            _ => return Err(strange(line)),
        }
        self.element_ended(answered);
        Ok(())
    }

    fn value_ended(&mut self, answered: &mut impl FnMut(Reply)) {
        self.reply.values += 1;
        if self.protocol == Protocol::Resp {
            self.element_ended(answered);
        }
    }

    fn element_ended(&mut self, answered: &mut impl FnMut(Reply)) {
        self.elements = self.elements.saturating_sub(1);
        if self.elements == 0 {
            answered(std::mem::take(&mut self.reply));
        }
    }
}

fn strange(line: &[u8]) -> String {
    let shown = &line[..line.len().min(100)];
    format!("the server answers {:?}, which is no answer in this protocol", String::from_utf8_lossy(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, load: Load, numbers: &[(u32, bool)]) -> String {
        let (mut out, mut left) = (Vec::new(), numbers.iter().copied());
        let templates = Templates::new(protocol, "key", 3, 2);
        while templates.write(load, || left.next(), &mut out).is_some() {}
        String::from_utf8(out).unwrap()
    }

    /// All answers, however the bytes are cut.
    fn answers(protocol: Protocol, bytes: &[u8]) -> Vec<Reply> {
        let templates = Templates::new(protocol, "key", 3, 2);
        let mut whole = Vec::new();
        let used = templates.answers().take(bytes, |reply| whole.push(reply)).unwrap();
        assert_eq!(used, bytes.len());
        for cut in 0..bytes.len() {
            let (mut answers, mut found) = (templates.answers(), Vec::new());
            let used = answers.take(&bytes[..cut], |reply| found.push(reply)).unwrap();
            answers.take(&bytes[used..], |reply| found.push(reply)).unwrap();
            assert_eq!(found, whole, "cut at {cut}");
        }
        whole
    }

    fn reply(values: u32, misses: u32, error: bool) -> Reply {
        Reply { values, misses, error }
    }

    #[test]
    fn requests_in_resp() {
        let key = "$16\r\nkey:000000000012\r\n";
        assert_eq!(written(Protocol::Resp, Load::Ping, &[(0, true)]), "*1\r\n$4\r\nPING\r\n");
        assert_eq!(written(Protocol::Resp, Load::Get, &[(12, true)]), format!("*2\r\n$3\r\nGET\r\n{key}"));
        assert_eq!(
            written(Protocol::Resp, Load::Zero, &[(12, true)]),
            format!("*3\r\n$3\r\nSET\r\n{key}$1\r\n0\r\n")
        );
        assert_eq!(
            written(Protocol::Resp, Load::Mget, &[(12, true), (4_294_967_295, true)]),
            format!("*3\r\n$4\r\nMGET\r\n{key}$16\r\nkey:004294967295\r\n")
        );
        let mix = written(Protocol::Resp, Load::Mix, &[(12, true), (12, false)]);
        assert!(
            mix.starts_with(&format!("*2\r\n$3\r\nGET\r\n{key}*3\r\n$3\r\nSET\r\n{key}$3\r\n")),
            "{mix:?}"
        );
    }

    #[test]
    fn requests_to_memcached() {
        assert_eq!(written(Protocol::Memcached, Load::Get, &[(7, true)]), "get key:000000000007\r\n");
        assert_eq!(
            written(Protocol::Memcached, Load::Zero, &[(7, true)]),
            "set key:000000000007 0 0 1\r\n0\r\n"
        );
        assert_eq!(written(Protocol::Memcached, Load::Incr, &[(7, true)]), "incr key:000000000007 1\r\n");
        assert_eq!(
            written(Protocol::Memcached, Load::Mget, &[(7, true), (8, true)]),
            "get key:000000000007 key:000000000008\r\n"
        );
    }

    #[test]
    fn answers_in_resp() {
        let found = answers(
            Protocol::Resp,
            b"+OK\r\n$3\r\na\nb\r\n$-1\r\n-ERR no\r\n*3\r\n$1\r\na\r\n$-1\r\n$0\r\n\r\n:7\r\n",
        );
        let expected = [
            reply(1, 0, false),
            reply(1, 0, false),
            reply(0, 1, false),
            reply(0, 0, true),
            reply(2, 1, false),
            reply(1, 0, false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn answers_of_memcached() {
        let found = answers(
            Protocol::Memcached,
            b"STORED\r\nVALUE a 0 3\r\nEND\r\nVALUE b 0 1\r\nx\r\nEND\r\nEND\r\n8\r\nNOT_FOUND\r\nSERVER_ERROR full\r\n",
        );
        let expected = [
            reply(1, 0, false),
            reply(2, 0, false),
            reply(0, 1, false),
            reply(1, 0, false),
            reply(0, 1, false),
            reply(0, 0, true),
        ];
        // The first value looks like the end of the answer, and is not.
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (protocol, bytes) in [
            (Protocol::Resp, &b"hello\r\n"[..]),
            (Protocol::Memcached, b"hello\r\n"),
            (Protocol::Resp, b"$x\r\n"),
        ] {
            let templates = Templates::new(protocol, "key", 3, 2);
            let error = templates.answers().take(bytes, |_| {}).unwrap_err();
            assert!(error.contains(std::str::from_utf8(bytes).unwrap().trim_end()), "{error}");
        }
    }
}
