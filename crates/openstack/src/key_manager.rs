//! Barbican: what a secret holds.

use http::header::{ACCEPT, HeaderValue};
use protector_domain::SecretId;
use protector_ports::{Class, PortResult};
use secrecy::SecretString;

use crate::failure::Service::KeyManager;
use crate::session::Session;

/// Barbican itself takes up to 20 000 bytes. What is read here are tokens, and of nothing else is more than this wanted.
const LONGEST: usize = 4096;
const LONGEST_TOKEN: usize = 256;

/// The payload, if it is one short line of printable characters. Whatever else a secret may hold (a key, a certificate)
/// nobody has a reason to have sent anywhere.
pub(crate) async fn payload(session: &Session<'_>, id: SecretId) -> PortResult<SecretString> {
    let secret = id.to_string();
    let call = session
        .get(KeyManager, "read secret", &["secrets", &secret, "payload"])
        .header(ACCEPT, HeaderValue::from_static("text/plain"))
        .at_most(LONGEST)
        .with_secret_answer();
    let (ask, answer) = call.taken().await?;
    if !answer.is_text {
        // Most likely a proxy's page in Barbican's place: that passes.
        let what = "with something that is not a secret's plain text";
        return Err(ask.no_payload(&answer, Class::Retryable, what));
    }
    let text = std::str::from_utf8(&answer.body).unwrap_or_default().trim();
    if text.is_empty() || text.len() > LONGEST_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("with what is not one line of up to {LONGEST_TOKEN} printable characters");
        return Err(ask.no_payload(&answer, Class::Permanent, &what));
    }
    Ok(SecretString::from(text))
}
