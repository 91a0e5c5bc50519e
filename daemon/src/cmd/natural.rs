//! Natural numbers of any size, with the little arithmetic that reading and writing a long double takes. They have some ten
//! thousand bits at most, so everything is done the plain way.

use std::cmp::Ordering;
use std::fmt;

/// A natural number: limbs of 32 bits, the lowest first, the highest not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

/// The largest power of ten in a limb.
const CHUNK: u32 = 1_000_000_000;

/// Decimal digits of a chunk.
const CHUNK_DIGITS: usize = 9;

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        Self(vec![value as u32, (value >> 32) as u32]).trimmed()
    }
}

impl Natural {
    /// Of ASCII digits.
    pub(super) fn from_digits(digits: &[u8]) -> Self {
        let mut number = Self(Vec::new());
        for chunk in digits.chunks(CHUNK_DIGITS) {
            let value = chunk.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
            number.scale(10_u32.pow(chunk.len() as u32), value);
        }
        number
    }

    /// Of ASCII hexadecimal digits.
    pub(super) fn from_hexadecimal(digits: &[u8]) -> Self {
        let mut number = Self(Vec::new());
        for &digit in digits {
            number.scale(16, char::from(digit).to_digit(16).expect("a hexadecimal digit"));
        }
        number
    }

    /// `10^power`.
    pub(super) fn power_of_ten(power: u32) -> Self {
        let mut number = Self(vec![1]);
        for _ in 0..power / CHUNK_DIGITS as u32 {
            number.scale(CHUNK, 0);
        }
        number.scale(10_u32.pow(power % CHUNK_DIGITS as u32), 0);
        number
    }

    /// How many bits it takes; 0 has none.
    pub(super) fn bits(&self) -> usize {
        self.0.last().map_or(0, |&top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    /// `self * 2^shift`.
    pub(super) fn shifted(&self, shift: u32) -> Self {
        let mut limbs = vec![0; shift as usize / 32];
        let mut carry = 0_u64;
        for &limb in &self.0 {
            carry |= u64::from(limb) << (shift % 32);
            limbs.push(carry as u32);
            carry >>= 32;
        }
        limbs.push(carry as u32);
        Self(limbs).trimmed()
    }

    /// The product.
    pub(super) fn times(&self, other: &Self) -> Self {
        let mut limbs = vec![0; self.0.len() + other.0.len()];
        for (at, &a) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (&b, place) in other.0.iter().chain([&0]).zip(&mut limbs[at..]) {
                carry += u64::from(a) * u64::from(b) + u64::from(*place);
                *place = carry as u32;
                carry >>= 32;
            }
        }
        Self(limbs).trimmed()
    }

    /// The quotient, which must be below 2^69, and whether there is a remainder.
    pub(super) fn divided(mut self, divisor: &Self) -> (u128, bool) {
        const QUOTIENT_BITS: u32 = 69;
        let mut divisor = divisor.shifted(QUOTIENT_BITS - 1);
        let mut quotient = 0;
        for _ in 0..QUOTIENT_BITS {
            quotient <<= 1;
            if self.compare(&divisor) != Ordering::Less {
                self.subtract(&divisor);
                quotient |= 1;
            }
            divisor.halve();
        }
        (quotient, !self.0.is_empty())
    }

    /// `self * factor + summand`.
    fn scale(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// Takes the remainder of a division by [`CHUNK`] off and gives it.
    fn take_chunk(&mut self) -> u32 {
        let mut rest = 0;
        for limb in self.0.iter_mut().rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / u64::from(CHUNK)) as u32;
            rest = value % u64::from(CHUNK);
        }
        self.trim();
        rest as u32
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// Takes off `other`, which is not larger.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (limb, &take) in self.0.iter_mut().zip(other.0.iter().chain(std::iter::repeat(&0))) {
            let (value, under) = limb.overflowing_sub(take);
            let (value, under_again) = value.overflowing_sub(u32::from(borrow));
            (*limb, borrow) = (value, under || under_again);
        }
        self.trim();
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.0.iter_mut().rev() {
            let low = *limb & 1;
            *limb = *limb >> 1 | carry << 31;
            carry = low;
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.0.pop_if(|limb| *limb == 0).is_some() {}
    }

    fn trimmed(mut self) -> Self {
        self.trim();
        self
    }
}

impl fmt::Display for Natural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.clone();
        let mut chunks = Vec::new();
        while !number.0.is_empty() {
            chunks.push(number.take_chunk());
        }
        write!(f, "{}", chunks.pop().unwrap_or(0))?;
        chunks.iter().rev().try_for_each(|chunk| write!(f, "{chunk:0CHUNK_DIGITS$}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_agrees_with_that_of_the_machine() {
        let numbers = [0, 1, 2, 9, 10, 999_999_999, 1_000_000_000, u64::from(u32::MAX), 1 << 32, u64::MAX];
        for a in numbers {
            let natural = Natural::from(a);
            assert_eq!(natural.to_string(), a.to_string());
            assert_eq!(Natural::from_digits(a.to_string().as_bytes()), natural);
            assert_eq!(Natural::from_hexadecimal(format!("00{a:X}").as_bytes()), natural);
            assert_eq!(natural.bits(), 64 - a.leading_zeros() as usize);
            assert_eq!(natural.shifted(37).to_string(), (u128::from(a) << 37).to_string());
            for b in numbers {
                let product = natural.times(&Natural::from(b));
                assert_eq!(product.to_string(), (u128::from(a) * u128::from(b)).to_string(), "{a} * {b}");
                if b > 0 {
                    let (quotient, rest) = natural.clone().divided(&Natural::from(b));
                    assert_eq!((quotient, rest), (u128::from(a / b), a % b > 0), "{a} / {b}");
                }
            }
        }
        let digits = "1".to_owned() + &"0".repeat(300);
        assert_eq!(Natural::power_of_ten(300).to_string(), digits);
        assert_eq!(Natural::from_digits(digits.as_bytes()), Natural::power_of_ten(300));
    }
}
