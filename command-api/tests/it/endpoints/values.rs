//! Absurd values in every place of every body: never a fault of ours.

use serde_json::{Value, json};

use super::Stage;

/// Every place in a document, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, member)| places(member, &format!("{at}/{name}"), found));
        }
        Value::Array(elements) => {
            let each = elements.iter().enumerate();
            each.for_each(|(index, element)| places(element, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// What somebody may write there. Numbers are text, because some are no JSON number of ours.
fn absurd() -> Vec<String> {
    let mut absurd: Vec<String> = [
        "null",
        "true",
        "0",
        "-1",
        "1",
        "1.5",
        "1e30",
        "-1e30",
        "1e400",
        "99999999",
        "4294967295",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "99999999999999999999999999",
        "\"\"",
        "\" \"",
        "\"x\"",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"'; DROP TABLE records; --\"",
        "\"9999-12-31T23:59:59.999Z\"",
        "\"0001-01-01T00:00:00Z\"",
        "\"2016-12-31T23:59:60Z\"",
        "[]",
        "{}",
        "[[]]",
        "[null]",
        "{\"a\":1}",
        "\"evt_01jd2yc5f9e7kbg4v1rm0n8wq3\"",
        "\"tier_01jd2yc5f9e7kbg4v1rm0n8wq3\"",
        "\"ven_01jd2yc5f9e7kbg4v1rm0n8wq3\"",
        "\"A-1-1\"",
        "\"-\"",
        "\"A-1-\"",
        "[\"A-1-1\",\"A-1-1\"]",
        "[\"A-1-01\"]",
        "[\"-\",\"\",\"--\"]",
    ]
    .map(str::to_owned)
    .into();
    absurd.push(format!("\"{}\"", "x".repeat(30_000)));
    absurd.push(json!(vec!["A-1-1"; 5_000]).to_string());
    absurd.push(json!(vec![7; 5_000]).to_string());
    absurd
}

#[tokio::test]
async fn absurd_values_are_refused_or_make_sense() {
    let stage = Stage::new().await;
    let mut asked = 0;
    let with_body = stage.endpoints().into_iter().filter(|endpoint| endpoint.call.body.is_some());
    for endpoint in with_body {
        let good: Value = serde_json::from_slice(endpoint.call.body.as_ref().unwrap()).unwrap();
        let mut all = vec![];
        places(&good, "", &mut all);
        for place in all.iter().filter(|place| !place.is_empty()) {
            for value in absurd() {
                let mut body = good.clone();
                *body.pointer_mut(place).unwrap() = json!("@HERE@");
                let body = body.to_string().replace("\"@HERE@\"", &value);
                let answer = endpoint.by.send(&endpoint.call.clone().raw(body)).await;
                let fine = answer.status.is_client_error() || answer.status.is_success();
                assert!(fine, "{place} = {value}: {} {:?}", answer.status, answer.body);
                asked += 1;
            }
            // A member that nobody knows, wherever there are members.
            let mut body = good.clone();
            if let Some(Value::Object(members)) = body.pointer_mut(place) {
                members.insert("unheard_of".to_owned(), json!(1));
                let call = endpoint.call.clone().raw(body.to_string());
                endpoint.by.send(&call).await.refused(400, "MALFORMED");
            }
        }
    }
    assert!(asked > 2_000, "{asked}");
    stage.world.verify(&stage.node).await;
    stage.node.stop().await;
}

#[tokio::test]
async fn absurd_quantities_are_refused_with_the_right_code() {
    let stage = Stage::new().await;
    let (sale, buyer) = (&stage.sale, &stage.buyer);
    for (quantity, status, code) in [
        ("0", 422, "INVALID"),
        ("-1", 422, "INVALID"),
        ("4294967296", 422, "INVALID"),
        ("1e30", 422, "INVALID"),
        ("1.5", 400, "MALFORMED"),
        ("\"2\"", 400, "MALFORMED"),
        ("2147483648", 422, "INVALID"),
        ("1001", 422, "INVALID"),
        ("1000", 409, "LIMIT_PER_BOOKING"),
        ("11", 409, "LIMIT_PER_BOOKING"),
    ] {
        for call in [sale.reserve(77), sale.join(77)] {
            let body = String::from_utf8(call.body.clone().unwrap().to_vec()).unwrap();
            // Ids have digits too.
            let absurd = body.replace(":77", &format!(":{quantity}"));
            assert_ne!(absurd, body);
            let call = call.raw(absurd);
            buyer.send(&call).await.refused(status, code);
        }
    }
    let both = json!({"event_id": sale.event, "tier_id": sale.floor, "quantity": 1, "seats": []});
    let none = json!({"event_id": sale.event});
    let half = json!({"event_id": sale.event, "tier_id": sale.floor});
    let other_half = json!({"event_id": sale.event, "quantity": 1});
    for body in [both, none, half, other_half] {
        let call = sale.reserve(1).raw(body.to_string());
        buyer.send(&call).await.refused(422, "INVALID");
    }
    buyer.send(&sale.seats(&[])).await.refused(422, "NOTHING_WANTED");
    buyer.send(&sale.seats(&["A-1-1", "A-1-1"])).await.refused(422, "SEAT_TWICE");
    buyer.send(&sale.seats(&["A-1-1", "A-1-01"])).await.refused(404, "SEAT_NOT_FOUND");
    buyer.send(&sale.seats(&["A-1-11"])).await.refused(404, "SEAT_NOT_FOUND");
    stage.node.stop().await;
}
