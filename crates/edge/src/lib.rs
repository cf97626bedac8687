//! The HTTP front: REST, gRPC, gRPC-Web on one port; auth, limits, errors, log, OpenAPI, docs
