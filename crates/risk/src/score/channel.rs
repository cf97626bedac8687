//! Channel: how orders reach the institution, weighted by amount.

use super::{
    Context,
    maths::{half_up, share_bp},
    reason::{Finding, Outcome, ReasonCode},
};
use crate::entry::Channel;

pub(super) fn assess(context: &Context<'_>) -> Outcome {
    let (model, flows) = (&context.model.channel, &context.flows);
    let unknown = context.model.unknown.points;
    if !context.observed() {
        return super::no_transactions(context);
    }
    let total = flows.total();
    if flows.unconverted > 0 && total == 0 {
        return Outcome { points: unknown, known_bp: 0, findings: vec![super::missing_rate(context, 1)] };
    }
    let share = |channel: Channel| share_bp(flows.channels[channel.index()], total);
    let unknown_bp = share_bp(flows.channels[Channel::COUNT], total);
    let groups = [
        (
            ReasonCode::ChannelInPerson,
            vec![(share(Channel::Branch), model.branch), (share(Channel::Atm), model.atm)],
            "comes through branches and cash machines",
        ),
        (
            ReasonCode::ChannelNonFaceToFace,
            vec![(share(Channel::Online), model.online), (share(Channel::Mobile), model.mobile)],
            "is ordered without meeting anyone",
        ),
        (
            ReasonCode::ChannelIntermediary,
            vec![(share(Channel::Intermediary), model.intermediary)],
            "comes through third parties",
        ),
        (ReasonCode::DataMissingChannel, vec![(unknown_bp, unknown)], "comes through unknown channels"),
    ];
    let mut findings = Vec::new();
    let mut weighted = 0_u64;
    for (code, shares, says) in groups {
        let part: u64 = shares.iter().map(|(share, points)| u64::from(*share) * u64::from(*points)).sum();
        let bp: u32 = shares.iter().map(|(share, _)| *share).sum();
        weighted += part;
        if part > 0 {
            let points = half_up(u128::from(part), 10_000).min(100) as u8;
            findings.push(Finding::new(code, points, part, format!("{} % of flow {says}", bp / 100)));
        }
    }
    let mut points = half_up(u128::from(weighted), 10_000).min(100) as u8;
    if flows.unconverted > 0 {
        let lift = unknown.saturating_sub(points);
        points += lift;
        findings.push(super::missing_rate(context, u64::from(lift) * 10_000));
    }
    Outcome { points, known_bp: 10_000 - unknown_bp, findings }
}
