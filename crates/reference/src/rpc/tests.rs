#![allow(clippy::unwrap_used)]
use super::*;
use riskmesh_core::cipher::Key;
use riskmesh_core::{Error, ErrorCode, ManualClock, Timestamp};
use std::fs;
use tempfile::TempDir;

struct World {
    directory: TempDir,
    rpc: ReferenceRpc,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let rpc = ReferenceRpc {
            data: Arc::new(Live::open(Some(directory.path())).unwrap()),
            cursors: Cursors::new(Key::random().unwrap()),
            clock: Arc::new(ManualClock::at(Timestamp::parse("2026-03-01T12:00:00Z").unwrap())),
        };
        Self { directory, rpc }
    }

    fn reload_with(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
        self.rpc.data.reload().unwrap();
    }

    async fn country(&self, code: &str, date: &str) -> Result<Response<GetCountryResponse>, Status> {
        self.rpc.get_country(Request::new(GetCountryRequest { code: code.into(), date: given(date) })).await
    }

    async fn countries(&self, request: ListCountriesRequest) -> Response<ListCountriesResponse> {
        self.rpc.list_countries(Request::new(request)).await.unwrap()
    }

    async fn rates(&self, date: &str, base: &str) -> Result<ListFxRatesResponse, Status> {
        let request = ListFxRatesRequest { date: given(date), base: given(base), ..Default::default() };
        self.rpc.list_fx_rates(Request::new(request)).await.map(Response::into_inner)
    }
}

/// A parameter that is left away where it is empty.
fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn etag<T>(response: &Response<T>) -> String {
    response.metadata().get("etag").unwrap().to_str().unwrap().to_owned()
}

const JUNE: &str = "version = \"june\"\npublished = \"2026-02-20\"\nsource = \"Ours\"\nincreased-monitoring = []\n\
    [[call-for-action]]\ncountry = \"NA\"\nname = \"Namibia\"\nmeasure = \"enhanced-due-diligence\"\n";

#[tokio::test]
async fn a_country_says_what_the_list_in_force_says_of_it() {
    let world = World::new();
    let iran = world.country("IRN", "").await.unwrap().into_inner().country.unwrap();
    let risk = iran.risk.unwrap();
    assert_eq!((iran.code.as_str(), risk.listing()), ("IR", RiskListing::CallForAction));
    assert_eq!(
        (risk.measure(), risk.list_version.as_str()),
        (RiskMeasure::Countermeasures, "fatf-2026-02-13")
    );
    let ireland = world.country("IE", "").await.unwrap().into_inner().country.unwrap().risk.unwrap();
    assert_eq!((ireland.listing(), ireland.measure()), (RiskListing::Unlisted, RiskMeasure::Unspecified));
    let before = world.country("IR", "2026-02-12").await.unwrap().into_inner().country.unwrap();
    assert_eq!(before.risk, None, "no list was in force: nobody knows");
    let unknown = Error::from_status(&world.country("XX", "").await.unwrap_err());
    assert_eq!(unknown.code, ErrorCode::CountryNotFound);
    let bad = Error::from_status(&world.country("IE", "2026-02-30").await.unwrap_err());
    assert_eq!(bad.code, ErrorCode::InvalidInput);
}

#[tokio::test]
async fn a_reload_is_seen_in_answers_and_tags() {
    let world = World::new();
    let all = || world.countries(ListCountriesRequest { limit: Some(1000), ..Default::default() });
    let (old, ireland, namibia) = (all().await, world.country("IE", "").await, world.country("NA", "").await);
    let same = all().await;
    assert_eq!((etag(&old), &old.get_ref().data_version), (etag(&same), &same.get_ref().data_version));

    world.reload_with("country-risk-june.toml", JUNE);
    let new = all().await;
    assert_ne!(etag(&old), etag(&new));
    assert_ne!(old.get_ref().data_version, new.get_ref().data_version);
    let changed = world.country("NA", "").await.unwrap();
    assert_ne!(etag(&namibia.unwrap()), etag(&changed));
    let risk = changed.into_inner().country.unwrap().risk.unwrap();
    assert_eq!(
        (risk.listing(), risk.measure()),
        (RiskListing::CallForAction, RiskMeasure::EnhancedDueDiligence)
    );
    assert_ne!(etag(&ireland.unwrap()), etag(&world.country("IE", "").await.unwrap()), "by another list");
}

#[tokio::test]
async fn a_page_has_one_tag_although_its_cursor_is_sealed_anew() {
    let world = World::new();
    let first = || world.countries(ListCountriesRequest::default());
    let (one, other) = (first().await, first().await);
    let cursor =
        |page: &Response<ListCountriesResponse>| page.get_ref().page.clone().unwrap().next_cursor.unwrap();
    assert_ne!(cursor(&one), cursor(&other));
    assert_eq!(etag(&one), etag(&other));
    let next = world.countries(ListCountriesRequest { cursor: cursor(&one), ..Default::default() }).await;
    assert_ne!(etag(&next), etag(&one));
    assert!(next.get_ref().countries[0].code > one.get_ref().countries[49].code);
}

#[tokio::test]
async fn rates_have_their_own_days_and_any_base() {
    let world = World::new();
    let euros = world.rates("2025-06-01", "").await.unwrap();
    assert_eq!((euros.base.as_str(), euros.date.as_str()), ("EUR", "2025-06-01"));
    let of = |rates: &ListFxRatesResponse, code: &str| {
        let rate = rates.rates.iter().find(|rate| rate.currency == code).unwrap();
        (rate.rate.clone(), rate.date.clone(), rate.derived)
    };
    assert_eq!(of(&euros, "USD"), ("1.08".into(), "2025-01-01".into(), false));
    assert_eq!(of(&euros, "AED"), ("4.04".into(), "2000-01-01".into(), false));
    let dollars = world.rates("2025-06-01", "USD").await.unwrap();
    assert_eq!(of(&dollars, "EUR"), ("0.9259259259".into(), "2025-01-01".into(), true));
    assert_eq!(of(&dollars, "AED"), ("3.740740741".into(), "2000-01-01".into(), true));
    for (date, base) in [("1999-12-31", "USD"), ("2025-06-01", "XCG")] {
        let none = Error::from_status(&world.rates(date, base).await.unwrap_err());
        assert_eq!(none.code, ErrorCode::RateNotFound);
    }
    assert!(world.rates("1999-12-31", "EUR").await.unwrap().rates.is_empty());
}

#[tokio::test]
async fn publications_are_listed_and_read() {
    let world = World::new();
    world.reload_with("country-risk-june.toml", JUNE);
    let list =
        |request| async { world.rpc.list_risk_lists(Request::new(request)).await.unwrap().into_inner() };
    let all = list(ListRiskListsRequest::default()).await.risk_lists;
    let shown: Vec<_> =
        all.iter().map(|list| (list.version.as_str(), list.in_force, list.entry_count)).collect();
    assert_eq!(shown, [("june", true, 1), ("fatf-2026-02-13", false, 25)]);
    let first =
        list(ListRiskListsRequest { limit: Some(1), date: given("2026-02-19"), ..Default::default() }).await;
    assert!(!first.risk_lists[0].in_force);
    let cursor = first.page.unwrap().next_cursor.unwrap();
    let second = ListRiskListsRequest { cursor, date: given("2026-02-19"), ..Default::default() };
    let second = list(second).await.risk_lists;
    assert_eq!((second[0].version.as_str(), second[0].in_force), ("fatf-2026-02-13", true));

    let get =
        |version: &str| world.rpc.get_risk_list(Request::new(GetRiskListRequest { version: version.into() }));
    let found = get("fatf-2026-02-13").await.unwrap().into_inner().risk_list.unwrap();
    assert_eq!((found.entries.len(), &found.content_hash), (25, &all[1].content_hash));
    assert_eq!(Error::from_status(&get("none").await.unwrap_err()).code, ErrorCode::RiskListNotFound);
}

#[tokio::test]
async fn currencies_are_listed_and_read() {
    let world = World::new();
    let request = ListCurrenciesRequest { limit: Some(1000), ..Default::default() };
    let all = world.rpc.list_currencies(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(all.currencies.len() as i64, all.page.unwrap().total);
    let get = |code: &str| world.rpc.get_currency(Request::new(GetCurrencyRequest { code: code.into() }));
    let yen = get("JPY").await.unwrap().into_inner().currency.unwrap();
    assert_eq!((yen.numeric.as_str(), yen.name.as_str(), yen.minor_units), ("392", "Yen", 0));
    assert_eq!(Error::from_status(&get("XYZ").await.unwrap_err()).code, ErrorCode::CurrencyNotFound);
}
