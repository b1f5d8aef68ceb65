use std::collections::BTreeSet;

use super::*;

fn dating(lines: &[&str]) -> Change {
    let lines = lines.iter().map(|line| line.parse().unwrap()).collect();
    Change { lines, ..Change::default() }
}

/// The product as it is after the change `lines` has come true.
async fn dated(lines: &[&str]) -> Present {
    let mut present = present().await;
    let proposal = proposal(&present, &dating(lines)).unwrap();
    let mut review = Review::new(&proposal, &Seen::default(), after_days(1)).unwrap();
    review.sign(&key(1)).unwrap();
    let targets = review.texts().unwrap().remove("targets").unwrap();
    present.state.metadata.insert("targets.json".to_owned(), targets);
    present.base = Base::verify(&product(), &present.state.metadata, &Seen::default()).unwrap();
    present
}

#[tokio::test]
async fn dates_of_lines_are_told_in_plain_words() {
    let first =
        ["1.0,eos=2027-01-01T00:00:00Z,eol=2028-01-01T00:00:00Z", "1.1,ga=2026-05-01T00:00:00Z"];
    let present = dated(&first).await;
    let second = [
        "1.0,eos=2026-01-01T00:00:00Z,eol=2027-06-01T00:00:00Z",
        "1.1,ga=2026-06-01T00:00:00Z,eol=2029-01-01T00:00:00Z",
        "1.2,ga=2026-01-01T00:00:00Z",
    ];
    let change = proposal(&present, &dating(&second)).unwrap();
    let review = Review::new(&change, &Seen::default(), after_days(1)).unwrap();
    insta::assert_snapshot!(shown(&review, &Names::new()), @r"
    Proposal for acme-db, built upon revision 2.

    targets: version 3 follows 2; expires 2027-01-02T00:00:00Z (the present one: 2027-01-02T00:00:00Z)
      line 1.0: EOS 2026-01-01T00:00:00Z (until now 2027-01-01T00:00:00Z); ATTENTION: EARLIER than before; ATTENTION: it lies in the PAST
      line 1.0: EOL 2027-06-01T00:00:00Z (until now 2028-01-01T00:00:00Z); ATTENTION: EARLIER than before
      line 1.1: GA 2026-06-01T00:00:00Z (until now 2026-05-01T00:00:00Z); ATTENTION: LATER than before
      line 1.1: EOL 2029-01-01T00:00:00Z (until now none)
      line 1.2: GA 2026-01-01T00:00:00Z (until now none)
      SHA-256 of what is signed: …
      targets keys: 0 of 1 needed signatures; MISSING 1 of key-1

    Signatures are missing. Next: mainstay trust sign FILE --key NAME
    ");
    let removed = proposal(&present, &dating(&["1.1,ga=none"])).unwrap();
    let review = Review::new(&removed, &Seen::default(), after_days(1)).unwrap();
    let text = words(&review, &Names::new());
    assert!(text.contains("  line 1.1: GA REMOVED (until now 2026-05-01T00:00:00Z)"), "{text}");
}

#[tokio::test]
async fn dates_that_are_so_already_are_no_change() {
    let line = "1.0,eos=2027-01-01T00:00:00Z";
    let present = dated(&[line]).await;
    assert!(present.propose(&product(), &dating(&[line])).unwrap().is_none());
}

/// Whatever else is signed anew keeps them.
#[tokio::test]
async fn dates_stay_when_something_else_changes() {
    let present = dated(&["1.0,eos=2027-01-01T00:00:00Z"]).await;
    let release = RoleChange { remove: removing(2).remove, ..adding(&[6], 1) };
    for change in [
        Change { release, ..Change::default() },
        Change { renew: BTreeSet::from(["targets".to_owned()]), ..Change::default() },
    ] {
        let proposal = proposal(&present, &change).unwrap();
        let next = Envelope::parse("targets", proposal.documents["targets"].as_bytes()).unwrap();
        let next: Targets = next.document().unwrap();
        assert_eq!(next.lines, present.base.targets.lines);
        let review = Review::new(&proposal, &Seen::default(), after_days(1)).unwrap();
        assert!(!words(&review, &Names::new()).contains("line 1.0"));
    }
}

/// A channel has no say about lines, and nobody is made to sign one that has.
#[tokio::test]
async fn a_channel_with_dates_of_lines_is_not_signed() {
    let present = present().await;
    let change = Change { renew: BTreeSet::from(["major".to_owned()]), ..Change::default() };
    let mut proposal = proposal(&present, &change).unwrap();
    let channel = proposal.documents.get_mut("major").unwrap();
    let mut document: Value = serde_json::from_str(channel).unwrap();
    document["signed"]["x-mainstay-lines"] = json!({ "1.0": { "eol": "2026-01-01T00:00:00Z" } });
    *channel = document.to_string();
    let refused = Review::new(&proposal, &Seen::default(), after_days(1)).unwrap_err();
    assert!(refused.to_string().contains("channel major states dates of lines"), "{refused}");
}
