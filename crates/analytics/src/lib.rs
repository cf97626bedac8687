//! Risk scores v1 and v2, kept current from the event stream
