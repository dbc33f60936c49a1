//! A database file that is asked inside this process.

/// What `--database` and its companions ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRequest {
    /// The dump, or a database of ours.
    pub file: String,
    /// Memory of hosts by uuid, in bytes, where the file does not say it.
    pub host_memory: Vec<(String, i64)>,
    /// Whether changes are saved to the file.
    pub write: bool,
}
