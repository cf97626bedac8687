//! Topics, partitions, consumer groups by fenced leases, outbox relay; embedded log
