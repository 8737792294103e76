//! XChaCha20-Poly1305 as it is kept: in facts, and around keys.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::ids::{self, NoRandomness};

/// The first byte of what is sealed: XChaCha20-Poly1305, a nonce of 24 bytes, then ciphertext and tag.
const FORM: u8 = 1;
const NONCE_LEN: usize = 24;

/// Form, nonce, ciphertext and tag; `about` is covered by the tag.
pub(super) fn seal(key: &[u8; 32], about: &[u8], plain: &[u8]) -> Result<Vec<u8>, NoRandomness> {
    let nonce: [u8; NONCE_LEN] = ids::secret_bytes()?;
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    let sealed = cipher
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: about })
        .expect("nothing that is sealed has gigabytes");
    let mut whole = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
    whole.push(FORM);
    whole.extend(nonce);
    whole.extend(sealed);
    Ok(whole)
}

/// What was sealed with this key about this; `None` if anything differs.
pub(super) fn open(key: &[u8; 32], about: &[u8], whole: &[u8]) -> Option<Vec<u8>> {
    let (form, rest) = whole.split_first()?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).filter(|_| *form == FORM)?;
    let nonce: [u8; NONCE_LEN] = nonce.try_into().ok()?;
    let cipher = XChaCha20Poly1305::new(&Key::from(*key));
    cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: about }).ok()
}
