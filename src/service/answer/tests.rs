use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::{limits::Limits, service::pace::Paces, store::Changes};

const BYTES_MAX: usize = 40_000;

struct Keeping {
    answers: Answers,
    holds: Holds,
    busy: Arc<Busy>,
}

impl Keeping {
    fn begin() -> Self {
        let (at, machine) = (Timestamp::UNIX_EPOCH, "m-1".parse().unwrap());
        let busy = Paces::new(&Limits::DEFAULT).of(&machine, at);
        let moment = Changes::default().moment(&machine);
        let holds = Holds { machine, moment, seats: None, until: at, seen_at: at };
        Self { answers: Answers::new(BYTES_MAX), holds, busy }
    }

    /// Keeps an answer to whoever bears a token, and the question.
    fn keep(&self, number: usize, asked: &[u8], body: &[u8]) {
        let (holds, busy) = (self.holds.clone(), Arc::clone(&self.busy));
        self.answers.keep(&token(number), |models| {
            let (asked, of_asked) = models.text(asked);
            let (body, of_body) = models.text(body);
            let (takes_zstd, is_zstd, seen_at) = (false, false, AtomicI64::new(0));
            let answer = LastAnswer { asked, body, takes_zstd, is_zstd, holds, busy, seen_at };
            (answer, of_asked + of_body)
        });
    }
}

fn token(number: usize) -> String {
    format!("mmt_{number}")
}

impl Answers {
    /// How many bytes the answers that are kept take, with all models that they have.
    fn bytes(&self) -> usize {
        let kept = self.kept.lock().unwrap();
        let answers = || [&kept.newer, &kept.older].into_iter().flat_map(|it| it.answers.values());
        let texts = answers().flat_map(|answer| [&answer.asked, &answer.body]);
        let models: HashSet<_> = texts.map(Text::model_in_memory).collect();
        let of_models: usize = models.into_iter().map(|(_, length)| length).sum();
        of_models + answers().map(|answer| answer.own_bytes()).sum::<usize>()
    }
}

#[test]
fn answers_that_are_alike_share_what_they_have_in_common() {
    let keeping = Keeping::begin();
    let answers = &keeping.answers;
    let body = |number: usize| [&[b'a'; 1000], token(number).as_bytes()].concat();
    for number in 10..40 {
        keeping.keep(number, b"the same question", &body(number));
    }
    let of_each = ANSWER_OVERHEAD_BYTES + 2 * 2 + 2;
    assert!(answers.bytes() <= 30 * of_each + 1100, "{}", answers.bytes());
    for number in 10..40 {
        let found = answers.find(&token(number)).unwrap();
        assert!(found.asked.is(b"the same question"));
        assert_eq!(found.body.to_bytes(), body(number));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever asks what, and in which order: what is kept is what was kept, and in the room that it may take.
    #[test]
    fn answers_take_no_more_room_than_is_allowed(
        asking in prop::collection::vec((0..60_usize, any::<bool>(), 0..4_u8), 1..150),
    ) {
        let keeping = Keeping::begin();
        let answers = &keeping.answers;
        let mut told = HashMap::new();
        for (number, is_new, kind) in asking {
            if is_new {
                // Some have much in common, some nothing.
                let body = vec![kind; 900 + number % 3];
                keeping.keep(number, &body, &body);
                told.insert(number, body);
            } else if let Some(found) = answers.find(&token(number)) {
                let body = &told[&number];
                prop_assert!(found.asked.is(body));
                prop_assert_eq!(&found.body.to_bytes(), body);
            }
            // The answer that fills the newer half makes it the older one.
            prop_assert!(answers.bytes() <= BYTES_MAX + 2 * (ANSWER_OVERHEAD_BYTES + 2000));
        }
    }
}
