//! `riskmesh.reference.v1.ReferenceService`: from the contract's messages to what a set says, and back.

use crate::paging::cut;
use crate::{domain, error};
use api::etag;
use api::reference::v1::reference_service_server::ReferenceService;
use api::reference::v1::{
    Country, CountryRisk, Currency, FxRate, GetCountryRequest, GetCountryResponse, GetCurrencyRequest,
    GetCurrencyResponse, GetRiskListRequest, GetRiskListResponse, ListCountriesRequest,
    ListCountriesResponse, ListCurrenciesRequest, ListCurrenciesResponse, ListFxRatesRequest,
    ListFxRatesResponse, ListRiskListsRequest, ListRiskListsResponse, RiskList, RiskListEntry,
    RiskListVersion, RiskListing, RiskMeasure,
};
use prost::Message;
use refdata::{Dated, Live};
use risk::refdata::{Listing, Measure};
use risk::{Day, StateHash};
use riskmesh_core::Clock;
use riskmesh_core::cursor::Cursors;
use riskmesh_core::page::PageRequest;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// How much of a hash is a tag.
const TAG_DIGITS: usize = 32;

/// Reads reference data.
#[derive(Clone)]
pub(crate) struct ReferenceRpc {
    pub(crate) data: Arc<Live>,
    pub(crate) cursors: Cursors,
    pub(crate) clock: Arc<dyn Clock>,
}

impl ReferenceRpc {
    fn day(&self, text: Option<&String>) -> Result<Day, Status> {
        Ok(domain::day(text.map(String::as_str), self.clock.now())?)
    }
}

#[tonic::async_trait]
impl ReferenceService for ReferenceRpc {
    async fn list_countries(
        &self,
        request: Request<ListCountriesRequest>,
    ) -> Result<Response<ListCountriesResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let (set, day) = (self.data.current(), self.day(request.date.as_ref())?);
        let query = format!("reference/countries/{}", request.date());
        let part = cut(
            set.countries(),
            &page,
            &self.cursors,
            &query,
            |country| country.alpha2.to_string(),
            |country, last| country.alpha2.as_str().as_bytes() > last,
        )?;
        let list = set.in_force(day);
        let mut answer = ListCountriesResponse {
            countries: part.items.iter().map(|one| country(one, list)).collect(),
            page: Some(part.page),
            data_version: set.countries_version().to_owned(),
        };
        Ok(tagged_page(&mut answer, |answer| answer.page.as_mut()))
    }

    async fn get_country(
        &self,
        request: Request<GetCountryRequest>,
    ) -> Result<Response<GetCountryResponse>, Status> {
        let request = request.into_inner();
        let (set, day) = (self.data.current(), self.day(request.date.as_ref())?);
        let found = domain::country(&set, &request.code)?;
        Ok(tagged(GetCountryResponse { country: Some(country(found, set.in_force(day))) }))
    }

    async fn list_currencies(
        &self,
        request: Request<ListCurrenciesRequest>,
    ) -> Result<Response<ListCurrenciesResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let set = self.data.current();
        let part = cut(
            set.currencies(),
            &page,
            &self.cursors,
            "reference/currencies",
            |currency| currency.code.to_string(),
            |currency, last| currency.code.as_str().as_bytes() > last,
        )?;
        let mut answer = ListCurrenciesResponse {
            currencies: part.items.iter().map(currency).collect(),
            page: Some(part.page),
            data_version: set.currencies_version().to_owned(),
        };
        Ok(tagged_page(&mut answer, |answer| answer.page.as_mut()))
    }

    async fn get_currency(
        &self,
        request: Request<GetCurrencyRequest>,
    ) -> Result<Response<GetCurrencyResponse>, Status> {
        let set = self.data.current();
        let found = domain::currency(&set, &request.into_inner().code)?;
        Ok(tagged(GetCurrencyResponse { currency: Some(currency(found)) }))
    }

    async fn list_fx_rates(
        &self,
        request: Request<ListFxRatesRequest>,
    ) -> Result<Response<ListFxRatesResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let (set, day) = (self.data.current(), self.day(request.date.as_ref())?);
        let base = domain::base(&set, request.base.as_deref())?;
        let rates = set.rates().on(day, base).ok_or_else(|| error::no_rate(base.as_str(), day))?;
        let query = format!("reference/fx-rates/{}/{}", request.date(), request.base());
        let part = cut(
            &rates,
            &page,
            &self.cursors,
            &query,
            |(currency, _)| currency.to_string(),
            |(currency, _), last| currency.as_str().as_bytes() > last,
        )?;
        let mut answer = ListFxRatesResponse {
            base: base.to_string(),
            date: day.to_string(),
            rates: part.items.iter().map(|(currency, dated)| rate(*currency, dated)).collect(),
            page: Some(part.page),
            data_version: set.rates_version().to_owned(),
        };
        Ok(tagged_page(&mut answer, |answer| answer.page.as_mut()))
    }

    async fn list_risk_lists(
        &self,
        request: Request<ListRiskListsRequest>,
    ) -> Result<Response<ListRiskListsResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let (set, day) = (self.data.current(), self.day(request.date.as_ref())?);
        let query = format!("reference/risk-lists/{}", request.date());
        let part = cut(
            set.lists(),
            &page,
            &self.cursors,
            &query,
            |list| list.lists.published().to_string(),
            // The newest first: what is after is older.
            |list, last| list.lists.published().to_string().as_bytes() < last,
        )?;
        let in_force = set.in_force(day).map(|list| list.lists.version());
        let mut answer = ListRiskListsResponse {
            risk_lists: part.items.iter().map(|list| list_version(list, in_force)).collect(),
            page: Some(part.page),
            data_version: set.lists_version().to_owned(),
        };
        Ok(tagged_page(&mut answer, |answer| answer.page.as_mut()))
    }

    async fn get_risk_list(
        &self,
        request: Request<GetRiskListRequest>,
    ) -> Result<Response<GetRiskListResponse>, Status> {
        let set = self.data.current();
        let found = domain::list(&set, &request.into_inner().version)?;
        Ok(tagged(GetRiskListResponse { risk_list: Some(risk_list(found)) }))
    }
}

/// A response with the weak ETag (RFC 9110) of what it says: weak, for one tag stands for its JSON and its Protobuf.
fn tagged<T: Message>(message: T) -> Response<T> {
    let tag = tag(&message);
    etag::tagged(message, &tag)
}

/// The same for a page. Its cursor is sealed anew for every answer, and says the same: it does not count.
fn tagged_page<T: Message + Default>(
    message: &mut T,
    page: impl Fn(&mut T) -> Option<&mut api::common::v1::Page>,
) -> Response<T> {
    let cursor = page(message).and_then(|page| page.next_cursor.take());
    let tag = tag(message);
    if let Some(page) = page(message) {
        page.next_cursor = cursor;
    }
    etag::tagged(std::mem::take(message), &tag)
}

fn tag(message: &impl Message) -> String {
    let mut hash = StateHash::of(&message.encode_to_vec()).to_string();
    hash.truncate(TAG_DIGITS);
    format!("W/\"{hash}\"")
}

fn country(country: &refdata::Country, list: Option<&refdata::RiskList>) -> Country {
    let risk = list.map(|list| {
        let listed = list.lists.iter().find(|(code, _)| *code == country.alpha2).map(|(_, listed)| listed);
        CountryRisk {
            listing: listing(listed.map_or(Listing::Unlisted, |listed| listed.listing)).into(),
            measure: listed.map_or(RiskMeasure::Unspecified, |listed| measure(listed.measure)).into(),
            list_version: list.lists.version().to_owned(),
        }
    });
    Country {
        code: country.alpha2.to_string(),
        alpha3: country.alpha3.clone(),
        numeric: country.numeric.clone(),
        name: country.name.clone(),
        risk,
    }
}

fn currency(currency: &refdata::Currency) -> Currency {
    Currency {
        code: currency.code.to_string(),
        numeric: currency.numeric.clone(),
        name: currency.name.clone(),
        minor_units: currency.minor_units.into(),
    }
}

fn rate(currency: risk::Currency, dated: &Dated) -> FxRate {
    FxRate {
        currency: currency.to_string(),
        rate: dated.quote.to_string(),
        date: dated.day.to_string(),
        version: dated.version.to_string(),
        derived: dated.derived,
    }
}

fn list_version(list: &refdata::RiskList, in_force: Option<&str>) -> RiskListVersion {
    RiskListVersion {
        version: list.lists.version().to_owned(),
        published: list.lists.published().to_string(),
        source: list.lists.source().to_owned(),
        content_hash: list.hash.to_string(),
        in_force: in_force == Some(list.lists.version()),
        entry_count: i32::try_from(list.lists.iter().count()).unwrap_or(i32::MAX),
    }
}

fn risk_list(list: &refdata::RiskList) -> RiskList {
    let entry = |(country, listed): (risk::Country, &risk::refdata::Listed)| RiskListEntry {
        country: country.to_string(),
        name: listed.name.clone(),
        listing: listing(listed.listing).into(),
        measure: measure(listed.measure).into(),
    };
    RiskList {
        version: list.lists.version().to_owned(),
        published: list.lists.published().to_string(),
        source: list.lists.source().to_owned(),
        content_hash: list.hash.to_string(),
        entries: list.lists.iter().map(entry).collect(),
    }
}

fn listing(listing: Listing) -> RiskListing {
    match listing {
        Listing::Unlisted => RiskListing::Unlisted,
        Listing::IncreasedMonitoring => RiskListing::IncreasedMonitoring,
        Listing::CallForAction => RiskListing::CallForAction,
    }
}

fn measure(measure: Measure) -> RiskMeasure {
    match measure {
        Measure::RiskBased => RiskMeasure::RiskBased,
        Measure::EnhancedDueDiligence => RiskMeasure::EnhancedDueDiligence,
        Measure::Countermeasures => RiskMeasure::Countermeasures,
    }
}

#[cfg(test)]
mod tests;
