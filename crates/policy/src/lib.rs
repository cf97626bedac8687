//! Who may do what: role x method compiled from the proto options, Cedar on resources
