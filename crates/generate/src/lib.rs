//! Seeded, counter-based generator of clients, accounts and labelled transactions
