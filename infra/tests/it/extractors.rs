//! What each extractor takes and refuses, through a router as the product serves it.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::{get, post};
use bytes::Bytes;
use domain::{EventId, UserId};
use futures::stream;
use infra::http::{
    AtPosition, Cursor, Edge, IdempotencyKey, Json, Limit, MinPosition, Page, Path, Problem, Query,
    ServiceLimits,
};
use infra::log::Position;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as object};

use crate::service::{ask, json, problem, served};

const EVENT: &str = "evt_01jd2yc5f9e7kbg4v1rm0n8wq3";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reserve {
    event_id: EventId,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    quantity: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<Order>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Browse {
    city: Option<String>,
    event_id: Option<EventId>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor>,
    from: Option<u64>,
    order: Option<Order>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    First,
    Last,
}

async fn browse(Query(query): Query<Browse>) -> Result<Json<Page<Value>>, Problem> {
    let items = query.limit.items()?;
    let from = query.cursor.map_or(Ok(0), |cursor| cursor.place("numbers"))?;
    let _ = (query.from, query.order);
    let items = (from..from + items).map(|number| object!([number, query.city, query.event_id]));
    let items: Vec<Value> = items.collect();
    let next_cursor = Some(Cursor::new("numbers", &(from + items.len())));
    Ok(Json(Page { items, next_cursor }))
}

async fn headers(
    IdempotencyKey(key): IdempotencyKey,
    MinPosition(min): MinPosition,
) -> Json<Value> {
    Json(object!([key, min]))
}

async fn two(Path((event, user)): Path<(EventId, UserId)>) -> Json<Value> {
    Json(object!([event, user]))
}

fn router() -> Edge {
    let router = Router::new()
        .route("/reserve", post(async |Json(body): Json<Reserve>| Json(body)))
        .route("/any", post(async |Json(body): Json<Value>| Json(body)))
        .route("/browse", get(browse))
        .route("/headers", get(headers))
        .route("/events/{event_id}", get(async |Path(event): Path<EventId>| Json(event)))
        .route("/records/{position}", get(async |Path(position): Path<u64>| Json(position)))
        .route("/events/{event_id}/users/{user_id}", get(two))
        .route("/write", post(write));
    served(router, ServiceLimits { max_body_bytes: 1_000, ..ServiceLimits::default() })
}

async fn write() -> AtPosition<(StatusCode, Json<Value>)> {
    AtPosition(Position(42), (StatusCode::CREATED, Json(object!({"position": 42}))))
}

fn posted(path: &str, kind: &str, body: impl Into<Body>) -> Request {
    Request::post(path).header("content-type", kind).body(body.into()).unwrap()
}

fn got(path: &str) -> Request {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_sound_body_is_taken() {
    let router = router();
    let body = object!({"event_id": EVENT, "lines": [{"quantity": 2}]});
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON ;a=b"] {
        let response = ask(&router, posted("/reserve", kind, body.to_string())).await;
        assert_eq!(response.status(), 200, "{kind}");
        assert_eq!(json(response).await, body);
    }
    let parts = ["{\"event_id\":\"evt_01jd2yc5f9e7kbg4", "v1rm0n8wq3\",\"lines\":[]}"];
    let parts = Body::from_stream(stream::iter(parts.map(Ok::<_, std::io::Error>)));
    let response = ask(&router, posted("/reserve", "application/json", parts)).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn what_is_no_json_is_refused_with_its_place() {
    let router = router();
    let trailing = format!("{{\"event_id\":\"{EVENT}\",\"lines\":[]}}}}");
    for (body, says, line) in [
        ("{", "EOF", 1),
        ("{\n\"event_id\": x}", "expected value", 2),
        (&trailing, "trailing characters", 1),
    ] {
        let response = ask(&router, posted("/reserve", "application/json", body.to_owned())).await;
        let answer = problem(response, 400, "MALFORMED").await;
        let said = answer["detail"].as_str().unwrap();
        assert!(said.starts_with("The body is not JSON: ") && said.contains(says), "{said}");
        let details = &answer["details"];
        assert_eq!((&details["field"], &details["line"]), (&Value::Null, &object!(line)), "{body}");
        assert!(details["column"].is_number(), "{body}");
    }
}

/// A body with these fields of its first line.
fn with_line(fields: &str) -> String {
    format!("{{\"event_id\":\"{EVENT}\",\"lines\":[{{{fields}}}]}}")
}

#[tokio::test]
async fn what_does_not_belong_where_it_stands_is_named_in_words() {
    const QUANTITY: &str = "lines[0].quantity";
    const ORDER: &str = "lines[0].order";
    let line = |value: &str| with_line(&format!("\"quantity\":{value}"));
    let router = router();
    for (body, field, says) in [
        ("{}".to_owned(), "event_id", "must be given"),
        (with_line(""), QUANTITY, "must be given"),
        ("{\"event_id\":7}".to_owned(), "event_id", "must be an id like evt_"),
        ("{\"event_id\":\"ven_1\"}".to_owned(), "event_id", "must be an id like evt_"),
        ("{\"lines\":{}}".to_owned(), "lines", "must be a list, not an object"),
        ("{\"lines\":[7]}".to_owned(), "lines[0]", "must be an object, not 7"),
        ("{\"event\":1}".to_owned(), "event", "is not known here; known: `event_id` or `lines`"),
        (line("1.5"), QUANTITY, "must be a whole number, not 1.5"),
        (line("\"2\""), QUANTITY, "must be a whole number, not the text \"2\""),
        (line("1},{\"quantity\":null"), "lines[1].quantity", "must be a whole number, not null"),
        (line("1,\"x\":2"), "lines[0].x", "is not known here; known: `quantity` or `order`"),
        (line("1,\"quantity\":2"), QUANTITY, "must be given once"),
        (line("1,\"order\":5"), ORDER, "must be a text"),
        (line("1,\"order\":\"x\""), ORDER, "must be `first` or `last`, not `x`"),
        (
            line("1,\"order\":\" number of a size that fits\""),
            ORDER,
            "must be `first` or `last`, not ` number of a size that fits`",
        ),
    ] {
        let response = ask(&router, posted("/reserve", "application/json", body.clone())).await;
        let answer = problem(response, 400, "MALFORMED").await;
        let said = answer["detail"].as_str().unwrap();
        assert!(said.starts_with(&format!("{field} {says}")), "{body}: {said}");
        let details = &answer["details"];
        assert_eq!((&details["field"], &details["line"]), (&object!(field), &object!(1)), "{body}");
    }
}

/// As a bound that is checked later would be told.
#[tokio::test]
async fn a_number_of_a_size_that_cannot_be_is_an_invalid_value() {
    let router = router();
    for number in ["-1", "4294967296", "12345678901234567890123456", "1e999"] {
        let body = with_line(&format!("\"quantity\":{number}"));
        let response = ask(&router, posted("/reserve", "application/json", body)).await;
        let answer = problem(response, 422, "INVALID").await;
        assert_eq!(answer["details"]["field"], "lines[0].quantity", "{number}");
        let said = answer["detail"].as_str().unwrap();
        assert!(said.contains("number of a size that fits"), "{number}: {said}");
    }
}

#[tokio::test]
async fn only_one_object_of_text_within_a_depth_is_a_body() {
    let router = router();
    let bodies: &[&[u8]] = &[
        b"",
        b" ",
        b"null",
        b"[]",
        b"\"text\"",
        b"\xff\xfe{}",
        b"{\"a\":\"\xc3\"}",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\x00\"}",
        &[b"{\"a\":", &b"[".repeat(400)[..], &b"]".repeat(400), b"}"].concat(),
        &b"{\"a\":".repeat(160),
    ];
    for body in bodies {
        let response = ask(&router, posted("/any", "application/json", body.to_vec())).await;
        problem(response, 400, "MALFORMED").await;
    }
}

#[tokio::test]
async fn what_a_client_sent_is_not_sent_back_at_length() {
    let long = "x".repeat(900);
    let router = router();
    for body in [format!("{{\"{long}\":1}}"), format!("{{\"event_id\":[\"{long}\"]}}")] {
        let response = ask(&router, posted("/reserve", "application/json", body)).await;
        let answer = problem(response, 400, "MALFORMED").await;
        assert!(answer.to_string().len() < 1_500, "{answer}");
    }
}

#[tokio::test]
async fn only_plain_json_is_a_body() {
    let router = router();
    for kind in ["", "text/plain", "application/jsonp", "application/x-www-form-urlencoded", "json"]
    {
        let response = ask(&router, posted("/any", kind, "{}")).await;
        problem(response, 415, "UNSUPPORTED_MEDIA_TYPE").await;
    }
    let without = Request::post("/any").body(Body::from("{}")).unwrap();
    problem(ask(&router, without).await, 415, "UNSUPPORTED_MEDIA_TYPE").await;
    let mut packed = posted("/any", "application/json", "{}");
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    problem(ask(&router, packed).await, 415, "UNSUPPORTED_MEDIA_TYPE").await;
}

#[tokio::test]
async fn a_body_has_a_largest_size() {
    let router = router();
    let text = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
    let at_once = |length| posted("/any", "application/json", text(length));
    let in_parts = |length| {
        let text = text(length).into_bytes();
        let parts: Vec<_> = text.chunks(100).map(Bytes::copy_from_slice).map(Ok).collect();
        let parts = stream::iter::<Vec<Result<Bytes, std::io::Error>>>(parts);
        posted("/any", "application/json", Body::from_stream(parts))
    };
    assert_eq!(ask(&router, at_once(1_000)).await.status(), 200);
    assert_eq!(ask(&router, in_parts(1_000)).await.status(), 200);
    problem(ask(&router, at_once(1_001)).await, 413, "PAYLOAD_TOO_LARGE").await;
    problem(ask(&router, in_parts(1_001)).await, 413, "PAYLOAD_TOO_LARGE").await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed() {
    let parts = [Ok(Bytes::from("{\"a\":")), Err(std::io::Error::other("connection lost"))];
    let body = Body::from_stream(stream::iter(parts));
    let response = ask(&router(), posted("/any", "application/json", body)).await;
    let answer = problem(response, 400, "MALFORMED").await;
    assert!(!answer.to_string().contains("connection lost"));
}

#[tokio::test]
async fn a_query_is_read_or_refused() {
    let router = router();
    let page = ask(&router, got("/browse?city=S%C3%A3o+Paulo&limit=2")).await;
    let page = json(page).await;
    assert_eq!(page["items"], object!([[0, "São Paulo", null], [1, "São Paulo", null]]));
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = json(ask(&router, got(&format!("/browse?limit=1&cursor={cursor}"))).await).await;
    assert_eq!(next["items"], object!([[2, null, null]]));
    assert_eq!(
        json(ask(&router, got("/browse")).await).await["items"].as_array().unwrap().len(),
        20
    );

    let foreign = serde_json::to_value(Cursor::new("letters", &1)).unwrap();
    let foreign = format!("cursor={}", foreign.as_str().unwrap());
    let table = [
        ("town=Rio", "town is not known here; known: `city`", 400, "MALFORMED"),
        ("city=a&city=b", "city must be given once", 400, "MALFORMED"),
        ("from=-1", "from must be a whole number from 0 up", 422, "INVALID"),
        ("from=x", "from must be a whole number", 400, "MALFORMED"),
        ("from=99999999999999999999", "of a size that fits", 422, "INVALID"),
        ("limit=ten", "limit must be a whole number from 1 to 100", 400, "MALFORMED"),
        ("limit=-1", "limit must be a whole number from 1 to 100", 422, "INVALID"),
        ("limit=99999999999999999999", "limit must be a whole", 422, "INVALID"),
        ("limit=-", "limit must be a whole number from 1 to 100", 400, "MALFORMED"),
        ("limit=", "limit must be a whole number from 1 to 100", 400, "MALFORMED"),
        ("event_id=7", "event_id must be an id like evt_", 400, "MALFORMED"),
        ("city=S%E3o+Paulo", "must be UTF-8", 400, "MALFORMED"),
        ("%ff=1", "must be UTF-8", 400, "MALFORMED"),
        ("cursor=7", "next_cursor", 422, "INVALID"),
        ("cursor=", "next_cursor", 422, "INVALID"),
        (&foreign, "next_cursor", 422, "INVALID"),
        ("limit=0", "1 to 100", 422, "INVALID"),
        ("limit=101", "1 to 100", 422, "INVALID"),
    ];
    for (query, detail, status, code) in table {
        let response = ask(&router, got(&format!("/browse?{query}"))).await;
        let answer = problem(response, status, code).await;
        let said = answer["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{query}: {said}");
    }
}

#[tokio::test]
async fn a_path_is_read_or_refused() {
    let router = router();
    let response = ask(&router, got(&format!("/events/{EVENT}"))).await;
    assert_eq!(json(response).await, EVENT);
    assert_eq!(json(ask(&router, got("/records/7")).await).await, 7);

    let table = [
        ("/events/7", "event_id in the path must be an id like evt_"),
        ("/events/evt_01JD2YC5F9E7KBG4V1RM0N8WQ3", "event_id in the path"),
        ("/events/%ff", "event_id in the path must be UTF-8"),
        ("/events/%00", "event_id in the path"),
        ("/records/-1", "must be a whole number."),
        ("/records/99999999999999999999", "must be a whole number."),
        (&format!("/events/{EVENT}/users/{EVENT}"), "user_id in the path must be an id like usr_"),
    ];
    for (path, detail) in table {
        let answer = problem(ask(&router, got(path)).await, 400, "MALFORMED").await;
        let said = answer["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{path}: {said}");
    }
}

#[tokio::test]
async fn headers_are_read_or_refused() {
    let router = router();
    let with = |headers: &[(&str, &[u8])]| {
        let mut request = got("/headers");
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.to_vec().try_into().unwrap());
        }
        request
    };
    let longest = "k".repeat(255);
    let too_long = "k".repeat(256);
    for (headers, answer) in [
        (vec![], object!([null, null])),
        (vec![("idempotency-key", b"k-1".as_slice())], object!(["k-1", null])),
        (vec![("idempotency-key", longest.as_bytes())], object!([longest, null])),
        (vec![("evently-min-position", b"0")], object!([null, 0])),
        (vec![("evently-min-position", b"18446744073709551615")], object!([null, u64::MAX])),
        (vec![("evently-min-position", b"18446744073709551616")], object!([null, u64::MAX])),
    ] {
        assert_eq!(json(ask(&router, with(&headers)).await).await, answer);
    }
    for headers in [
        vec![("idempotency-key", b"".as_slice())],
        vec![("idempotency-key", b"two words")],
        vec![("idempotency-key", "ünï".as_bytes())],
        vec![("idempotency-key", too_long.as_bytes())],
        vec![("idempotency-key", b"a"), ("idempotency-key", b"a")],
        vec![("evently-min-position", b"")],
        vec![("evently-min-position", b"-1")],
        vec![("evently-min-position", b"+1")],
        vec![("evently-min-position", b"0x10")],
        vec![("evently-min-position", b"1"), ("evently-min-position", b"2")],
    ] {
        problem(ask(&router, with(&headers)).await, 400, "MALFORMED").await;
    }
}

#[tokio::test]
async fn a_write_says_where_it_is() {
    let response = ask(&router(), posted("/write", "application/json", "")).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["evently-position"], "42");
    assert_eq!(json(response).await, object!({"position": 42}));
}
