//! Clients, accounts, addresses, transactions
