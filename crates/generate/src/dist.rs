//! Distributions in integers.
//!
//! The C library's `exp`, `ln` and `pow` differ between systems in the last bits, and a generator whose bytes are a promise
//! cannot have that. So normal quantiles and powers of two come from tables of literals with linear interpolation, and Zipf
//! ranks from exact rejection on integers.

use crate::rng::Draw;

/// Fixed point with 16 fractional bits.
pub(crate) const ONE: i64 = 1 << 16;

/// A standard normal variate, in 1/65536.
///
/// Half a bit of sign, then the tail probability: its octave by leading zeros, its place in the octave by the bits below.
pub(crate) fn normal(draw: &mut Draw) -> i64 {
    let bits = draw.next();
    let negative = bits & 1 == 1;
    let tail = (bits & !1) | 2;
    let octave = (tail.leading_zeros() as usize).min(OCTAVES - 1);
    let mantissa = tail << (octave + 1);
    let step = (mantissa >> 60) as usize;
    let at = octave * STEPS + step;
    let above = match (step + 1 == STEPS, octave) {
        (false, _) => NORMAL[at + 1],
        (true, 0) => 0,
        (true, _) => NORMAL[(octave - 1) * STEPS],
    };
    let part = ((mantissa >> 44) & 0xffff) as i64;
    let z = NORMAL[at] + (((above - NORMAL[at]) * part) >> 16);
    if negative { -z } else { z }
}

/// `2^x` for `x` in 1/65536, rounded down, from 1 to 2^47.
pub(crate) fn exp2(x: i64) -> u64 {
    let x = x.clamp(0, 47 * ONE);
    let (whole, step, part) = (x >> 16, ((x >> 10) & 63) as usize, (x & 1023) as u64);
    let mantissa = EXP2[step] + (((EXP2[step + 1] - EXP2[step]) * part) >> 10);
    ((u128::from(mantissa) << whole) >> 32) as u64
}

/// A log-normal variate: `log2_median` and `sigma` (of the logarithm to base 2) in 1/65536.
pub(crate) fn log_normal(draw: &mut Draw, log2_median: i64, sigma: i64) -> u64 {
    exp2(log2_median + ((sigma * normal(draw)) >> 16))
}

/// A rank in `0..n`, with probability in proportion to `1 / (rank + 1 + offset)` (Zipf-Mandelbrot, exponent 1).
///
/// Octaves of `k = rank + 1 + offset` weigh the same under `1 / 2^octave`; within one, `k` is kept with probability
/// `2^octave / k`. That is exact, and needs no table that grows with `n`.
pub(crate) fn zipf(draw: &mut Draw, n: u64, offset: u64) -> u64 {
    let (low, high) = (offset + 1, offset + n);
    let (first, last) = (low.ilog2(), high.ilog2());
    // Better than one in four is kept: 64 refusals in a row do not happen in practice, and must not loop if they did.
    for _ in 0..64 {
        let octave = first + draw.below(u64::from(last - first + 1)) as u32;
        let k = (1 << octave) + draw.below(1 << octave);
        if (low..=high).contains(&k) && draw.below(k) < 1 << octave {
            return k - low;
        }
    }
    draw.below(n)
}

const OCTAVES: usize = 20;
const STEPS: usize = 16;

/// Normal quantiles for the two-sided tail probability `2^-(octave + 1) * (1 + step / 16)`, in 1/65536.
#[rustfmt::skip]
const NORMAL: [i64; OCTAVES * STEPS] = [
    44_203, 41_032, 37_954, 34_958, 32_032, 29_170, 26_362, 23_601, 20_882, 18_199, 15_545, 12_917, 10_310,
    7_718, 5_139, 2_567, 75_389, 72_954, 70_616, 68_364, 66_191, 64_087, 62_048, 60_067, 58_140, 56_262,
    54_428, 52_637, 50_884, 49_166, 47_482, 45_828, 100_540, 98_507, 96_565, 94_704, 92_917, 91_196,
    89_536, 87_931, 86_377, 84_871, 83_408, 81_985, 80_600, 79_250, 77_933, 76_647, 122_076, 120_303,
    118_613, 116_999, 115_453, 113_968, 112_540, 111_164, 109_834, 108_549, 107_304, 106_096, 104_924,
    103_784, 102_675, 101_594, 141_156, 139_567, 138_055, 136_614, 135_235, 133_914, 132_646, 131_425,
    130_248, 129_112, 128_013, 126_949, 125_918, 124_916, 123_944, 122_997, 158_437, 156_986, 155_608,
    154_295, 153_042, 151_842, 150_691, 149_585, 148_519, 147_492, 146_500, 145_540, 144_610, 143_709,
    142_834, 141_983, 174_330, 172_988, 171_714, 170_502, 169_346, 168_241, 167_181, 166_163, 165_184,
    164_240, 163_329, 162_449, 161_597, 160_771, 159_970, 159_193, 189_113, 187_859, 186_670, 185_540,
    184_462, 183_432, 182_445, 181_498, 180_588, 179_711, 178_865, 178_048, 177_257, 176_492, 175_750,
    175_030, 202_983, 201_802, 200_683, 199_620, 198_608, 197_640, 196_714, 195_825, 194_971, 194_149,
    193_356, 192_591, 191_851, 191_135, 190_440, 189_767, 216_085, 214_967, 213_907, 212_901, 211_943,
    211_028, 210_153, 209_313, 208_507, 207_731, 206_982, 206_260, 205_563, 204_887, 204_233, 203_599,
    228_531, 227_466, 226_458, 225_501, 224_590, 223_720, 222_888, 222_091, 221_325, 220_588, 219_878,
    219_193, 218_531, 217_890, 217_270, 216_669, 240_408, 239_390, 238_426, 237_512, 236_642, 235_811,
    235_017, 234_256, 233_525, 232_822, 232_145, 231_492, 230_861, 230_250, 229_660, 229_087, 251_785,
    250_808, 249_884, 249_007, 248_173, 247_377, 246_616, 245_887, 245_187, 244_514, 243_865, 243_240,
    242_636, 242_052, 241_487, 240_939, 262_719, 261_779, 260_890, 260_047, 259_244, 258_479, 257_747,
    257_046, 256_374, 255_727, 255_104, 254_504, 253_924, 253_363, 252_821, 252_295, 273_257, 272_350,
    271_492, 270_679, 269_905, 269_167, 268_462, 267_786, 267_138, 266_515, 265_915, 265_337, 264_779,
    264_239, 263_716, 263_210, 283_438, 282_561, 281_732, 280_945, 280_197, 279_484, 278_803, 278_150,
    277_524, 276_922, 276_343, 275_784, 275_245, 274_724, 274_219, 273_731, 293_295, 292_445, 291_642,
    290_880, 290_155, 289_465, 288_805, 288_173, 287_567, 286_984, 286_423, 285_883, 285_361, 284_857,
    284_369, 283_896, 302_857, 302_032, 301_252, 300_512, 299_809, 299_139, 298_499, 297_886, 297_298,
    296_733, 296_189, 295_665, 295_159, 294_670, 294_197, 293_739, 312_148, 311_346, 310_587, 309_869,
    309_185, 308_534, 307_912, 307_316, 306_745, 306_196, 305_668, 305_159, 304_667, 304_192, 303_733,
    303_288, 321_190, 320_408, 319_670, 318_970, 318_305, 317_671, 317_065, 316_486, 315_930, 315_396,
    314_882, 314_387, 313_909, 313_447, 313_000, 312_567,
];

/// `2^(i / 64)` in 1/2^32.
#[rustfmt::skip]
const EXP2: [u64; 65] = [
    4_294_967_296, 4_341_736_423, 4_389_014_833, 4_436_808_071, 4_485_121_744, 4_533_961_517,
    4_583_333_121, 4_633_242_347, 4_683_695_048, 4_734_697_143, 4_786_254_615, 4_838_373_510,
    4_891_059_943, 4_944_320_094, 4_998_160_210, 5_052_586_606, 5_107_605_667, 5_163_223_846,
    5_219_447_668, 5_276_283_726, 5_333_738_689, 5_391_819_295, 5_450_532_358, 5_509_884_764,
    5_569_883_475, 5_630_535_530, 5_691_848_042, 5_753_828_203, 5_816_483_285, 5_879_820_635,
    5_943_847_684, 6_008_571_941, 6_074_001_000, 6_140_142_534, 6_207_004_303, 6_274_594_148,
    6_342_919_999, 6_411_989_869, 6_481_811_861, 6_552_394_164, 6_623_745_059, 6_695_872_913,
    6_768_786_189, 6_842_493_438, 6_917_003_306, 6_992_324_534, 7_068_465_956, 7_145_436_504,
    7_223_245_206, 7_301_901_189, 7_381_413_680, 7_461_792_005, 7_543_045_592, 7_625_183_973,
    7_708_216_783, 7_792_153_760, 7_877_004_752, 7_962_779_710, 8_049_488_696, 8_137_141_881,
    8_225_749_546, 8_315_322_086, 8_405_870_007, 8_497_403_930, 8_589_934_592,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(n: u64) -> impl Iterator<Item = Draw> {
        (0..n).map(|i| Draw::new(7, crate::rng::Stream::Test, i))
    }

    #[test]
    fn the_normal_has_its_moments_and_its_tails() {
        let n = 200_000;
        let values: Vec<f64> = draws(n).map(|mut draw| normal(&mut draw) as f64 / ONE as f64).collect();
        let mean = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|z| z * z).sum::<f64>() / n as f64 - mean * mean;
        let beyond = |z: f64| values.iter().filter(|value| value.abs() > z).count() as f64 / n as f64;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.015, "{variance}");
        for (z, expected) in [(0.5, 0.617_07), (1.0, 0.317_31), (1.96, 0.05), (3.0, 0.0027)] {
            assert!((beyond(z) - expected).abs() < 0.004, "{z}: {}", beyond(z));
        }
    }

    #[test]
    fn powers_of_two_are_within_two_parts_in_a_hundred_thousand() {
        assert_eq!(exp2(0), 1);
        assert_eq!(exp2(10 * ONE), 1 << 10);
        assert_eq!(exp2(99 * ONE), 1 << 47);
        for x in (20 * ONE..40 * ONE).step_by(977) {
            let truth = (x as f64 / ONE as f64).exp2();
            assert!((exp2(x) as f64 / truth - 1.0).abs() < 2e-5, "{x}");
        }
    }

    #[test]
    fn zipf_ranks_follow_one_over_the_rank() {
        let (n, offset) = (100, 4);
        let mut seen = [0_u32; 100];
        draws(200_000).for_each(|mut draw| seen[zipf(&mut draw, n, offset) as usize] += 1);
        let whole: f64 = (0..n).map(|rank| 1.0 / (rank + 1 + offset) as f64).sum();
        for (rank, seen) in seen.iter().enumerate() {
            let expected = 200_000.0 / (rank as u64 + 1 + offset) as f64 / whole;
            assert!(
                (f64::from(*seen) - expected).abs() < 6.0 * expected.sqrt(),
                "{rank}: {seen} for {expected}"
            );
        }
        assert_eq!(draws(50).map(|mut draw| zipf(&mut draw, 1, 20)).max(), Some(0));
    }
}
