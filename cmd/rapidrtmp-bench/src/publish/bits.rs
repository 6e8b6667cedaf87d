//! Writes H.264's bit strings (ISO/IEC 14496-10 §7.2, §9.1).

/// A raw byte sequence payload under construction.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// The low `n` bits of `value`, the highest first.
    pub(crate) fn put(&mut self, value: u32, n: u32) -> &mut Self {
        for i in (0..n).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value >> i & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used % 8);
            }
            self.used += 1;
        }
        self
    }

    /// ue(v).
    pub(crate) fn ue(&mut self, value: u32) -> &mut Self {
        let code = value + 1;
        let n = 32 - code.leading_zeros();
        self.put(0, n - 1).put(code, n)
    }

    /// se(v) of 0, the only one needed.
    pub(crate) fn se0(&mut self) -> &mut Self {
        self.ue(0)
    }

    /// Zero bits up to the next byte.
    pub(crate) fn align(&mut self) -> &mut Self {
        let n = (8 - self.used % 8) % 8;
        self.put(0, n)
    }

    /// Whole bytes; only when aligned.
    pub(crate) fn fill(&mut self, byte: u8, n: usize) -> &mut Self {
        debug_assert_eq!(self.used % 8, 0);
        self.bytes.resize(self.bytes.len() + n, byte);
        self.used += 8 * n as u32;
        self
    }

    /// A NAL unit: the header byte, the payload with its stop bit, emulation prevention (§7.4.1).
    pub(crate) fn nal(&mut self, header: u8) -> Vec<u8> {
        self.put(1, 1).align();
        let mut out = vec![header];
        let mut zeros = 0;
        for &b in &self.bytes {
            if zeros >= 2 && b <= 3 {
                out.push(3);
                zeros = 0;
            }
            zeros = if b == 0 { zeros + 1 } else { 0 };
            out.push(b);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_golomb_codes() {
        let mut b = Bits::default();
        // 1, 010, 011, 00100, stop bit: 1010 0110 0100 1000
        b.ue(0).ue(1).ue(2).ue(3);
        assert_eq!(b.nal(0x67), [0x67, 0xa6, 0x48]);
    }

    #[test]
    fn start_codes_are_not_emulated() {
        let mut b = Bits::default();
        b.put(0, 24).put(1, 8);
        assert_eq!(b.nal(0x65), [0x65, 0, 0, 3, 0, 1, 0x80]);
    }
}
