//! Channel between services, client and server stacks
