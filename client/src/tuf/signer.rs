use super::{KeyId, PublicKey, SigningKey};

/// The port to a private key, wherever it is kept: in a file that was opened, or in a token that
/// signs and never gives it out.
pub trait Signer {
    /// The public half.
    fn public(&self) -> PublicKey;

    /// The signature over `message` in hexadecimal digits.
    fn sign(&self, message: &[u8]) -> Result<String, SignError>;
}

impl Signer for SigningKey {
    fn public(&self) -> PublicKey {
        Self::public(self)
    }

    fn sign(&self, message: &[u8]) -> Result<String, SignError> {
        Ok(Self::sign(self, message))
    }
}

impl<S: Signer + ?Sized> Signer for Box<S> {
    fn public(&self) -> PublicKey {
        S::public(self)
    }

    fn sign(&self, message: &[u8]) -> Result<String, SignError> {
        S::sign(self, message)
    }
}

/// A document that was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The document cannot be written as JSON.
    #[error(transparent)]
    Document(#[from] serde_json::Error),
    /// The key did not sign.
    #[error("key {key} did not sign: {message}")]
    Key {
        /// Which key.
        key: KeyId,
        /// Why not.
        message: String,
    },
}
