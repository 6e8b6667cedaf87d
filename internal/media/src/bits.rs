//! Reading bit fields, most significant bit first, as every codec header here has them.

/// A position in bytes. Every read gives `None` where the data ends; nothing here panics.
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// The next `n` bits, at most 32.
    pub(crate) fn take(&mut self, n: u32) -> Option<u32> {
        let mut v = 0;
        for _ in 0..n {
            let byte = self.data.get(self.at / 8)?;
            v = v << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(v)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|b| b == 1)
    }

    pub(crate) fn skip(&mut self, n: usize) -> Option<()> {
        self.at = self.at.checked_add(n).filter(|at| *at <= self.data.len() * 8)?;
        Some(())
    }

    /// Exp-Golomb, unsigned (ISO/IEC 23008-2 §9.2: `ue(v)`); AV1's `uvlc()` is the same below 2^32 − 1.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_end_with_the_data() {
        let mut b = Bits::new(&[0b1010_0101, 0xff]);
        assert_eq!((b.take(1), b.take(3), b.take(8)), (Some(1), Some(2), Some(0x5f)));
        assert_eq!((b.skip(4), b.take(1), b.skip(1)), (Some(()), None, None));
        assert_eq!(Bits::new(&[0xff; 4]).take(32), Some(u32::MAX));
    }

    #[test]
    fn exp_golomb_codes_are_read() {
        // 1 | 010 | 011 | 00100 | …
        let mut b = Bits::new(&[0b1010_0110, 0b0100_0000]);
        assert_eq!([b.ue(), b.ue(), b.ue(), b.ue(), b.ue()], [Some(0), Some(1), Some(2), Some(3), None]);
        assert_eq!(Bits::new(&[0; 9]).ue(), None);
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).ue(), Some(u32::MAX - 1));
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]).ue(), None);
    }
}
