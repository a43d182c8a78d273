//! The data plane from outside: what passes, what is refused, and what a change does to open sessions.

#[cfg(test)]
mod application;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod house;
mod onlooker;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod subscribe;
