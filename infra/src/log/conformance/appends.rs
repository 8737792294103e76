//! Appends one after the other.

use bytes::Bytes;
use domain::Time;
use futures::future::join_all;
use uuid::Uuid;

use super::{Subject, append, assert_holds, read, record, records, stream, wrong_revision};
use crate::log::{AppendError, Expected, NewRecord, Unfit};

/// Nothing is lost, added or written differently, at the edges of what a record can hold.
pub async fn an_append_is_read_back_as_it_was_given(log: Subject) {
    let name = stream("given");
    let edge = NewRecord {
        id: Uuid::max(),
        kind: "Edge".into(),
        version: u16::MAX,
        at: Time::from_ms(i64::MIN),
        metadata: "".into(),
        data: Bytes::new(),
    };
    let given = vec![record(0), record(1), edge];
    let appended = append(&log, &name, Expected::NoStream, given.clone()).await;
    assert_eq!(appended.revision, 2);
    let stored = read(&log, &name).await;
    assert_eq!(stored.len(), given.len());
    for ((revision, new), old) in (0..).zip(given).zip(&stored) {
        assert_eq!((&*old.stream, old.revision), (&*name, revision));
        let kept = NewRecord {
            id: old.id,
            kind: new.kind.clone(),
            version: old.version,
            at: old.at,
            metadata: old.metadata.clone(),
            data: old.data.clone(),
        };
        assert_eq!((&kept, &*old.kind), (&new, &*new.kind));
    }
    assert_eq!(stored[2].position, appended.position);
    if appended.contiguous {
        let positions: Vec<u64> = stored.iter().map(|record| record.position.0).collect();
        assert_eq!(positions, [positions[0], positions[0] + 1, positions[0] + 2]);
    }
}

/// From nothing, from a revision, and from wherever it is.
pub async fn a_stream_grows_where_the_writer_expects_its_end(log: Subject) {
    let name = stream("grows");
    let first = append(&log, &name, Expected::NoStream, records([0])).await;
    let second = append(&log, &name, Expected::Revision(0), records([1, 2])).await;
    let third = append(&log, &name, Expected::Any, records([3])).await;
    assert_eq!([first, second, third].map(|appended| appended.revision), [0, 2, 3]);
    assert!(first.position < second.position && second.position < third.position);
    let other = stream("grows");
    let fourth = append(&log, &other, Expected::Any, records([4])).await;
    assert_eq!(fourth.revision, 0);
    assert!(third.position < fourth.position);
    assert_holds(&read(&log, &name).await, 0..4);
    assert_holds(&read(&log, &other).await, [4]);
}

/// The answer tells where the stream is, and nothing was written.
pub async fn a_wrong_revision_is_refused_with_the_actual_one(log: Subject) {
    let name = stream("wrong");
    for expected in [Expected::Revision(0), Expected::Revision(7), Expected::Revision(u64::MAX)] {
        let outcome = log.append(&name, expected, records([9])).await;
        assert_eq!(wrong_revision(outcome), None, "{expected:?}");
    }
    append(&log, &name, Expected::NoStream, records([0, 1, 2])).await;
    for expected in [
        Expected::NoStream,
        Expected::Revision(0),
        Expected::Revision(1),
        Expected::Revision(3),
        Expected::Revision(u64::MAX),
    ] {
        for new in [records([9]), records(9..20)] {
            let outcome = log.append(&name, expected, new).await;
            assert_eq!(wrong_revision(outcome), Some(2), "{expected:?}");
        }
    }
    append(&log, &name, Expected::Revision(2), records([3])).await;
    assert_holds(&read(&log, &name).await, 0..4);
}

/// What no log could keep is told apart from a log that cannot write.
pub async fn unfit_appends_are_refused(log: Subject) {
    let name = stream("unfit");
    let binary = NewRecord { data: Bytes::from_static(b"\xff\xfe"), ..record(1) };
    let large = vec![b' '; Unfit::MAX_RECORD + 1];
    let large = NewRecord { data: Bytes::from(large), ..record(1) };
    let kind = |kind: &str| NewRecord { kind: kind.to_owned().into(), ..record(1) };
    let long = "s".repeat(Unfit::MAX_NAME + 1);
    for (name, new, expected) in [
        (&*name, Vec::new(), Unfit::Empty),
        ("", records([0]), Unfit::StreamName),
        (&*long, records([0]), Unfit::StreamName),
        ("$all", records([0]), Unfit::StreamName),
        (&*name, vec![record(0), kind("")], Unfit::Kind { index: 1 }),
        (&*name, vec![kind(&long)], Unfit::Kind { index: 0 }),
        (&*name, vec![kind("$metadata")], Unfit::Kind { index: 0 }),
        (&*name, vec![record(0), binary], Unfit::NotText { index: 1 }),
        (&*name, vec![record(0), large], Unfit::TooLarge { index: 1 }),
    ] {
        match log.append(name, Expected::Any, new).await {
            Err(AppendError::Unfit(unfit)) => assert_eq!(unfit, expected),
            other => unreachable!("expected {expected:?}, got {other:?}"),
        }
    }
    assert!(read(&log, &name).await.is_empty());
}

/// A megabyte in a record, and several of them in one append.
pub async fn large_records_are_kept_whole(log: Subject) {
    let name = stream("large");
    let text: String = (0_u32..1 << 20).map(|n| char::from(b'a' + (n % 25) as u8)).collect();
    let data = Bytes::from(format!(r#"{{"text":"{text}"}}"#));
    let large = |number| NewRecord { data: data.clone(), ..record(number) };
    append(&log, &name, Expected::NoStream, vec![large(0), record(1), large(2)]).await;
    let stored = read(&log, &name).await;
    assert_holds(&stored, 0..3);
    assert!(stored[0].data == data && stored[2].data == data);
}

/// Text is kept to the byte, in names of streams too.
pub async fn every_script_is_kept(log: Subject) {
    let text = "Ænima 🎟️ 愛 עִבְרִית \u{202e}rtl\u{202c} e\u{301} \\u0000 \u{10ffff}";
    let name = stream(text);
    let new = NewRecord {
        metadata: format!(r#"{{"m":"{text}"}}"#).into(),
        data: Bytes::from(format!(r#"{{"d":"{text}"}}"#)),
        ..record(0)
    };
    append(&log, &name, Expected::NoStream, vec![new.clone()]).await;
    let stored = read(&log, &name).await;
    assert_holds(&stored, [0]);
    assert_eq!(*stored[0].stream, *name);
    assert_eq!((&stored[0].metadata, &stored[0].data), (&new.metadata, &new.data));
}

/// Appends that are carried out together do not share their fate.
pub async fn a_refused_append_leaves_others_of_the_same_moment_alone(log: Subject) {
    let names: Vec<String> = (0..60).map(|_| stream("moment")).collect();
    let appends = names.iter().enumerate().map(|(i, name)| {
        let expected = if i % 3 == 0 { Expected::Revision(5) } else { Expected::NoStream };
        log.append(name, expected, records([0, 1]))
    });
    for (i, outcome) in join_all(appends).await.into_iter().enumerate() {
        let stored = read(&log, &names[i]).await;
        if i % 3 == 0 {
            assert_eq!(wrong_revision(outcome), None);
            assert!(stored.is_empty());
        } else {
            assert_eq!(outcome.expect("nothing stands against it").revision, 1);
            assert_holds(&stored, 0..2);
        }
    }
}
