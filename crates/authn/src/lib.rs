//! Token issue and verification, JWKS, the JWT layer that every service uses
