//! What a model's numbers may be. A model that passes cannot make a score that is out of range.

use super::{Behaviour, Customer, Error, Product, Scorecard, Weights, Window};
use crate::time::{DAY_MS, HOUR_MS};

type Checked = Result<(), Error>;

fn ensure(holds: bool, key: &'static str, expected: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(Error::Value { key, expected }) }
}

fn sum_to_whole(parts: &[u32], key: &'static str) -> Checked {
    let sum: u64 = parts.iter().map(|part| u64::from(*part)).sum();
    ensure(sum == 10_000, key, "basis points that sum to 10000")
}

fn is_bp(bp: u32) -> bool {
    (1..=10_000).contains(&bp)
}

fn are_days(days: u32) -> bool {
    (1..=3_660).contains(&days)
}

pub(super) fn card(card: &Scorecard) -> Checked {
    let version = card.version.as_bytes();
    let plain = version.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(b));
    ensure((1..=64).contains(&version.len()) && plain, "version", "1 to 64 characters a-z 0-9 - . _")?;
    weights(&card.weights)?;
    let bands = &card.bands;
    let ascending = bands.medium_from >= 1 && bands.medium_from < bands.high_from && bands.high_from <= 100;
    ensure(ascending, "bands", "1 to 100, ascending")?;
    ensure(
        are_days(card.window.retained_days)
            && are_days(card.window.flow_days)
            && card.window.history_days.is_none_or(are_days),
        "window",
        "1 to 3660 days",
    )?;
    customer(&card.customer)?;
    behaviour(&card.behaviour, card.window.retained_ms())?;
    comparisons(&card.behaviour, &card.window)?;
    network(card)?;
    product(&card.product)?;
    let confidence = &card.confidence;
    ensure(
        are_days(confidence.review_days) && are_days(confidence.depth_days),
        "confidence",
        "1 to 3660 days",
    )?;
    ensure(confidence.depth_floor_bp <= 10_000, "confidence.depth-floor-bp", "0 to 10000")?;
    ensure((1..=10_000).contains(&card.reasons.max_transactions), "reasons.max-transactions", "1 to 10000")?;
    ensure(points(card).iter().all(|points| *points <= 100), "points", "0 to 100")
}

fn weights(weights: &Weights) -> Checked {
    let Weights { geography, customer, behaviour, screening, product, channel } = *weights;
    sum_to_whole(&[geography, customer, behaviour, screening, product, channel], "weights")
}

fn customer(customer: &Customer) -> Checked {
    let weights = &customer.weights;
    let parts = [weights.r#type, weights.industry, weights.ownership, weights.age];
    sum_to_whole(&parts, "customer.weights")?;
    // Age and type apply to everybody: with them at zero a person's mean would be over nothing.
    ensure(weights.r#type + weights.age > 0, "customer.weights", "more than 0 for type and age together")
}

fn product(product: &Product) -> Checked {
    let shares = [&product.cash, &product.cross_border, &product.crypto];
    let parts = [shares[0].weight, shares[1].weight, shares[2].weight, product.private_banking.weight];
    sum_to_whole(&parts, "product.*.weight")?;
    ensure(shares.iter().all(|share| is_bp(share.full_at_bp)), "product.*.full-at-bp", "1 to 10000")
}

fn behaviour(behaviour: &Behaviour, retained_ms: i64) -> Checked {
    let fits = |hours: u32| hours >= 1 && i64::from(hours) * HOUR_MS <= retained_ms;
    let rule = &behaviour.structuring;
    ensure(is_bp(rule.floor_bp), "behaviour.structuring.floor-bp", "1 to 10000")?;
    ensure(rule.min_count >= 2, "behaviour.structuring.min-count", "at least 2")?;
    ensure((1..=8).contains(&rule.windows.len()), "behaviour.structuring.windows", "1 to 8 windows")?;
    let ascending = rule.windows.is_sorted_by(|a, b| a.hours < b.hours);
    let fit = rule.windows.iter().all(|window| fits(window.hours));
    let expected = "ascending, at least 1 hour, within window.retained-days";
    ensure(ascending && fit, "behaviour.structuring.windows", expected)?;

    let rule = &behaviour.rapid_movement;
    let expected = "at least 1, within window.retained-days";
    ensure(is_bp(rule.out_bp), "behaviour.rapid-movement.out-bp", "1 to 10000")?;
    ensure(fits(rule.hours), "behaviour.rapid-movement.hours", expected)?;
    for rule in [&behaviour.fan_in, &behaviour.fan_out] {
        ensure(fits(rule.hours), "behaviour.fan-*.hours", expected)?;
        ensure(rule.min_counterparties >= 2, "behaviour.fan-*.min-counterparties", "at least 2")?;
    }
    Ok(())
}

/// The rules that compare with the past, where a model has them.
fn comparisons(behaviour: &Behaviour, window: &Window) -> Checked {
    let remembered = |days: u32| days >= 1 && i64::from(days) * DAY_MS <= window.history_ms();
    let sigmas = |sigmas: u32| (1..=10).contains(&sigmas);
    let expected = "at least 1, within window.history-days";
    if let Some(rule) = &behaviour.dormant_reactivation {
        let key = "behaviour.dormant-reactivation";
        ensure(remembered(rule.silent_days) && remembered(rule.within_days), key, expected)?;
        ensure(
            rule.min_past >= 2 && sigmas(rule.sigmas),
            key,
            "at least 2 for min-past, 1 to 10 for sigmas",
        )?;
    }
    if let Some(rule) = &behaviour.spike {
        let key = "behaviour.spike";
        ensure(remembered(rule.history_days) && rule.min_days >= 2, key, "a past of at least 2 days")?;
        let above = (10_000..=1_000_000).contains(&rule.over_maximum_bp) && sigmas(rule.sigmas);
        ensure(above, key, "10000 to 1000000 for over-maximum-bp, 1 to 10 for sigmas")?;
    }
    if let Some(rule) = &behaviour.high_risk_flow {
        let key = "behaviour.high-risk-flow";
        ensure(
            is_bp(rule.share_bp) && rule.min_count >= 1,
            key,
            "1 to 10000 for share-bp, at least 1 for min-count",
        )?;
    }
    if let Some(rule) = &behaviour.benford {
        let critical = (1..=1_000_000).contains(&rule.critical_milli);
        ensure(rule.min_count >= 20 && critical, "behaviour.benford", "at least 20 for min-count")?;
    }
    Ok(())
}

/// The rules over the network, where a model has them.
fn network(card: &Scorecard) -> Checked {
    let behaviour = &card.behaviour;
    let amounts = "1 to 10000 for amount-bp";
    if let Some(rule) = &behaviour.round_tripping {
        let key = "behaviour.round-tripping";
        ensure((2..=8).contains(&rule.max_length), key, "2 to 8 for max-length")?;
        ensure((2..=rule.max_length).contains(&rule.min_length), key, "2 to max-length for min-length")?;
        ensure(
            is_bp(rule.amount_bp) && (1..=366).contains(&rule.days),
            key,
            "1 to 366 for days, amount-bp 1 to 10000",
        )?;
    }
    if let Some(rule) = &behaviour.scatter_gather {
        let key = "behaviour.scatter-gather";
        ensure(
            rule.min_between >= 2 && (1..=366).contains(&rule.days),
            key,
            "at least 2 for min-between, 1 to 366 for days",
        )?;
        ensure(is_bp(rule.amount_bp), key, amounts)?;
    }
    if let Some(rule) = &behaviour.gather_scatter {
        let key = "behaviour.gather-scatter";
        let fits = rule.hours >= 1 && i64::from(rule.hours) * HOUR_MS <= card.window.retained_ms();
        ensure(
            rule.min_counterparties >= 2 && fits,
            key,
            "at least 2 for min-counterparties, hours within window.retained-days",
        )?;
        ensure(is_bp(rule.amount_bp), key, amounts)?;
    }
    let Some(network) = &card.network else {
        return ensure(behaviour.network_days().is_none(), "network", "there where a typology needs it");
    };
    ensure((1..=3).contains(&network.hops), "network.hops", "1 to 3")?;
    ensure((1..=10_000).contains(&network.max_accounts), "network.max-accounts", "1 to 10000")?;
    ensure((1..=100_000).contains(&network.max_entries), "network.max-entries", "1 to 100000")?;
    ensure((1..=100_000_000).contains(&network.max_steps), "network.max-steps", "1 to 100000000")?;
    ensure(network.cut_known_bp <= 10_000, "network.cut-known-bp", "0 to 10000")
}

/// Everything in the file that is points.
fn points(card: &Scorecard) -> Vec<u8> {
    let (geography, channel) = (&card.geography, &card.channel);
    let (structuring, rapid) = (&card.behaviour.structuring, &card.behaviour.rapid_movement);
    let mut points = vec![card.unknown.points, card.floors.call_for_action, card.alerts.hysteresis];
    points.extend(
        [card.floors.sanction, card.floors.foreign_pep, card.floors.adverse_media].into_iter().flatten(),
    );
    if let Some(of) = &card.screening {
        points.extend([of.sanctions, of.foreign_pep, of.domestic_pep, of.adverse_media]);
    }
    points.extend([geography.call_for_action, geography.increased_monitoring, geography.unlisted]);
    points.extend([card.customer.r#type.individual, card.customer.r#type.company]);
    points.extend(card.customer.industry.points());
    points.extend(card.customer.ownership_layers.points());
    points.extend(card.customer.age_days.points());
    points.extend([structuring.each_further, structuring.cap]);
    points.extend(structuring.windows.iter().map(|window| window.points));
    points.extend([rapid.points, rapid.each_further, rapid.cap]);
    for fan in [&card.behaviour.fan_in, &card.behaviour.fan_out] {
        points.extend([fan.points, fan.each_further, fan.cap]);
    }
    if let Some(rule) = &card.behaviour.dormant_reactivation {
        points.extend([rule.points, rule.each_further, rule.cap]);
    }
    if let Some(rule) = &card.behaviour.spike {
        points.extend([rule.points, rule.each_further, rule.cap]);
    }
    points.extend(card.behaviour.high_risk_flow.as_ref().map(|rule| rule.points));
    if let Some(rule) = &card.behaviour.benford {
        points.extend([rule.points, rule.each_further, rule.cap]);
    }
    if let Some(rule) = &card.behaviour.round_tripping {
        points.extend([rule.points, rule.each_further, rule.cap]);
    }
    if let Some(rule) = &card.behaviour.scatter_gather {
        points.extend([rule.points, rule.each_further, rule.cap]);
    }
    if let Some(rule) = &card.behaviour.gather_scatter {
        points.extend([rule.points, rule.each_further, rule.cap]);
    }
    points.push(card.product.private_banking.points);
    points.extend([channel.branch, channel.atm, channel.online, channel.mobile, channel.intermediary]);
    points
}
