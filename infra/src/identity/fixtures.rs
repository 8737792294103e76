//! What lies in logs and stores that there are, for ever: names of streams, sealed texts, wrapped
//! keys. The values were made by other implementations of BLAKE3 and XChaCha20-Poly1305.

use domain::account::Email;
use domain::{Sealed, UserId};
use zeroize::Zeroizing;

use super::vault::{about, name_id};
use super::{Field, KeyId, MasterKeys, PersonKey, binding};

const USER: UserId = UserId::from_u128(1);

fn ada() -> PersonKey {
    PersonKey { user: USER, key: Zeroizing::new([7; 32]) }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn a_sealed_text_of_an_old_log_is_still_opened() {
    let sealed = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGCOhP6BKhByD5gPsptQbkcbQ63uYJKl61GVH7y3tB2o";
    let opened = ada().open_text(Field::Email, &Sealed::from_text(sealed.to_owned())).unwrap();
    assert_eq!(opened.as_str(), "ada@example.org");
}

#[test]
fn a_repeated_request_is_found_in_an_old_log() {
    let request = ada().request("key", b"body").unwrap();
    let key = "f745589937db8c0971f0f96de74098994af25f47ad4b28fb1ab97f8e47f630ff";
    assert_eq!(
        (request.key.as_str(), request.body.to_string().as_str()),
        (key, "f98c9c523ea0c8a3")
    );
}

#[test]
fn the_stream_of_an_address_is_found_again() {
    let email: Email = "Ada@Example.org".parse().unwrap();
    let id = bytes("d628814094c008909069a832deba6cf33556bbb4d50ba1fcf4d26d2b6578b159");
    assert_eq!(name_id(&[8; 32], &email.normal()), KeyId::Address(id.try_into().unwrap()));
    let name = bytes("9a5ccaf8aa4a52183642c5bf8e076c5a4a4bd8d4817951d77694d2ae18108f44");
    assert_eq!(super::vault::name(&[9; 32], &email.normal()).to_vec(), name);
}

#[test]
fn a_wrapped_key_of_an_old_store_is_still_unwrapped() {
    let masters = MasterKeys::parse("CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo=").unwrap();
    let wrapped = bytes(
        "5c7d03501a463339010102030405060708090a0b0c0d0e0f1011121314151617\
         18958e81cc2d0a34cdd05ee3deb67f089a8c8f4b6f3114ef9c3cf142c2582a05\
         9fa17df7be8a26f8fb03d1fbd58c4bed65",
    );
    assert!(masters.is_current(&wrapped));
    let key = masters.unwrap(&wrapped, &about(KeyId::Person(USER)));
    assert_eq!(key.as_deref(), Some(&[7; 32]));
}

#[test]
fn a_store_keeps_its_name() {
    assert_eq!(binding::name(&[8; 32]), "5773776e68f7fe586f248c8eebc4fac3");
}
