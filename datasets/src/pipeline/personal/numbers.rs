//! Check digits.

/// Luhn's check digit over the digits of a text, from 13 to 19 of them.
///
/// # Reference
/// ISO/IEC 7812-1, annex B.
pub(crate) fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    if !(13..=19).contains(&digits.len()) || digits.iter().all(|digit| *digit == digits[0]) {
        return false;
    }
    // what issuers begin with: 2 to 6 (Mastercard, American Express, Visa, Discover and others)
    if !(2..=6).contains(&digits[0]) {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Lengths of IBANs by country, from the SWIFT IBAN registry.
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 \
LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 \
RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

/// How many letters and digits an IBAN of this country has.
fn iban_length(country: &str) -> Option<usize> {
    IBAN_LENGTHS.split_whitespace().find_map(|row| row.strip_prefix(country)?.parse().ok())
}

/// The length in bytes of the IBAN that a text begins with, single spaces between its letters and digits allowed.
///
/// # Reference
/// ISO 13616: country and check digits moved behind the rest, letters as numbers from 10, the remainder by 97 is 1.
pub(crate) fn iban_prefix(text: &str) -> Option<usize> {
    let length = iban_length(text.get(..2)?)?;
    let mut compact = String::with_capacity(length);
    let mut end = 0;
    for (offset, c) in text.char_indices() {
        if c.is_ascii_alphanumeric() {
            compact.push(c.to_ascii_uppercase());
            end = offset + 1;
            if compact.len() == length {
                break;
            }
        } else if c != ' ' && c != '-' || text[..offset].ends_with([' ', '-']) {
            return None;
        }
    }
    let followed_by_more = text[end..].chars().next().is_some_and(char::is_alphanumeric);
    (compact.len() == length && !followed_by_more && is_iban(&compact)).then_some(end)
}

fn is_iban(compact: &str) -> bool {
    if !compact.is_ascii() || compact.len() < 5 {
        return false;
    }
    let (head, tail) = compact.split_at(4);
    let mut remainder = 0;
    for c in tail.chars().chain(head.chars()) {
        let Some(digit) = c.to_digit(36) else { return false };
        let shift = if digit < 10 { 10 } else { 100 };
        remainder = (remainder * shift + digit) % 97;
    }
    remainder == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples_are_right_and_one_wrong_digit_is_wrong() {
        // test numbers that the card networks publish
        for card in ["4111 1111 1111 1111", "5555555555554444", "3782-822463-10005", "6011111111111117"] {
            assert!(is_card(card), "{card}");
            let (body, last) = card.split_at(card.len() - 1);
            assert!(!is_card(&format!("{body}{}", if last == "1" { 2 } else { 1 })), "{card}");
        }
        // examples of the IBAN registry
        for iban in
            ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "FR14 2004 1010 0505 0001 3M02 606"]
        {
            assert_eq!(iban_prefix(iban), Some(iban.len()));
            assert_eq!(iban_prefix(&iban.replacen('0', "1", 1)), None, "{iban}");
            assert_eq!(iban_prefix(&format!("{iban} AND MORE")), Some(iban.len()));
            assert_eq!(iban_prefix(&format!("{iban}9")), None);
        }
    }

    proptest! {
        #[test]
        fn every_single_wrong_digit_of_a_card_is_found(
            body in prop::collection::vec(0u32..10, 14), place in 0usize..15, shift in 1u32..10,
        ) {
            let mut digits: Vec<u32> = [4].into_iter().chain(body).collect();
            let text = |digits: &[u32]| digits.iter().map(u32::to_string).collect::<String>();
            let check = (0..10).find(|check| {
                let mut whole = digits.clone();
                whole.push(*check);
                is_card(&text(&whole))
            });
            digits.push(check.expect("one of ten digits fits"));
            let place = place + 1;
            digits[place] = (digits[place] + shift) % 10;
            prop_assert!(!is_card(&text(&digits)));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            let _ = (is_card(&text), iban_prefix(&text));
        }
    }
}
