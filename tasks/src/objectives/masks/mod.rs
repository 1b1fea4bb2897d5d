//! What the masked objectives hide: each mask is a pure function of its sizes and of a draw.

mod blocks;
mod budgets;
mod spans;
mod words;

pub use blocks::blocks;
pub use budgets::{budgets, dirichlet};
pub use spans::spans;
pub use words::whole_words;
