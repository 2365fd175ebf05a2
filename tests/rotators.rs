//! The rotators that are shipped, against real servers: each step as a rotation calls it, twice, out of order, and with the server down.

#[path = "rotators/jwks.rs"]
mod jwks;
#[path = "rotators/policy.rs"]
mod policy;
#[path = "rotators/postgres.rs"]
mod postgres;
#[path = "support/postgres.rs"]
mod postgres_server;
#[path = "support/process_watch.rs"]
mod process_watch;
#[path = "rotators/redis.rs"]
mod redis;
#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/sshd.rs"]
mod sshd;
