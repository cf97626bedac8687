#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn codings() -> impl Strategy<Value = Coding> {
    prop::sample::select(&Coding::ALL[..])
}

proptest! {
    #[test]
    fn what_was_encoded_decodes(coding in codings(), bytes in prop::collection::vec(any::<u8>(), 0..60_000), repeat in 1_usize..20) {
        let bytes = bytes.repeat(repeat);
        let coded = encode(coding, &bytes).unwrap();
        prop_assert_eq!(decode(coding, coded.into(), bytes.len()), Ok(bytes));
    }

    #[test]
    fn every_piece_of_a_stream_decodes_when_it_was_flushed(coding in codings(), pieces in prop::collection::vec("[a-z]{1,3000}", 1..6)) {
        let (mut encoder, mut decoder) = (Encoder::new(coding), Decoder::new(coding));
        for piece in &pieces {
            let mut coded = Vec::new();
            encoder.flush(piece.as_bytes(), &mut coded).unwrap();
            let (mut input, mut text) = (Bytes::from(coded), Vec::new());
            loop {
                let step = decoder.step(&mut input).unwrap();
                if step.is_empty() {
                    break;
                }
                text.extend(step);
            }
            prop_assert_eq!(&text, piece.as_bytes());
            prop_assert!(!decoder.is_whole());
        }
        let mut coded = Vec::new();
        encoder.finish(b"", &mut coded).unwrap();
        prop_assert!(decoder.step(&mut coded.into()).unwrap().is_empty() && decoder.is_whole());
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_are_split(coding in codings(), text in "[a-c]{0,300}", repeat in 1_usize..300, size in 1_usize..40) {
        let text = text.repeat(repeat);
        let (coded, mut out) = (Bytes::from(encode(coding, text.as_bytes()).unwrap()), Vec::new());
        let mut decoder = Decoder::new(coding);
        for piece in coded.chunks(size) {
            let mut input = Bytes::copy_from_slice(piece);
            loop {
                let step = decoder.step(&mut input).unwrap();
                if step.is_empty() {
                    break;
                }
                out.extend(step);
            }
            prop_assert!(input.is_empty());
        }
        prop_assert!(decoder.is_whole() && out == text.as_bytes());
    }

    #[test]
    fn any_bytes_decode_or_are_refused(coding in codings(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(coding, bytes.into(), 1 << 20);
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_refused(coding in codings(), text in "[a-z]{1,400}", at in any::<prop::sample::Index>()) {
        let coded = encode(coding, text.as_bytes()).unwrap();
        let cut = at.index(coded.len() - 1) + 1;
        prop_assert_eq!(decode(coding, coded[..cut].to_vec().into(), 1000), Err(Error::Malformed(coding)));
        let more = [&coded[..], b"\x01\x02"].concat();
        prop_assert_eq!(decode(coding, more.into(), 1000), Err(Error::Malformed(coding)));
    }
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    for coding in Coding::ALL {
        let bomb = encode(coding, &vec![0; 64 << 20]).unwrap();
        assert!(bomb.len() < 100_000, "{coding:?} {}", bomb.len());
        assert_eq!(decode(coding, bomb.into(), 1 << 20), Err(Error::TooLarge(1 << 20)));
    }
}

#[test]
fn members_follow_one_another() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let two = [encode(coding, b"one").unwrap(), encode(coding, b"two").unwrap()].concat();
        assert_eq!(decode(coding, two.into(), 6).unwrap(), b"onetwo");
    }
}

#[test]
fn a_wide_zstd_window_is_refused_as_one() {
    // A frame header that asks for a window of 128 MiB: descriptor 0, exponent 17.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
    let refused = decode(Coding::Zstd, frame.to_vec().into(), 10);
    assert_eq!(refused, Err(Error::Window), "it is zstd, and said to be");
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x01, 0x00, 0x00];
    assert_eq!(decode(Coding::Zstd, frame.to_vec().into(), 10), Ok(Vec::new()));
}

#[test]
fn names_are_those_of_headers() {
    for coding in Coding::ALL {
        assert_eq!(Coding::of(coding.name()), Some(coding));
    }
    assert_eq!(Coding::ALL.map(Coding::name).join(", "), Coding::NAMES);
    assert_eq!(Coding::of("X-GZIP"), Some(Coding::Gzip));
    assert_eq!(Coding::of("compress"), None);
}
