//! Which member works on which partition: rendezvous hashing (Thaler and Ravishankar, 1998). Every member computes the same from
//! the same list, and when a member comes or goes only its own partitions move.

use store::Token;

/// The member that a partition belongs to; `None` without members.
pub(crate) fn owner<'a>(members: &'a [String], topic: &str, partition: u32) -> Option<&'a str> {
    members.iter().max_by_key(|member| (weight(member, topic, partition), *member)).map(String::as_str)
}

fn weight(member: &str, topic: &str, partition: u32) -> i64 {
    let mut key = Vec::with_capacity(member.len() + topic.len() + 6);
    key.extend_from_slice(member.as_bytes());
    key.push(0);
    key.extend_from_slice(topic.as_bytes());
    key.push(0);
    key.extend_from_slice(&partition.to_be_bytes());
    Token::of(&key).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("member-{index}")).collect()
    }

    proptest! {
        #[test]
        fn only_the_partitions_of_a_leaving_member_move(count in 2_usize..12, leaving: prop::sample::Index) {
            let before = members(count);
            let gone = leaving.get(&before).clone();
            let after: Vec<_> = before.iter().filter(|member| **member != gone).cloned().collect();
            for partition in 0..64 {
                let (old, new) = (owner(&before, "t", partition), owner(&after, "t", partition));
                prop_assert!(new.is_some());
                prop_assert!(old == new || old == Some(&*gone));
            }
        }

        #[test]
        fn the_order_of_the_list_does_not_matter(shuffled in Just(members(7)).prop_shuffle()) {
            for partition in 0..64 {
                let (listed, shuffled) = (members(7), &shuffled);
                prop_assert_eq!(owner(&listed, "t", partition), owner(shuffled, "t", partition));
            }
        }
    }

    #[test]
    fn partitions_spread_over_the_members() {
        let members = members(4);
        for member in &members {
            let count = (0..400).filter(|partition| owner(&members, "t", *partition) == Some(member)).count();
            assert!((60..140).contains(&count), "{member} has {count} of 400");
        }
    }
}
