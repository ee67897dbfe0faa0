//! Problems with known answers, and problems of other programs.

mod external;
mod functions;

pub use external::External;
pub use functions::Function;
