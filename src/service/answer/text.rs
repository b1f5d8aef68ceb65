//! Texts of which many differ in little, as the answers to machines of one contract do.
//!
//! A text is kept as what tells it from another of the same length, its model, which it shares with many.

use std::{collections::HashMap, iter, sync::Arc};

use bytes::{Bytes, BytesMut};

/// So many bytes that are the same as the model's part two differences, or it is one: a difference has a head
/// of as many.
const SAME_BYTES_MIN: usize = 2 * size_of::<u16>();

/// Bytes, kept as what tells them from a model.
#[derive(Clone, Debug)]
pub struct Text {
    model: Arc<[u8]>,
    /// One difference after another: how many bytes before it are the model's, how many bytes it has, and
    /// these.
    differences: Box<[u8]>,
}

impl Text {
    fn model(bytes: &[u8]) -> Self {
        Self { model: bytes.into(), differences: Box::default() }
    }

    /// How many bytes they are.
    pub fn length(&self) -> usize {
        self.model.len()
    }

    /// Which model it has, and how long that is.
    #[cfg(test)]
    pub(super) fn model_in_memory(&self) -> (*const u8, usize) {
        (self.model.as_ptr(), self.model.len())
    }

    /// How many bytes of its own it takes in memory.
    pub(super) fn own_bytes(&self) -> usize {
        self.differences.len()
    }

    /// Whether these are the bytes.
    pub(super) fn is(&self, mut bytes: &[u8]) -> bool {
        bytes.len() == self.length()
            && self.pieces().all(|piece| match bytes.split_at_checked(piece.len()) {
                Some((first, rest)) => {
                    bytes = rest;
                    first == piece
                }
                None => false,
            })
    }

    /// Appends the bytes.
    pub fn append_to(&self, bytes: &mut BytesMut) {
        self.pieces().for_each(|piece| bytes.extend_from_slice(piece));
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.length());
        self.append_to(&mut bytes);
        bytes.freeze()
    }

    /// The pieces of which the bytes are made up.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (mut model, mut differences) = (&*self.model, &*self.differences);
        let mut own: &[u8] = &[];
        iter::from_fn(move || {
            if !own.is_empty() {
                return Some(std::mem::take(&mut own));
            }
            let Some((same, different, rest)) = first_difference(differences) else {
                return Some(std::mem::take(&mut model)).filter(|rest| !rest.is_empty());
            };
            differences = rest;
            own = different;
            let (same, rest) = model.split_at_checked(same)?;
            model = rest.get(own.len()..)?;
            Some(same)
        })
    }
}

/// How many bytes come before the first difference, its bytes, and the differences behind it.
fn first_difference(differences: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (same, rest) = differences.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (different, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((u16::from_le_bytes(*same).into(), different, rest))
}

/// The models of texts that are kept, one for each length.
#[derive(Debug, Default)]
pub(super) struct Models(HashMap<usize, Arc<[u8]>>);

impl Models {
    /// The bytes as they are kept, and how many bytes of a new model that takes.
    pub(super) fn text(&mut self, bytes: &[u8]) -> (Text, usize) {
        if let Some(model) = self.0.get(&bytes.len())
            && let Some(differences) = differences(model, bytes)
            && differences.len() <= bytes.len() / 2
        {
            return (Text { model: Arc::clone(model), differences: differences.into() }, 0);
        }
        let text = Text::model(bytes);
        self.0.insert(bytes.len(), Arc::clone(&text.model));
        (text, bytes.len())
    }
}

/// What tells `bytes` from a model of the same length; nothing where that is too far away or too long to be
/// written down.
fn differences(model: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let is_same = |place: usize| model.get(place) == bytes.get(place);
    let mut written = Vec::new();
    let mut behind = 0;
    while let Some(start) = (behind..bytes.len()).find(|place| !is_same(*place)) {
        let (mut end, mut same) = (start + 1, 0);
        for place in start + 1..bytes.len() {
            same = if is_same(place) { same + 1 } else { 0 };
            if same == SAME_BYTES_MIN {
                break;
            }
            if same == 0 {
                end = place + 1;
            }
        }
        written.extend_from_slice(&u16::try_from(start - behind).ok()?.to_le_bytes());
        written.extend_from_slice(&u16::try_from(end - start).ok()?.to_le_bytes());
        written.extend_from_slice(bytes.get(start..end)?);
        behind = end;
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(models: &mut Models, bytes: &[u8]) -> Text {
        models.text(bytes).0
    }

    #[test]
    fn what_differs_in_little_takes_little() {
        let mut models = Models::default();
        let bytes = |name: &str| [&[b'a'; 500], name.as_bytes(), &[b'b'; 500]].concat();
        assert_eq!(models.text(&bytes("m-0017")).1, 1006);
        let (other, of_models) = models.text(&bytes("m-2018"));
        assert_eq!((other.own_bytes(), of_models), (2 * 2 + 4, 0), "`2018` in place of `0017`");
        assert_eq!(other.to_bytes(), bytes("m-2018"));
        assert_eq!(models.text(&[b'c'; 1006]).1, 1006, "it differs in everything");
        assert_eq!(models.text(&[b'c'; 1006]).1, 0);
        assert_eq!(models.text(&[b'c'; 1007]).1, 1007, "it has another length");
    }

    #[test]
    fn what_cannot_be_written_down_is_a_model() {
        let mut models = Models::default();
        let mut bytes = vec![b'a'; 1 << 17];
        models.text(&bytes);
        bytes[1 << 16] = b'b';
        let (text, of_models) = models.text(&bytes);
        assert_eq!((text.to_bytes(), of_models), (bytes.into(), 1 << 17));
    }

    proptest! {
        #[test]
        fn a_text_is_what_it_was(
            texts in prop::collection::vec(prop::collection::vec(0..3_u8, 0..40), 1..20),
        ) {
            let mut models = Models::default();
            let all: Vec<_> = texts.iter().map(|bytes| kept(&mut models, bytes)).collect();
            for (bytes, text) in texts.iter().zip(&all) {
                prop_assert_eq!(text.length(), bytes.len());
                prop_assert_eq!(&text.to_bytes(), bytes);
                for other in &texts {
                    prop_assert_eq!(text.is(other), other == bytes);
                }
            }
        }
    }
}
