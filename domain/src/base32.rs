//! Crockford's base32 in lower case, as ids use it. Ids are most of what a fact consists of, so
//! reading a million facts is mostly this.

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// No digit: more than five bits.
const FOREIGN: u8 = 0xff;

/// What each character stands for.
const DIGITS: [u8; 256] = {
    let mut digits = [FOREIGN; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        digits[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

/// So many digits fit 64 bits; arithmetic on 128 is slow.
const CHUNK: usize = 12;

/// Writes the lowest bits of `value`, five to a digit.
pub(crate) fn encode(mut value: u128, out: &mut [u8]) {
    for chunk in out.rchunks_mut(CHUNK) {
        let mut low = value as u64;
        for place in chunk.iter_mut().rev() {
            *place = ALPHABET[(low & 31) as usize];
            low >>= 5;
        }
        value >>= 5 * CHUNK;
    }
}

/// The number that `text` stands for; `None` if a character is foreign or `bits` are exceeded.
pub(crate) fn decode(text: &[u8], bits: u32) -> Option<u128> {
    let mut value: u128 = 0;
    let mut foreign = 0;
    for chunk in text.chunks(CHUNK) {
        let mut low: u64 = 0;
        for &character in chunk {
            let digit = DIGITS[usize::from(character)];
            foreign |= digit;
            low = (low << 5) | u64::from(digit & 31);
        }
        let width = 5 * chunk.len();
        if value >> (128 - width) != 0 {
            return None;
        }
        value = (value << width) | u128::from(low);
    }
    let sound = foreign < 32 && (bits == 128 || value >> bits == 0);
    sound.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Digit by digit, as one would do it by hand.
        #[test]
        fn every_number_is_written_digit_by_digit(value: u128, length in 1..=26usize) {
            let mut out = vec![0; length];
            encode(value, &mut out);
            for (place, character) in out.iter().rev().enumerate() {
                let digit = (value >> (5 * place)) & 31;
                prop_assert_eq!(*character, ALPHABET[digit as usize]);
            }
            let kept = if length == 26 { value } else { value & ((1 << (5 * length)) - 1) };
            prop_assert_eq!(decode(&out, 128), Some(kept));
            prop_assert_eq!(decode(&out, 64), Some(kept).filter(|kept| kept >> 64 == 0));
        }

        #[test]
        fn what_is_no_digit_is_refused(value: u64, at in 0..13usize, byte: u8) {
            let mut text = [0; 13];
            encode(u128::from(value), &mut text);
            text[at] = byte;
            prop_assert_eq!(decode(&text, 128).is_some(), ALPHABET.contains(&byte));
        }
    }

    #[test]
    fn more_than_128_bits_are_refused() {
        assert_eq!(decode(&[b'z'; 25], 128), Some((1 << 125) - 1));
        assert_eq!(decode(b"7zzzzzzzzzzzzzzzzzzzzzzzzz", 128), Some(u128::MAX));
        assert_eq!(decode(b"80000000000000000000000000", 128), None);
        assert_eq!(decode(&[b'0'; 40], 128), Some(0));
        assert_eq!(decode(b"10000000000000000000000000000", 128), None);
        assert_eq!(decode(b"fzzzzzzzzzzzz", 64), Some(u128::from(u64::MAX)));
        assert_eq!(decode(b"g000000000000", 64), None);
        assert_eq!(decode(b"", 64), Some(0));
    }
}
