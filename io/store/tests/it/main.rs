//! The store over a disk that loses power.

#[cfg(test)]
mod disk;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod sessions_cut;
