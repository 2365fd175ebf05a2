//! `KeyPair`: the two halves of a new key, in the PEM that OpenSSL 3.0 reads: the private one as PKCS#8 version 1, the
//! public one as SubjectPublicKeyInfo.

use super::generator::{Generated, Random};
use super::{Error, Result, Secret};
use data_encoding::BASE64;
use ed25519_dalek::SigningKey;
use rsa::RsaPrivateKey;
use rsa::pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use rsa::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use rsa::pkcs8::{
    self, Document, EncodePrivateKey, EncodePublicKey, LineEnding, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument,
};
use rsa::rand_core::{Infallible, TryCryptoRng, TryRng};
use std::mem::take;
use zeroize::Zeroizing;

const PRIVATE: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";
/// id-Ed25519 of RFC 8410, section 3: parameters are absent.
const ED25519: AlgorithmIdentifierRef =
    AlgorithmIdentifierRef { oid: ObjectIdentifier::new_unwrap("1.3.101.112"), parameters: None };

/// Both halves as DER.
pub(super) struct KeyPair {
    private: SecretDocument,
    public: Document,
}

impl KeyPair {
    /// Two primes, e = 65537. The candidates that the search for primes throws away are the crate's; it does not wipe them.
    pub(super) fn rsa(bits: usize, random: Random) -> Result<Self> {
        let wrong = |e| Error::new(format!("making an RSA key of {bits} bits")).because(e);
        let key = RsaPrivateKey::new(&mut Source(random), bits).map_err(wrong)?;
        let public = key.to_public_key().to_public_key_der().map_err(not_encoded)?;
        Ok(Self { private: key.to_pkcs8_der().map_err(not_encoded)?, public })
    }

    /// The private half is 32 random bytes. ed25519-dalek itself writes PKCS#8 version 2, with the public half inside.
    pub(super) fn ed25519(random: Random) -> Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        random(&mut *seed);
        let public = SigningKey::from_bytes(&seed).verifying_key().to_bytes();
        Self::ed25519_documents(&seed, &public).map_err(not_encoded)
    }

    /// RFC 8410, section 7: the seed is an OCTET STRING within the OCTET STRING of PKCS#8.
    fn ed25519_documents(seed: &[u8; 32], public: &[u8; 32]) -> pkcs8::Result<Self> {
        let mut nested = Zeroizing::new([0x04; 34]);
        nested[1] = 32;
        nested[2..].copy_from_slice(seed);
        let private = PrivateKeyInfoRef::new(ED25519, OctetStringRef::new(&*nested)?);
        let public = SubjectPublicKeyInfoRef { algorithm: ED25519, subject_public_key: BitStringRef::new(0, public)? };
        Ok(Self { private: SecretDocument::encode_msg(&private)?, public: Document::encode_msg(&public)? })
    }

    /// Both halves as PEM, lines ended by LF.
    pub(super) fn pem(&self) -> Result<Generated> {
        let mut private = self.private.to_pem(PRIVATE, LineEnding::LF).map_err(not_encoded)?;
        let public = self.public.to_pem(PUBLIC, LineEnding::LF).map_err(not_encoded)?;
        Ok(Generated { secret: Secret::new(take(&mut *private)), public: Some(Secret::new(public)) })
    }
}

fn not_encoded(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new("writing the new key as PEM").because(error)
}

/// Lines that look like a private key and hold these bytes instead of one. They are no DER, so nothing can take them for a key.
pub(super) fn pem_like(bytes: &[u8]) -> Vec<u8> {
    let mut text = format!("-----BEGIN {PRIVATE}-----\n").into_bytes();
    for line in BASE64.encode(bytes).as_bytes().chunks(64) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend(format!("-----END {PRIVATE}-----\n").into_bytes());
    text
}

/// Our randomness as the rsa crate wants it.
struct Source<'a>(Random<'a>);

impl Source<'_> {
    fn array<const N: usize>(&mut self) -> Zeroizing<[u8; N]> {
        let mut bytes = Zeroizing::new([0; N]);
        (self.0)(&mut *bytes);
        bytes
    }
}

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(*self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(*self.array()))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(buffer);
        Ok(())
    }
}

/// As good as what it is given: the operating system's randomness, but for tests.
impl TryCryptoRng for Source<'_> {}
