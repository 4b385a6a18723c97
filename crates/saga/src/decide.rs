pub enum Action {}
pub fn decide() {}
