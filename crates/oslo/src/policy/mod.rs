//! Who may do what, in oslo.policy's language, which operators' `policy.yaml` files are written in.
//!
//! The language has corners that only its original explains: a parenthesis belongs to a check unless it stands at a
//! token's edge, `A or B and C` is regrouped while it is read, and whatever can't be understood denies. This module
//! follows the original there, and `checks/` compares the two.

mod check;
mod enforcer;
mod parser;

pub use check::Check;
pub use enforcer::{Denied, Enforcer, OPTIONS, Operation, POLICY_FILE, PolicyError, RuleDefault, flatten};
pub use parser::{parse, parse_value};
