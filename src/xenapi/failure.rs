//! What a XenAPI call answers when it cannot do what was asked.

/// A XenAPI error: a code of the data model and its parameters, in the code's order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}", .params.iter().map(|p| format!(", {p}")).collect::<String>())]
pub struct Failure {
    /// The code, such as `HANDLE_INVALID`.
    pub code: String,
    /// Its parameters, such as the class and the reference.
    pub params: Vec<String>,
}

impl Failure {
    /// A failure with its parameters.
    pub fn new<P: Into<String>>(code: &str, params: impl IntoIterator<Item = P>) -> Self {
        Self { code: code.to_owned(), params: params.into_iter().map(Into::into).collect() }
    }

    /// A failure whose code has no parameter.
    pub fn bare(code: &str) -> Self {
        Self::new(code, [] as [String; 0])
    }

    /// `INTERNAL_ERROR` with one message.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("INTERNAL_ERROR", [message.into()])
    }
}

/// What a server method gives back.
pub type Answer<T = super::Value> = Result<T, Failure>;
