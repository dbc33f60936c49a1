//! `lab env`: how `xe` and other programs reach a host of the lab.

use serde_json::json;

use super::setting::{Lab, LabHost};

/// The object for programs.
pub fn object(lab: &Lab, host: &LabHost) -> anyhow::Result<serde_json::Value> {
    Ok(json!({
        "url": format!("https://{}:{}", host.address, lab.setting.https_port),
        "socket": lab.socket(&host.name),
        "username": "root",
        "password": lab.password()?,
        "host_uuid": host.uuid,
    }))
}

/// The line for a shell: `export XE_EXTRA_ARGS=…`.
pub fn line(lab: &Lab, host: &LabHost) -> anyhow::Result<String> {
    let words = [
        format!("server={}", host.address),
        format!("port={}", lab.setting.https_port),
        "username=root".to_owned(),
        format!("password={}", lab.password()?),
    ];
    let words: Vec<_> = words.iter().map(|word| word.replace(',', "\\,")).collect();
    Ok(format!("export XE_EXTRA_ARGS={}", quoted(&words.join(","))))
}

/// A word as a shell takes it unchanged.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for word in ["plain", "two words", "it's", r"a\,b", "$HOME `ls`"] {
            let script = format!("printf %s {}", quoted(word));
            let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}
