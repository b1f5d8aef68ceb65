//! Probabilities, and their logarithmic odds, which can be added up.
//!
//! A probability is a number of 65,536ths. Odds are the natural logarithm of what is for by what is against,
//! in 256ths, from −2,047 to 2,047.

/// The probabilities of the odds −2,048, −1,920, … 2,048; between them they are straight.
const KNOTS: [u16; 33] = [
    22, 36, 60, 98, 162, 267, 439, 720, 1_179, 1_921, 3_108, 4_971, 7_812, 11_955, 17_625, 24_743,
    32_768, 40_793, 47_911, 53_581, 57_724, 60_565, 62_428, 63_615, 64_357, 64_816, 65_097, 65_269,
    65_374, 65_438, 65_476, 65_500, 65_514,
];

/// The largest odds; the smallest are as far below 0.
const ODDS_MAX: i32 = 2047;

static PROBABILITIES: [u16; 4096] = probabilities();
static ODDS: [i16; 4096] = odds();

const fn probabilities() -> [u16; 4096] {
    let mut table = [0; 4096];
    let mut place = 0;
    while place < table.len() {
        let (knot, beyond) = (place >> 7, place as u32 & 127);
        let (low, high) = (KNOTS[knot] as u32, KNOTS[knot + 1] as u32);
        table[place] = ((low * (128 - beyond) + high * beyond) >> 7) as u16;
        place += 1;
    }
    table
}

/// For each of 4,096 probabilities the least odds that have it, or a higher one.
const fn odds() -> [i16; 4096] {
    let probabilities = probabilities();
    let mut table = [ODDS_MAX as i16; 4096];
    let mut probability = 0;
    let mut odds = -ODDS_MAX;
    while odds <= ODDS_MAX {
        while probability <= (probabilities[(odds + 2048).cast_unsigned() as usize] >> 4) as usize {
            table[probability] = odds as i16;
            probability += 1;
        }
        odds += 1;
    }
    table
}

/// The probability of `odds`.
pub(super) fn probability(odds: i32) -> i32 {
    let place = odds.clamp(-ODDS_MAX, ODDS_MAX) + 2048;
    i32::from(PROBABILITIES[place.cast_unsigned() as usize & 4095])
}

/// The odds of `probability`, of which the highest 12 of 16 bits count.
pub(super) fn odds_of(probability: i32) -> i32 {
    i32::from(ODDS[(probability >> 4).cast_unsigned() as usize & 4095])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_and_probabilities_are_those_of_the_logistic_function() {
        let known = [(-2047, 22), (-256, 17_625), (0, 32_768), (256, 47_911), (2047, 65_513)];
        for (odds, expected) in known {
            let exact = 65_536.0 / (1.0 + (-f64::from(odds) / 256.0).exp());
            assert!((f64::from(expected) - exact).abs() < 0.01 * 65_536.0, "{odds}: {exact}");
            let found = probability(odds);
            assert!((found - expected).abs() < 700, "{odds}: {found}");
        }
        assert_eq!((probability(0), odds_of(32_768)), (32_768, 0));
        for odds in -2047..2047 {
            assert!(probability(odds) <= probability(odds + 1));
            assert!(odds_of(probability(odds)) <= odds, "{odds}");
        }
        assert_eq!(
            (probability(-9000), probability(9000)),
            (probability(-2047), probability(2047))
        );
    }
}
