//! Floors: conditions under which a score may not be lower, whatever the pillars come to.

use super::{Context, Pillar, geography, reason::Floor, reason::ReasonCode};
use crate::{refdata::Listing, screening::ListKind};

/// Those that hold, in this order.
pub(super) fn hold(context: &Context<'_>) -> Vec<Floor> {
    let model = &context.model.floors;
    let confirmed = [
        (
            ListKind::Sanctions,
            model.sanction,
            ReasonCode::FloorSanction,
            "a hit on a sanctions list is confirmed: the client is blocked",
        ),
        (
            ListKind::ForeignPep,
            model.foreign_pep,
            ReasonCode::FloorForeignPep,
            "the client is a foreign politically exposed person",
        ),
        (
            ListKind::AdverseMedia,
            model.adverse_media,
            ReasonCode::FloorAdverseMedia,
            "adverse media on the client is confirmed",
        ),
    ];
    let confirmed = confirmed.into_iter().filter_map(|(list, at_least, code, text)| {
        let holds = context.screening.is_some_and(|screening| screening.is_confirmed(list));
        let text = text.to_owned();
        at_least.filter(|_| holds).map(|at_least| Floor { code, pillar: Pillar::Screening, at_least, text })
    });
    call_for_action(context).into_iter().chain(confirmed).collect()
}

fn call_for_action(context: &Context<'_>) -> Option<Floor> {
    let lists = context.refdata.countries();
    let called = geography::countries(context).find(|(_, country, _)| {
        country.is_some_and(|country| lists.listing(country) == Listing::CallForAction)
    });
    called.map(|(what, ..)| Floor {
        code: ReasonCode::FloorCallForAction,
        pillar: Pillar::Geography,
        at_least: context.model.floors.call_for_action,
        text: format!("{what} is subject to a FATF call for action"),
    })
}
