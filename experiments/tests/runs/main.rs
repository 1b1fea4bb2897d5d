//! Whole runs of the built program on a handful of concepts: stopped, damaged, starved of disk, used.

mod answers;
mod augmentation;
mod classification;
mod companions;
mod damage;
mod disk;
mod fixture;
mod interruption;
mod media;
mod probe;
mod starting;
mod subsets;
